/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measurement: the file on disk and the process started from it agree; an unchanged copy measures
 * the same, a copy with one byte changed or a preloaded library does not; what is gone is refused.
 *
 * The helper program is this program itself: started with "--helper" it says that it runs and waits
 * for the end of its input.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cloister/sim.h"
#include "sim_measure.h"
#include "test.h"

/* One byte of this text is what a changed copy changes: it stands once in the file. */
static const volatile char marker[] = "this byte makes another program: A";

static long fail_at = -1;
static long allocations;

bool clo_mem_should_fail(void)
{
    return ++allocations == fail_at;
}

typedef struct {
    pid_t pid;
    int input, output;
} helper;

static void helper_cleanup(helper *h)
{
    if (h->pid > 0) {
        close(h->input);
        close(h->output);
        waitpid(h->pid, NULL, 0);
    }
}

/* Starts the program at `path` as helper with one environment entry (NULL: none) and waits until
 * it runs. */
static clo_status start(const char *path, const char *entry, helper *out)
{
    char program[512], flag[] = "--helper", text[512],
                       asan[] = "ASAN_OPTIONS=verify_asan_link_order=0";
    snprintf(program, sizeof program, "%s", path);
    snprintf(text, sizeof text, "%s", entry == NULL ? "" : entry);
    char *const arguments[] = {program, flag, NULL};
    char *const environment[] = {entry == NULL ? NULL : text, asan, NULL};
    int in[2], from[2];
    CLO_CHECK(pipe2(in, O_CLOEXEC) == 0 && pipe2(from, O_CLOEXEC) == 0, CLO_IO, "pipe");
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, from[1], 1);
    int error = posix_spawn(&out->pid, path, &actions, NULL, arguments, environment);
    posix_spawn_file_actions_destroy(&actions);
    close(in[0]);
    close(from[1]);
    out->input = in[1];
    out->output = from[0];
    CLO_CHECK(error == 0, CLO_IO, "spawn '%s': %s", path, strerror(error));
    char byte = 0;
    CLO_TRY(clo_fd_wait(out->output, POLLIN, clo_deadline_in(10000)));
    CLO_CHECK(read(out->output, &byte, 1) == 1 && byte == 'r', CLO_IO, "the helper does not run");
    return CLO_STATUS_OK;
}

/* A copy of this program, with the marker's last letter changed when `letter` is not 'A'. */
static clo_status copy_self(const char *path, char letter)
{
    CLO_AUTO(clo_buf) bytes = CLO_BUF_LIMIT(256 << 20);
    CLO_TRY(clo_file_read("/proc/self/exe", 256 << 20, &bytes));
    char text[sizeof marker];
    for (size_t i = 0; i < sizeof marker; i++) {
        text[i] = marker[i];
    }
    uint8_t *at = memmem(bytes.data, bytes.size, text, sizeof text);
    CLO_CHECK(at != NULL, CLO_BUG, "the marker is not in the program");
    at[sizeof text - 2] = (uint8_t)letter;
    return clo_file_write(path, 0700, clo_buf_span(&bytes));
}

static const char *in_folder(const char *name)
{
    static char paths[4][1024];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", clo_test_folder(), name);
    return path;
}

static clo_status measure_started(const char *path, const char *entry, uint8_t out[32])
{
    CLO_AUTO(helper) h = {0};
    CLO_TRY(start(path, entry, &h));
    return clo_sim_measure_process(h.pid, out);
}

static void file_and_process_agree(void)
{
    uint8_t file[32], process[32];
    const char *path = in_folder("program");
    T_OK(copy_self(path, 'A'));
    T_OK(clo_sim_measure_file(path, file));
    T_OK(measure_started(path, NULL, process));
    T_CHECK(memcmp(file, process, 32) == 0);
}

static void this_program_agrees_with_its_file(void)
{
    uint8_t file[32], process[32], child_of[32];
    T_OK(clo_sim_measure_file("/proc/self/exe", file));
    T_OK(clo_sim_measure_process(getpid(), process));
    T_CHECK(memcmp(file, process, 32) == 0);
    int ends[2];
    T_INT(pipe2(ends, O_CLOEXEC), 0);
    pid_t child = fork();
    if (child == 0) {
        char byte;
        close(ends[1]);
        _exit(read(ends[0], &byte, 1) == 0 ? 0 : 1);
    }
    close(ends[0]);
    clo_status status = clo_sim_measure_process(child, child_of);
    close(ends[1]);
    waitpid(child, NULL, 0);
    T_OK(status);
    T_CHECK(memcmp(file, child_of, 32) == 0);
}

