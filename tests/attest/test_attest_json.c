/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCB info and QE identity as JSON: which documents parse. The recorded files are Open Enclave's;
 * their names say what is wrong. The rest are single edits of one good document.
 */
#include "collateral.h"
#include "qe_identity.h"
#include "tcb_info.h"
#include "vectors.h"

/* ---------------------------------------------------------------- recorded files -------------- */

/* {"tcbInfo": {...}, "signature": hex} or {"enclaveIdentity": ...}, as the vendor's service
 * answers: the document and a signature of 64 bytes must be there. */
static clo_status parse_answer(clo_span text, clo_arena *arena)
{
    const clo_json *root = NULL, *document = NULL;
    clo_tcb_info info;
    clo_qe_identity identity;
    uint8_t signature[64];
    CLO_TRY(clo_json_parse(text, arena, &root));
    CLO_TRY(clo_json_hex(root, "signature", signature, sizeof signature));
    if (clo_json_find(root, "tcbInfo") != NULL) {
        CLO_TRY(clo_json_member(root, "tcbInfo", CLO_JSON_OBJECT, &document));
        return clo_tcb_info_parse(document->raw, arena, &info);
    }
    CLO_TRY(clo_json_member(root, "enclaveIdentity", CLO_JSON_OBJECT, &document));
    return clo_qe_identity_parse(document->raw, arena, &identity);
}

/* Numbers above their bound are CLO_LIMIT, everything else is CLO_FORMAT. */
static bool is_as_expected(clo_status status, bool good)
{
    return good ? clo_ok(status) : status.code == CLO_FORMAT || status.code == CLO_LIMIT;
}

static bool must_parse(const char *name)
{
    return strstr(name, "_ok") != NULL || strstr(name, "dvisoryIds") != NULL ||
           strstr(name, "advisoryids") != NULL || strstr(name, "tcbinfo_sgx") != NULL ||
           strstr(name, "tcbinfo_tdx") != NULL;
}

static void recorded_documents_parse_as_their_names_say(void)
{
    const char *found = clo_test_shared("vectors/json-negative");
    struct dirent **entries = NULL;
    int count = found != NULL ? scandir(found, &entries, NULL, alphasort) : 0, good = 0, bad = 0;
    for (int i = 0; i < count; i++) {
        CLO_AUTO(clo_buf) text = CLO_BUF_INIT;
        CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
        char path[400];
        (void)snprintf(path, sizeof path, "json-negative/%.300s", entries[i]->d_name);
        if (entries[i]->d_name[0] != '.' && vector_read(path, &text)) {
            bool expected = must_parse(entries[i]->d_name);
            clo_status status = parse_answer(clo_buf_span(&text), &arena);
            if (!is_as_expected(status, expected)) {
                clo_test_fail(__FILE__, __LINE__, "%s: found %s", entries[i]->d_name,
                              clo_code_name(status.code));
            }
            good += expected;
            bad += !expected;
        }
        free(entries[i]);
    }
    free(entries);
    if (count == 0) {
        T_SKIP("../shared/vectors is not here");
    }
    T_INT(good, 5);
    T_INT(bad, 25);
}

/* ---------------------------------------------------------------- single edits ---------------- */

static const char good_info[] =
    "{\"id\":\"SGX\",\"version\":3,\"issueDate\":\"2025-06-06T11:42:29Z\","
    "\"nextUpdate\":\"2025-07-06T11:42:29Z\",\"fmspc\":\"00606A000000\",\"pceId\":\"0000\","
    "\"tcbType\":0,\"tcbEvaluationDataNumber\":18,\"tcbLevels\":[{\"tcb\":{\"sgxtcbcomponents\":["
    "{\"svn\":15,\"category\":\"BIOS\"},{\"svn\":15},{\"svn\":3},{\"svn\":3},{\"svn\":255},"
    "{\"svn\":255},{\"svn\":1},{\"svn\":0},{\"svn\":0},{\"svn\":0},{\"svn\":0},{\"svn\":0},"
    "{\"svn\":0},{\"svn\":0},{\"svn\":0},{\"svn\":7}],\"pcesvn\":13},"
    "\"tcbDate\":\"2024-11-13T00:00:00Z\",\"tcbStatus\":\"SWHardeningNeeded\","
    "\"advisoryIDs\":[\"INTEL-SA-00615\"]}]}";

