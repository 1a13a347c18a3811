/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulated vendor: what its parts look like byte by byte, that the production verifier takes
 * them under the simulator's anchor and no other, that every option leads to its verdict, and that
 * the folder keeps its keys to itself.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cloister/sim.h"
#include "sim_folder.h"
#include "sim_vendor.h"
#include "test.h"

enum { DAY = 86400 };

static const int64_t now = 1800000000;

static long fail_at = -1; /* which allocation fails; -1: none */
static long allocations;

bool clo_mem_should_fail(void)
{
    return ++allocations == fail_at;
}

static clo_status verify(const clo_evidence *evidence, clo_anchor anchor, int64_t at,
                         clo_verdict *out_verdict)
{
    clo_verify_request request = {.quote = clo_buf_span(&evidence->quote),
                                  .collateral = clo_buf_span(&evidence->collateral),
                                  .at = at,
                                  .anchors = {anchor},
                                  .anchor_count = 1};
    return clo_evidence_verify(&request, out_verdict);
}

static clo_status make_in(const char *folder, const clo_sim_options *options, clo_verdict *verdict)
{
    static const uint8_t measurement[32] = {1, 2, 3};
    static const uint8_t report_data[64] = {4, 5, 6};
    CLO_AUTO(clo_evidence) evidence = CLO_EVIDENCE_INIT;
    clo_anchor anchor;
    CLO_TRY(clo_sim_init(folder, options));
    CLO_TRY(clo_sim_anchor(folder, &anchor));
    CLO_TRY(clo_sim_quote(folder, measurement, report_data, &evidence));
    return verify(&evidence, anchor, options->now, verdict);
}

static void makes_evidence_the_verifier_accepts(void)
{
    clo_sim_spec spec;
    static clo_verdict verdict;
    CLO_AUTO(clo_sim_vendor) vendor = CLO_SIM_VENDOR_INIT;
    CLO_AUTO(clo_evidence) evidence = CLO_EVIDENCE_INIT;
    clo_sim_spec_init(&spec, now);
    memset(spec.quote.body.measurement, 0xab, 32);
    spec.quote.padding = 70;
    T_OK(clo_sim_vendor_make(&spec, &vendor));
    T_OK(clo_sim_evidence_make(&vendor, &spec, &evidence));
    T_OK(verify(&evidence, clo_sim_vendor_anchor(&vendor), now, &verdict));
    T_OK(clo_verdict_status(&verdict));
    T_INT(verdict.claims.tee, CLO_TEE_SIMULATOR);
    T_INT(verdict.claims.tcb, CLO_TCB_UP_TO_DATE);
    T_INT(verdict.claims.measurement[31], 0xab);
    T_CHECK(memcmp(verdict.claims.signer, vendor.signer, 32) == 0);
    T_CHECK(memcmp(verdict.claims.ppid, spec.platform.ppid, 16) == 0);
    T_CHECK(memcmp(verdict.claims.fmspc, spec.platform.fmspc, 6) == 0);
    T_CHECK(verdict.claims.smt_enabled && verdict.claims.has_platform_instance);
    T_INT(verdict.claims.quote_size, evidence.quote.size - 70);
    T_INT(verdict.claims.advisory_count, 0);
}

static void is_refused_under_another_anchor(void)
{
    clo_sim_spec spec;
    static clo_verdict verdict;
    CLO_AUTO(clo_sim_vendor) vendor = CLO_SIM_VENDOR_INIT;
    CLO_AUTO(clo_sim_vendor) other = CLO_SIM_VENDOR_INIT;
    CLO_AUTO(clo_evidence) evidence = CLO_EVIDENCE_INIT;
    clo_sim_spec_init(&spec, now);
    T_OK(clo_sim_vendor_make(&spec, &vendor));
    T_OK(clo_sim_vendor_make(&spec, &other));
    T_OK(clo_sim_evidence_make(&vendor, &spec, &evidence));
    T_OK(verify(&evidence, clo_sim_vendor_anchor(&other), now, &verdict));
    T_STR(clo_rule_name(verdict.failed), "UNTRUSTED_ROOT");
    T_OK(verify(&evidence, CLO_ANCHOR_INTEL_SGX, now, &verdict));
    T_STR(clo_rule_name(verdict.failed), "UNTRUSTED_ROOT");
    T_CHECK(memcmp(vendor.signer, other.signer, 32) != 0);
}

