/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The harness itself: a failure must be seen, a skip must never count as a pass. Small programs of
 * tests are run in a child and their output is read.
 */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

static clo_status fails(void)
{
    CLO_FAIL(CLO_FORMAT, "bad header");
}

static void passes_well(void)
{
    T_OK(CLO_STATUS_OK);
    T_CODE(fails(), CLO_FORMAT);
    T_INT(2, 2);
    T_STR("a", "a");
    T_NEAR(1.0, 1.5, 0.5);
}

static void fails_by_status(void)
{
    T_OK(fails());
    T_INT(1, 2);
}

static void fails_by_code(void)
{
    T_CODE(fails(), CLO_CRYPTO);
}

static void fails_by_text(void)
{
    T_STR(NULL, "a");
}

static void fails_by_distance(void)
{
    T_NEAR(0.0 / 0.0, 0.0, 1e9);
}

static void is_skipped(void)
{
    T_SKIP("no %s here", "hardware");
}

static void fails_and_then_skips(void)
{
    clo_test_fail("f.c", 1, "broken");
    T_SKIP("hidden");
}

/* Runs the tests in a child; its output goes to `out_text`, its exit code is returned. */
static int run_in_child(const clo_test *tests, size_t count, const char *filter, char *out_text,
                        size_t size)
{
    char name[] = "program";
    char word[64];
    char *argv[] = {name, word, NULL};
    int ends[2];
    snprintf(word, sizeof word, "%s", filter == NULL ? "" : filter);
    fflush(stdout);
    CLO_ASSERT(pipe(ends) == 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        int code = clo_test_main(filter == NULL ? 1 : 2, argv, tests, count);
        fflush(stdout);
        _exit(code);
    }
    close(ends[1]);
    size_t at = 0;
    ssize_t got;
    while ((got = read(ends[0], out_text + at, size - 1 - at)) > 0) {
        at += (size_t)got;
    }
    out_text[at] = '\0';
    close(ends[0]);
    int status = 0;
    CLO_ASSERT(waitpid(child, &status, 0) == child && WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void passing_program_exits_zero(void)
{
    static const clo_test tests[] = {T(passes_well), T(is_skipped)};
    char text[2000];
    T_INT(run_in_child(tests, 2, NULL, text, sizeof text), 0);
    T_STR(text, "TAP version 13\n1..2\nok 1 - passes_well\n"
                "ok 2 - is_skipped # SKIP no hardware here\n");
}

static void every_kind_of_failure_is_seen(void)
{
    static const clo_test tests[] = {T(fails_by_status), T(fails_by_code), T(fails_by_text),
                                     T(fails_by_distance), T(fails_and_then_skips)};
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        char text[2000];
        T_INT(run_in_child(&tests[i], 1, NULL, text, sizeof text), 1);
        T_CHECK(strstr(text, "\nnot ok 1 - ") != NULL);
        T_CHECK(strstr(text, "SKIP") == NULL);
    }
}

static void failure_names_place_expected_and_found(void)
{
    static const clo_test tests[] = {T(passes_well), T(fails_by_status)};
    char text[2000];
    T_INT(run_in_child(tests, 2, NULL, text, sizeof text), 1);
    T_CHECK(strstr(text, "ok 1 - passes_well\nnot ok 2 - fails_by_status\n# ") != NULL);
    T_CHECK(strstr(text, "test_base_harness.c:") != NULL);
    T_CHECK(strstr(text, "fails(): bad header") != NULL);
}

static void filter_runs_only_what_it_names(void)
{
    static const clo_test tests[] = {T(passes_well), T(fails_by_code)};
    char text[2000];
    T_INT(run_in_child(tests, 2, "well", text, sizeof text), 0);
    T_STR(text, "TAP version 13\n1..1\nok 1 - passes_well\n");
    T_INT(run_in_child(tests, 2, "code", text, sizeof text), 1);
}

static void sources_are_found_and_absent_vectors_are_told(void)
{
    T_CHECK(clo_file_exists(clo_test_source("include/cloister/base.h")));
    T_CHECK(!clo_file_exists(clo_test_source("no/such/file")));
    T_CHECK(clo_test_shared("no/such/file") == NULL);
}

static void folders_are_new_each_time(void)
{
    const char *a = clo_test_folder();
    const char *b = clo_test_folder();
    T_CHECK(strcmp(a, b) != 0 && clo_file_exists(a) && clo_file_exists(b));
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(passing_program_exits_zero),
        T(every_kind_of_failure_is_seen),
        T(failure_names_place_expected_and_found),
        T(filter_runs_only_what_it_names),
        T(sources_are_found_and_absent_vectors_are_told),
        T(folders_are_new_each_time),
    };
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
