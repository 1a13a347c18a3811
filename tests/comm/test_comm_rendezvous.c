/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How ranks find each other: late ones, ranks that disagree, and peers that are no ranks.
 */
#include <stdatomic.h>

#include "comm_message.h"
#include "comm_rig.h"

/* ---------------------------------------------------------------- the log --------------------- */

/* What was logged in this process since log_clear, one line after another. */
static struct {
    clo_mutex *lock;
    char text[8192];
} logged;

static void log_sink(clo_log_level level, const char *module, const char *line, void *arg)
{
    (void)level;
    (void)arg;
    if (strcmp(module, "comm") != 0) {
        return;
    }
    clo_mutex_lock(logged.lock);
    size_t at = strlen(logged.text);
    snprintf(logged.text + at, sizeof logged.text - at, "%s\n", line);
    clo_mutex_unlock(logged.lock);
}

static void log_clear(void)
{
    clo_mutex_lock(logged.lock);
    logged.text[0] = '\0';
    clo_mutex_unlock(logged.lock);
}

static bool log_has(const char *part)
{
    clo_mutex_lock(logged.lock);
    bool found = strstr(logged.text, part) != NULL;
    clo_mutex_unlock(logged.lock);
    return found;
}

/* ---------------------------------------------------------------- late ones ------------------- */

static clo_status meet(rig_member *member, clo_group *group)
{
    (void)member;
    return clo_group_barrier(group);
}

static void run_late(uint32_t late)
{
    CLO_AUTO(comm_rig) rig;
    rig_init(&rig, 3, meet, NULL);
    rig.members[late].start_after_ms = 300;
    rig_run(&rig);
    for (uint32_t rank = 0; rank < 3; rank++) {
        T_RESULT_OK(rig.members[rank]);
    }
}

static void ranks_wait_for_rank_0_and_rank_0_for_them(void)
{
    for (uint32_t late = 0; late < 3; late++) {
        run_late(late);
    }
}

static void the_wait_for_others_ends_at_its_timeout(void)
{
    for (uint32_t alone = 0; alone < 2; alone++) {
        CLO_AUTO(comm_rig) rig;
        rig_init(&rig, 2, meet, NULL);
        rig.members[alone].options.connect_timeout_ms = 300;
        int64_t start = clo_clock_ms();
        rig_member_main(&rig.members[alone]);
        T_CHECK(clo_clock_ms() - start < 3000);
        T_RESULT(rig.members[alone], alone == 0 ? CLO_TIMEOUT : CLO_CLOSED);
        T_SAYS(rig.members[alone], rig.master.text);
    }
}

static clo_status count_refresh(void *arg)
{
    (*(atomic_int *)arg)++;
    return CLO_STATUS_OK;
}

static void the_caller_is_asked_for_news_while_ranks_are_awaited(void)
{
    atomic_int counts[2] = {0, 0};
    CLO_AUTO(comm_rig) rig;
    rig_init(&rig, 3, meet, NULL);
    for (int rank = 0; rank < 2; rank++) {
        rig.members[rank].options.refresh = count_refresh;
        rig.members[rank].options.refresh_arg = &counts[rank];
    }
    rig.members[2].start_after_ms = 1200;
    rig_run(&rig);
    for (uint32_t rank = 0; rank < 3; rank++) {
        T_RESULT_OK(rig.members[rank]);
    }
    T_CHECK(counts[0] > 0 && counts[1] > 0);
}

static clo_status refuse_refresh(void *arg)
{
    (void)arg;
    CLO_FAIL(CLO_POLICY, "the lease is lost");
}

static void a_caller_without_a_lease_stops_waiting(void)
{
    CLO_AUTO(comm_rig) rig;
    rig_init(&rig, 2, meet, NULL);
    rig.members[1].options.refresh = refuse_refresh;
    rig_member_main(&rig.members[1]);
    T_RESULT(rig.members[1], CLO_POLICY);
    T_SAYS(rig.members[1], "the lease is lost");
}

/* Rank 0 has an old roster that does not know rank 1 until its caller takes a newer one. */
static clo_status take_newer_roster(void *arg)
{
    rig_member *member = arg;
    memcpy(member->wants.appraisal.measurements[0], rig_measurement, 32);
    return CLO_STATUS_OK;
}

static void run_with_old_roster(clo_status (*refresh)(void *), clo_code code)
{
    CLO_AUTO(comm_rig) rig;
    rig_init(&rig, 2, meet, NULL);
    rig.members[0].wants.appraisal.measurements[0][0] ^= 1;
    rig.members[0].options.refresh = take_newer_roster;
    rig.members[0].options.refresh_arg = &rig.members[0];
    rig.members[0].options.connect_timeout_ms = refresh == NULL ? 800 : 5000;
    rig.members[1].options.refresh = refresh;
    rig.members[1].options.refresh_arg = &rig.members[1];
    rig_run(&rig);
    T_RESULT(rig.members[1], code);
}

static void a_rank_that_an_old_roster_refused_tries_again(void)
{
    run_with_old_roster(take_newer_roster, CLO_OK);
}

