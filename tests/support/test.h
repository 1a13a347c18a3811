/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_TEST_H
#define CLO_TEST_H

/*
 * The test harness: TAP on standard output, one program a topic.
 *
 *     static void rejects_truncated_quote(void)
 *     {
 *         T_CODE(clo_quote_parse(span, &quote), CLO_FORMAT);   one test point a T_ line
 *     }
 *
 *     int main(int argc, char **argv)
 *     {
 *         static const clo_test tests[] = {T(rejects_truncated_quote)};
 *         return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
 *     }
 *
 * A test is one function named as a sentence, and one TAP point: it passes when every T_ line in it
 * held. The first T_ line that fails prints what was expected and found, and leaves the function.
 * With arguments only the tests whose names contain one of them run. A test that needs what this
 * machine lacks calls T_SKIP, which is counted and printed, never passed.
 *
 * Threads: T_ macros belong to the thread that runs the test.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cloister/base.h"

typedef struct {
    const char *name;
    void (*run)(void);
} clo_test;

#define T(function)                                                                                \
    {                                                                                              \
#        function, function                                                                        \
    }

/* Runs the tests and returns the process's exit code: 0 when none failed. */
int clo_test_main(int argc, char **argv, const clo_test *tests, size_t count);

/* Marks the running test failed or skipped; used through the macros. */
void clo_test_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void clo_test_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Path of a file of the source tree, or of ../shared beside it (NULL when it is not there).
 * Valid until the fourth following call. */
const char *clo_test_source(const char *relative);
const char *clo_test_shared(const char *relative);

/* A new empty folder, removed with its contents when the program ends. Never NULL. */
const char *clo_test_folder(void);

/* Reads a whole file into `out` or fails the program: for fixtures. */
void clo_test_read(const char *path, clo_buf *out);

#define T_CHECK(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            clo_test_fail(__FILE__, __LINE__, "expected %s", #condition);                          \
            return;                                                                                \
        }                                                                                          \
    } while (0)

#define T_OK(expression)                                                                           \
    do {                                                                                           \
        clo_status t_status = (expression);                                                        \
        if (!clo_ok(t_status)) {                                                                   \
            char t_text[1024];                                                                     \
            clo_status_text(t_status, t_text, sizeof t_text);                                      \
            clo_test_fail(__FILE__, __LINE__, "%s: %s", #expression, t_text);                      \
            return;                                                                                \
        }                                                                                          \
    } while (0)

#define T_CODE(expression, expected)                                                               \
    do {                                                                                           \
        clo_status t_status = (expression);                                                        \
        if (t_status.code != (int32_t)(expected)) {                                                \
            char t_text[1024];                                                                     \
            clo_status_text(t_status, t_text, sizeof t_text);                                      \
            clo_test_fail(__FILE__, __LINE__, "%s: expected %s, found %s (%s)", #expression,       \
                          clo_code_name(expected), clo_code_name(t_status.code), t_text);          \
            return;                                                                                \
        }                                                                                          \
    } while (0)

#define T_INT(actual, expected)                                                                    \
    do {                                                                                           \
        long long t_actual = (long long)(actual), t_expected = (long long)(expected);              \
        if (t_actual != t_expected) {                                                              \
            clo_test_fail(__FILE__, __LINE__, "%s: expected %lld, found %lld", #actual,            \
                          t_expected, t_actual);                                                   \
            return;                                                                                \
        }                                                                                          \
    } while (0)

#define T_NEAR(actual, expected, tolerance)                                                        \
    do {                                                                                           \
        double t_actual = (double)(actual), t_expected = (double)(expected);                       \
        double t_gap = t_actual - t_expected;                                                      \
        if (!(t_gap <= (double)(tolerance) && -t_gap <= (double)(tolerance))) {                    \
            clo_test_fail(__FILE__, __LINE__, "%s: expected %.9g within %g, found %.9g", #actual,  \
                          t_expected, (double)(tolerance), t_actual);                              \
            return;                                                                                \
        }                                                                                          \
    } while (0)

#define T_STR(actual, expected)                                                                    \
    do {                                                                                           \
        const char *t_actual = (actual), *t_expected = (expected);                                 \
        if (t_actual == NULL || __builtin_strcmp(t_actual, t_expected) != 0) {                     \
            clo_test_fail(__FILE__, __LINE__, "%s: expected '%s', found '%s'", #actual,            \
                          t_expected, t_actual ? t_actual : "(null)");                             \
            return;                                                                                \
        }                                                                                          \
    } while (0)

#define T_SKIP(...)                                                                                \
    do {                                                                                           \
        clo_test_skip(__VA_ARGS__);                                                                \
        return;                                                                                    \
    } while (0)

#endif
