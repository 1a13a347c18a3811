/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Appraisal: an owner's conditions over the claims of a verified quote. Verification says that a
 * quote is genuine; only this says that it is wanted.
 *
 * Invariants: conditions are asked all, so that a refusal names everything that is wrong; an empty
 * list denies, except for platforms, where none listed means any; measurements and signers are one
 * list in two forms.
 */
#include "quote_v3.h"
#include "verdict.h"

#include <string.h>

/* What a refusal shows when a list is long. */
static clo_check_text count_of(uint32_t count, const char *what)
{
    return clo_check_format("one of %u %s", count, what);
}

static void check_tee(const clo_appraisal *a, clo_verdict *v)
{
    bool held = false;
    for (uint32_t i = 0; i < a->tee_count; i++) {
        held = held || (a->tees[i] == v->claims.tee && v->claims.tee != CLO_TEE_NONE);
    }
    (void)clo_verdict_note(v, CLO_RULE_POLICY_TEE, held, "anchor",
                           count_of(a->tee_count, "kinds").text, clo_tee_name(v->claims.tee));
}

#if CLO_INSECURE
static bool allows_debug(const clo_appraisal *a)
{
    return a->insecure_allow_debug;
}
#else
static bool allows_debug(const clo_appraisal *a)
{
    (void)a;
    return false;
}
#endif

static void check_debug(const clo_appraisal *a, clo_verdict *v)
{
    (void)clo_verdict_note(v, CLO_RULE_POLICY_DEBUG, !v->claims.debug || allows_debug(a), "quote",
                           allows_debug(a) ? "on or off" : "off", v->claims.debug ? "on" : "off");
}

static void check_attributes(clo_verdict *v)
{
    const uint64_t wanted = CLO_SGX_INIT | CLO_SGX_MODE64;
    const uint64_t unwanted = CLO_SGX_PROVISION_KEY | CLO_SGX_EINITTOKEN_KEY;
    uint64_t flags = v->claims.attribute_flags;
    (void)clo_verdict_note(
        v, CLO_RULE_POLICY_ATTRIBUTES, (flags & (wanted | unwanted)) == wanted, "quote",
        clo_check_format("flags 0x%llx and none of 0x%llx", (unsigned long long)wanted,
                         (unsigned long long)unwanted)
            .text,
        clo_check_format("0x%llx", (unsigned long long)flags).text);
}

static bool is_listed(const uint8_t (*list)[32], uint32_t count, const uint8_t value[32])
{
    for (uint32_t i = 0; i < count; i++) {
        if (memcmp(list[i], value, 32) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_signed_as_listed(const clo_appraisal *a, const clo_claims *c)
{
    for (uint32_t i = 0; i < a->signer_count; i++) {
        const clo_signer_rule *rule = &a->signers[i];
        if (memcmp(rule->signer, c->signer, sizeof c->signer) == 0 && rule->product == c->product &&
            rule->min_svn <= c->svn) {
            return true;
        }
    }
    return false;
}

static void check_measurement(const clo_appraisal *a, clo_verdict *v)
{
    const clo_claims *c = &v->claims;
    bool held = is_listed(a->measurements, a->measurement_count, c->measurement) ||
                is_signed_as_listed(a, c);
    clo_check_text expected = clo_check_format("one of %u measurements or %u signers",
                                               a->measurement_count, a->signer_count);
    if (a->measurement_count == 1 && a->signer_count == 0) {
        expected = clo_check_hex(CLO_SPAN_OF(a->measurements[0]));
    }
    (void)clo_verdict_note(v, CLO_RULE_POLICY_MEASUREMENT, held, "quote", expected.text,
                           clo_check_hex(CLO_SPAN_OF(c->measurement)).text);
}

static void check_tcb_status(const clo_appraisal *a, clo_verdict *v)
{
    bool held = false;
    for (uint32_t i = 0; i < a->tcb_status_count; i++) {
        held = held || (a->tcb_statuses[i] == v->claims.tcb && v->claims.tcb != CLO_TCB_UNKNOWN);
    }
    (void)clo_verdict_note(v, CLO_RULE_POLICY_TCB_STATUS, held, "tcb levels",
                           count_of(a->tcb_status_count, "statuses").text,
                           clo_tcb_name(v->claims.tcb));
}

static bool is_tolerated(const clo_appraisal *a, const char *advisory)
{
    for (uint32_t i = 0; i < a->advisory_count; i++) {
        if (strcmp(a->advisories[i], advisory) == 0) {
            return true;
        }
    }
    return false;
}

static void check_advisories(const clo_appraisal *a, clo_verdict *v)
{
    const clo_claims *c = &v->claims;
    const char *other = NULL;
    for (uint32_t i = 0; i < c->advisory_count && other == NULL; i++) {
        other = is_tolerated(a, c->advisory[i]) ? NULL : c->advisory[i];
    }
    (void)clo_verdict_note(v, CLO_RULE_POLICY_ADVISORIES, other == NULL, "tcb levels",
                           clo_check_format("none but %u tolerated", a->advisory_count).text,
                           other != NULL ? other
                                         : clo_check_format("%u of them", c->advisory_count).text);
}

static void check_evaluation(const clo_appraisal *a, clo_verdict *v)
{
    const clo_claims *c = &v->claims;
    uint32_t lower = c->tcb_evaluation < c->qe_evaluation ? c->tcb_evaluation : c->qe_evaluation;
    (void)clo_verdict_note(
        v, CLO_RULE_POLICY_EVALUATION, lower >= a->min_evaluation, "collateral",
        clo_check_format("number %u or more", a->min_evaluation).text,
        clo_check_format("tcb info %u, qe identity %u", c->tcb_evaluation, c->qe_evaluation).text);
}

static void check_collateral_age(const clo_appraisal *a, int64_t at, clo_verdict *v)
{
    if (a->max_collateral_age_s == 0) {
        clo_verdict_skip(v, CLO_RULE_POLICY_COLLATERAL_AGE, "collateral", "good until it expires");
        return;
    }
    int64_t issued = v->claims.earliest_issue;
    bool held = at <= issued || (uint64_t)(at - issued) <= a->max_collateral_age_s;
    (void)clo_verdict_note(
        v, CLO_RULE_POLICY_COLLATERAL_AGE, held, "collateral",
        clo_check_format("at most %llu s old", (unsigned long long)a->max_collateral_age_s).text,
        clo_check_format("issued %s", clo_check_time(issued).text).text);
}

static void check_platform(const clo_appraisal *a, clo_verdict *v)
{
    uint8_t id[32];
    clo_claims_platform_id(&v->claims, id);
    if (a->platform_count == 0) {
        clo_verdict_skip(v, CLO_RULE_POLICY_PLATFORM, "pck certificate", "any platform");
        return;
    }
    (void)clo_verdict_note(v, CLO_RULE_POLICY_PLATFORM,
                           is_listed(a->platforms, a->platform_count, id), "pck certificate",
                           count_of(a->platform_count, "platforms").text,
                           clo_check_hex(CLO_SPAN_OF(id)).text);
}

void clo_appraise(const clo_appraisal *appraisal, int64_t at, clo_verdict *verdict)
{
    if (!verdict->accepted || !verdict->has_claims) {
        verdict->accepted = false;
        return;
    }
    check_tee(appraisal, verdict);
    check_debug(appraisal, verdict);
    check_attributes(verdict);
    check_measurement(appraisal, verdict);
    check_tcb_status(appraisal, verdict);
    check_advisories(appraisal, verdict);
    check_evaluation(appraisal, verdict);
    check_collateral_age(appraisal, at, verdict);
    check_platform(appraisal, verdict);
}
