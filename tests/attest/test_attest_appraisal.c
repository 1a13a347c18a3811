/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Appraisal: each condition both ways, the JSON form, and how verdicts are told. The breaks that
 * each condition must refuse stand in test_attest_rules.c; here are their twins.
 */
#include "scene.h"

#include <stdio.h>

static scene stage;

/* Mints, judges, and says whether it is accepted; `rule` is what refused. */
static bool judged(scene_break evidence)
{
    return clo_ok(scene_mint(&stage, NULL, evidence)) && clo_ok(scene_judge(&stage)) &&
           stage.verdict.accepted;
}

static void debug_is_allowed_only_by_its_insecure_name(void)
{
    for (int allow = 0; allow <= 1; allow++) {
        scene_init(&stage);
        stage.spec.quote.body.flags |= 2;
        stage.appraisal.insecure_allow_debug = allow == 1;
        T_INT(judged(NULL), allow);
        T_INT(stage.verdict.failed, allow ? CLO_RULE_COUNT : CLO_RULE_POLICY_DEBUG);
        T_CHECK(stage.verdict.claims.debug);
        scene_cleanup(&stage);
    }
}

static void allow_signer(scene *s)
{
    s->appraisal.measurement_count = 0;
    s->appraisal.signer_count = 2;
    memcpy(s->appraisal.signers[1].signer, s->vendor.signer, 32);
    s->appraisal.signers[1].product = 1;
    s->appraisal.signers[1].min_svn = 5;
}

static void a_signer_stands_for_its_product_from_a_version_on(void)
{
    for (uint16_t svn = 4; svn <= 6; svn++) {
        scene_init(&stage);
        stage.spec.quote.body.svn = svn;
        T_INT(judged(allow_signer), svn >= 5);
        scene_cleanup(&stage);
    }
}

static void a_listed_measurement_is_accepted_wherever_it_stands(void)
{
    scene_init(&stage);
    memset(stage.spec.quote.body.measurement, 0xab, 32);
    memset(stage.appraisal.measurements[2], 0xab, 32);
    stage.appraisal.measurement_count = 3;
    T_CHECK(judged(NULL));
    scene_cleanup(&stage);
}

static void tolerated_advisories_are_accepted_and_counted_once(void)
{
    scene_init(&stage);
    stage.spec.tcb_info.document.levels[0].advisory = "INTEL-SA-00615";
    stage.spec.identity.document.levels[0].advisory = "INTEL-SA-00615";
    memcpy(stage.appraisal.advisories[1], "INTEL-SA-00615", 15);
    memcpy(stage.appraisal.advisories[0], "INTEL-SA-00334", 15);
    stage.appraisal.advisory_count = 2;
    T_CHECK(judged(NULL));
    T_INT(stage.verdict.claims.advisory_count, 1);
    T_STR(stage.verdict.claims.advisory[0], "INTEL-SA-00615");
    scene_cleanup(&stage);
}

static void every_status_is_accepted_when_listed_and_only_then(void)
{
    for (int i = CLO_TCB_UP_TO_DATE; i < CLO_TCB_REVOKED; i++) {
        for (int listed = 0; listed <= 1; listed++) {
            scene_init(&stage);
            stage.spec.tcb_info.document.levels[0].status = clo_tcb_name((clo_tcb_status)i);
            stage.appraisal.tcb_status_count = 1;
            stage.appraisal.tcb_statuses[0] =
                (clo_tcb_status)(listed ? i : i % (CLO_TCB_REVOKED - 1) + 1);
            T_INT(judged(NULL), listed);
            T_INT(stage.verdict.claims.tcb, i);
            scene_cleanup(&stage);
        }
    }
}

static void an_old_quoting_enclave_shows_in_the_status(void)
{
    scene_init(&stage);
    stage.spec.quote.qe.svn = 4;
    stage.spec.tcb_info.document.levels[0].status = "ConfigurationNeeded";
    T_CHECK(judged(NULL));
    T_INT(stage.verdict.claims.platform_tcb, CLO_TCB_CONFIGURATION_NEEDED);
    T_INT(stage.verdict.claims.qe_tcb, CLO_TCB_OUT_OF_DATE);
    T_INT(stage.verdict.claims.tcb, CLO_TCB_OUT_OF_DATE_CONFIGURATION_NEEDED);
    scene_cleanup(&stage);
}