static void a_refusal_is_final_where_nothing_can_change(void)
{
    run_with_old_roster(NULL, CLO_DENIED);
}

/* ---------------------------------------------------------------- disagreement ---------------- */

static void check_all_refuse(comm_rig *rig, uint32_t ranks, const char *says)
{
    int64_t start = clo_clock_ms();
    rig_run(rig);
    T_CHECK(clo_clock_ms() - start < RIG_CONNECT_MS / 2);
    for (uint32_t rank = 0; rank < ranks; rank++) {
        T_RESULT(rig->members[rank], CLO_INVALID);
        T_SAYS(rig->members[rank], says);
    }
}

static void a_rank_with_another_world_size_fails_all_and_both_values_are_named(void)
{
    CLO_AUTO(comm_rig) rig;
    rig_init(&rig, 3, meet, NULL);
    rig.members[2].options.world = 4;
    rig.members[1].start_after_ms = 250; /* late, and told all the same */
    check_all_refuse(&rig, 3, "its world size is 4, expected 3");
}

static void a_rank_that_is_there_twice_fails_all_and_both_addresses_are_named(void)
{
    CLO_AUTO(comm_rig) rig;
    rig_init(&rig, 3, meet, NULL);
    rig_member_clear(&rig.members[2]);
    rig_member_init(&rig.members[2], 1, 3, rig.master.text);
    check_all_refuse(&rig, 3, "it joins as rank 1, and so does 127.0.0.1:");
}

static void a_rank_of_another_job_fails_all_and_both_manifests_are_named(void)
{
    CLO_AUTO(comm_rig) rig;
    rig_init(&rig, 2, meet, NULL);
    rig.members[1].options.self.manifest[0] = 0xab;
    check_all_refuse(&rig, 2, "its manifest is ab00000000000000, expected 0700000000000000");
}

static void a_rank_beyond_the_world_fails_all(void)
{
    CLO_AUTO(comm_rig) rig;
    rig_init(&rig, 2, meet, NULL);
    rig_member_clear(&rig.members[1]);
    rig_member_init(&rig.members[1], 2, 3, rig.master.text);
    rig.members[1].options.world = 3;
    check_all_refuse(&rig, 2, "its world size is 3, expected 2");
}

