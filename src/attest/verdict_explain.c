/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verdicts, told: as a table for people and as JSON. Both list every check that was made with what
 * was expected and found, so that a refusal can be argued with and an acceptance audited.
 */
#include "cloister/attest.h"

#include <string.h>

static const char *const outcome_names[] = {
    [CLO_CHECK_PASSED] = "passed",
    [CLO_CHECK_FAILED] = "FAILED",
    [CLO_CHECK_NOT_APPLICABLE] = "n/a",
};

typedef struct {
    const char *name;
    size_t offset, size;
} bytes_field;

#define FIELD(name, member)                                                                        \
    {                                                                                              \
        name, offsetof(clo_claims, member), sizeof(((clo_claims *)NULL)->member)                   \
    }

/* The claims that are plain bytes, in the order they are told. */
static const bytes_field bytes_fields[] = {
    FIELD("root_id", root_id), FIELD("measurement", measurement),
    FIELD("signer", signer),   FIELD("config_id", config_id),
    FIELD("cpu_svn", cpu_svn), FIELD("report_data", report_data),
    FIELD("fmspc", fmspc),     FIELD("pce_id", pce_id),
    FIELD("ppid", ppid),       FIELD("platform", platform_id),
};

enum { BYTES_FIELDS = sizeof bytes_fields / sizeof *bytes_fields };

static clo_span field_of(const clo_claims *claims, const bytes_field *field)
{
    return CLO_SPAN((const uint8_t *)claims + field->offset, field->size);
}

static void explain_advisories(const clo_claims *c, clo_buf *out)
{
    clo_put_format(out, "  %-16s", "advisories");
    for (uint32_t i = 0; i < c->advisory_count; i++) {
        clo_put_format(out, " %s", c->advisory[i]);
    }
    clo_put_str(out, c->advisory_count == 0 ? " none\n" : "\n");
}

static void explain_claims(const clo_claims *c, clo_buf *out)
{
    char issued[21], expires[21];
    clo_time_format(c->earliest_issue, issued);
    clo_time_format(c->earliest_expiry, expires);
    clo_put_format(out, "claims\n  %-16s %s%s\n", "tee", clo_tee_name(c->tee),
                   c->debug ? ", DEBUG" : "");
    for (size_t i = 0; i < BYTES_FIELDS; i++) {
        clo_put_format(out, "  %-16s ", bytes_fields[i].name);
        clo_put_hex(out, field_of(c, &bytes_fields[i]));
        clo_put_str(out, "\n");
    }
    clo_put_format(out, "  %-16s product %u, svn %u\n", "program", c->product, c->svn);
    clo_put_format(out, "  %-16s %s (platform %s, quoting enclave %s)\n", "tcb",
                   clo_tcb_name(c->tcb), clo_tcb_name(c->platform_tcb), clo_tcb_name(c->qe_tcb));
    clo_put_format(out, "  %-16s TCB info %u, quoting enclave %u\n", "evaluation",
                   c->tcb_evaluation, c->qe_evaluation);
    explain_advisories(c, out);
    clo_put_format(out, "  %-16s oldest from %s, first expiry %s\n", "collateral", issued, expires);
}

static void explain_check(const clo_check *c, clo_buf *out)
{
    clo_put_format(out, "  %-6s  %-25s  %-22s  ", outcome_names[c->outcome], clo_rule_name(c->rule),
                   c->source);
    if (c->outcome == CLO_CHECK_NOT_APPLICABLE) {
        clo_put_format(out, "%s\n", c->expected);
        return;
    }
    clo_put_format(out, "expected %s, found %s\n", c->expected, c->actual);
}