static void evaluation_and_age_are_accepted_up_to_their_bounds(void)
{
    scene_init(&stage);
    stage.appraisal.min_evaluation = 17;
    stage.appraisal.max_collateral_age_s = (uint64_t)SCENE_DAY;
    T_CHECK(judged(NULL));
    T_INT(stage.verdict.claims.earliest_issue, SCENE_NOW - SCENE_DAY);
    scene_cleanup(&stage);
}

static void allow_platform(scene *s)
{
    clo_verdict verified;
    s->request.quote = clo_buf_span(&s->evidence.quote);
    s->request.collateral = clo_buf_span(&s->evidence.collateral);
    T_OK(clo_evidence_verify(&s->request, &verified));
    clo_claims_platform_id(&verified.claims, s->appraisal.platforms[1]);
    s->appraisal.platform_count = 2;
}

static void a_listed_platform_is_accepted(void)
{
    scene_init(&stage);
    T_CHECK(judged(allow_platform));
    scene_cleanup(&stage);
}

static void a_platform_id_depends_on_ppid_fmspc_and_instance(void)
{
    uint8_t ids[4][32];
    for (int i = 0; i < 4; i++) {
        scene_init(&stage);
        stage.spec.platform.ppid[0] ^= i == 1;
        stage.spec.platform.instance[15] ^= i == 2;
        stage.spec.platform.fmspc[0] ^= i == 3;
        stage.spec.tcb_info.fmspc[0] ^= i == 3;
        T_CHECK(judged(NULL));
        clo_claims_platform_id(&stage.verdict.claims, ids[i]);
        scene_cleanup(&stage);
        for (int k = 0; k < i; k++) {
            T_CHECK(memcmp(ids[i], ids[k], 32) != 0);
        }
    }
}

static void a_policy_of_empty_lists_denies(void)
{
    scene_init(&stage);
    memset(&stage.appraisal, 0, sizeof stage.appraisal);
    T_CHECK(!judged(NULL));
    T_INT(stage.verdict.failed, CLO_RULE_POLICY_TEE);
    scene_cleanup(&stage);
}

/* A verdict that refuses stays refused; a made-up one without claims is refused. */
static void appraisal_never_turns_a_refusal(void)
{
    scene_init(&stage);
    stage.spec.cert[CLO_SIM_PCK].revoked = true;
    T_CHECK(!judged(NULL));
    T_INT(stage.verdict.failed, CLO_RULE_PCK_REVOKED);
    T_CODE(clo_verdict_status(&stage.verdict), CLO_ATTEST);
    memset(&stage.verdict, 0, sizeof stage.verdict);
    stage.verdict.accepted = true;
    clo_appraise(&stage.appraisal, SCENE_NOW, &stage.verdict);
    T_CHECK(!stage.verdict.accepted);
    scene_cleanup(&stage);
}

static void a_refusal_names_everything_that_is_wrong(void)
{
    uint32_t failures = 0;
    scene_init(&stage);
    stage.spec.quote.body.flags |= 2 | 0x10;
    stage.appraisal.measurement_count = 0;
    stage.appraisal.min_evaluation = 99;
    T_CHECK(!judged(NULL));
    for (uint32_t i = 0; i < stage.verdict.check_count; i++) {
        failures += stage.verdict.checks[i].outcome == CLO_CHECK_FAILED;
    }
    T_INT(failures, 4);
    T_INT(stage.verdict.failed, CLO_RULE_POLICY_DEBUG);
    scene_cleanup(&stage);
}

/* ---------------------------------------------------------------- JSON ------------------------ */

#define HEX32 "abababababababababababababababababababababababababababababababab"

static const char full_policy[] =
    "{\"tees\":[\"simulator\",\"sgx\"],\"measurements\":[\"" HEX32 "\"],"
    "\"signers\":[{\"signer\":\"" HEX32 "\",\"product\":3,\"min_svn\":7}],"
    "\"tcb_statuses\":[\"UpToDate\",\"SWHardeningNeeded\"],"
    "\"advisories\":[\"INTEL-SA-00615\"],\"platforms\":[\"" HEX32 "\"],"
    "\"min_evaluation\":17,\"max_collateral_age_s\":86400,\"insecure_allow_debug\":true}";

static clo_status parse_policy(clo_span text, clo_appraisal *out)
{
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    const clo_json *root = NULL;
    CLO_TRY(clo_json_parse(text, &arena, &root));
    return clo_appraisal_parse(root, out);
}