static const char good_identity[] =
    "{\"id\":\"QE\",\"version\":2,\"issueDate\":\"2025-06-06T12:02:58Z\","
    "\"nextUpdate\":\"2025-07-06T12:02:58Z\",\"tcbEvaluationDataNumber\":18,"
    "\"miscselect\":\"00000000\",\"miscselectMask\":\"FFFFFFFF\","
    "\"attributes\":\"11000000000000000000000000000000\","
    "\"attributesMask\":\"FBFFFFFFFFFFFFFF0000000000000000\","
    "\"mrsigner\":\"8C4F5775D796503E96137F77C68A829A0056AC8DED70140B081B094490C57BFF\","
    "\"isvprodid\":1,\"tcbLevels\":[{\"tcb\":{\"isvsvn\":8},"
    "\"tcbDate\":\"2024-11-13T00:00:00Z\",\"tcbStatus\":\"UpToDate\"}]}";

typedef struct {
    const char *from, *to;
} edit;

/* Edits of the TCB info that make it malformed. */
static const edit bad_infos[] = {
    {"\"version\":3", "\"version\":1"},
    {"\"version\":3", "\"version\":4"},
    {"\"version\":3", "\"version\":3.0"},
    {"\"version\":3", "\"version\":+3"},
    {"\"version\":3", "\"version\":\"3\""},
    {"\"version\":3", "\"version\":3,\"version\":3"},
    {"\"id\":\"SGX\",", ""},
    {"\"id\":\"SGX\"", "\"id\":1"},
    {"2025-06-06T11:42:29Z", "2025-06-06T11:42:29"},
    {"2025-06-06T11:42:29Z", "2025-06-06T11:42:29+00:00"},
    {"2025-06-06T11:42:29Z", "2025-06-06 11:42:29Z"},
    {"2025-06-06T11:42:29Z", "2025-06-06T24:42:29Z"},
    {"2025-06-06T11:42:29Z", "2025-02-30T11:42:29Z"},
    {"2025-06-06T11:42:29Z", "2025-6-06T11:42:29Z"},
    {"2025-06-06T11:42:29Z", "2025-06-06T11:42:29.0Z"},
    {"2025-07-06T11:42:29Z", ""},
    {"\"fmspc\":\"00606A000000\"", "\"fmspc\":\"00606A0000\""},
    {"\"fmspc\":\"00606A000000\"", "\"fmspc\":\"00606A00000000\""},
    {"\"fmspc\":\"00606A000000\"", "\"fmspc\":\"00606G000000\""},
    {"\"pceId\":\"0000\",", ""},
    {"\"pceId\":\"0000\"", "\"pceId\":\"000\""},
    {"\"tcbType\":0", "\"tcbType\":1"},
    {"\"tcbType\":0,", ""},
    {"\"tcbEvaluationDataNumber\":18", "\"tcbEvaluationDataNumber\":-18"},
    {"\"tcbEvaluationDataNumber\":18", "\"tcbEvaluationDataNumber\":4294967296"},
    {"{\"svn\":7}", "{\"svn\":256}"},
    {"{\"svn\":7}", "{\"svn\":-7}"},
    {"{\"svn\":7}", "{\"svn\":7e0}"},
    {"{\"svn\":7}", "{\"svn\":07}"},
    {"{\"svn\":7}", "{\"svn\":\"7\"}"},
    {"{\"svn\":7}", "{}"},
    {"{\"svn\":7}", "7"},
    {"{\"svn\":7}", "{\"svn\":7},{\"svn\":7}"},
    {",{\"svn\":7}", ""},
    {"\"pcesvn\":13", "\"pcesvn\":65536"},
    {"\"pcesvn\":13", "\"PCESVN\":13"},
    {"\"tcbStatus\":\"SWHardeningNeeded\"", "\"tcbStatus\":7"},
    {"\"tcbDate\":\"2024-11-13T00:00:00Z\",", ""},
    {"[\"INTEL-SA-00615\"]", "\"INTEL-SA-00615\""},
    {"[\"INTEL-SA-00615\"]", "[615]"},
    {"[\"INTEL-SA-00615\"]", "[\"\"]"},
    {"[\"INTEL-SA-00615\"]", "[\"INTEL-SA-0000000615\", \"INTEL-SA-00000000615\"]"},
    {"[\"INTEL-SA-00615\"]", "[\"INTEL\\u0000SA\"]"},
    {"[\"INTEL-SA-00615\"]", "[\"INTEL\\u001b[31m\"]"},
    {"\"tcbLevels\":[{", "\"tcbLevels\":{\"a\":[{"},
    {"\"tcbLevels\":[{", "\"tcbLevels\":[7,{"},
    {"]}]}", "]}]} "
             "x"},
    {"]}]}", "]}]"},
};

