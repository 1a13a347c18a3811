/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An appraisal as JSON, as it stands in policies and manifests. Members may be left out (their
 * lists are then empty, which denies); unknown ones are refused, because a misspelt condition would
 * be no condition.
 */
#include "cloister/attest.h"

#include <string.h>

static const char *const members[] = {
    "tees",
    "measurements",
    "signers",
    "tcb_statuses",
    "advisories",
    "platforms",
    "min_evaluation",
    "max_collateral_age_s",
#if CLO_INSECURE
    "insecure_allow_debug",
#endif
    NULL,
};

/* Reads element i of a list into `out`. */
typedef clo_status (*element_reader)(const clo_json *element, uint32_t i, clo_appraisal *out);

static clo_status need_string(const clo_json *element)
{
    CLO_CHECK(element->type == CLO_JSON_STRING, CLO_FORMAT, "expected a string");
    return CLO_STATUS_OK;
}

static clo_status read_tee(const clo_json *element, uint32_t i, clo_appraisal *out)
{
    CLO_TRY(need_string(element));
    CLO_TRY(clo_tee_parse(element->string, &out->tees[i]));
    out->tee_count = i + 1;
    return CLO_STATUS_OK;
}

static clo_status read_measurement(const clo_json *element, uint32_t i, clo_appraisal *out)
{
    CLO_TRY(need_string(element));
    CLO_TRY(clo_hex_decode(element->string, out->measurements[i], 32));
    out->measurement_count = i + 1;
    return CLO_STATUS_OK;
}

static clo_status read_signer(const clo_json *element, uint32_t i, clo_appraisal *out)
{
    static const char *const names[] = {"signer", "product", "min_svn", NULL};
    uint64_t product = 0, min_svn = 0;
    CLO_CHECK(element->type == CLO_JSON_OBJECT, CLO_FORMAT, "expected an object");
    CLO_TRY(clo_json_only(element, names));
    CLO_TRY(clo_json_hex(element, "signer", out->signers[i].signer, 32));
    CLO_TRY(clo_json_u64(element, "product", UINT16_MAX, &product));
    CLO_TRY(clo_json_u64(element, "min_svn", UINT16_MAX, &min_svn));
    out->signers[i].product = (uint16_t)product;
    out->signers[i].min_svn = (uint16_t)min_svn;
    out->signer_count = i + 1;
    return CLO_STATUS_OK;
}

static clo_status read_tcb_status(const clo_json *element, uint32_t i, clo_appraisal *out)
{
    CLO_TRY(need_string(element));
    CLO_TRY(clo_tcb_parse(element->string, &out->tcb_statuses[i]));
    out->tcb_status_count = i + 1;
    return CLO_STATUS_OK;
}

static clo_status read_advisory(const clo_json *element, uint32_t i, clo_appraisal *out)
{
    CLO_TRY(need_string(element));
    clo_span id = element->string;
    CLO_CHECK(id.size > 0 && id.size < sizeof out->advisories[i] &&
                  memchr(id.data, '\0', id.size) == NULL,
              CLO_FORMAT, "advisory has %zu characters, expected 1 to %zu", id.size,
              sizeof out->advisories[i] - 1);
    memcpy(out->advisories[i], id.data, id.size);
    out->advisory_count = i + 1;
    return CLO_STATUS_OK;
}

static clo_status read_platform(const clo_json *element, uint32_t i, clo_appraisal *out)
{
    CLO_TRY(need_string(element));
    CLO_TRY(clo_hex_decode(element->string, out->platforms[i], 32));
    out->platform_count = i + 1;
    return CLO_STATUS_OK;
}

/* Kinds and statuses may each be named once or more, but not more often than there are any. */
static const struct {
    const char *name;
    uint32_t max;
    element_reader read;
} lists[] = {
    {"tees", CLO_TEE_COUNT, read_tee},           {"measurements", CLO_MAX_LIST, read_measurement},
    {"signers", CLO_MAX_LIST, read_signer},      {"tcb_statuses", CLO_TCB_COUNT, read_tcb_status},
    {"advisories", CLO_MAX_LIST, read_advisory}, {"platforms", CLO_MAX_LIST, read_platform},
};

static clo_status read_list(const clo_json *object, size_t which, clo_appraisal *out)
{
    const clo_json *list = clo_json_find(object, lists[which].name);
    if (list == NULL) {
        return CLO_STATUS_OK;
    }
    const char *name = lists[which].name;
    CLO_CHECK(list->type == CLO_JSON_ARRAY, CLO_FORMAT, "'%s' is not an array", name);
    CLO_CHECK(list->count <= lists[which].max, CLO_LIMIT, "'%s' has %u entries, at most %u allowed",
              name, list->count, lists[which].max);
    const clo_json *element = list->child;
    for (uint32_t i = 0; element != NULL; i++, element = element->next) {
        CLO_TRY_CTX(lists[which].read(element, i, out), "'%s' entry %u", name, i);
    }
    return CLO_STATUS_OK;
}