static void options_that_do_not_fit_are_refused_at_once(void)
{
    static const struct {
        uint32_t rank, world, slot;
        const char *says;
    } cases[] = {
        {0, 0, 0, "world size is 0, expected 1 to 256"},
        {0, 257, 0, "world size is 257"},
        {3, 3, 3, "rank is 3, expected less than 3"},
        {1, 3, 2, "rank is 1, but this process holds slot 2"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CLO_AUTO(comm_rig) rig;
        rig_init(&rig, 1, meet, NULL);
        rig.members[0].options.rank = cases[i].rank;
        rig.members[0].options.world = cases[i].world;
        rig.members[0].options.self.slot = cases[i].slot;
        rig_member_main(&rig.members[0]);
        T_RESULT(rig.members[0], CLO_INVALID);
        T_SAYS(rig.members[0], cases[i].says);
    }
}

/* ---------------------------------------------------------------- no ranks -------------------- */

/* Does something else than a rank would, before rank 1 comes. */
typedef struct {
    comm_rig *rig;
    rig_member *as;
    clo_span says; /* after the gate */
} stranger;

static clo_status connect_raw(const char *address, int *out_fd)
{
    clo_deadline deadline = clo_deadline_in(3000);
    clo_status status;
    do {
        status = clo_net_connect(address, NULL, deadline, out_fd);
        clo_sleep_ms(10);
    } while (!clo_ok(status) && !clo_deadline_passed(deadline));
    return status;
}

static clo_status speak_http(void *arg)
{
    stranger *s = arg;
    uint8_t byte;
    int fd;
    CLO_TRY(connect_raw(s->rig->master.text, &fd));
    CLO_TRY(clo_fd_write_all(fd, clo_span_of_str("GET / HTTP/1.0\r\n\r\n")));
    while (clo_ok(clo_fd_wait(fd, 1 /* POLLIN */, clo_deadline_in(3000))) &&
           read(fd, &byte, 1) > 0) {
    }
    clo_net_close(fd);
    return CLO_STATUS_OK;
}

static clo_status speak_nonsense(void *arg)
{
    stranger *s = arg;
    CLO_AUTO_PTR(clo_channel) channel = NULL;
    clo_deadline deadline = clo_deadline_in(3000);
    clo_status status;
    do {
        status = clo_channel_connect(s->rig->master.text, NULL, &s->as->options.self,
                                     &s->as->options.rules, deadline, &channel);
    } while (status.code == CLO_CLOSED && !clo_deadline_passed(deadline));
    CLO_TRY(status);
    return s->says.size == 0 ? CLO_STATUS_OK : clo_channel_send(channel, s->says, deadline);
}

/* A world of two with a stranger before rank 1: it is refused in the log, and the ranks meet. */
static void check_stranger(clo_status (*does)(void *), const char *text, const char *reason)
{
    CLO_AUTO(comm_rig) rig;
    clo_thread *thread = NULL;
    rig_init(&rig, 2, meet, NULL);
    stranger s = {&rig, &rig.members[1], clo_span_of_str(text)};
    rig.members[1].start_after_ms = 300;
    log_clear();
    rig_must(clo_thread_start(does, &s, "stranger", &thread), "thread");
    rig_run(&rig);
    T_OK(clo_thread_join(thread));
    T_RESULT_OK(rig.members[0]);
    T_RESULT_OK(rig.members[1]);
    T_CHECK(log_has("refused 127.0.0.1:"));
    T_CHECK(log_has(reason));
}

static void a_plain_tcp_peer_is_refused_and_logged_and_disturbs_nobody(void)
{
    check_stranger(speak_http, "", "tls");
}

static void a_peer_that_leaves_after_the_gate_disturbs_nobody(void)
{
    check_stranger(speak_nonsense, "", "the peer ended the session");
}

static void a_peer_that_says_no_join_disturbs_nobody(void)
{
    check_stranger(speak_nonsense, "hello", "expected 'join'");
}

/* The master address belongs to another rank. */
static clo_status pretend_rank_0(void *arg)
{
    rig_member *member = arg;
    CLO_AUTO_PTR(clo_listener) listener = NULL;
    CLO_AUTO_PTR(clo_channel) channel = NULL;
    CLO_TRY(clo_listener_open(member->options.master_address, &member->options.self,
                              &member->options.rules, &listener));
    CLO_TRY(clo_listener_accept(listener, NULL, clo_deadline_in(3000), &channel));
    clo_sleep_ms(300);
    return CLO_STATUS_OK;
}

static void a_master_that_is_not_rank_0_is_refused(void)
{
    CLO_AUTO(comm_rig) rig;
    clo_thread *thread = NULL;
    rig_init(&rig, 3, meet, NULL);
    rig_must(clo_thread_start(pretend_rank_0, &rig.members[2], "rank", &thread), "thread");
    rig_member_main(&rig.members[1]);
    T_OK(clo_thread_join(thread));
    T_RESULT(rig.members[1], CLO_INVALID);
    T_SAYS(rig.members[1], "is rank 2, expected rank 0");
}

/* A rank joins, dies before the group is complete, and comes back as a new incarnation. */
static clo_status join_and_die(void *arg)
{
    stranger *s = arg;
    CLO_AUTO(clo_buf) message = CLO_BUF_INIT;
    clo_comm_join join = {.version = CLO_COMM_VERSION, .rank = 1, .world = 3, .manifest = {7}};
    clo_comm_join_write(&join, &message);
    s->says = clo_buf_span(&message);
    return speak_nonsense(s);
}

static void check_return(uint64_t incarnation, clo_code code)
{
    CLO_AUTO(comm_rig) rig;
    clo_thread *thread = NULL;
    rig_init(&rig, 3, meet, NULL);
    rig_member first = rig.members[1];
    first.options.rules.arg = &first;
    stranger s = {&rig, &first, CLO_SPAN_EMPTY};
    rig.members[1].options.self.incarnation = incarnation;
    rig.members[1].start_after_ms = 400;
    rig.members[2].start_after_ms = 600;
    rig_must(clo_thread_start(join_and_die, &s, "rank", &thread), "thread");
    rig_run(&rig);
    T_OK(clo_thread_join(thread));
    T_RESULT(rig.members[0], code);
    T_RESULT(rig.members[1], code);
}

static void a_rank_that_was_started_anew_takes_its_place(void)
{
    check_return(2, CLO_OK);
}

static void the_same_incarnation_does_not_take_a_place_twice(void)
{
    check_return(1, CLO_INVALID);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(ranks_wait_for_rank_0_and_rank_0_for_them),
        T(the_wait_for_others_ends_at_its_timeout),
        T(the_caller_is_asked_for_news_while_ranks_are_awaited),
        T(a_caller_without_a_lease_stops_waiting),
        T(a_rank_that_an_old_roster_refused_tries_again),
        T(a_refusal_is_final_where_nothing_can_change),
        T(a_rank_with_another_world_size_fails_all_and_both_values_are_named),
        T(a_rank_that_is_there_twice_fails_all_and_both_addresses_are_named),
        T(a_rank_of_another_job_fails_all_and_both_manifests_are_named),
        T(a_rank_beyond_the_world_fails_all),
        T(options_that_do_not_fit_are_refused_at_once),
        T(a_plain_tcp_peer_is_refused_and_logged_and_disturbs_nobody),
        T(a_peer_that_leaves_after_the_gate_disturbs_nobody),
        T(a_peer_that_says_no_join_disturbs_nobody),
        T(a_master_that_is_not_rank_0_is_refused),
        T(a_rank_that_was_started_anew_takes_its_place),
        T(the_same_incarnation_does_not_take_a_place_twice),
    };
    rig_must(clo_mutex_new(&logged.lock), "lock");
    clo_log_set_sink(log_sink, NULL, CLO_LOG_WARN);
    rig_start();
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
