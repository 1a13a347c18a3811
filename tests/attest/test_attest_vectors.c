/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recorded evidence of real platforms (../shared/vectors, README there) through the verifier: it
 * gives the verdict that was found by independent means, inside and outside its window, and refuses
 * everything derived from it.
 */
#include "quote_v3.h"
#include "vectors.h"
#include "verify_dcap.h"

#include <time.h>

enum { MAX_FOLDERS = 64 };

static clo_verdict verdict; /* too large for a stack of T_ frames */

static bool hex_member_is(const clo_json *object, const char *name, clo_span bytes)
{
    uint8_t expected[64];
    return bytes.size <= sizeof expected &&
           clo_ok(clo_json_hex(object, name, expected, bytes.size)) &&
           memcmp(expected, bytes.data, bytes.size) == 0;
}

static bool number_member_is(const clo_json *object, const char *name, uint64_t value)
{
    uint64_t expected = 0;
    return clo_ok(clo_json_u64(object, name, UINT64_MAX, &expected)) && expected == value;
}

static bool text_member_is(const clo_json *object, const char *name, const char *value)
{
    clo_span expected;
    return clo_ok(clo_json_str(object, name, &expected)) && clo_span_equals_str(expected, value);
}

static void check_fields(const clo_json *expect, const clo_claims *c)
{
    const clo_json *fields = clo_json_find(expect, "fields");
    const clo_json *flags = clo_json_find(expect, "flags");
    uint8_t attributes[16];
    bool debug = false;
    for (unsigned i = 0; i < 8; i++) {
        attributes[i] = (uint8_t)(c->attribute_flags >> 8 * i);
        attributes[8 + i] = (uint8_t)(c->xfrm >> 8 * i);
    }
    T_CHECK(hex_member_is(fields, "mrenclave", CLO_SPAN_OF(c->measurement)));
    T_CHECK(hex_member_is(fields, "mrsigner", CLO_SPAN_OF(c->signer)));
    T_CHECK(hex_member_is(fields, "cpusvn", CLO_SPAN_OF(c->cpu_svn)));
    T_CHECK(hex_member_is(fields, "attributes", CLO_SPAN_OF(attributes)));
    T_CHECK(hex_member_is(fields, "configid", CLO_SPAN_OF(c->config_id)));
    T_CHECK(hex_member_is(fields, "report_data", CLO_SPAN_OF(c->report_data)));
    T_CHECK(number_member_is(fields, "isvprodid", c->product));
    T_CHECK(number_member_is(fields, "isvsvn", c->svn));
    T_OK(clo_json_bool(flags, "debug", &debug));
    T_INT(c->debug, debug);
}

static void check_pck(const clo_json *expect, const clo_claims *c)
{
    const clo_json *pck = clo_json_find(expect, "pck");
    const clo_json *instance = clo_json_find(pck, "platform_instance_id");
    T_CHECK(hex_member_is(pck, "fmspc", CLO_SPAN_OF(c->fmspc)));
    T_CHECK(hex_member_is(pck, "pceid", CLO_SPAN_OF(c->pce_id)));
    T_CHECK(hex_member_is(pck, "ppid", CLO_SPAN_OF(c->ppid)));
    T_CHECK(hex_member_is(pck, "serial", CLO_SPAN(c->pck_serial, c->pck_serial_size)));
    T_INT(c->has_platform_instance, instance != NULL && instance->type == CLO_JSON_STRING);
    if (c->has_platform_instance) {
        const clo_json *configuration = clo_json_find(pck, "configuration");
        T_CHECK(hex_member_is(pck, "platform_instance_id", CLO_SPAN_OF(c->platform_instance)));
        T_CHECK(text_member_is(configuration, "3", c->smt_enabled ? "ff" : "00"));
    }
}

