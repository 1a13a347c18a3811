/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_ATTEST_VERDICT_H
#define CLO_ATTEST_VERDICT_H

/*
 * How a verifier writes a verdict: one line for every check, through one of four functions, so that
 * the rule gate, the record and the first failure are kept in one place.
 *
 *     CLO_TRY(clo_verdict_check(v, CLO_RULE_QUOTE_VERSION, version == 3, "quote", "3", actual));
 *
 * Invariants:
 *   - A rule that is switched off leaves no line and stops nothing.
 *   - The first failed line sets `failed`; nothing clears it.
 *   - Texts are cut to the line's fields, and every byte outside printable ASCII becomes '?': they
 *     may come from an attacker's certificate and end in a terminal or a JSON document.
 *   - A verdict whose lines are full fails: an unrecorded check would be an unexplained answer.
 *
 * Ownership: texts are copied. Threads: a verdict belongs to one thread.
 */
#include "cloister/attest.h"

/* Starts a verdict that refuses until clo_verdict_accept. */
void clo_verdict_start(clo_verdict *verdict);

/* Notes one check; false when it failed (and its rule is on). */
bool clo_verdict_note(clo_verdict *verdict, clo_rule rule, bool held, const char *source,
                      const char *expected, const char *actual);

/* Notes that a rule has nothing to look at. */
void clo_verdict_skip(clo_verdict *verdict, clo_rule rule, const char *source, const char *why);

/* The same as note, for walks that stop at the first failure: CLO_ATTEST or CLO_POLICY then. */
clo_status clo_verdict_check(clo_verdict *verdict, clo_rule rule, bool held, const char *source,
                             const char *expected, const char *actual);

/* Turns the status of a parser or of a signature check into a line. What is no answer about the
 * evidence (CLO_NOMEM, CLO_BUG) is handed on as it is. */
clo_status clo_verdict_judge(clo_verdict *verdict, clo_rule rule, clo_status status,
                             const char *source, const char *expected);

/* The same for objects that the walk cannot go on without: stops it also when the rule is off. */
clo_status clo_verdict_need(clo_verdict *verdict, clo_rule rule, clo_status status,
                            const char *source, const char *expected);

/* Accepts if nothing has failed. */
void clo_verdict_accept(clo_verdict *verdict);

/* Texts for lines, by value: they live until the end of the statement that makes them. */
typedef struct {
    char text[96];
} clo_check_text;

clo_check_text clo_check_hex(clo_span bytes);
clo_check_text clo_check_time(int64_t unix_seconds);
clo_check_text clo_check_format(const char *format, ...) CLO_PRINTF(1, 2);

#endif
