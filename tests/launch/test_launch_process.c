/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One child: what it is started with, how its end is told, and that none is left behind.
 */
#include "process_rig.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* ---------------------------------------------------------------- start and end --------------- */

static void the_exit_code_is_told(void)
{
    CLO_AUTO_PTR(clo_process) good = NULL;
    CLO_AUTO_PTR(clo_process) bad = NULL;
    int code = -1;
    T_OK(rig_start("exit 0", false, false, &good));
    T_OK(clo_process_wait(good, clo_deadline_in(RIG_PATIENCE_MS), &code));
    T_INT(code, 0);
    T_OK(rig_start("exit 7", false, false, &bad));
    T_OK(clo_process_wait(bad, clo_deadline_in(RIG_PATIENCE_MS), &code));
    T_INT(code, 7);
    T_OK(clo_process_wait(bad, clo_deadline_in(0), &code));
    T_INT(code, 7);
}

static void a_signal_is_told_as_128_and_its_number(void)
{
    CLO_AUTO_PTR(clo_process) process = NULL;
    int code = -1;
    T_OK(rig_start("kill -KILL $$", false, false, &process));
    T_OK(clo_process_wait(process, clo_deadline_in(RIG_PATIENCE_MS), &code));
    T_INT(code, 128 + SIGKILL);
}

static void waiting_ends_at_its_deadline_and_may_go_on(void)
{
    CLO_AUTO_PTR(clo_process) process = NULL;
    int code = -1;
    T_OK(rig_start("sleep 0.3", false, false, &process));
    T_CODE(clo_process_wait(process, clo_deadline_in(20), &code), CLO_TIMEOUT);
    T_INT(code, -1);
    T_OK(clo_process_wait(process, clo_deadline_in(RIG_PATIENCE_MS), &code));
    T_INT(code, 0);
}

static void a_program_that_is_not_there_is_refused_by_name(void)
{
    clo_process *process = NULL;
    clo_process_options options = {.program = "/nowhere/cloister-tee"};
    char text[512];
    clo_status status = clo_process_start(&options, &process);
    T_CODE(status, CLO_NOTFOUND);
    clo_status_text(status, text, sizeof text);
    T_STR(text, "no program at '/nowhere/cloister-tee'");
    T_CHECK(process == NULL);
}

static void a_file_that_is_no_program_ends_with_127(void)
{
    char path[1024];
    CLO_AUTO_PTR(clo_process) process = NULL;
    CLO_AUTO(clo_buf) told = CLO_BUF_INIT;
    int code = -1;
    T_OK(clo_path_join(path, sizeof path, clo_test_folder(), "program"));
    T_OK(clo_file_write(path, 0700, clo_span_of_str("not a program\n")));
    clo_process_options options = {.program = path, .capture_err = true};
    T_OK(clo_process_start(&options, &process));
    T_OK(rig_read_all(clo_process_err(process), &told));
    T_OK(clo_process_wait(process, clo_deadline_in(RIG_PATIENCE_MS), &code));
    T_INT(code, 127);
    T_CHECK(clo_span_equals_str(clo_buf_span(&told), "cannot execute the program\n"));
}

/* ---------------------------------------------------------------- what a child gets ----------- */

static void arguments_arrive_as_they_are(void)
{
    const char *words[] = {"-c", "printf '<%s>' \"$@\"", "sh", "a b", "", "$HOME", "*", NULL};
    clo_process_options options = {.program = "/bin/sh", .arguments = words, .capture_out = true};
    CLO_AUTO_PTR(clo_process) process = NULL;
    CLO_AUTO(clo_buf) told = CLO_BUF_INIT;
    T_OK(clo_process_start(&options, &process));
    T_OK(rig_read_all(clo_process_out(process), &told));
    T_STR(clo_buf_str(&told), "<a b><><$HOME><*>");
}

static void too_many_arguments_are_refused(void)
{
    const char *words[300] = {NULL};
    clo_process_options options = {.program = "/bin/true", .arguments = words};
    clo_process *process = NULL;
    for (size_t i = 0; i < 254; i++) {
        words[i] = "x";
    }
    T_OK(clo_process_start(&options, &process));
    clo_process_end(process);
    process = NULL;
    words[254] = "x";
    T_CODE(clo_process_start(&options, &process), CLO_LIMIT);
    T_CHECK(process == NULL);
}

