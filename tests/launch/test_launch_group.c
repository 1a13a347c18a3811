/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several children: their lines, in which order they end, and what one failure does to the others.
 */
#include "process_rig.h"
#include "test.h"

#include <stdio.h>

#define PROCESSES 3
#define LINES     64

typedef struct {
    size_t process;
    clo_stream stream;
    size_t size;
    char text[64];
} heard_line;

/* What the callbacks of one run were told. */
typedef struct {
    heard_line lines[LINES];
    size_t line_count;
    int codes[PROCESSES];
    size_t lines_at_end[PROCESSES];
    bool stop;
    const char *stop_at; /* the line at which `stop` becomes true */
    int64_t ended_ms;
} heard;

static void hear_line(void *arg, size_t process, clo_stream stream, clo_span line)
{
    heard *h = arg;
    if (h->line_count < LINES) {
        heard_line *kept = &h->lines[h->line_count++];
        *kept = (heard_line){.process = process, .stream = stream, .size = line.size};
        size_t size = line.size < sizeof kept->text ? line.size : sizeof kept->text - 1;
        for (size_t i = 0; i < size; i++) {
            kept->text[i] = (char)line.data[i];
        }
    }
    h->stop = h->stop || (h->stop_at && clo_span_equals_str(line, h->stop_at));
}

static void hear_end(void *arg, size_t process, int exit_code)
{
    heard *h = arg;
    h->codes[process] = exit_code;
    h->lines_at_end[process] = h->line_count;
}

static const heard_line *find_line(const heard *h, size_t process, const char *text)
{
    for (size_t i = 0; i < h->line_count; i++) {
        if (h->lines[i].process == process && strcmp(h->lines[i].text, text) == 0) {
            return &h->lines[i];
        }
    }
    return NULL;
}

/* Starts the scripts and runs them as a group; a script that is NULL ends the list. */
static clo_status run_group(const char *const scripts[PROCESSES], int64_t grace_ms,
                            int64_t deadline_ms, heard *out_heard)
{
    clo_process *processes[PROCESSES] = {NULL};
    size_t count = 0;
    clo_status status = CLO_STATUS_OK;
    for (; count < PROCESSES && scripts[count] && clo_ok(status); count++) {
        status = rig_start(scripts[count], true, true, &processes[count]);
    }
    clo_process_group_options options = {.line = hear_line,
                                         .ended = hear_end,
                                         .stop = &out_heard->stop,
                                         .grace_ms = grace_ms,
                                         .arg = out_heard};
    int64_t begin = clo_clock_ms();
    if (clo_ok(status)) {
        status = clo_process_group_run(processes, count, &options, clo_deadline_in(deadline_ms));
    }
    out_heard->ended_ms = clo_clock_ms() - begin;
    for (size_t i = 0; i < count; i++) {
        clo_process_stop(processes[i], 1000);
    }
    return status;
}

#define SCRIPTS(...) ((const char *const[PROCESSES]){__VA_ARGS__})

/* ---------------------------------------------------------------- lines ----------------------- */

static void lines_come_with_their_process_and_stream(void)
{
    heard h = {0};
    T_OK(run_group(SCRIPTS("echo a; echo b >&2", "echo a; echo c", "echo d >&2"), 0,
                   RIG_PATIENCE_MS, &h));
    T_INT(h.line_count, 5);
    T_CHECK(find_line(&h, 0, "a") && find_line(&h, 0, "a")->stream == CLO_STREAM_OUT);
    T_CHECK(find_line(&h, 0, "b") && find_line(&h, 0, "b")->stream == CLO_STREAM_ERR);
    T_CHECK(find_line(&h, 1, "a") && find_line(&h, 1, "c"));
    T_CHECK(find_line(&h, 2, "d") && find_line(&h, 2, "d")->stream == CLO_STREAM_ERR);
}

static void an_empty_line_and_a_last_one_without_its_end_are_lines(void)
{
    heard h = {0};
    T_OK(run_group(SCRIPTS("printf 'one\\n\\nthree'"), 0, RIG_PATIENCE_MS, &h));
    T_INT(h.line_count, 3);
    T_STR(h.lines[0].text, "one");
    T_INT(h.lines[1].size, 0);
    T_STR(h.lines[2].text, "three");
}

static void a_line_written_in_pieces_comes_whole(void)
{
    heard h = {0};
    T_OK(run_group(SCRIPTS("printf on; sleep 0.1; printf 'e\\ntw'; sleep 0.1; printf 'o\\n'"), 0,
                   RIG_PATIENCE_MS, &h));
    T_INT(h.line_count, 2);
    T_STR(h.lines[0].text, "one");
    T_STR(h.lines[1].text, "two");
}

static void a_line_above_64_kib_is_cut(void)
{
    heard h = {0};
    T_OK(run_group(SCRIPTS("head -c 65536 /dev/zero; echo; head -c 65537 /dev/zero; echo"), 0,
                   RIG_PATIENCE_MS, &h));
    T_INT(h.line_count, 3);
    T_INT(h.lines[0].size, 65536);
    T_INT(h.lines[1].size, 65536);
    T_INT(h.lines[2].size, 1);
}

