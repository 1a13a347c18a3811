/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Allocations of a rank fail one after another, from joining to the last collective: each time both
 * ranks end with a status, nothing leaks (the sanitizer run looks), and nobody hangs.
 */
#include "comm_rig.h"

static _Thread_local bool counting;
static _Thread_local long allocations;
static _Thread_local long fail_at;
static _Thread_local bool failed;

bool clo_mem_should_fail(void)
{
    if (!counting || allocations++ != fail_at) {
        return false;
    }
    failed = true;
    return true;
}

/* What happened to the rank whose allocations fail. */
typedef struct {
    long fail_at; /* -1: none */
    long total;
    bool failed;
} sweep;

static clo_status work(rig_member *member, clo_group *group)
{
    uint64_t value = 1;
    CLO_AUTO_PTR(clo_reducer) reducer = NULL;
    CLO_TRY(clo_reducer_new(group, rig_add_u64, sizeof value, &reducer));
    clo_reducer_submit(reducer, &value, 1);
    CLO_TRY(clo_reducer_finish(reducer));
    CLO_TRY(clo_group_upkeep(group, true));
    CLO_TRY(clo_group_renew(group, &member->options));
    return clo_group_barrier(group);
}

/* Comes back as a new incarnation after a failure, so that rank 0 need not wait for its timeout. */
static clo_status run_and_return(void *arg)
{
    rig_member *member = arg;
    sweep *s = member->arg;
    fail_at = s->fail_at;
    counting = true;
    clo_status status = rig_member_run(member);
    counting = false;
    s->total = allocations;
    s->failed = failed;
    clo_status_save(status, &member->result);
    if (!clo_ok(status)) {
        member->options.self.incarnation++;
        member->options.connect_timeout_ms = 300;
        (void)rig_member_run(member);
    }
    return CLO_STATUS_OK;
}

static void run_sweep(sweep *s, comm_rig *rig)
{
    clo_thread *thread = NULL;
    clo_thread *other = NULL;
    rig_init(rig, 2, work, s);
    rig->members[0].options.connect_timeout_ms = 3000;
    rig_must(clo_thread_start(rig_member_main, &rig->members[0], "rank", &thread), "thread");
    rig_must(clo_thread_start(run_and_return, &rig->members[1], "rank", &other), "thread");
    rig_must(clo_thread_join(thread), "join");
    rig_must(clo_thread_join(other), "join");
}

static void every_allocation_of_a_rank_may_fail(void)
{
    CLO_AUTO(comm_rig) whole;
    sweep none = {.fail_at = -1};
    run_sweep(&none, &whole);
    T_RESULT_OK(whole.members[0]);
    T_RESULT_OK(whole.members[1]);
    T_CHECK(none.total > 20);
    long step = none.total > 80 ? none.total / 80 : 1;
    for (long n = 0; n < none.total; n += step) {
        CLO_AUTO(comm_rig) rig;
        sweep s = {.fail_at = n};
        int64_t start = clo_clock_ms();
        run_sweep(&s, &rig);
        T_CHECK(clo_clock_ms() - start < 8000);
        T_CHECK(!s.failed || rig.members[1].result.code != CLO_OK);
    }
}

static void a_world_of_one_may_find_no_memory(void)
{
    clo_group_options options = {.rank = 0, .world = 1};
    long n = 0;
    clo_status status;
    do {
        CLO_AUTO_PTR(clo_group) group = NULL;
        CLO_AUTO_PTR(clo_reducer) reducer = NULL;
        allocations = 0;
        fail_at = n++;
        counting = true;
        status = clo_group_join(&options, &group);
        if (clo_ok(status)) {
            status = clo_reducer_new(group, rig_add_u64, 8, &reducer);
        }
        counting = false;
        T_CHECK(clo_ok(status) || status.code == CLO_NOMEM);
    } while (!clo_ok(status) && n < 100);
    T_CHECK(n > 5 && n < 100);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(every_allocation_of_a_rank_may_fail),
        T(a_world_of_one_may_find_no_memory),
    };
    rig_start();
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