/* Edits that are no harm: other spellings of hex, unknown members, unknown statuses, longest texts.
 */
static const edit good_infos[] = {
    {"\"fmspc\":\"00606A000000\"", "\"fmspc\":\"00606a000000\""},
    {"\"tcbType\":0", "\"tcbType\":0,\"novel\":[{}]"},
    {"SWHardeningNeeded", "Splendid"},
    {"\"id\":\"SGX\"", "\"id\":\"TDX\""},
    {"INTEL-SA-00615", "INTEL-SA-0000000615"},
    {",\"advisoryIDs\":[\"INTEL-SA-00615\"]", ""},
};

static const edit bad_identities[] = {
    {"\"version\":2", "\"version\":1"},
    {"\"id\":\"QE\",", ""},
    {"\"miscselect\":\"00000000\"", "\"miscselect\":\"000000\""},
    {"\"miscselectMask\":\"FFFFFFFF\"", "\"miscselectMask\":4294967295"},
    {"\"attributes\":\"11", "\"attributes\":\"0x"},
    {"\"attributesMask\":\"FB", "\"attributesMask\":\"FBFB"},
    {"8C4F5775", "8C4F57"},
    {"\"isvprodid\":1", "\"isvprodid\":65536"},
    {"{\"isvsvn\":8}", "{\"isvsvn\":65536}"},
    {"{\"isvsvn\":8}", "8"},
    {"\"tcbLevels\":[{", "\"tcbLevels\":[],\"more\":[{"},
    {"\"tcbStatus\":\"UpToDate\"", "\"tcbstatus\":\"UpToDate\""},
};

/* `text` with the first `from` replaced. */
static bool edited(const char *text, const edit *change, clo_buf *out)
{
    const char *at = strstr(text, change->from);
    if (at == NULL) {
        return false;
    }
    clo_put_bytes(out, text, (size_t)(at - text));
    clo_put_str(out, change->to);
    clo_put_str(out, at + strlen(change->from));
    return !out->failed;
}

static clo_status parse_info(clo_span text)
{
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    clo_tcb_info info;
    return clo_tcb_info_parse(text, &arena, &info);
}

static clo_status parse_identity(clo_span text)
{
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    clo_qe_identity identity;
    return clo_qe_identity_parse(text, &arena, &identity);
}

static void check_edits(const char *text, const edit *edits, size_t count,
                        clo_status (*parse)(clo_span), bool good)
{
    for (size_t i = 0; i < count; i++) {
        CLO_AUTO(clo_buf) changed = CLO_BUF_INIT;
        T_CHECK(edited(text, &edits[i], &changed));
        clo_status status = parse(clo_buf_span(&changed));
        if (!is_as_expected(status, good)) {
            clo_test_fail(__FILE__, __LINE__, "%s -> %s: found %s", edits[i].from, edits[i].to,
                          clo_code_name(status.code));
        }
    }
}

