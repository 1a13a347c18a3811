/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCB info, versions 2 and 3 (reference: the vendor's PCS API v3 and v4). The versions differ in
 * the names of the component SVNs and in the id.
 */
#include "tcb_info.h"

#include <stdio.h>
#include <string.h>

enum { COMPONENTS = 16, ADVISORY_MAX = 19 };

/* Advisories are shown to people and compared as text: no blank, control or non-ASCII byte. */
static bool is_plain(clo_span text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] <= 0x20 || text.data[i] > 0x7e) {
            return false;
        }
    }
    return true;
}

static clo_status check_advisories(const clo_json *list)
{
    CLO_CHECK(list->type == CLO_JSON_ARRAY, CLO_FORMAT, "advisoryIDs is not an array");
    CLO_CHECK(list->count <= CLO_MAX_ADVISORIES, CLO_FORMAT,
              "level has %u advisories, at most %d allowed", list->count, CLO_MAX_ADVISORIES);
    for (const clo_json *id = list->child; id != NULL; id = id->next) {
        CLO_CHECK(id->type == CLO_JSON_STRING, CLO_FORMAT, "advisory is not a string");
        CLO_CHECK(id->string.size > 0 && id->string.size <= ADVISORY_MAX, CLO_FORMAT,
                  "advisory has %zu characters, expected 1 to %d", id->string.size, ADVISORY_MAX);
        CLO_CHECK(is_plain(id->string), CLO_FORMAT, "advisory is not plain text");
    }
    return CLO_STATUS_OK;
}

clo_status clo_tcb_say_parse(const clo_json *level, clo_tcb_say *out_say)
{
    clo_tcb_say say = {0};
    CLO_TRY(clo_json_time(level, "tcbDate", &say.date));
    CLO_TRY(clo_json_str(level, "tcbStatus", &say.status_text));
    if (!clo_ok(clo_tcb_parse(say.status_text, &say.status))) {
        say.status = CLO_TCB_UNKNOWN; /* refused if this level matches */
    }
    say.advisories = clo_json_find(level, "advisoryIDs");
    if (say.advisories != NULL) {
        CLO_TRY(check_advisories(say.advisories));
    }
    *out_say = say;
    return CLO_STATUS_OK;
}

static clo_status parse_components_v2(const clo_json *tcb, uint8_t out[COMPONENTS])
{
    for (unsigned i = 0; i < COMPONENTS; i++) {
        char name[sizeof "sgxtcbcomp01svn"];
        uint64_t svn = 0;
        (void)snprintf(name, sizeof name, "sgxtcbcomp%02usvn", (i + 1) % 100);
        CLO_TRY(clo_json_u64(tcb, name, 255, &svn));
        out[i] = (uint8_t)svn;
    }
    return CLO_STATUS_OK;
}

static clo_status parse_components_v3(const clo_json *tcb, uint8_t out[COMPONENTS])
{
    const clo_json *list = NULL;
    CLO_TRY(clo_json_member(tcb, "sgxtcbcomponents", CLO_JSON_ARRAY, &list));
    CLO_CHECK(list->count == COMPONENTS, CLO_FORMAT, "level has %u components, expected 16",
              list->count);
    const clo_json *component = list->child;
    for (unsigned i = 0; i < COMPONENTS; i++, component = component->next) {
        uint64_t svn = 0;
        CLO_CHECK(component->type == CLO_JSON_OBJECT, CLO_FORMAT, "component is not an object");
        CLO_TRY(clo_json_u64(component, "svn", 255, &svn));
        out[i] = (uint8_t)svn;
    }
    return CLO_STATUS_OK;
}

static clo_status parse_level(const clo_json *level, uint32_t version, clo_tcb_level *out)
{
    const clo_json *tcb = NULL;
    uint64_t pce_svn = 0;
    CLO_CHECK(level->type == CLO_JSON_OBJECT, CLO_FORMAT, "level is not an object");
    CLO_TRY(clo_json_member(level, "tcb", CLO_JSON_OBJECT, &tcb));
    CLO_TRY(version == 2 ? parse_components_v2(tcb, out->components)
                         : parse_components_v3(tcb, out->components));
    CLO_TRY(clo_json_u64(tcb, "pcesvn", 65535, &pce_svn));
    out->pce_svn = (uint16_t)pce_svn;
    return clo_tcb_say_parse(level, &out->say);
}

static clo_status parse_levels(const clo_json *root, clo_arena *arena, clo_tcb_info *out)
{
    const clo_json *list = NULL;
    CLO_TRY(clo_json_member(root, "tcbLevels", CLO_JSON_ARRAY, &list));
    CLO_CHECK(list->count >= 1 && list->count <= CLO_MAX_LEVELS, CLO_FORMAT,
              "TCB info has %u levels, expected 1 to %d", list->count, CLO_MAX_LEVELS);
    out->levels = clo_arena_array(arena, list->count, sizeof *out->levels);
    CLO_CHECK(out->levels != NULL, CLO_NOMEM, "out of memory for %u TCB levels", list->count);
    for (const clo_json *level = list->child; level != NULL; level = level->next) {
        CLO_TRY_CTX(parse_level(level, out->version, &out->levels[out->level_count]),
                    "TCB level %u", out->level_count);
        out->level_count++;
    }
    return CLO_STATUS_OK;
}