static void the_environment_is_the_one_given_and_no_more(void)
{
    const char *const given[] = {"ONE=1", "TWO=zwei", NULL};
    clo_process_options options = {
        .program = "/usr/bin/env", .environment = given, .capture_out = true};
    CLO_AUTO_PTR(clo_process) process = NULL;
    CLO_AUTO(clo_buf) told = CLO_BUF_INIT;
    T_OK(clo_process_start(&options, &process));
    T_OK(rig_read_all(clo_process_out(process), &told));
    T_STR(clo_buf_str(&told), "ONE=1\nTWO=zwei\n");
}

static void without_one_the_environment_is_the_caller_s(void)
{
    CLO_AUTO_PTR(clo_process) process = NULL;
    CLO_AUTO(clo_buf) told = CLO_BUF_INIT;
    setenv("CLO_TEST_MARK", "here", 1);
    T_OK(rig_start("echo $CLO_TEST_MARK", true, false, &process));
    unsetenv("CLO_TEST_MARK");
    T_OK(rig_read_all(clo_process_out(process), &told));
    T_STR(clo_buf_str(&told), "here\n");
}

static void captured_streams_are_told_apart_and_others_are_minus_1(void)
{
    CLO_AUTO_PTR(clo_process) both = NULL;
    CLO_AUTO_PTR(clo_process) neither = NULL;
    CLO_AUTO(clo_buf) out = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) err = CLO_BUF_INIT;
    T_OK(rig_start("echo said; echo warned >&2", true, true, &both));
    T_OK(rig_read_all(clo_process_out(both), &out));
    T_OK(rig_read_all(clo_process_err(both), &err));
    T_STR(clo_buf_str(&out), "said\n");
    T_STR(clo_buf_str(&err), "warned\n");
    T_OK(rig_start("exit 0", false, false, &neither));
    T_INT(clo_process_out(neither), -1);
    T_INT(clo_process_err(neither), -1);
}

static void signals_are_as_a_new_program_expects_them(void)
{
    const char *words[] = {"-E", "^Sig(Blk|Ign)", "/proc/self/status", NULL};
    clo_process_options options = {.program = "/bin/grep", .arguments = words, .capture_out = true};
    CLO_AUTO_PTR(clo_process) process = NULL;
    CLO_AUTO(clo_buf) told = CLO_BUF_INIT;
    sigset_t usr1, before;
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    sigprocmask(SIG_BLOCK, &usr1, &before);
    (void)signal(SIGPIPE, SIG_IGN);
    clo_status started = clo_process_start(&options, &process);
    (void)signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &before, NULL);
    T_OK(started);
    T_OK(rig_read_all(clo_process_out(process), &told));
    const char *text = clo_buf_str(&told);
    unsigned long long blocked = 1, ignored = 1ull << (SIGPIPE - 1);
    T_INT(sscanf(text, "SigBlk: %llx SigIgn: %llx", &blocked, &ignored), 2);
    T_INT(blocked, 0);
    T_INT(ignored >> (SIGPIPE - 1) & 1, 0);
}

static void a_child_does_not_hold_another_s_pipe_open(void)
{
    CLO_AUTO_PTR(clo_process) first = NULL;
    CLO_AUTO_PTR(clo_process) second = NULL;
    CLO_AUTO(clo_buf) told = CLO_BUF_INIT;
    T_OK(rig_start("exec sleep 60", true, true, &first));
    T_OK(rig_start("exec sleep 60", true, true, &second));
    clo_process_signal(first, SIGTERM);
    T_OK(rig_read_all(clo_process_out(first), &told));
    T_INT(told.size, 0);
}

static void a_start_without_descriptors_leaves_none_open(void)
{
    struct rlimit all, few;
    clo_process *process = NULL;
    int before = rig_open_descriptors();
    int lowest = dup(0);
    close(lowest);
    getrlimit(RLIMIT_NOFILE, &all);
    few = all;
    few.rlim_cur = (rlim_t)lowest + 2; /* one pipe fits, a second one does not */
    setrlimit(RLIMIT_NOFILE, &few);
    clo_status status = rig_start("exit 0", true, true, &process);
    setrlimit(RLIMIT_NOFILE, &all);
    T_CODE(status, CLO_IO);
    T_INT(rig_open_descriptors(), before);
}

/* ---------------------------------------------------------------- none left behind ------------ */

static void stop_ends_a_child_and_frees_its_number(void)
{
    clo_process *process = NULL;
    int before = rig_open_descriptors();
    T_OK(rig_start("exec sleep 60", true, true, &process));
    int pid = clo_process_id(process);
    int64_t begin = clo_clock_ms();
    clo_process_stop(process, 5000);
    T_CHECK(clo_clock_ms() - begin < 3000);
    T_CHECK(rig_is_gone(pid));
    T_INT(rig_open_descriptors(), before);
}

