/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Evidence files, report data and makers; and that running out of memory at any moment gives
 * CLO_NOMEM and never another verdict.
 */
#include "scene.h"

#include <stdio.h>

static int fail_at = -1; /* the allocation that fails; -1: none */

bool clo_mem_should_fail(void)
{
    return fail_at >= 0 && fail_at-- == 0;
}

static scene stage;

/* ---------------------------------------------------------------- files ----------------------- */

static void evidence_survives_writing_and_reading(void)
{
    CLO_AUTO(clo_buf) file = CLO_BUF_INIT;
    CLO_AUTO(clo_evidence) read = CLO_EVIDENCE_INIT;
    scene_init(&stage);
    T_OK(scene_mint(&stage, NULL, NULL));
    for (int with_collateral = 1; with_collateral >= 0; with_collateral--) {
        for (int cut = 0; cut < 3; cut++) { /* every length of padding */
            clo_buf_clear(&file);
            stage.evidence.quote.size -= 1;
            T_OK(clo_evidence_write(&stage.evidence, &file));
            T_OK(clo_evidence_parse(clo_buf_span(&file), &read));
            T_CHECK(clo_span_equal(clo_buf_span(&read.quote), clo_buf_span(&stage.evidence.quote)));
            T_CHECK(clo_span_equal(clo_buf_span(&read.collateral),
                                   clo_buf_span(&stage.evidence.collateral)));
        }
        clo_buf_clear(&stage.evidence.collateral);
    }
    scene_cleanup(&stage);
}

static void a_raw_quote_is_evidence_without_collateral(void)
{
    CLO_AUTO(clo_evidence) read = CLO_EVIDENCE_INIT;
    scene_init(&stage);
    T_OK(scene_mint(&stage, NULL, NULL));
    T_OK(clo_evidence_parse(clo_buf_span(&stage.evidence.quote), &read));
    T_INT(read.quote.size, stage.evidence.quote.size);
    T_INT(read.collateral.size, 0);
    stage.evidence.quote.data[0] = 4;
    T_CODE(clo_evidence_parse(clo_buf_span(&stage.evidence.quote), &read), CLO_FORMAT);
    scene_cleanup(&stage);
}

#define TYPE  "{\"__cmwc_t\":\"tag:cloister,2026:evidence\","
#define QUOTE "\"quote\":[\"application/vnd.cloister.dcap-quote\","

static void malformed_evidence_files_are_refused(void)
{
    static const char *const bad[] = {
        "",
        "{",
        "{}",
        "[]",
        "\x03",
        TYPE "}",
        "{" QUOTE "\"AAAA\"]}",
        "{\"__cmwc_t\":\"tag:other\"," QUOTE "\"AAAA\"]}",
        TYPE "\"quote\":\"AAAA\"}",
        TYPE "\"quote\":[\"application/json\",\"AAAA\"]}",
        TYPE QUOTE "7]}",
        TYPE QUOTE "\"AAAA\",0]}",
        TYPE QUOTE "\"AAA=\"]}",
        TYPE QUOTE "\"A\"]}",
        TYPE QUOTE "\"AA+A\"]}",
        TYPE QUOTE "\"AA/A\"]}",
        TYPE QUOTE "\"AA A\"]}",
        TYPE QUOTE "\"AB\"]}",
        TYPE QUOTE "\"AAAA\"],\"more\":1}",
        TYPE QUOTE "\"AAAA\"],\"collateral\":[\"text/plain\",\"AAAA\"]}",
        TYPE QUOTE "\"AAAA\"]}x",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CLO_AUTO(clo_evidence) read = CLO_EVIDENCE_INIT;
        clo_status status = clo_evidence_parse(clo_span_of_str(bad[i]), &read);
        if (status.code != CLO_FORMAT) {
            clo_test_fail(__FILE__, __LINE__, "%s: found %s", bad[i], clo_code_name(status.code));
        }
    }
    CLO_AUTO(clo_evidence) read = CLO_EVIDENCE_INIT;
    T_OK(clo_evidence_parse(clo_span_of_str(TYPE QUOTE "\"_-8\"]}"), &read));
    T_INT(read.quote.size, 2);
    T_INT(read.quote.data[0], 0xff);
    T_INT(read.quote.data[1], 0xef);
}

static void evidence_above_its_limit_is_refused(void)
{
    CLO_AUTO(clo_buf) file = CLO_BUF_INIT;
    CLO_AUTO(clo_evidence) read = CLO_EVIDENCE_INIT;
    for (int over = 0; over <= 1; over++) {
        clo_evidence big = {CLO_BUF_INIT, CLO_BUF_INIT};
        T_CHECK(clo_buf_grow(&big.quote, CLO_EVIDENCE_MAX + (size_t)over) != NULL);
        clo_buf_clear(&file);
        clo_status written = clo_evidence_write(&big, &file);
        clo_evidence_cleanup(&big);
        T_OK(written);
        T_CODE(clo_evidence_parse(clo_buf_span(&file), &read), over ? CLO_LIMIT : CLO_OK);
    }
}