static void a_policy_survives_writing_and_reading(void)
{
    clo_appraisal first, second;
    CLO_AUTO(clo_buf) text = CLO_BUF_INIT;
    T_OK(parse_policy(clo_span_of_str(full_policy), &first));
    T_INT(first.tee_count, 2);
    T_INT(first.signers[0].min_svn, 7);
    T_INT(first.max_collateral_age_s, 86400);
    T_CHECK(first.insecure_allow_debug);
    clo_json_writer w = clo_json_writer_of(&text);
    clo_appraisal_json(&first, &w, NULL);
    T_CHECK(clo_span_equal(clo_buf_span(&text), clo_span_of_str(full_policy)));
    T_OK(parse_policy(clo_buf_span(&text), &second));
    T_CHECK(memcmp(&first, &second, sizeof first) == 0);
}

static void an_empty_policy_reads_as_empty_lists(void)
{
    static const clo_appraisal empty = {0};
    clo_appraisal read;
    T_OK(parse_policy(clo_span_of_str("{}"), &read));
    T_CHECK(memcmp(&read, &empty, sizeof read) == 0);
}

static void malformed_policies_are_refused(void)
{
    static const struct {
        const char *text;
        clo_code code;
    } cases[] = {
        {"[]", CLO_FORMAT},
        {"{\"tee\":[\"sgx\"]}", CLO_FORMAT},
        {"{\"tees\":\"sgx\"}", CLO_FORMAT},
        {"{\"tees\":[\"SGX\"]}", CLO_FORMAT},
        {"{\"tees\":[\"none\"]}", CLO_FORMAT},
        {"{\"tees\":[2]}", CLO_FORMAT},
        {"{\"tees\":[\"sgx\",\"sgx\",\"sgx\",\"sgx\"]}", CLO_LIMIT},
        {"{\"measurements\":[\"abab\"]}", CLO_FORMAT},
        {"{\"measurements\":[\"" HEX32 "ab\"]}", CLO_FORMAT},
        {"{\"measurements\":[7]}", CLO_FORMAT},
        {"{\"signers\":[\"" HEX32 "\"]}", CLO_FORMAT},
        {"{\"signers\":[{\"signer\":\"" HEX32 "\",\"product\":3}]}", CLO_FORMAT},
        {"{\"signers\":[{\"signer\":\"" HEX32 "\",\"product\":3,\"min_svn\":7,\"x\":1}]}",
         CLO_FORMAT},
        {"{\"signers\":[{\"signer\":\"" HEX32 "\",\"product\":65536,\"min_svn\":7}]}", CLO_LIMIT},
        {"{\"tcb_statuses\":[\"uptodate\"]}", CLO_FORMAT},
        {"{\"tcb_statuses\":[\"unknown\"]}", CLO_FORMAT},
        {"{\"advisories\":[\"\"]}", CLO_FORMAT},
        {"{\"advisories\":[\"INTEL-SA-00000000615\"]}", CLO_FORMAT},
        {"{\"advisories\":[\"INTEL\\u0000\"]}", CLO_FORMAT},
        {"{\"platforms\":[null]}", CLO_FORMAT},
        {"{\"min_evaluation\":-1}", CLO_FORMAT},
        {"{\"min_evaluation\":4294967296}", CLO_LIMIT},
        {"{\"max_collateral_age_s\":\"1\"}", CLO_FORMAT},
        {"{\"insecure_allow_debug\":1}", CLO_FORMAT},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        clo_appraisal read;
        clo_status status = parse_policy(clo_span_of_str(cases[i].text), &read);
        if (status.code != (int32_t)cases[i].code) {
            clo_test_fail(__FILE__, __LINE__, "%s: found %s", cases[i].text,
                          clo_code_name(status.code));
        }
    }
}

static void lists_take_their_limit_and_no_more(void)
{
    for (int count = CLO_MAX_LIST; count <= CLO_MAX_LIST + 1; count++) {
        CLO_AUTO(clo_buf) text = CLO_BUF_INIT;
        clo_appraisal read;
        clo_put_str(&text, "{\"measurements\":[");
        for (int i = 0; i < count; i++) {
            clo_put_format(&text, "%s\"" HEX32 "\"", i == 0 ? "" : ",");
        }
        clo_put_str(&text, "]}");
        T_CODE(parse_policy(clo_buf_span(&text), &read),
               count <= CLO_MAX_LIST ? CLO_OK : CLO_LIMIT);
    }
}

/* ---------------------------------------------------------------- telling --------------------- */

static bool has_text(const clo_buf *buf, const char *text)
{
    return memmem(buf->data, buf->size, text, strlen(text)) != NULL;
}