static void stop_gives_a_child_time_to_end_by_itself(void)
{
    CLO_AUTO(clo_buf) told = CLO_BUF_INIT;
    clo_process *process = NULL;
    T_OK(rig_start("trap 'echo tidied; exit 0' TERM; echo ready; while :; do sleep 0.02; done",
                   true, false, &process));
    int fd = dup(clo_process_out(process));
    T_OK(clo_fd_wait(fd, POLLIN, clo_deadline_in(RIG_PATIENCE_MS)));
    clo_process_stop(process, 5000);
    clo_status read = rig_read_all(fd, &told);
    close(fd);
    T_OK(read);
    T_STR(clo_buf_str(&told), "ready\ntidied\n");
}

static void stop_kills_a_child_that_does_not_listen(void)
{
    clo_process *process = NULL;
    T_OK(
        rig_start("trap '' TERM; echo ready; while :; do sleep 0.02; done", true, false, &process));
    T_OK(clo_fd_wait(clo_process_out(process), POLLIN, clo_deadline_in(RIG_PATIENCE_MS)));
    int pid = clo_process_id(process);
    int64_t begin = clo_clock_ms();
    clo_process_stop(process, 100);
    int64_t took = clo_clock_ms() - begin;
    T_CHECK(took >= 100 && took < 3000);
    T_CHECK(rig_is_gone(pid));
}

static void stopping_what_has_ended_or_never_was_does_nothing(void)
{
    clo_process *process = NULL;
    int code = -1;
    T_OK(rig_start("exit 3", false, false, &process));
    T_OK(clo_process_wait(process, clo_deadline_in(RIG_PATIENCE_MS), &code));
    clo_process_signal(process, SIGKILL);
    T_OK(clo_process_wait(process, clo_deadline_in(0), &code));
    T_INT(code, 3);
    clo_process_stop(process, 5000);
    clo_process_stop(NULL, 5000);
}

/* A parent that dies without a word. Tells its child's number through `fd` first. */
_Noreturn static void die_as_a_parent(int fd)
{
    clo_process *child = NULL;
    int pid = -1;
    if (clo_ok(rig_start("exec sleep 60", false, false, &child))) {
        pid = clo_process_id(child);
    }
    clo_sleep_ms(100); /* until it is `sleep` */
    (void)!write(fd, &pid, sizeof pid);
    _exit(0);
}

static void a_child_does_not_outlive_its_parent(void)
{
    int ends[2], child = -1, state = 0;
    T_INT(pipe2(ends, O_CLOEXEC), 0);
    T_INT(prctl(PR_SET_CHILD_SUBREAPER, 1), 0); /* the orphan becomes ours to wait for */
    pid_t parent = fork();
    if (parent == 0) {
        die_as_a_parent(ends[1]);
    }
    close(ends[1]);
    ssize_t got = read(ends[0], &child, sizeof child);
    close(ends[0]);
    T_INT(waitpid(parent, &state, 0), parent);
    T_CHECK(got == sizeof child && child > 0);
    pid_t ended = 0;
    clo_deadline deadline = clo_deadline_in(RIG_PATIENCE_MS);
    while (ended == 0 && !clo_deadline_passed(deadline)) {
        ended = waitpid(child, &state, WNOHANG);
        clo_sleep_ms(5);
    }
    T_INT(ended, child);
    T_CHECK(WIFSIGNALED(state) && WTERMSIG(state) == SIGTERM);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(the_exit_code_is_told),
        T(a_signal_is_told_as_128_and_its_number),
        T(waiting_ends_at_its_deadline_and_may_go_on),
        T(a_program_that_is_not_there_is_refused_by_name),
        T(a_file_that_is_no_program_ends_with_127),
        T(arguments_arrive_as_they_are),
        T(too_many_arguments_are_refused),
        T(the_environment_is_the_one_given_and_no_more),
        T(without_one_the_environment_is_the_caller_s),
        T(captured_streams_are_told_apart_and_others_are_minus_1),
        T(signals_are_as_a_new_program_expects_them),
        T(a_child_does_not_hold_another_s_pipe_open),
        T(a_start_without_descriptors_leaves_none_open),
        T(stop_ends_a_child_and_frees_its_number),
        T(stop_gives_a_child_time_to_end_by_itself),
        T(stop_kills_a_child_that_does_not_listen),
        T(stopping_what_has_ended_or_never_was_does_nothing),
        T(a_child_does_not_outlive_its_parent),
    };
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