/* ---------------------------------------------------------------- report data ----------------- */

static void report_data_differs_by_purpose_and_layout(void)
{
    static const struct {
        clo_purpose purpose;
        const char *layout;
    } inputs[] = {
        {CLO_PURPOSE_CHANNEL, "x"},        {CLO_PURPOSE_BROKER_IDENTITY, "x"},
        {CLO_PURPOSE_USER_DATA, "x"},      {CLO_PURPOSE_USER_DATA, ""},
        {CLO_PURPOSE_USER_DATA, "xx"},     {CLO_PURPOSE_CHANNEL, ""},
        {CLO_PURPOSE_BROKER_IDENTITY, ""},
    };

    enum { COUNT = sizeof inputs / sizeof *inputs };

    uint8_t data[COUNT][64];
    for (int i = 0; i < COUNT; i++) {
        T_OK(clo_report_data(inputs[i].purpose, clo_span_of_str(inputs[i].layout), data[i]));
        for (int k = 0; k < i; k++) {
            T_CHECK(memcmp(data[i], data[k], 64) != 0);
        }
    }
}

/* The layout is written out once here, independently of the table. */
static void report_data_is_the_digest_of_label_and_layout(void)
{
    static const char input[] = "cloister report user-data v1\0\0\0\0layout";
    uint8_t expected[64], found[64];
    T_OK(clo_sha512(CLO_SPAN(input, sizeof input - 1), expected));
    T_OK(clo_report_data(CLO_PURPOSE_USER_DATA, clo_span_of_str("layout"), found));
    T_CHECK(memcmp(expected, found, 64) == 0);
    T_CODE(clo_report_data((clo_purpose)0, CLO_SPAN_EMPTY, found), CLO_INVALID);
    T_CODE(clo_report_data(CLO_PURPOSE_COUNT, CLO_SPAN_EMPTY, found), CLO_INVALID);
}

/* ---------------------------------------------------------------- makers ---------------------- */

typedef struct {
    bool stale, closed;
    char config[32];
} fake;

static fake the_fake;

static clo_status fake_open(const char *config, void **out_state)
{
    CLO_CHECK(strcmp(config, "broken") != 0, CLO_IO, "device is broken");
    memset(&the_fake, 0, sizeof the_fake);
    (void)snprintf(the_fake.config, sizeof the_fake.config, "%s", config);
    the_fake.stale = strcmp(config, "stale") == 0;
    *out_state = &the_fake;
    return CLO_STATUS_OK;
}

static clo_status fake_quote(void *state, const uint8_t report_data[64], clo_deadline deadline,
                             clo_evidence *out_evidence)
{
    const fake *f = state;
    (void)deadline;
    memcpy(stage.spec.quote.body.report_data, report_data, 64);
    stage.spec.quote.body.report_data[63] ^= f->stale;
    return clo_sim_evidence_make(&stage.vendor, &stage.spec, out_evidence);
}

static void fake_close(void *state)
{
    fake *f = state;
    f->closed = true;
}

static const clo_maker_ops fake_ops = {
    .name = "fake",
    .summary = "for this test",
    .config_help = "anything",
    .insecure = "insecure_fake",
    .open = fake_open,
    .quote = fake_quote,
    .close = fake_close,
};

static const clo_maker_ops *const makers[] = {&fake_ops, NULL};

static void a_maker_is_chosen_by_name_and_given_its_config(void)
{
    clo_maker *maker = NULL;
    T_OK(clo_maker_open(makers, "fake:some:where", &maker));
    T_STR(the_fake.config, "some:where");
    T_CHECK(clo_maker_get_ops(maker) == &fake_ops);
    clo_maker_close(maker);
    T_CHECK(the_fake.closed);
    T_OK(clo_maker_open(makers, "fake", &maker));
    T_STR(the_fake.config, "");
    clo_maker_close(maker);
    clo_maker_close(NULL);
}

static void an_unknown_maker_is_refused_with_those_there_are(void)
{
    clo_maker *maker = NULL;
    char text[256];
    clo_status status = clo_maker_open(makers, "fkae:x", &maker);
    T_CODE(status, CLO_NOTFOUND);
    clo_status_text(status, text, sizeof text);
    T_CHECK(strstr(text, "'fake'") != NULL && strstr(text, "did you mean") != NULL);
    T_CODE(clo_maker_open(makers, ":x", &maker), CLO_INVALID);
    T_CODE(clo_maker_open(makers, "", &maker), CLO_INVALID);
    T_CODE(clo_maker_open(makers, "fake:broken", &maker), CLO_IO);
    T_CHECK(maker == NULL);
}