static void every_line_comes_before_its_process_has_ended(void)
{
    heard h = {0};
    T_OK(run_group(SCRIPTS("for i in 1 2 3 4 5 6 7 8 9 10; do echo x; done"), 0, RIG_PATIENCE_MS,
                   &h));
    T_INT(h.line_count, 10);
    T_INT(h.lines_at_end[0], 10);
}

/* ---------------------------------------------------------------- ends ------------------------ */

static void a_group_of_none_is_done(void)
{
    heard h = {0};
    T_OK(run_group(SCRIPTS(NULL), 0, RIG_PATIENCE_MS, &h));
}

static void the_first_failure_is_named(void)
{
    heard h = {.codes = {-1, -1, -1}};
    clo_status status =
        run_group(SCRIPTS("sleep 0.3", "exit 5", "sleep 0.3; exit 6"), 5000, RIG_PATIENCE_MS, &h);
    char text[256];
    T_CODE(status, CLO_DENIED);
    clo_status_text(status, text, sizeof text);
    T_STR(text, "process 2 of 3 ended with code 5");
    T_INT(h.codes[0], 0);
    T_INT(h.codes[1], 5);
    T_INT(h.codes[2], 6);
}

static void after_a_failure_the_others_get_their_grace(void)
{
    heard h = {0};
    T_CODE(run_group(SCRIPTS("sleep 0.1; exit 1", "sleep 0.5; echo by myself"), 5000,
                     RIG_PATIENCE_MS, &h),
           CLO_DENIED);
    T_CHECK(find_line(&h, 1, "by myself"));
    T_INT(h.codes[1], 0);
}

static void after_their_grace_the_others_are_stopped(void)
{
    heard h = {0};
    T_CODE(run_group(SCRIPTS("exit 1", "exec sleep 60", "exec sleep 60"), 200, RIG_PATIENCE_MS, &h),
           CLO_DENIED);
    T_CHECK(h.ended_ms >= 200 && h.ended_ms < 3000);
    T_INT(h.codes[1], 128 + SIGTERM);
    T_INT(h.codes[2], 128 + SIGTERM);
}

static void a_group_without_failure_is_left_alone(void)
{
    heard h = {0};
    T_OK(run_group(SCRIPTS("exit 0", "sleep 0.5; echo late"), 0, RIG_PATIENCE_MS, &h));
    T_CHECK(find_line(&h, 1, "late"));
}

static void the_stop_flag_ends_all_of_them(void)
{
    static const char gentle[] =
        "trap 'echo tidied; exit 0' TERM; echo ready; while :; do sleep 0.02; done";
    heard h = {.stop_at = "ready"};
    T_OK(run_group(SCRIPTS(gentle), 60000, RIG_PATIENCE_MS, &h));
    T_CHECK(find_line(&h, 0, "tidied"));
    T_CHECK(h.ended_ms < 3000);
}

static void the_deadline_ends_all_of_them(void)
{
    heard h = {0};
    T_CODE(run_group(SCRIPTS("exec sleep 60", "exec sleep 60"), 60000, 200, &h), CLO_TIMEOUT);
    T_CHECK(h.ended_ms >= 200 && h.ended_ms < 3000);
    T_INT(h.codes[0], 128 + SIGTERM);
}

static void the_deadline_holds_when_somebody_else_keeps_the_stream(void)
{
    heard h = {0};
    T_CODE(run_group(SCRIPTS("sleep 8 & exit 0"), 60000, 200, &h), CLO_TIMEOUT);
    T_CHECK(h.ended_ms >= 200 && h.ended_ms < 3000);
}

static void streams_that_are_not_captured_are_no_matter(void)
{
    clo_process *processes[1] = {NULL};
    heard h = {0};
    clo_process_group_options options = {.line = hear_line, .ended = hear_end, .arg = &h};
    T_OK(rig_start("exit 0", false, false, &processes[0]));
    clo_status status =
        clo_process_group_run(processes, 1, &options, clo_deadline_in(RIG_PATIENCE_MS));
    clo_process_stop(processes[0], 1000);
    T_OK(status);
    T_INT(h.line_count, 0);
}

static void more_than_64_processes_are_refused(void)
{
    clo_process *none[65] = {NULL};
    clo_process_group_options options = {.line = hear_line};
    T_CODE(clo_process_group_run(none, 65, &options, clo_deadline_in(0)), CLO_LIMIT);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(lines_come_with_their_process_and_stream),
        T(an_empty_line_and_a_last_one_without_its_end_are_lines),
        T(a_line_written_in_pieces_comes_whole),
        T(a_line_above_64_kib_is_cut),
        T(every_line_comes_before_its_process_has_ended),
        T(a_group_of_none_is_done),
        T(the_first_failure_is_named),
        T(after_a_failure_the_others_get_their_grace),
        T(after_their_grace_the_others_are_stopped),
        T(a_group_without_failure_is_left_alone),
        T(the_stop_flag_ends_all_of_them),
        T(the_deadline_ends_all_of_them),
        T(the_deadline_holds_when_somebody_else_keeps_the_stream),
        T(streams_that_are_not_captured_are_no_matter),
        T(more_than_64_processes_are_refused),
    };
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