static void check_tcb(const clo_json *expect, const clo_claims *c)
{
    const clo_json *level = clo_json_find(expect, "sgx_level");
    const clo_json *list = clo_json_find(expect, "advisory_ids");
    char date[21];
    clo_time_format(c->tcb_date, date);
    T_CHECK(text_member_is(expect, "tcb_status", clo_tcb_name(c->tcb)));
    T_CHECK(text_member_is(level, "status", clo_tcb_name(c->platform_tcb)));
    T_CHECK(text_member_is(level, "tcbDate", date));
    T_CHECK(text_member_is(clo_json_find(expect, "qe_tcb"), "status", clo_tcb_name(c->qe_tcb)));
    T_CHECK(number_member_is(expect, "tcb_evaluation_data_number", c->tcb_evaluation));
    T_INT(c->advisory_count, list->count);
    const clo_json *id = list->child;
    for (uint32_t i = 0; id != NULL; i++, id = id->next) {
        T_CHECK(clo_span_equals_str(id->string, c->advisory[i]));
    }
}

static clo_rule rule_at(const vector_case *c, int64_t at)
{
    clo_verify_request request =
        vector_request(clo_buf_span(&c->quote), clo_buf_span(&c->collateral), at);
    clo_status status = clo_evidence_verify(&request, &verdict);
    return clo_ok(status) ? verdict.failed : CLO_RULE_QUOTE_FORMAT;
}

/* A rule of time: which one depends on what of the collateral begins or ends first. */
static bool is_time_rule(clo_rule rule)
{
    const char *name = clo_rule_name(rule);
    return strstr(name, "EXPIRED") != NULL || strstr(name, "NOT_YET_VALID") != NULL;
}

static void check_case(const char *folder, const vector_case *c)
{
    int64_t window[2];
    uint64_t at = 0;
    char text[512];
    const clo_json *bounds = clo_json_find(c->expect, "valid_window");
    T_OK(clo_json_u64(c->expect, "verify_time", UINT32_MAX, &at));
    window[0] = strtoll((const char *)bounds->child->string.data, NULL, 10);
    window[1] = strtoll((const char *)bounds->child->next->string.data, NULL, 10);
    if (rule_at(c, (int64_t)at) != CLO_RULE_COUNT) {
        clo_status_text(clo_verdict_status(&verdict), text, sizeof text);
        clo_test_fail(__FILE__, __LINE__, "%s: %s", folder, text);
        return;
    }
    T_CHECK(verdict.accepted && verdict.has_claims);
    T_INT(verdict.claims.tee, CLO_TEE_SGX);
    T_CHECK(number_member_is(c->expect, "quote_len", verdict.claims.quote_size));
    check_fields(c->expect, &verdict.claims);
    check_pck(c->expect, &verdict.claims);
    check_tcb(c->expect, &verdict.claims);
    T_INT(verdict.claims.earliest_expiry, window[1]);
    T_CHECK(rule_at(c, window[0]) == CLO_RULE_COUNT);
    T_CHECK(rule_at(c, window[1]) == CLO_RULE_COUNT);
    T_CHECK(is_time_rule(rule_at(c, window[0] - 1)));
    T_CHECK(is_time_rule(rule_at(c, window[1] + 1)));
}

static void recorded_quotes_give_their_verdicts_in_their_windows_only(void)
{
    static char folders[MAX_FOLDERS][64];
    size_t count = vector_folders(folders, MAX_FOLDERS), checked = 0;
    if (count == 0) {
        T_SKIP("../shared/vectors is not here");
    }
    for (size_t i = 0; i < count; i++) {
        CLO_AUTO(vector_case) c = {0};
        if (vector_load(folders[i], &c) && c.collateral.size > 0) {
            check_case(folders[i], &c);
            checked++;
        }
    }
    printf("# %zu recorded quotes with collateral\n", checked);
    T_INT(checked, 14);
}

static bool expected_check(const vector_case *c, const char *name, bool *out_value)
{
    const clo_json *checks = clo_json_find(c->expect, "checks");
    return checks != NULL && clo_ok(clo_json_bool(checks, name, out_value));
}