static clo_status parse_version(const clo_json *root, clo_tcb_info *out)
{
    uint64_t version = 0, type = 0;
    CLO_TRY(clo_json_u64(root, "version", UINT32_MAX, &version));
    CLO_CHECK(version == 2 || version == 3, CLO_FORMAT, "TCB info has version %u, expected 2 or 3",
              (unsigned)version);
    CLO_TRY(clo_json_u64(root, "tcbType", UINT32_MAX, &type));
    CLO_CHECK(type == 0, CLO_FORMAT, "TCB info has type %u, expected 0", (unsigned)type);
    out->version = (uint32_t)version;
    out->for_sgx = true;
    if (version == 3) {
        clo_span id;
        CLO_TRY(clo_json_str(root, "id", &id));
        out->for_sgx = clo_span_equals_str(id, "SGX");
    }
    return CLO_STATUS_OK;
}

static clo_status parse_head(const clo_json *root, clo_tcb_info *out)
{
    uint64_t evaluation = 0;
    CLO_TRY(clo_json_time(root, "issueDate", &out->issue));
    CLO_TRY(clo_json_time(root, "nextUpdate", &out->next_update));
    CLO_TRY(clo_json_hex(root, "fmspc", out->fmspc, sizeof out->fmspc));
    out->has_pce_id = out->version == 3 || clo_json_find(root, "pceId") != NULL;
    if (out->has_pce_id) {
        CLO_TRY(clo_json_hex(root, "pceId", out->pce_id, sizeof out->pce_id));
    }
    CLO_TRY(clo_json_u64(root, "tcbEvaluationDataNumber", UINT32_MAX, &evaluation));
    out->evaluation = (uint32_t)evaluation;
    return CLO_STATUS_OK;
}

clo_status clo_tcb_info_parse(clo_span text, clo_arena *arena, clo_tcb_info *out_info)
{
    const clo_json *root = NULL;
    clo_tcb_info info = {0};
    CLO_TRY(clo_json_parse(text, arena, &root));
    CLO_CHECK(root->type == CLO_JSON_OBJECT, CLO_FORMAT, "TCB info is not an object");
    CLO_TRY(parse_version(root, &info));
    CLO_TRY(parse_head(root, &info));
    CLO_TRY(parse_levels(root, arena, &info));
    *out_info = info;
    return CLO_STATUS_OK;
}

static bool reaches(const uint8_t components[COMPONENTS], uint16_t pce_svn,
                    const clo_tcb_level *level)
{
    for (unsigned i = 0; i < COMPONENTS; i++) {
        if (components[i] < level->components[i]) {
            return false;
        }
    }
    return pce_svn >= level->pce_svn;
}

static bool is_higher(const clo_tcb_level *a, const clo_tcb_level *b)
{
    int order = memcmp(a->components, b->components, COMPONENTS);
    return order != 0 ? order > 0 : a->pce_svn > b->pce_svn;
}

const clo_tcb_level *clo_tcb_info_match(const clo_tcb_info *info, const uint8_t components[16],
                                        uint16_t pce_svn)
{
    const clo_tcb_level *best = NULL;
    for (uint32_t i = 0; i < info->level_count; i++) {
        const clo_tcb_level *level = &info->levels[i];
        if (reaches(components, pce_svn, level) && (best == NULL || is_higher(level, best))) {
            best = level;
        }
    }
    return best;
}

clo_tcb_status clo_tcb_converge(clo_tcb_status platform, clo_tcb_status qe)
{
    static const clo_tcb_status under_old_qe[CLO_TCB_COUNT] = {
        [CLO_TCB_UNKNOWN] = CLO_TCB_UNKNOWN,
        [CLO_TCB_UP_TO_DATE] = CLO_TCB_OUT_OF_DATE,
        [CLO_TCB_SW_HARDENING_NEEDED] = CLO_TCB_OUT_OF_DATE,
        [CLO_TCB_CONFIGURATION_NEEDED] = CLO_TCB_OUT_OF_DATE_CONFIGURATION_NEEDED,
        [CLO_TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED] = CLO_TCB_OUT_OF_DATE_CONFIGURATION_NEEDED,
        [CLO_TCB_OUT_OF_DATE] = CLO_TCB_OUT_OF_DATE,
        [CLO_TCB_OUT_OF_DATE_CONFIGURATION_NEEDED] = CLO_TCB_OUT_OF_DATE_CONFIGURATION_NEEDED,
        [CLO_TCB_REVOKED] = CLO_TCB_REVOKED,
    };
    switch (qe) {
    case CLO_TCB_UP_TO_DATE:
        return platform;
    case CLO_TCB_OUT_OF_DATE:
        return under_old_qe[platform];
    case CLO_TCB_REVOKED:
        return CLO_TCB_REVOKED;
    default:
        return CLO_TCB_UNKNOWN; /* the vendor gives enclaves no other status */
    }
}