static void an_unchanged_copy_measures_the_same(void)
{
    uint8_t own[32], copy[32];
    const char *path = in_folder("another-name");
    T_OK(copy_self(path, 'A'));
    T_OK(clo_sim_measure_file("/proc/self/exe", own));
    T_OK(clo_sim_measure_file(path, copy));
    T_CHECK(memcmp(own, copy, 32) == 0);
}

static void one_changed_byte_measures_differently(void)
{
    uint8_t own[32], file[32], process[32];
    const char *path = in_folder("changed");
    T_OK(copy_self(path, 'B'));
    T_OK(clo_sim_measure_file("/proc/self/exe", own));
    T_OK(clo_sim_measure_file(path, file));
    T_OK(measure_started(path, NULL, process));
    T_CHECK(memcmp(own, file, 32) != 0);
    T_CHECK(memcmp(file, process, 32) == 0);
}

static void a_preloaded_library_measures_differently(void)
{
    uint8_t plain[32], preloaded[32];
    const char *path = in_folder("program");
    T_OK(copy_self(path, 'A'));
    T_OK(measure_started(path, NULL, plain));
    T_OK(measure_started(path, "LD_PRELOAD=libutil.so.1", preloaded));
    if (memcmp(plain, preloaded, 32) == 0) {
        T_CHECK(access("/lib/x86_64-linux-gnu/libutil.so.1", R_OK) != 0);
        T_SKIP("this machine has no library to preload");
    }
}

static void a_mapped_data_file_counts_and_anonymous_memory_does_not(void)
{
    uint8_t before[32], anonymous[32], mapped[32], after[32];
    T_OK(clo_sim_measure_process(getpid(), before));
    void *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    T_CHECK(shared != MAP_FAILED);
    T_OK(clo_sim_measure_process(getpid(), anonymous));
    T_CHECK(memcmp(before, anonymous, 32) == 0);
    const char *path = in_folder("data");
    T_OK(clo_file_write(path, 0600, clo_span_of_str("some data")));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    void *at = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    T_CHECK(at != MAP_FAILED);
    T_OK(clo_sim_measure_process(getpid(), mapped));
    T_CHECK(memcmp(before, mapped, 32) != 0);
    munmap(at, 4096);
    munmap(shared, 4096);
    T_OK(clo_sim_measure_process(getpid(), after));
    T_CHECK(memcmp(before, after, 32) == 0);
}

static void refuses_a_process_whose_program_is_gone(void)
{
    uint8_t digest[32];
    CLO_AUTO(helper) h = {0};
    const char *path = in_folder("gone");
    T_OK(copy_self(path, 'A'));
    T_OK(start(path, NULL, &h));
    T_OK(clo_sim_measure_process(h.pid, digest));
    T_INT(unlink(path), 0);
    T_CODE(clo_sim_measure_process(h.pid, digest), CLO_ATTEST);
}

static void refuses_a_process_whose_program_was_replaced(void)
{
    uint8_t digest[32];
    CLO_AUTO(helper) h = {0};
    const char *path = in_folder("replaced");
    T_OK(copy_self(path, 'A'));
    T_OK(start(path, NULL, &h));
    T_OK(copy_self(path, 'A')); /* the same bytes, another file */
    T_CODE(clo_sim_measure_process(h.pid, digest), CLO_ATTEST);
}

static void refuses_a_process_that_is_not_there(void)
{
    uint8_t digest[32];
    CLO_AUTO(helper) h = {0};
    const char *path = in_folder("program");
    T_OK(copy_self(path, 'A'));
    T_OK(start(path, NULL, &h));
    kill(h.pid, SIGKILL);
    siginfo_t info;
    T_INT(waitid(P_PID, (id_t)h.pid, &info, WEXITED | WNOWAIT), 0);
    T_CHECK(!clo_ok(clo_sim_measure_process(h.pid, digest))); /* ended, number still taken */
    T_CHECK(!clo_ok(clo_sim_measure_process(0, digest)));
    T_CHECK(!clo_ok(clo_sim_measure_process(-1, digest)));
}