static void check_without_collateral(const vector_case *c)
{
    clo_quote_v3 quote;
    uint64_t type = 0;
    bool signature = false, binding = false;
    T_OK(clo_quote_v3_parse(clo_buf_span(&c->quote), &quote));
    T_OK(clo_json_u64(c->expect, "cert_data_type", 7, &type));
    T_CHECK(expected_check(c, "quote_signature", &signature));
    T_CHECK(expected_check(c, "qe_report_data_hash", &binding));
    T_INT(clo_ok(clo_quote_check_signature(&quote)), signature);
    T_INT(clo_ok(clo_quote_check_binding(&quote)), binding);
    T_INT(quote.cert_type, type);
    T_CHECK(number_member_is(c->expect, "quote_len", quote.size));
    T_INT(rule_at(c, 1700000000),
          type == CLO_CERT_TYPE_CHAIN ? CLO_RULE_COLLATERAL_MISSING : CLO_RULE_PCK_CERT_REQUIRED);
}

static void check_chain(const vector_case *c)
{
    clo_quote_v3 quote;
    CLO_AUTO(clo_pck_chain) chain = CLO_PCK_CHAIN_INIT;
    CLO_AUTO_PTR(clo_key) key = NULL;
    clo_pck_extensions pck;
    clo_span value;
    uint8_t root[32];
    const clo_json *expect = clo_json_find(c->expect, "pck");
    T_OK(clo_quote_v3_parse(clo_buf_span(&c->quote), &quote));
    T_OK(clo_pck_chain_parse(quote.cert, &chain));
    T_OK(clo_pck_chain_check(&chain));
    T_OK(clo_sha256(clo_cert_spki(chain.root), root));
    T_CHECK(memcmp(root, CLO_ANCHOR_INTEL_SGX.spki_sha256, 32) == 0);
    T_OK(clo_cert_verify_signature(chain.leaf, chain.ca));
    T_OK(clo_cert_verify_signature(chain.ca, chain.root));
    T_OK(clo_cert_verify_signature(chain.root, chain.root));
    T_OK(clo_cert_public_key(chain.leaf, &key));
    T_OK(clo_key_verify_raw(key, quote.qe_report, quote.qe_signature));
    T_OK(clo_cert_extension(chain.leaf, CLO_SGX_EXTENSION_OID, &value));
    T_OK(clo_pck_extensions_parse(value, &pck));
    T_CHECK(hex_member_is(expect, "fmspc", CLO_SPAN_OF(pck.fmspc)));
    T_CHECK(hex_member_is(expect, "cpusvn", CLO_SPAN_OF(pck.cpu_svn)));
    T_CHECK(number_member_is(expect, "pcesvn", pck.pce_svn));
}

static void quotes_without_collateral_are_read_and_refused(void)
{
    static char folders[MAX_FOLDERS][64];
    size_t count = vector_folders(folders, MAX_FOLDERS), checked = 0, chains = 0;
    if (count == 0) {
        T_SKIP("../shared/vectors is not here");
    }
    for (size_t i = 0; i < count; i++) {
        CLO_AUTO(vector_case) c = {0};
        if (!vector_load(folders[i], &c) || c.collateral.size > 0) {
            continue;
        }
        checked++;
        check_without_collateral(&c);
        if (clo_json_find(c.expect, "pck") != NULL) {
            check_chain(&c);
            chains++;
        }
    }
    T_INT(checked, 6);
    T_INT(chains, 4);
}

/* ---------------------------------------------------------------- another root ---------------- */