clo_status clo_verdict_explain(const clo_verdict *verdict, clo_buf *out)
{
    if (verdict->accepted) {
        clo_put_str(out, "accepted: every rule that was applied holds\n");
    } else {
        clo_put_format(out, "refused by %s: not shown that %s\n", clo_rule_name(verdict->failed),
                       clo_rule_summary(verdict->failed));
    }
    clo_put_str(out, "checks\n");
    for (uint32_t i = 0; i < verdict->check_count; i++) {
        explain_check(&verdict->checks[i], out);
    }
    if (verdict->has_claims) {
        explain_claims(&verdict->claims, out);
    }
    return clo_buf_check(out);
}

static void write_platform(const clo_claims *c, clo_json_writer *w)
{
    if (c->has_platform_instance) {
        clo_json_put_hex(w, "platform_instance", CLO_SPAN_OF(c->platform_instance));
        clo_json_put_bool(w, "smt_enabled", c->smt_enabled);
    }
    clo_json_put_hex(w, "pck_serial", CLO_SPAN(c->pck_serial, c->pck_serial_size));
}

static void write_collateral(const clo_claims *c, clo_json_writer *w)
{
    clo_json_put_u64(w, "tcb_evaluation", c->tcb_evaluation);
    clo_json_put_u64(w, "qe_evaluation", c->qe_evaluation);
    clo_json_put_u64(w, "root_crl_number", c->root_crl_number);
    clo_json_put_u64(w, "pck_crl_number", c->pck_crl_number);
    clo_json_put_time(w, "earliest_issue", c->earliest_issue);
    clo_json_put_time(w, "earliest_expiry", c->earliest_expiry);
}

static void write_claims(const clo_claims *c, clo_json_writer *w)
{
    clo_json_begin_object(w, "claims");
    clo_json_put_str(w, "tee", clo_tee_name(c->tee));
    clo_json_put_bool(w, "debug", c->debug);
    for (size_t i = 0; i < BYTES_FIELDS; i++) {
        clo_json_put_hex(w, bytes_fields[i].name, field_of(c, &bytes_fields[i]));
    }
    clo_json_put_u64(w, "product", c->product);
    clo_json_put_u64(w, "svn", c->svn);
    clo_json_put_str(w, "tcb", clo_tcb_name(c->tcb));
    clo_json_put_str(w, "platform_tcb", clo_tcb_name(c->platform_tcb));
    clo_json_put_str(w, "qe_tcb", clo_tcb_name(c->qe_tcb));
    clo_json_put_time(w, "tcb_date", c->tcb_date);
    clo_json_begin_array(w, "advisories");
    for (uint32_t i = 0; i < c->advisory_count; i++) {
        clo_json_put_str(w, NULL, c->advisory[i]);
    }
    clo_json_end_array(w);
    write_collateral(c, w);
    write_platform(c, w);
    clo_json_end_object(w);
}

static void write_check(const clo_check *c, clo_json_writer *w)
{
    static const char *const names[] = {"passed", "failed", "not_applicable"};
    clo_json_begin_object(w, NULL);
    clo_json_put_str(w, "rule", clo_rule_name(c->rule));
    clo_json_put_str(w, "outcome", names[c->outcome]);
    clo_json_put_str(w, "source", c->source);
    clo_json_put_str(w, "expected", c->expected);
    clo_json_put_str(w, "actual", c->actual);
    clo_json_end_object(w);
}

void clo_verdict_json(const clo_verdict *verdict, clo_json_writer *writer, const char *name)
{
    clo_json_begin_object(writer, name);
    clo_json_put_bool(writer, "accepted", verdict->accepted);
    if (verdict->accepted) {
        clo_json_put_null(writer, "failed");
    } else {
        clo_json_put_str(writer, "failed", clo_rule_name(verdict->failed));
    }
    if (verdict->has_claims) {
        write_claims(&verdict->claims, writer);
    }
    clo_json_begin_array(writer, "checks");
    for (uint32_t i = 0; i < verdict->check_count; i++) {
        write_check(&verdict->checks[i], writer);
    }
    clo_json_end_array(writer);
    clo_json_end_object(writer);
}