static void malformed_tcb_info_is_a_format_error(void)
{
    T_OK(parse_info(clo_span_of_str(good_info)));
    check_edits(good_info, bad_infos, sizeof bad_infos / sizeof *bad_infos, parse_info, false);
}

static void harmless_changes_of_tcb_info_parse(void)
{
    check_edits(good_info, good_infos, sizeof good_infos / sizeof *good_infos, parse_info, true);
}

static void malformed_qe_identity_is_a_format_error(void)
{
    T_OK(parse_identity(clo_span_of_str(good_identity)));
    check_edits(good_identity, bad_identities, sizeof bad_identities / sizeof *bad_identities,
                parse_identity, false);
}

static void truncated_documents_are_format_errors(void)
{
    for (size_t size = 0; size + 1 < sizeof good_info - 1; size += 3) {
        T_CODE(parse_info(CLO_SPAN(good_info, size)), CLO_FORMAT);
    }
    for (size_t size = 0; size + 1 < sizeof good_identity - 1; size += 3) {
        T_CODE(parse_identity(CLO_SPAN(good_identity, size)), CLO_FORMAT);
    }
}

static void too_many_advisories_are_a_format_error(void)
{
    for (uint32_t count = CLO_MAX_ADVISORIES; count <= CLO_MAX_ADVISORIES + 1; count++) {
        CLO_AUTO(clo_buf) list = CLO_BUF_INIT;
        CLO_AUTO(clo_buf) text = CLO_BUF_INIT;
        for (uint32_t i = 0; i < count; i++) {
            clo_put_format(&list, "%s\"INTEL-SA-%05u\"", i == 0 ? "" : ",", i);
        }
        const edit change = {"\"INTEL-SA-00615\"", clo_buf_str(&list)};
        T_CHECK(edited(good_info, &change, &text));
        T_CODE(parse_info(clo_buf_span(&text)), count <= CLO_MAX_ADVISORIES ? CLO_OK : CLO_FORMAT);
    }
}

/* ---------------------------------------------------------------- matching -------------------- */

static void the_highest_level_reached_matches_whatever_the_order(void)
{
    clo_tcb_level levels[] = {
        {.components = {1}, .pce_svn = 5}, {.components = {2}, .pce_svn = 5},
        {.components = {2}, .pce_svn = 7}, {.components = {2, 1}, .pce_svn = 1},
        {.components = {3}, .pce_svn = 1},
    };
    clo_tcb_info info = {.levels = levels, .level_count = 5};
    const uint8_t two[16] = {2}, two_one[16] = {2, 1}, three[16] = {3, 9}, none[16] = {0, 9, 9};
    T_CHECK(clo_tcb_info_match(&info, two, 6) == &levels[1]);
    T_CHECK(clo_tcb_info_match(&info, two, 7) == &levels[2]);
    T_CHECK(clo_tcb_info_match(&info, two_one, 7) == &levels[3]);
    T_CHECK(clo_tcb_info_match(&info, three, 1) == &levels[4]);
    T_CHECK(clo_tcb_info_match(&info, three, 0) == NULL);
    T_CHECK(clo_tcb_info_match(&info, none, 9) == NULL);
    const clo_tcb_level swapped = levels[0];
    levels[0] = levels[2];
    levels[2] = swapped;
    T_CHECK(clo_tcb_info_match(&info, two, 7) == &levels[0]);
}

static void the_highest_qe_level_reached_matches_whatever_the_order(void)
{
    clo_qe_level levels[] = {{.isv_svn = 4}, {.isv_svn = 8}, {.isv_svn = 6}};
    clo_qe_identity identity = {.levels = levels, .level_count = 3};
    T_CHECK(clo_qe_identity_match(&identity, 9) == &levels[1]);
    T_CHECK(clo_qe_identity_match(&identity, 7) == &levels[2]);
    T_CHECK(clo_qe_identity_match(&identity, 4) == &levels[0]);
    T_CHECK(clo_qe_identity_match(&identity, 3) == NULL);
}