static void says_simulator_in_every_name(void)
{
    clo_sim_spec spec;
    CLO_AUTO(clo_sim_vendor) vendor = CLO_SIM_VENDOR_INIT;
    clo_sim_spec_init(&spec, now);
    T_OK(clo_sim_vendor_make(&spec, &vendor));
    for (int i = 0; i < CLO_SIM_PARTY_COUNT; i++) {
        clo_span name = clo_span_of_str("SIMULATOR ");
        T_CHECK(clo_span_starts_with(clo_cert_subject_cn(vendor.cert[i]), name));
        T_CHECK(clo_span_starts_with(clo_cert_issuer_cn(vendor.cert[i]), name));
        T_CHECK(clo_cert_is_ca(vendor.cert[i]) == (i <= CLO_SIM_PLATFORM_CA));
    }
    clo_span value;
    T_OK(clo_cert_extension(vendor.cert[CLO_SIM_PCK], "1.2.840.113741.1.13.1", &value));
    T_CODE(clo_cert_extension(vendor.cert[CLO_SIM_SIGNER], "1.2.840.113741.1.13.1", &value),
           CLO_NOTFOUND);
}

/* The bytes are those that a DER reader which knows nothing of this writer walks. */
static void writes_extensions_as_der(void)
{
    clo_sim_spec spec;
    CLO_AUTO(clo_buf) der = CLO_BUF_INIT;
    clo_sim_spec_init(&spec, now);
    spec.platform.components[0] = 200; /* needs a leading zero */
    spec.platform.pce_svn = 0x8001;
    T_OK(clo_sim_extension_make(&spec.platform, &der));
    clo_reader r = clo_reader_of(clo_buf_span(&der));
    clo_der list, item, part;
    T_OK(clo_der_read(&r, &list));
    T_OK(clo_reader_finish(&r, "the extension"));
    clo_reader in = clo_reader_of(list.value);
    T_OK(clo_der_read(&in, &item));
    clo_reader ppid = clo_reader_of(item.value);
    T_OK(clo_der_read(&ppid, &part));
    T_CHECK(clo_der_is_oid(&part, "1.2.840.113741.1.13.1.1"));
    T_OK(clo_der_read(&ppid, &part));
    T_INT(part.value.size, 16);
    T_OK(clo_der_read(&in, &item));
    clo_reader tcb = clo_reader_of(item.value);
    T_OK(clo_der_read(&tcb, &part));
    T_CHECK(clo_der_is_oid(&part, "1.2.840.113741.1.13.1.2"));
    T_OK(clo_der_read(&tcb, &part));
    clo_reader levels = clo_reader_of(part.value);
    T_OK(clo_der_read(&levels, &item));
    clo_reader first = clo_reader_of(item.value);
    T_OK(clo_der_read(&first, &part));
    T_CHECK(clo_der_is_oid(&part, "1.2.840.113741.1.13.1.2.1"));
    T_OK(clo_der_read(&first, &part));
    T_INT(part.value.size, 2);
    T_INT(part.value.data[1], 200);
}

