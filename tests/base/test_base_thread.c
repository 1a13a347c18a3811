/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads, locks, waits; and promises, which abort when broken.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

enum { WORKERS = 4, STEPS = 10000 };

typedef struct {
    clo_mutex *lock;
    clo_cond *changed;
    int value;
} shared;

static clo_status counts(void *arg)
{
    shared *s = arg;
    for (int i = 0; i < STEPS; i++) {
        clo_mutex_lock(s->lock);
        s->value++;
        clo_mutex_unlock(s->lock);
    }
    return CLO_STATUS_OK;
}

static clo_status raises_flag(void *arg)
{
    shared *s = arg;
    clo_sleep_ms(20);
    clo_mutex_lock(s->lock);
    s->value = 1;
    clo_cond_wake_all(s->changed);
    clo_mutex_unlock(s->lock);
    return CLO_STATUS_OK;
}

static clo_status fails(void *arg)
{
    (void)arg;
    CLO_FAIL(CLO_IO, "disk of rank %d is gone", 2);
}

static clo_status looks_at_itself(void *arg)
{
    char name[16] = "";
    sigset_t blocked;
    (void)arg;
    pthread_getname_np(pthread_self(), name, sizeof name);
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    CLO_CHECK(strcmp(name, "a name that is ") == 0, CLO_BUG, "name '%s'", name);
    CLO_CHECK(sigismember(&blocked, SIGINT) == 1, CLO_BUG, "SIGINT is not blocked");
    return CLO_STATUS_OK;
}

static shared shared_new(void)
{
    shared s = {0};
    CLO_ASSERT(clo_ok(clo_mutex_new(&s.lock)) && clo_ok(clo_cond_new(&s.changed)));
    return s;
}

static void shared_free(shared *s)
{
    clo_cond_free(s->changed);
    clo_mutex_free(s->lock);
}

static void lock_keeps_counts_exact(void)
{
    shared s = shared_new();
    clo_thread *threads[WORKERS];
    for (int i = 0; i < WORKERS; i++) {
        T_OK(clo_thread_start(counts, &s, "counts", &threads[i]));
    }
    for (int i = 0; i < WORKERS; i++) {
        T_OK(clo_thread_join(threads[i]));
    }
    T_INT(s.value, WORKERS * STEPS);
    shared_free(&s);
}

static void waiting_thread_is_woken(void)
{
    shared s = shared_new();
    clo_thread *thread;
    clo_deadline deadline = clo_deadline_in(20000);
    T_OK(clo_thread_start(raises_flag, &s, "raises", &thread));
    clo_mutex_lock(s.lock);
    while (s.value == 0 && clo_cond_wait(s.changed, s.lock, deadline)) {
    }
    clo_mutex_unlock(s.lock);
    T_OK(clo_thread_join(thread));
    T_INT(s.value, 1);
    shared_free(&s);
}

static void waiting_ends_at_the_deadline_with_the_lock_held(void)
{
    shared s = shared_new();
    int64_t before = clo_clock_ms();
    clo_mutex_lock(s.lock);
    while (clo_cond_wait(s.changed, s.lock, clo_deadline_in(30))) {
    }
    clo_mutex_unlock(s.lock);
    T_CHECK(clo_clock_ms() - before >= 29);
    shared_free(&s);
}

static void failure_of_a_thread_is_told_at_join(void)
{
    clo_thread *thread;
    char text[256];
    T_OK(clo_thread_start(fails, NULL, "fails", &thread));
    clo_status status = clo_thread_join(thread);
    T_INT(status.code, CLO_IO);
    clo_status_text(status, text, sizeof text);
    T_STR(text, "disk of rank 2 is gone");
}

static void thread_has_its_name_and_takes_no_signals(void)
{
    clo_thread *thread;
    sigset_t blocked;
    T_OK(clo_thread_start(looks_at_itself, NULL, "a name that is cut", &thread));
    T_OK(clo_thread_join(thread));
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    T_INT(sigismember(&blocked, SIGINT), 0);
}

static void nothing_is_fine_to_join_and_free(void)
{
    T_OK(clo_thread_join(NULL));
    clo_mutex_free(NULL);
    clo_cond_free(NULL);
}

/* True when `act` aborts, tried in a child. */
static bool aborts(void (*act)(void))
{
    pid_t child = fork();
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        close(STDERR_FILENO);
        act();
        _exit(0);
    }
    int status;
    return child > 0 && waitpid(child, &status, 0) == child && WIFSIGNALED(status) &&
           WTERMSIG(status) == SIGABRT;
}

static void keeps_promises(void)
{
    shared s = shared_new();
    clo_mutex_lock(s.lock);
    clo_mutex_unlock(s.lock);
    shared_free(&s);
    CLO_ASSERT(1 + 1 == 2);
}

static void locks_twice(void)
{
    shared s = shared_new();
    clo_mutex_lock(s.lock);
    clo_mutex_lock(s.lock);
}

static void unlocks_what_is_open(void)
{
    shared s = shared_new();
    clo_mutex_unlock(s.lock);
}

static void frees_a_held_lock(void)
{
    shared s = shared_new();
    clo_mutex_lock(s.lock);
    clo_mutex_free(s.lock);
}

static void asserts_wrongly(void)
{
    CLO_ASSERT(1 + 1 == 3);
}

static clo_json_writer writer_for_misuse(void)
{
    static clo_buf buf;
    return clo_json_writer_of(&buf);
}

static void names_a_value_at_the_top(void)
{
    clo_json_writer w = writer_for_misuse();
    clo_json_put_null(&w, "name");
}

static void writes_two_values_at_the_top(void)
{
    clo_json_writer w = writer_for_misuse();
    clo_json_put_null(&w, NULL);
    clo_json_put_null(&w, NULL);
}

static void forgets_a_member_name(void)
{
    clo_json_writer w = writer_for_misuse();
    clo_json_begin_object(&w, NULL);
    clo_json_put_null(&w, NULL);
}

static void ends_an_array_as_an_object(void)
{
    clo_json_writer w = writer_for_misuse();
    clo_json_begin_array(&w, NULL);
    clo_json_end_object(&w);
}

static void nests_too_deep(void)
{
    clo_json_writer w = writer_for_misuse();
    for (int i = 0; i < 33; i++) {
        clo_json_begin_array(&w, NULL);
    }
}

static void broken_promises_abort_and_kept_ones_do_not(void)
{
    static void (*const broken[])(void) = {
        locks_twice,           unlocks_what_is_open,       frees_a_held_lock,
        asserts_wrongly,       names_a_value_at_the_top,   writes_two_values_at_the_top,
        forgets_a_member_name, ends_an_array_as_an_object, nests_too_deep,
    };
    T_CHECK(!aborts(keeps_promises));
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        T_CHECK(aborts(broken[i]));
    }
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(lock_keeps_counts_exact),
        T(waiting_thread_is_woken),
        T(waiting_ends_at_the_deadline_with_the_lock_held),
        T(failure_of_a_thread_is_told_at_join),
        T(thread_has_its_name_and_takes_no_signals),
        T(nothing_is_fine_to_join_and_free),
        T(broken_promises_abort_and_kept_ones_do_not),
    };
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
