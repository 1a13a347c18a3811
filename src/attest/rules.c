/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of the rules, made from the one list in cloister/attest_rules.inc. A rule is known to
 * people, to the tests that kill it and to recorded verdicts by its name; its number may change.
 */
#include "cloister/attest.h"

typedef struct {
    const char *name;
    const char *summary;
} rule_text;

static const rule_text rules[CLO_RULE_COUNT] = {
#define CLO_RULE(id, text) [CLO_RULE_##id] = {#id, text},
#include "cloister/attest_rules.inc"
#undef CLO_RULE
};

const char *clo_rule_name(clo_rule rule)
{
    return (unsigned)rule < CLO_RULE_COUNT ? rules[rule].name : "none";
}

const char *clo_rule_summary(clo_rule rule)
{
    return (unsigned)rule < CLO_RULE_COUNT ? rules[rule].summary : "no rule failed";
}