static void an_acceptance_is_explained_with_its_claims(void)
{
    CLO_AUTO(clo_buf) table = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) json = CLO_BUF_INIT;
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    const clo_json *root = NULL, *claims = NULL;
    clo_span tee;
    scene_init(&stage);
    stage.spec.tcb_info.document.levels[0].advisory = "INTEL-SA-00615";
    memcpy(stage.appraisal.advisories[0], "INTEL-SA-00615", 15);
    stage.appraisal.advisory_count = 1;
    T_CHECK(judged(NULL));
    T_OK(clo_verdict_explain(&stage.verdict, &table));
    T_CHECK(has_text(&table, "accepted") && has_text(&table, "PCK_REVOKED"));
    T_CHECK(has_text(&table, "simulator") && has_text(&table, "INTEL-SA-00615"));
    clo_json_writer w = clo_json_writer_of(&json);
    clo_verdict_json(&stage.verdict, &w, NULL);
    T_OK(clo_json_parse(clo_buf_span(&json), &arena, &root));
    T_INT(clo_json_find(root, "failed")->type, CLO_JSON_NULL);
    T_INT(clo_json_find(root, "checks")->count, stage.verdict.check_count);
    T_OK(clo_json_member(root, "claims", CLO_JSON_OBJECT, &claims));
    T_OK(clo_json_str(claims, "tee", &tee));
    T_CHECK(clo_span_equals_str(tee, "simulator"));
    scene_cleanup(&stage);
}

static void a_refusal_is_explained_with_expected_and_found(void)
{
    CLO_AUTO(clo_buf) table = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) json = CLO_BUF_INIT;
    char text[512];
    scene_init(&stage);
    stage.spec.tcb_info.fmspc[0] ^= 0xff;
    T_CHECK(!judged(NULL));
    clo_status_text(clo_verdict_status(&stage.verdict), text, sizeof text);
    T_CHECK(strstr(text, "TCB_INFO_MISMATCH") != NULL && strstr(text, "expected") != NULL);
    T_OK(clo_verdict_explain(&stage.verdict, &table));
    T_CHECK(has_text(&table, "refused by TCB_INFO_MISMATCH") && has_text(&table, "FAILED"));
    clo_json_writer w = clo_json_writer_of(&json);
    clo_verdict_json(&stage.verdict, &w, NULL);
    T_CHECK(has_text(&json, "\"failed\":\"TCB_INFO_MISMATCH\"") && !has_text(&json, "claims"));
    scene_cleanup(&stage);
}

/* What a stranger puts into evidence reaches terminals only as printable ASCII. */
static void control_characters_of_strangers_are_not_told(void)
{
    CLO_AUTO(clo_buf) table = CLO_BUF_INIT;
    scene_init(&stage);
    stage.spec.tcb_info.document.levels[0].status = "\x1b[31mSplendid\xc3\xbc";
    T_CHECK(!judged(NULL));
    T_INT(stage.verdict.failed, CLO_RULE_TCB_STATUS_UNKNOWN);
    T_OK(clo_verdict_explain(&stage.verdict, &table));
    T_CHECK(has_text(&table, "?[31mSplendid??") && !has_text(&table, "\x1b"));
    scene_cleanup(&stage);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(debug_is_allowed_only_by_its_insecure_name),
        T(a_signer_stands_for_its_product_from_a_version_on),
        T(a_listed_measurement_is_accepted_wherever_it_stands),
        T(tolerated_advisories_are_accepted_and_counted_once),
        T(every_status_is_accepted_when_listed_and_only_then),
        T(an_old_quoting_enclave_shows_in_the_status),
        T(evaluation_and_age_are_accepted_up_to_their_bounds),
        T(a_listed_platform_is_accepted),
        T(a_platform_id_depends_on_ppid_fmspc_and_instance),
        T(a_policy_of_empty_lists_denies),
        T(appraisal_never_turns_a_refusal),
        T(a_refusal_names_everything_that_is_wrong),
        T(a_policy_survives_writing_and_reading),
        T(an_empty_policy_reads_as_empty_lists),
        T(malformed_policies_are_refused),
        T(lists_take_their_limit_and_no_more),
        T(an_acceptance_is_explained_with_its_claims),
        T(a_refusal_is_explained_with_expected_and_found),
        T(control_characters_of_strangers_are_not_told),
    };
    if (!clo_ok(clo_crypto_init())) {
        return 1;
    }
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
