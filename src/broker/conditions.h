/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_BROKER_CONDITIONS_H
#define CLO_BROKER_CONDITIONS_H

/*
 * conditions: the functions behind the rows of conditions.inc. Each answers one question and, where
 * it helps, writes what was expected and found. A condition that asks about something absent (no
 * policy, no approval, no header) holds: that it is absent is another row's question.
 *
 * Threads: pure.
 */
#include "decision.h"

/* One question: the case, the policy that is asked (stored or header's; NULL for scopes without).
 */
typedef struct {
    const clo_case *c;
    const clo_policy *policy;
    char *detail;
    size_t detail_size;
} clo_question;

typedef bool (*clo_condition_fn)(const clo_question *q);

extern const clo_condition_fn clo_condition_functions[CLO_CONDITION_COUNT];

#endif
