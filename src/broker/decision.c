/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks the table of conditions and stops at the first that fails (decision.h).
 */
#include "decision.h"

#include "conditions.h"

typedef enum { SCOPE_JOB, SCOPE_KEY, SCOPE_POLICY, SCOPE_FILE } condition_scope;

static const struct {
    const char *name;
    condition_scope scope;
    const char *summary;
} rows[CLO_CONDITION_COUNT] = {

#define CLO_CONDITION(id, scope, summary) [CLO_CONDITION_##id] = {#id, SCOPE_##scope, summary},
#include "conditions.inc"
#undef CLO_CONDITION
};

const char *clo_condition_name(clo_condition condition)
{
    return (unsigned)condition < CLO_CONDITION_COUNT ? rows[condition].name : "ALLOWED";
}

const char *clo_condition_summary(clo_condition condition)
{
    return (unsigned)condition < CLO_CONDITION_COUNT ? rows[condition].summary : "";
}

static bool ask(const clo_case *c, clo_condition condition, const clo_policy *policy,
                clo_decision *decision)
{
    clo_question q = {c, policy, decision->detail, sizeof decision->detail};
    decision->detail[0] = '\0';
    return clo_condition_functions[condition](&q);
}

/* The stored policy, then the header's unless a later version superseded it. */
static bool ask_policies(const clo_case *c, clo_condition condition, clo_decision *decision)
{
    if (c->policy != NULL && !ask(c, condition, c->policy, decision)) {
        return false;
    }
    if (c->header == NULL || c->header_policy == NULL || c->header_superseded) {
        return true;
    }
    decision->in_header = true;
    bool holds = ask(c, condition, c->header_policy, decision);
    decision->in_header = !holds;
    return holds;
}

static bool holds(const clo_case *c, clo_condition condition, clo_decision *decision)
{
    switch (rows[condition].scope) {
    case SCOPE_POLICY:
        return ask_policies(c, condition, decision);
    case SCOPE_FILE:
        return c->header == NULL || ask(c, condition, NULL, decision);
    case SCOPE_JOB:
    case SCOPE_KEY:
        return ask(c, condition, NULL, decision);
    }
    return false;
}

void clo_decide(const clo_case *c, clo_decision *out_decision)
{
    clo_decision decision = {.failed = CLO_CONDITION_COUNT};
    for (int i = 0; i < CLO_CONDITION_COUNT; i++) {
        clo_condition condition = (clo_condition)i;
        if (clo_condition_is_on(condition) && !holds(c, condition, &decision)) {
            decision.failed = condition;
            break;
        }
    }
    *out_decision = decision;
}

clo_status clo_decision_status(const clo_decision *decision)
{
    if (decision->failed == CLO_CONDITION_COUNT) {
        return CLO_STATUS_OK;
    }
    CLO_FAIL(CLO_DENIED, "%s: required%s: %s%s%s", clo_condition_name(decision->failed),
             decision->in_header ? " for the policy in the file" : "",
             clo_condition_summary(decision->failed), decision->detail[0] != '\0' ? "; " : "",
             decision->detail);
}