static void refuses_files_that_are_no_programs_of_this_system(void)
{
    uint8_t digest[32];
    const char *path = in_folder("strange");
    T_OK(clo_file_write(path, 0700, clo_span_of_str("#!/bin/sh\nexit 0\n")));
    T_CHECK(!clo_ok(clo_sim_measure_file(path, digest)));
    uint8_t zeros[200] = {0};
    T_OK(clo_file_write(path, 0700, CLO_SPAN_OF(zeros)));
    T_CODE(clo_sim_measure_file(path, digest), CLO_FORMAT);
    T_CODE(clo_sim_measure_file(in_folder("absent"), digest), CLO_NOTFOUND);
    CLO_AUTO(clo_buf) bytes = CLO_BUF_LIMIT(256 << 20);
    T_OK(clo_file_read("/proc/self/exe", 256 << 20, &bytes));
    uint8_t *at = memmem(bytes.data, bytes.size, "/ld-linux-", 10);
    T_CHECK(at != NULL);
    at[1] = 'm'; /* its interpreter is a file of somebody */
    T_OK(clo_file_write(path, 0700, clo_buf_span(&bytes)));
    T_CODE(clo_sim_measure_file(path, digest), CLO_UNSUPPORTED);
}

static void a_remembered_digest_follows_the_contents(void)
{
    uint8_t first[32], again[32], changed[32];
    CLO_AUTO(clo_sim_cache) cache = CLO_SIM_CACHE_INIT;
    const char *path = in_folder("data");
    const char *const texts[] = {"contents one", "contents two"};
    uint8_t *const digests[] = {first, changed};
    for (int i = 0; i < 2; i++) { /* same size, perhaps the same tick of the clock */
        T_OK(clo_file_write(path, 0600, clo_span_of_str(texts[i])));
        CLO_AUTO(clo_sim_parts) parts = CLO_SIM_PARTS_INIT(&cache);
        T_OK(clo_sim_parts_add_path(&parts, path));
        T_OK(clo_sim_parts_finish(&parts, digests[i]));
    }
    T_CHECK(memcmp(first, changed, 32) != 0);
    T_INT(cache.entries.size, 0); /* too young to be remembered */
    CLO_AUTO(clo_sim_parts) two = CLO_SIM_PARTS_INIT(&cache);
    T_OK(clo_sim_parts_add_path(&two, path));
    T_OK(clo_sim_parts_add_path(&two, path));
    T_OK(clo_sim_parts_finish(&two, again));
    T_CHECK(memcmp(again, changed, 32) == 0); /* the same contents do not count twice */
    CLO_AUTO(clo_sim_parts) old = CLO_SIM_PARTS_INIT(&cache);
    T_OK(clo_sim_parts_add_path(&old, "/proc/self/exe"));
    clo_sleep_ms(2100);
    T_OK(clo_sim_parts_add_path(&old, path));
    T_CHECK(cache.entries.size > 0);
    size_t known = cache.entries.size;
    T_OK(clo_sim_parts_add_path(&old, path));
    T_INT(cache.entries.size, known);
}

static void tells_every_failed_allocation(void)
{
    uint8_t digest[32];
    for (int which = 0; which < 2; which++) {
        long count = 1000;
        for (long i = 0; i <= count; i++) {
            allocations = 0;
            fail_at = i == 0 ? -1 : i;
            clo_status status = which == 0 ? clo_sim_measure_process(getpid(), digest)
                                           : clo_sim_measure_file("/proc/self/exe", digest);
            fail_at = -1;
            count = i == 0 ? allocations : count;
            T_CHECK(i == 0 ? clo_ok(status) : clo_ok(status) || status.code == CLO_NOMEM);
        }
    }
}

static int be_helper(void)
{
    char byte;
    if (write(STDOUT_FILENO, "r", 1) != 1) {
        return 1;
    }
    return read(STDIN_FILENO, &byte, 1) == 0 ? 0 : marker[0];
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(file_and_process_agree),
        T(this_program_agrees_with_its_file),
        T(an_unchanged_copy_measures_the_same),
        T(one_changed_byte_measures_differently),
        T(a_preloaded_library_measures_differently),
        T(a_mapped_data_file_counts_and_anonymous_memory_does_not),
        T(refuses_a_process_whose_program_is_gone),
        T(refuses_a_process_whose_program_was_replaced),
        T(refuses_a_process_that_is_not_there),
        T(refuses_files_that_are_no_programs_of_this_system),
        T(a_remembered_digest_follows_the_contents),
        T(tells_every_failed_allocation),
    };
    if (argc == 2 && strcmp(argv[1], "--helper") == 0) {
        return be_helper();
    }
    clo_status ready = clo_crypto_init();
    return clo_ok(ready) ? clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests) : 1;
}