static void every_option_leads_to_its_verdict(void)
{
    static const struct {
        clo_sim_options options;
        const char *failed; /* NULL: accepted */
        clo_tcb_status tcb;
    } cases[] = {
        {{.now = 0}, NULL, CLO_TCB_UP_TO_DATE},
        {{.platform_tcb = CLO_TCB_SW_HARDENING_NEEDED}, NULL, CLO_TCB_SW_HARDENING_NEEDED},
        {{.platform_tcb = CLO_TCB_CONFIGURATION_NEEDED}, NULL, CLO_TCB_CONFIGURATION_NEEDED},
        {{.platform_tcb = CLO_TCB_OUT_OF_DATE}, NULL, CLO_TCB_OUT_OF_DATE},
        {{.platform_tcb = CLO_TCB_CONFIGURATION_NEEDED, .qe_tcb = CLO_TCB_OUT_OF_DATE},
         NULL,
         CLO_TCB_OUT_OF_DATE_CONFIGURATION_NEEDED},
        {{.qe_tcb = CLO_TCB_OUT_OF_DATE}, NULL, CLO_TCB_OUT_OF_DATE},
        {{.platform_tcb = CLO_TCB_REVOKED}, "TCB_REVOKED", CLO_TCB_REVOKED},
        {{.qe_tcb = CLO_TCB_REVOKED}, "TCB_REVOKED", CLO_TCB_REVOKED},
        {{.revoke_pck = true}, "PCK_REVOKED", CLO_TCB_UNKNOWN},
        {{.revoke_ca = true}, "CA_REVOKED", CLO_TCB_UNKNOWN},
        {{.revoke_signer = true}, "SIGNER_REVOKED", CLO_TCB_UNKNOWN},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static clo_verdict verdict;
        clo_sim_path folder;
        char name[16];
        clo_sim_options options = cases[i].options;
        options.now = now;
        snprintf(name, sizeof name, "v%zu", i);
        T_OK(clo_sim_path_make(clo_test_folder(), name, &folder));
        T_OK(make_in(folder.text, &options, &verdict));
        if (cases[i].failed != NULL) {
            T_CHECK(!verdict.accepted);
            T_STR(clo_rule_name(verdict.failed), cases[i].failed);
        } else {
            T_OK(clo_verdict_status(&verdict));
            T_STR(clo_tcb_name(verdict.claims.tcb), clo_tcb_name(cases[i].tcb));
        }
    }
}

static void tells_advisory_and_evaluation_number(void)
{
    static clo_verdict verdict;
    clo_sim_path folder;
    clo_sim_options options = {.now = now, .advisory = "SIM-SA-00001", .evaluation = 21};
    T_OK(clo_sim_path_make(clo_test_folder(), "vendor", &folder));
    T_OK(make_in(folder.text, &options, &verdict));
    T_OK(clo_verdict_status(&verdict));
    T_INT(verdict.claims.advisory_count, 1);
    T_STR(verdict.claims.advisory[0], "SIM-SA-00001");
    T_INT(verdict.claims.tcb_evaluation, 21);
    T_INT(verdict.claims.qe_evaluation, 21);
}

static void collateral_holds_for_its_days_only(void)
{
    clo_sim_spec spec;
    static clo_verdict verdict;
    CLO_AUTO(clo_sim_vendor) vendor = CLO_SIM_VENDOR_INIT;
    CLO_AUTO(clo_evidence) evidence = CLO_EVIDENCE_INIT;
    clo_sim_spec_init(&spec, now);
    T_OK(clo_sim_vendor_make(&spec, &vendor));
    T_OK(clo_sim_evidence_make(&vendor, &spec, &evidence));
    clo_anchor anchor = clo_sim_vendor_anchor(&vendor);
    T_OK(verify(&evidence, anchor, now + 30 * DAY, &verdict));
    T_CHECK(verdict.accepted);
    T_OK(verify(&evidence, anchor, now + 30 * DAY + 1, &verdict));
    T_STR(clo_rule_name(verdict.failed), "CRL_EXPIRED");
    T_OK(verify(&evidence, anchor, now - DAY - 1, &verdict));
    T_STR(clo_rule_name(verdict.failed), "CERT_NOT_YET_VALID");
}

