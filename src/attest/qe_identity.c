/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QE identity (reference: the vendor's PCS API v4, "Get Quoting Enclave identity").
 */
#include "qe_identity.h"

#include <string.h>

static clo_status parse_head(const clo_json *root, clo_qe_identity *out)
{
    clo_span id;
    uint64_t version = 0, evaluation = 0;
    CLO_TRY(clo_json_u64(root, "version", UINT32_MAX, &version));
    CLO_CHECK(version == 2, CLO_FORMAT, "QE identity has version %u, expected 2",
              (unsigned)version);
    CLO_TRY(clo_json_str(root, "id", &id));
    CLO_TRY(clo_json_time(root, "issueDate", &out->issue));
    CLO_TRY(clo_json_time(root, "nextUpdate", &out->next_update));
    CLO_TRY(clo_json_u64(root, "tcbEvaluationDataNumber", UINT32_MAX, &evaluation));
    out->version = (uint32_t)version;
    out->for_qe = clo_span_equals_str(id, "QE");
    out->evaluation = (uint32_t)evaluation;
    return CLO_STATUS_OK;
}

static clo_status parse_looks(const clo_json *root, clo_qe_identity *out)
{
    uint64_t product = 0;
    CLO_TRY(clo_json_hex(root, "miscselect", out->misc_select, 4));
    CLO_TRY(clo_json_hex(root, "miscselectMask", out->misc_mask, 4));
    CLO_TRY(clo_json_hex(root, "attributes", out->attributes, 16));
    CLO_TRY(clo_json_hex(root, "attributesMask", out->attributes_mask, 16));
    CLO_TRY(clo_json_hex(root, "mrsigner", out->signer, 32));
    CLO_TRY(clo_json_u64(root, "isvprodid", 65535, &product));
    out->product = (uint16_t)product;
    return CLO_STATUS_OK;
}

static clo_status parse_level(const clo_json *level, clo_qe_level *out)
{
    const clo_json *tcb = NULL;
    uint64_t svn = 0;
    CLO_CHECK(level->type == CLO_JSON_OBJECT, CLO_FORMAT, "level is not an object");
    CLO_TRY(clo_json_member(level, "tcb", CLO_JSON_OBJECT, &tcb));
    CLO_TRY(clo_json_u64(tcb, "isvsvn", 65535, &svn));
    out->isv_svn = (uint16_t)svn;
    return clo_tcb_say_parse(level, &out->say);
}

static clo_status parse_levels(const clo_json *root, clo_arena *arena, clo_qe_identity *out)
{
    const clo_json *list = NULL;
    CLO_TRY(clo_json_member(root, "tcbLevels", CLO_JSON_ARRAY, &list));
    CLO_CHECK(list->count >= 1 && list->count <= CLO_MAX_LEVELS, CLO_FORMAT,
              "QE identity has %u levels, expected 1 to %d", list->count, CLO_MAX_LEVELS);
    out->levels = clo_arena_array(arena, list->count, sizeof *out->levels);
    CLO_CHECK(out->levels != NULL, CLO_NOMEM, "out of memory for %u QE levels", list->count);
    for (const clo_json *level = list->child; level != NULL; level = level->next) {
        CLO_TRY_CTX(parse_level(level, &out->levels[out->level_count]), "QE level %u",
                    out->level_count);
        out->level_count++;
    }
    return CLO_STATUS_OK;
}

clo_status clo_qe_identity_parse(clo_span text, clo_arena *arena, clo_qe_identity *out_identity)
{
    const clo_json *root = NULL;
    clo_qe_identity identity = {0};
    CLO_TRY(clo_json_parse(text, arena, &root));
    CLO_CHECK(root->type == CLO_JSON_OBJECT, CLO_FORMAT, "QE identity is not an object");
    CLO_TRY(parse_head(root, &identity));
    CLO_TRY(parse_looks(root, &identity));
    CLO_TRY(parse_levels(root, arena, &identity));
    *out_identity = identity;
    return CLO_STATUS_OK;
}

static bool equals_masked(const uint8_t *value, const uint8_t *mask, const uint8_t *expected,
                          size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if ((value[i] & mask[i]) != expected[i]) {
            return false;
        }
    }
    return true;
}

clo_status clo_qe_identity_check(const clo_qe_identity *identity, const clo_report_body *report)
{
    CLO_CHECK(identity->for_qe, CLO_ATTEST, "identity is not that of an SGX quoting enclave");
    CLO_CHECK(equals_masked(report->misc_select, identity->misc_mask, identity->misc_select, 4),
              CLO_ATTEST, "MISCSELECT differs");
    CLO_CHECK(
        equals_masked(report->attributes, identity->attributes_mask, identity->attributes, 16),
        CLO_ATTEST, "ATTRIBUTES differ");
    CLO_CHECK(memcmp(report->signer, identity->signer, sizeof report->signer) == 0, CLO_ATTEST,
              "MRSIGNER differs");
    CLO_CHECK(report->product == identity->product, CLO_ATTEST, "ISVPRODID is %u, expected %u",
              report->product, identity->product);
    return CLO_STATUS_OK;
}

const clo_qe_level *clo_qe_identity_match(const clo_qe_identity *identity, uint16_t isv_svn)
{
    const clo_qe_level *best = NULL;
    for (uint32_t i = 0; i < identity->level_count; i++) {
        const clo_qe_level *level = &identity->levels[i];
        if (level->isv_svn <= isv_svn && (best == NULL || level->isv_svn > best->isv_svn)) {
            best = level;
        }
    }
    return best;
}