/* Rows: platform; columns: QE UpToDate, OutOfDate, Revoked. */
static void an_old_quoting_enclave_makes_the_platform_out_of_date(void)
{
    static const clo_tcb_status table[][3] = {
        {CLO_TCB_UP_TO_DATE, CLO_TCB_OUT_OF_DATE, CLO_TCB_REVOKED},
        {CLO_TCB_SW_HARDENING_NEEDED, CLO_TCB_OUT_OF_DATE, CLO_TCB_REVOKED},
        {CLO_TCB_CONFIGURATION_NEEDED, CLO_TCB_OUT_OF_DATE_CONFIGURATION_NEEDED, CLO_TCB_REVOKED},
        {CLO_TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED, CLO_TCB_OUT_OF_DATE_CONFIGURATION_NEEDED,
         CLO_TCB_REVOKED},
        {CLO_TCB_OUT_OF_DATE, CLO_TCB_OUT_OF_DATE, CLO_TCB_REVOKED},
        {CLO_TCB_OUT_OF_DATE_CONFIGURATION_NEEDED, CLO_TCB_OUT_OF_DATE_CONFIGURATION_NEEDED,
         CLO_TCB_REVOKED},
        {CLO_TCB_REVOKED, CLO_TCB_REVOKED, CLO_TCB_REVOKED},
    };
    for (int i = 0; i < 7; i++) {
        clo_tcb_status platform = table[i][0];
        T_INT(platform, i + 1);
        T_INT(clo_tcb_converge(platform, CLO_TCB_UP_TO_DATE), table[i][0]);
        T_INT(clo_tcb_converge(platform, CLO_TCB_OUT_OF_DATE), table[i][1]);
        T_INT(clo_tcb_converge(platform, CLO_TCB_REVOKED), table[i][2]);
        T_INT(clo_tcb_converge(platform, CLO_TCB_SW_HARDENING_NEEDED), CLO_TCB_UNKNOWN);
        T_INT(clo_tcb_converge(platform, CLO_TCB_UNKNOWN), CLO_TCB_UNKNOWN);
    }
}

/* ---------------------------------------------------------------- the container --------------- */

static void collateral_needs_exactly_its_members(void)
{
    static const char *const removed[] = {
        "pck_crl_issuer_chain",     "root_ca_crl", "pck_crl",
        "tcb_info_issuer_chain",    "tcb_info",    "tcb_info_signature",
        "qe_identity_issuer_chain", "qe_identity", "qe_identity_signature"};
    CLO_AUTO(vector_case) c = {0};
    clo_collateral parsed;
    if (!vector_load("v3-00a067110000-config-swhardening-f8b810", &c)) {
        T_SKIP("../shared/vectors is not here");
    }
    for (size_t i = 0; i < sizeof removed / sizeof *removed; i++) {
        CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
        char quoted[64];
        (void)snprintf(quoted, sizeof quoted, "\"%s\"", removed[i]);
        uint8_t *at = memmem(c.collateral.data, c.collateral.size, quoted, strlen(quoted));
        T_CHECK(at != NULL);
        at[1] ^= 1;
        T_CODE(clo_collateral_parse(clo_buf_span(&c.collateral), &arena, &parsed), CLO_FORMAT);
        at[1] ^= 1;
        T_OK(clo_collateral_parse(clo_buf_span(&c.collateral), &arena, &parsed));
    }
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(recorded_documents_parse_as_their_names_say),
        T(malformed_tcb_info_is_a_format_error),
        T(harmless_changes_of_tcb_info_parse),
        T(malformed_qe_identity_is_a_format_error),
        T(truncated_documents_are_format_errors),
        T(too_many_advisories_are_a_format_error),
        T(the_highest_level_reached_matches_whatever_the_order),
        T(the_highest_qe_level_reached_matches_whatever_the_order),
        T(an_old_quoting_enclave_makes_the_platform_out_of_date),
        T(collateral_needs_exactly_its_members),
    };
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