static void refuses_a_second_vendor_in_a_folder(void)
{
    clo_sim_path folder, key;
    CLO_AUTO(clo_buf) before = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) after = CLO_BUF_INIT;
    T_OK(clo_sim_path_make(clo_test_folder(), "vendor", &folder));
    T_OK(clo_sim_path_make(folder.text, "root.key", &key));
    T_OK(clo_sim_init(folder.text, NULL));
    T_OK(clo_file_read(key.text, 4096, &before));
    T_CODE(clo_sim_init(folder.text, NULL), CLO_EXISTS);
    T_OK(clo_file_read(key.text, 4096, &after));
    T_CHECK(clo_span_equal(clo_buf_span(&before), clo_buf_span(&after)));
}

static void keeps_everything_private_but_anchor_and_collateral(void)
{
    static const struct {
        const char *name;
        mode_t mode;
    } files[] = {{"root.key", 0600},        {"platform-ca.key", 0600}, {"pck.key", 0600},
                 {"tcb-signing.key", 0600}, {"vendor.json", 0600},     {CLO_SIM_ROOT, 0644},
                 {CLO_SIM_COLLATERAL, 0644}};

    clo_sim_path folder, path;
    struct stat info;
    T_OK(clo_sim_path_make(clo_test_folder(), "vendor", &folder));
    T_OK(clo_sim_init(folder.text, NULL));
    T_INT(stat(folder.text, &info), 0);
    T_INT(info.st_mode & 0777, 0700);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        T_OK(clo_sim_path_make(folder.text, files[i].name, &path));
        T_INT(stat(path.text, &info), 0);
        T_INT(info.st_mode & 0777, files[i].mode);
    }
}

static void refuses_a_folder_others_can_enter(void)
{
    static const uint8_t zeros[64];
    clo_sim_path folder, link;
    CLO_AUTO(clo_evidence) evidence = CLO_EVIDENCE_INIT;
    T_OK(clo_sim_path_make(clo_test_folder(), "vendor", &folder));
    T_INT(mkdir(folder.text, 0755), 0);
    T_INT(chmod(folder.text, 0755), 0);
    T_CODE(clo_sim_init(folder.text, NULL), CLO_INVALID);
    T_INT(chmod(folder.text, 0700), 0);
    T_OK(clo_sim_init(folder.text, NULL));
    T_INT(chmod(folder.text, 0750), 0);
    T_CODE(clo_sim_quote(folder.text, zeros, zeros, &evidence), CLO_INVALID);
    T_INT(chmod(folder.text, 0700), 0);
    T_OK(clo_sim_path_make(clo_test_folder(), "link", &link));
    T_INT(symlink(folder.text, link.text), 0);
    T_CODE(clo_sim_quote(link.text, zeros, zeros, &evidence), CLO_INVALID);
    T_OK(clo_sim_quote(folder.text, zeros, zeros, &evidence));
}

static void refuses_a_vendor_file_it_does_not_understand(void)
{
    static const char *const texts[] = {
        "",
        "{}",
        "[]",
        "{\"platform_tcb\":\"UpToDate\"}",
        "{\"platform_tcb\":\"Fine\",\"qe_tcb\":\"UpToDate\",\"advisory\":\"\",\"evaluation\":17,"
        "\"valid_days\":30,\"revoke_pck\":false,\"revoke_ca\":false,\"revoke_signer\":false}",
        "{\"platform_tcb\":\"UpToDate\",\"qe_tcb\":\"UpToDate\",\"advisory\":\"\",\"evaluation\":"
        "17,"
        "\"valid_days\":30,\"revoke_pck\":false,\"revoke_ca\":false,\"revoke_signer\":false,"
        "\"more\":1}",
        "{\"platform_tcb\":\"UpToDate\",\"qe_tcb\":\"UpToDate\",\"evaluation\":17,"
        "\"advisory\":\"an advisory of more than 19 characters\","
        "\"valid_days\":30,\"revoke_pck\":false,\"revoke_ca\":false,\"revoke_signer\":false}",
    };
    static const uint8_t zeros[64];
    clo_sim_path folder, path;
    CLO_AUTO(clo_buf) good = CLO_BUF_INIT;
    CLO_AUTO(clo_evidence) evidence = CLO_EVIDENCE_INIT;
    T_OK(clo_sim_path_make(clo_test_folder(), "vendor", &folder));
    T_OK(clo_sim_path_make(folder.text, "vendor.json", &path));
    T_OK(clo_sim_init(folder.text, NULL));
    T_OK(clo_file_read(path.text, 4096, &good));
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        T_OK(clo_file_write(path.text, 0600, clo_span_of_str(texts[i])));
        clo_status status = clo_sim_quote(folder.text, zeros, zeros, &evidence);
        T_CHECK(status.code == CLO_FORMAT || status.code == CLO_INVALID);
    }
    T_OK(clo_file_write(path.text, 0600, clo_buf_span(&good)));
    T_OK(clo_sim_quote(folder.text, zeros, zeros, &evidence));
}