/* Intel's sample files as one container. */
static void put_sample(clo_json_writer *w, const char *member, const char *file)
{
    CLO_AUTO(clo_buf) bytes = CLO_BUF_INIT;
    char path[256];
    (void)snprintf(path, sizeof path, "sgx/altroot-intel-qvl-sample/%s", file);
    T_CHECK(vector_read(path, &bytes));
    if (strstr(file, ".der") != NULL) {
        clo_json_put_hex(w, member, clo_buf_span(&bytes));
    } else {
        clo_json_put_text(w, member, clo_buf_span(&bytes));
    }
}

/* {"tcbInfo": {...}, "signature": hex}: the exact bytes of the object, and the signature. */
static void put_answer(clo_json_writer *w, const char *member, const char *file, const char *inner)
{
    CLO_AUTO(clo_buf) bytes = CLO_BUF_INIT;
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    const clo_json *root = NULL;
    clo_span signature;
    char path[256], name[64];
    (void)snprintf(path, sizeof path, "sgx/altroot-intel-qvl-sample/%s", file);
    T_CHECK(vector_read(path, &bytes));
    T_OK(clo_json_parse(clo_buf_span(&bytes), &arena, &root));
    T_OK(clo_json_str(root, "signature", &signature));
    (void)snprintf(name, sizeof name, "%s_signature", member);
    clo_json_put_text(w, member, clo_json_find(root, inner)->raw);
    clo_json_put_text(w, name, signature);
}

static void make_sample(clo_buf *out_quote, clo_buf *out_collateral)
{
    CLO_AUTO(clo_buf) chain = CLO_BUF_INIT;
    clo_json_writer w = clo_json_writer_of(out_collateral);
    T_CHECK(vector_read("sgx/altroot-intel-qvl-sample/quote.dat", out_quote));
    T_CHECK(vector_read("sgx/altroot-intel-qvl-sample/pckCert.pem", &chain));
    T_CHECK(vector_read("sgx/altroot-intel-qvl-sample/pckSignChain.pem", &chain));
    clo_json_begin_object(&w, NULL);
    clo_json_put_text(&w, "pck_certificate_chain", clo_buf_span(&chain));
    put_sample(&w, "pck_crl_issuer_chain", "pckSignChain.pem");
    put_sample(&w, "root_ca_crl", "rootCaCrl.der");
    put_sample(&w, "pck_crl", "intermediateCaCrl.der");
    put_sample(&w, "tcb_info_issuer_chain", "tcbSignChain.pem");
    put_answer(&w, "tcb_info", "tcbInfo.json", "tcbInfo");
    put_sample(&w, "qe_identity_issuer_chain", "tcbSignChain.pem");
    put_answer(&w, "qe_identity", "qeIdentity.json", "enclaveIdentity");
    clo_json_end_object(&w);
}

static void another_root_is_trusted_only_as_an_explicit_anchor(void)
{
    CLO_AUTO(clo_buf) quote = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) collateral = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) pem = CLO_BUF_INIT;
    clo_cert *root = NULL;
    size_t count = 0;
    if (!vector_read("sgx/altroot-intel-qvl-sample/trustedRootCaCert.pem", &pem)) {
        T_SKIP("../shared/vectors is not here");
    }
    make_sample(&quote, &collateral);
    clo_verify_request request =
        vector_request(clo_buf_span(&quote), clo_buf_span(&collateral), 1650000000);
    T_OK(clo_evidence_verify(&request, &verdict));
    T_INT(verdict.failed, CLO_RULE_UNTRUSTED_ROOT);
    T_CODE(clo_verdict_status(&verdict), CLO_ATTEST);

    T_OK(clo_cert_parse_pem_chain(clo_buf_span(&pem), 1, &root, &count));
    clo_status hashed = clo_sha256(clo_cert_spki(root), request.anchors[0].spki_sha256);
    clo_cert_free(root);
    T_OK(hashed);
    T_OK(clo_evidence_verify(&request, &verdict));
    T_OK(clo_verdict_status(&verdict));
    T_STR(clo_tcb_name(verdict.claims.tcb), "UpToDate");
    request.anchor_count = 0;
    T_OK(clo_evidence_verify(&request, &verdict));
    T_INT(verdict.failed, CLO_RULE_UNTRUSTED_ROOT);
}