static void a_maker_that_quotes_other_report_data_is_refused(void)
{
    clo_maker *maker = NULL;
    uint8_t asked[64], got[64];
    scene_init(&stage);
    T_OK(scene_mint(&stage, NULL, NULL));
    for (int stale = 0; stale <= 1; stale++) {
        CLO_AUTO(clo_evidence) made = CLO_EVIDENCE_INIT;
        T_OK(clo_maker_open(makers, stale ? "fake:stale" : "fake:", &maker));
        clo_status status = clo_maker_quote(maker, CLO_PURPOSE_CHANNEL, clo_span_of_str("layout"),
                                            clo_deadline_in(1000), &made);
        clo_maker_close(maker);
        T_CODE(status, stale ? CLO_ATTEST : CLO_OK);
        T_INT(made.quote.size > 0, !stale);
        if (!stale) {
            T_OK(clo_report_data(CLO_PURPOSE_CHANNEL, clo_span_of_str("layout"), asked));
            T_OK(clo_quote_peek_report_data(clo_buf_span(&made.quote), got));
            T_CHECK(memcmp(asked, got, 64) == 0);
        }
    }
    scene_cleanup(&stage);
}

/* ---------------------------------------------------------------- out of memory --------------- */

static clo_status verify_and_tell(void)
{
    CLO_AUTO(clo_buf) text = CLO_BUF_INIT;
    CLO_TRY(scene_judge(&stage));
    CLO_TRY(clo_verdict_status(&stage.verdict));
    return clo_verdict_explain(&stage.verdict, &text);
}

static clo_status write_and_parse(void)
{
    CLO_AUTO(clo_buf) file = CLO_BUF_INIT;
    CLO_AUTO(clo_evidence) read = CLO_EVIDENCE_INIT;
    CLO_TRY(clo_evidence_write(&stage.evidence, &file));
    return clo_evidence_parse(clo_buf_span(&file), &read);
}

static clo_status read_policy(void)
{
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    const clo_json *root = NULL;
    clo_appraisal read;
    CLO_TRY(clo_json_parse(clo_span_of_str("{\"tees\":[\"sgx\"]}"), &arena, &root));
    return clo_appraisal_parse(root, &read);
}

static clo_status open_maker(void)
{
    clo_maker *maker = NULL;
    CLO_TRY(clo_maker_open(makers, "fake:", &maker));
    clo_maker_close(maker);
    return CLO_STATUS_OK;
}

/* Fails allocation 0, 1, 2 ... until the call makes fewer. */
static int sweep(clo_status (*call)(void))
{
    for (int at = 0; at < 100000; at++) {
        fail_at = at;
        clo_status status = call();
        bool was_reached = fail_at < 0;
        fail_at = -1;
        if (!was_reached) {
            return clo_ok(status) ? at : -1;
        }
        if (status.code != CLO_NOMEM) {
            clo_test_fail(__FILE__, __LINE__, "allocation %d failed: found %s", at,
                          clo_code_name(status.code));
            return -1;
        }
    }
    return -1;
}

static void running_out_of_memory_is_told_and_is_no_verdict(void)
{
    static const struct {
        const char *name;
        clo_status (*call)(void);
    } calls[] = {
        {"verify, appraise, explain", verify_and_tell},
        {"evidence write and parse", write_and_parse},
        {"appraisal parse", read_policy},
        {"maker open", open_maker},
    };

    scene_init(&stage);
    T_OK(scene_mint(&stage, NULL, NULL));
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        int allocations = sweep(calls[i].call);
        printf("# %s: %d allocations\n", calls[i].name, allocations);
        T_CHECK(allocations > 0);
    }
    scene_cleanup(&stage);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(evidence_survives_writing_and_reading),
        T(a_raw_quote_is_evidence_without_collateral),
        T(malformed_evidence_files_are_refused),
        T(evidence_above_its_limit_is_refused),
        T(report_data_differs_by_purpose_and_layout),
        T(report_data_is_the_digest_of_label_and_layout),
        T(a_maker_is_chosen_by_name_and_given_its_config),
        T(an_unknown_maker_is_refused_with_those_there_are),
        T(a_maker_that_quotes_other_report_data_is_refused),
        T(running_out_of_memory_is_told_and_is_no_verdict),
    };
    if (!clo_ok(clo_crypto_init())) {
        return 1;
    }
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