static clo_status read_number(const clo_json *object, const char *name, uint64_t max,
                              uint64_t *out_number)
{
    return clo_json_find(object, name) != NULL ? clo_json_u64(object, name, max, out_number)
                                               : CLO_STATUS_OK;
}

/* The weakness: it exists only in builds that have it, and is written only when set, so that a
 * policy without it does not name it. */
#if CLO_INSECURE
static clo_status read_weakness(const clo_json *object, clo_appraisal *out)
{
    const char *name = "insecure_allow_debug";
    return clo_json_find(object, name) != NULL
               ? clo_json_bool(object, name, &out->insecure_allow_debug)
               : CLO_STATUS_OK;
}

static void write_weakness(clo_json_writer *w, const clo_appraisal *a)
{
    if (a->insecure_allow_debug) {
        clo_json_put_bool(w, "insecure_allow_debug", true);
    }
}
#else
static clo_status read_weakness(const clo_json *object, clo_appraisal *out)
{
    (void)object;
    (void)out;
    return CLO_STATUS_OK;
}

static void write_weakness(clo_json_writer *w, const clo_appraisal *a)
{
    (void)w;
    (void)a;
}
#endif

clo_status clo_appraisal_parse(const clo_json *object, clo_appraisal *out_appraisal)
{
    clo_appraisal parsed = {0};
    uint64_t evaluation = 0, age = 0;
    CLO_CHECK(object->type == CLO_JSON_OBJECT, CLO_FORMAT, "appraisal is not an object");
    CLO_TRY_CTX(clo_json_only(object, members), "appraisal");
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        CLO_TRY_CTX(read_list(object, i, &parsed), "appraisal");
    }
    CLO_TRY(read_number(object, "min_evaluation", UINT32_MAX, &evaluation));
    CLO_TRY(read_number(object, "max_collateral_age_s", INT64_MAX, &age));
    CLO_TRY(read_weakness(object, &parsed));
    parsed.min_evaluation = (uint32_t)evaluation;
    parsed.max_collateral_age_s = age;
    *out_appraisal = parsed;
    return CLO_STATUS_OK;
}

static void write_bytes(clo_json_writer *w, const char *name, const uint8_t (*list)[32],
                        uint32_t count)
{
    clo_json_begin_array(w, name);
    for (uint32_t i = 0; i < count; i++) {
        clo_json_put_hex(w, NULL, CLO_SPAN(list[i], 32));
    }
    clo_json_end_array(w);
}

static void write_signers(clo_json_writer *w, const clo_appraisal *a)
{
    clo_json_begin_array(w, "signers");
    for (uint32_t i = 0; i < a->signer_count; i++) {
        clo_json_begin_object(w, NULL);
        clo_json_put_hex(w, "signer", CLO_SPAN_OF(a->signers[i].signer));
        clo_json_put_u64(w, "product", a->signers[i].product);
        clo_json_put_u64(w, "min_svn", a->signers[i].min_svn);
        clo_json_end_object(w);
    }
    clo_json_end_array(w);
}

static void write_names(clo_json_writer *w, const clo_appraisal *a)
{
    clo_json_begin_array(w, "tcb_statuses");
    for (uint32_t i = 0; i < a->tcb_status_count; i++) {
        clo_json_put_str(w, NULL, clo_tcb_name(a->tcb_statuses[i]));
    }
    clo_json_end_array(w);
    clo_json_begin_array(w, "advisories");
    for (uint32_t i = 0; i < a->advisory_count; i++) {
        clo_json_put_str(w, NULL, a->advisories[i]);
    }
    clo_json_end_array(w);
}

void clo_appraisal_json(const clo_appraisal *appraisal, clo_json_writer *writer, const char *name)
{
    clo_json_begin_object(writer, name);
    clo_json_begin_array(writer, "tees");
    for (uint32_t i = 0; i < appraisal->tee_count; i++) {
        clo_json_put_str(writer, NULL, clo_tee_name(appraisal->tees[i]));
    }
    clo_json_end_array(writer);
    write_bytes(writer, "measurements", appraisal->measurements, appraisal->measurement_count);
    write_signers(writer, appraisal);
    write_names(writer, appraisal);
    write_bytes(writer, "platforms", appraisal->platforms, appraisal->platform_count);
    clo_json_put_u64(writer, "min_evaluation", appraisal->min_evaluation);
    clo_json_put_u64(writer, "max_collateral_age_s", appraisal->max_collateral_age_s);
    write_weakness(writer, appraisal);
    clo_json_end_object(writer);
}