/* ---------------------------------------------------------------- derived cases --------------- */

static bool load_named(const clo_json *one, const char *member, const char *file, clo_buf *out)
{
    clo_span name;
    char path[256];
    if (!clo_ok(clo_json_str(one, member, &name))) {
        return false;
    }
    (void)snprintf(path, sizeof path, "%.*s/%s", (int)name.size, (const char *)name.data, file);
    return vector_read(path, out);
}

/* "tcb_info: first "OutOfDate" replaced by "UpToDate" ..." inside the container's text. */
static bool edit_collateral(clo_buf *collateral, clo_span edit)
{
    const char *member = clo_span_starts_with(edit, clo_span_of_str("tcb_info"))
                             ? "\"tcb_info\": \""
                             : "\"qe_identity\": \"";
    char *start = memmem(collateral->data, collateral->size, member, strlen(member));
    if (start == NULL) {
        return false;
    }
    size_t left = collateral->size - (size_t)(start - (char *)collateral->data);
    char *status = memmem(start, left, "OutOfDate\\\"", 11);
    char *product = memmem(start, left, "isvprodid\\\":", 12);
    if (status != NULL) {
        memcpy(status, "UpToDate\\\" ", 11);
    } else if (product != NULL) { /* a space behind the colon, at the cost of the digit there */
        product[12] = ' ';
    }
    return status != NULL || product != NULL;
}

static bool apply(const clo_json *one, clo_buf *quote, clo_buf *collateral)
{
    uint64_t at = 0;
    clo_span edit;
    if (clo_ok(clo_json_u64(one, "flip_bit0_at", UINT32_MAX, &at)) && at < quote->size) {
        quote->data[at] ^= 1;
    }
    if (clo_ok(clo_json_u64(one, "truncate_to", UINT32_MAX, &at)) && at < quote->size) {
        quote->size = at;
    }
    return !clo_ok(clo_json_str(one, "edit", &edit)) || edit_collateral(collateral, edit);
}

static void check_derived(const clo_json *one)
{
    CLO_AUTO(clo_buf) quote = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) collateral = CLO_BUF_INIT;
    clo_span why;
    uint64_t at = 0;
    T_CHECK(load_named(one, "quote", "quote.bin", &quote));
    T_CHECK(load_named(one, "collateral", "collateral.json", &collateral));
    T_OK(clo_json_u64(one, "time", UINT32_MAX, &at));
    T_OK(clo_json_str(one, "why", &why));
    T_CHECK(apply(one, &quote, &collateral));
    clo_verify_request request =
        vector_request(clo_buf_span(&quote), clo_buf_span(&collateral), (int64_t)at);
    T_OK(clo_evidence_verify(&request, &verdict));
    if (verdict.accepted || verdict.failed == CLO_RULE_COUNT) {
        clo_test_fail(__FILE__, __LINE__, "accepted: %.*s", (int)why.size, (const char *)why.data);
    }
    T_CODE(clo_verdict_status(&verdict), CLO_ATTEST);
}

static void every_derived_case_is_refused(void)
{
    CLO_AUTO(clo_buf) text = CLO_BUF_INIT;
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    const clo_json *list = NULL;
    size_t sgx = 0, tdx = 0;
    if (!vector_read("dcap_cases.json", &text)) {
        T_SKIP("../shared/vectors is not here");
    }
    T_OK(clo_json_parse(clo_buf_span(&text), &arena, &list));
    for (const clo_json *one = list->child; one != NULL; one = one->next) {
        clo_span name;
        T_OK(clo_json_str(one, "quote", &name));
        bool is_sgx = clo_span_starts_with(name, clo_span_of_str("sgx/"));
        sgx += is_sgx;
        tdx += !is_sgx;
        check_derived(one);
    }
    printf("# %zu cases of SGX quotes and %zu of TDX quotes refused\n", sgx, tdx);
    T_CHECK(sgx > 30);
}