static void signs_collateral_anew_before_it_ends(void)
{
    clo_sim_path folder, path;
    clo_sim_options options = {.now = clo_clock_utc() - 29 * DAY};
    CLO_AUTO(clo_buf) first = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) second = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) third = CLO_BUF_INIT;
    T_OK(clo_sim_path_make(clo_test_folder(), "vendor", &folder));
    T_OK(clo_sim_path_make(folder.text, CLO_SIM_COLLATERAL, &path));
    T_OK(clo_sim_init(folder.text, &options));
    T_OK(clo_file_read(path.text, CLO_COLLATERAL_MAX, &first));
    CLO_AUTO(clo_sim_home) home = CLO_SIM_HOME_INIT;
    T_OK(clo_sim_home_load(folder.text, &home));
    T_OK(clo_sim_home_refresh(folder.text, &home));
    T_OK(clo_file_read(path.text, CLO_COLLATERAL_MAX, &second));
    T_CHECK(!clo_span_equal(clo_buf_span(&first), clo_buf_span(&second)));
    T_OK(clo_sim_home_refresh(folder.text, &home));
    T_OK(clo_file_read(path.text, CLO_COLLATERAL_MAX, &third));
    T_CHECK(clo_span_equal(clo_buf_span(&second), clo_buf_span(&third)));
}

static clo_status make_all(void)
{
    clo_sim_spec spec;
    CLO_AUTO(clo_sim_vendor) vendor = CLO_SIM_VENDOR_INIT;
    CLO_AUTO(clo_evidence) evidence = CLO_EVIDENCE_INIT;
    clo_sim_spec_init(&spec, now);
    CLO_TRY(clo_sim_vendor_make(&spec, &vendor));
    return clo_sim_evidence_make(&vendor, &spec, &evidence);
}

static void tells_every_failed_allocation(void)
{
    allocations = 0;
    T_OK(make_all());
    long count = allocations;
    T_CHECK(count > 20);
    for (long i = 1; i <= count; i++) {
        allocations = 0;
        fail_at = i;
        clo_status status = make_all();
        fail_at = -1;
        T_CODE(status, CLO_NOMEM);
    }
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(makes_evidence_the_verifier_accepts),
        T(is_refused_under_another_anchor),
        T(says_simulator_in_every_name),
        T(writes_extensions_as_der),
        T(every_option_leads_to_its_verdict),
        T(tells_advisory_and_evaluation_number),
        T(collateral_holds_for_its_days_only),
        T(refuses_a_second_vendor_in_a_folder),
        T(keeps_everything_private_but_anchor_and_collateral),
        T(refuses_a_folder_others_can_enter),
        T(refuses_a_vendor_file_it_does_not_understand),
        T(signs_collateral_anew_before_it_ends),
        T(tells_every_failed_allocation),
    };
    clo_status ready = clo_crypto_init();
    return clo_ok(ready) ? clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests) : 1;
}
