/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verdicts: how checks are written down. See verdict.h for the rules of writing, and
 * verdict_explain.c for how a verdict is told.
 */
#include "verdict.h"

#include <stdio.h>
#include <string.h>

/* Copies what can be printed; '?' stands for the rest. */
static void put_text(char *out, size_t size, const char *text)
{
    size_t i = 0;
    for (; text[i] != '\0' && i + 1 < size; i++) {
        out[i] = text[i] >= 0x20 && text[i] <= 0x7e ? text[i] : '?';
    }
    out[i] = '\0';
}

static void put_line(clo_verdict *v, const clo_check *line)
{
    if (v->check_count < CLO_MAX_CHECKS) {
        v->checks[v->check_count++] = *line;
        return;
    }
    v->accepted = false;
    if (v->failed == CLO_RULE_COUNT) {
        v->failed = line->rule;
    }
}

static clo_check line_of(clo_rule rule, clo_check_outcome outcome, const char *source)
{
    clo_check line = {.rule = rule, .outcome = outcome};
    put_text(line.source, sizeof line.source, source);
    return line;
}

void clo_verdict_start(clo_verdict *verdict)
{
    memset(verdict, 0, sizeof *verdict);
    verdict->failed = CLO_RULE_COUNT;
}

bool clo_verdict_note(clo_verdict *verdict, clo_rule rule, bool held, const char *source,
                      const char *expected, const char *actual)
{
    if (!clo_rule_is_on(rule)) {
        return true;
    }
    clo_check line = line_of(rule, held ? CLO_CHECK_PASSED : CLO_CHECK_FAILED, source);
    put_text(line.expected, sizeof line.expected, expected);
    put_text(line.actual, sizeof line.actual, actual);
    put_line(verdict, &line);
    if (held) {
        return true;
    }
    verdict->accepted = false;
    if (verdict->failed == CLO_RULE_COUNT) {
        verdict->failed = rule;
    }
    return false;
}

void clo_verdict_skip(clo_verdict *verdict, clo_rule rule, const char *source, const char *why)
{
    if (clo_rule_is_on(rule)) {
        clo_check line = line_of(rule, CLO_CHECK_NOT_APPLICABLE, source);
        put_text(line.expected, sizeof line.expected, why);
        put_line(verdict, &line);
    }
}

clo_status clo_verdict_check(clo_verdict *verdict, clo_rule rule, bool held, const char *source,
                             const char *expected, const char *actual)
{
    if (clo_verdict_note(verdict, rule, held, source, expected, actual)) {
        return CLO_STATUS_OK;
    }
    return clo_verdict_status(verdict);
}

/* Whether a status says something about the evidence; if not, it is about this process. */
static bool is_about_evidence(clo_status status)
{
    return status.code != CLO_NOMEM && status.code != CLO_BUG;
}

clo_status clo_verdict_judge(clo_verdict *verdict, clo_rule rule, clo_status status,
                             const char *source, const char *expected)
{
    if (clo_ok(status)) {
        return clo_verdict_check(verdict, rule, true, source, expected, "holds");
    }
    if (!is_about_evidence(status)) {
        return status;
    }
    clo_check_text reason;
    clo_status_text(status, reason.text, sizeof reason.text);
    return clo_verdict_check(verdict, rule, false, source, expected, reason.text);
}

clo_status clo_verdict_need(clo_verdict *verdict, clo_rule rule, clo_status status,
                            const char *source, const char *expected)
{
    CLO_TRY(clo_verdict_judge(verdict, rule, status, source, expected));
    if (clo_ok(status)) {
        return CLO_STATUS_OK;
    }
    verdict->failed = rule;
    CLO_FAIL(CLO_ATTEST, "%s: there is nothing to go on with", clo_rule_name(rule));
}

void clo_verdict_accept(clo_verdict *verdict)
{
    verdict->accepted = verdict->failed == CLO_RULE_COUNT;
}

clo_check_text clo_check_hex(clo_span bytes)
{
    clo_check_text out = {""};
    size_t fits = (sizeof out.text - 1) / 2;
    clo_hex_encode(CLO_SPAN(bytes.data, bytes.size < fits ? bytes.size : fits), out.text);
    return out;
}

clo_check_text clo_check_time(int64_t unix_seconds)
{
    char time[21];
    clo_time_format(unix_seconds, time);
    return clo_check_format("%s", time);
}

clo_check_text clo_check_format(const char *format, ...)
{
    clo_check_text out = {""};
    va_list args;
    va_start(args, format);
    (void)vsnprintf(out.text, sizeof out.text, format, args);
    va_end(args);
    return out;
}

clo_status clo_verdict_status(const clo_verdict *verdict)
{
    if (verdict->accepted) {
        return CLO_STATUS_OK;
    }
    clo_code code = verdict->failed >= CLO_RULE_POLICY_TEE && verdict->failed < CLO_RULE_COUNT
                        ? CLO_POLICY
                        : CLO_ATTEST;
    for (uint32_t i = 0; i < verdict->check_count; i++) {
        const clo_check *c = &verdict->checks[i];
        if (c->outcome == CLO_CHECK_FAILED) {
            CLO_FAIL(code, "%s: %s: expected %s, found %s", clo_rule_name(c->rule), c->source,
                     c->expected, c->actual);
        }
    }
    CLO_FAIL(code, "%s: not shown to hold", clo_rule_name(verdict->failed));
}

void clo_claims_platform_id(const clo_claims *claims, uint8_t out_id[32])
{
    memcpy(out_id, claims->platform_id, sizeof claims->platform_id);
}