/* ---------------------------------------------------------------- broken bytes ---------------- */

static void every_flipped_byte_of_a_quote_is_refused(void)
{
    CLO_AUTO(vector_case) c = {0};
    if (!vector_load("v3-00a067110000-config-swhardening-f8b810", &c)) {
        T_SKIP("../shared/vectors is not here");
    }
    /* The header's two SVNs and every byte up to the PEM are covered by some signature or rule; in
     * the PEM white space may change. */
    for (size_t at = 0; at < 1000; at += 7) {
        c.quote.data[at] ^= 0x80;
        T_CHECK(rule_at(&c, 1751624924) != CLO_RULE_COUNT);
        c.quote.data[at] ^= 0x80;
    }
    T_CHECK(rule_at(&c, 1751624924) == CLO_RULE_COUNT);
}

static void truncated_quotes_are_a_format_error_at_every_length(void)
{
    CLO_AUTO(vector_case) c = {0};
    if (!vector_load("v3-00a067110000-config-swhardening-f8b810", &c)) {
        T_SKIP("../shared/vectors is not here");
    }
    clo_quote_v3 quote;
    uint8_t report_data[64], measurement[32];
    for (size_t size = 0; size < c.quote.size; size++) {
        T_CODE(clo_quote_v3_parse(CLO_SPAN(c.quote.data, size), &quote), CLO_FORMAT);
        T_CODE(clo_quote_peek_report_data(CLO_SPAN(c.quote.data, size), report_data), CLO_FORMAT);
    }
    T_OK(clo_quote_v3_parse(clo_buf_span(&c.quote), &quote));
    T_OK(clo_quote_peek_measurement(clo_buf_span(&c.quote), measurement));
    T_CHECK(memcmp(measurement, quote.body.measurement, 32) == 0);
}

static void padding_behind_the_quote_is_no_part_of_it(void)
{
    CLO_AUTO(vector_case) c = {0};
    if (!vector_load("v3-00a067110000-config-swhardening-f8b810", &c)) {
        T_SKIP("../shared/vectors is not here");
    }
    size_t size = c.quote.size;
    memset(clo_buf_grow(&c.quote, 400), 0, 400);
    T_CHECK(rule_at(&c, 1751624924) == CLO_RULE_COUNT);
    T_INT(verdict.claims.quote_size, size);
}

static void verification_is_fast_enough_for_a_handshake(void)
{
    CLO_AUTO(vector_case) c = {0};
    if (!vector_load("v3-00a067110000-config-swhardening-f8b810", &c)) {
        T_SKIP("../shared/vectors is not here");
    }

    enum { TIMES = 50 };
    struct timespec from, to;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    for (int i = 0; i < TIMES; i++) {
        T_CHECK(rule_at(&c, 1751624924) == CLO_RULE_COUNT);
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    double ms =
        ((double)(to.tv_sec - from.tv_sec) * 1e3 + (double)(to.tv_nsec - from.tv_nsec) / 1e6) /
        TIMES;
    printf("# one verification takes %.2f ms of CPU\n", ms);
    T_CHECK(ms < 100); /* a guard against disaster only: sanitizers and busy machines pass it */
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(recorded_quotes_give_their_verdicts_in_their_windows_only),
        T(quotes_without_collateral_are_read_and_refused),
        T(another_root_is_trusted_only_as_an_explicit_anchor),
        T(every_derived_case_is_refused),
        T(every_flipped_byte_of_a_quote_is_refused),
        T(truncated_quotes_are_a_format_error_at_every_length),
        T(padding_behind_the_quote_is_no_part_of_it),
        T(verification_is_fast_enough_for_a_handshake),
    };
    clo_status ready = clo_crypto_init();
    if (!clo_ok(ready)) {
        return 1;
    }
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
