/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A long connection: evidence is asked for again while messages go on, traffic keys change, and
 * each way this can go wrong closes the channel.
 */
#include "channel_rig.h"

static clo_deadline soon(void)
{
    return clo_deadline_in(3000);
}

static void open_pair(rig_pair *pair)
{
    rig_reset_limits();
    rig_pair_init(pair, CLO_ROLE_TRAINER, CLO_ROLE_TRAINER);
    rig_connect(pair);
    rig_must(clo_status_restore(&pair->results[0]), "open");
    rig_must(clo_status_restore(&pair->results[1]), "open");
}

/* One message each way, which lets both ends handle what is on the wire. */
static clo_status talk(rig_pair *pair, int from)
{
    CLO_AUTO(clo_buf) got = CLO_BUF_INIT;
    CLO_TRY(clo_channel_send(pair->channels[from], clo_span_of_str("step"), soon()));
    CLO_TRY(clo_channel_recv(pair->channels[1 - from], &got, soon()));
    CLO_TRY(clo_channel_send(pair->channels[1 - from], clo_span_of_str("done"), soon()));
    return clo_channel_recv(pair->channels[from], &got, soon());
}

static void both_ends_attest_again_between_messages(void)
{
    CLO_AUTO(rig_pair) pair;
    open_pair(&pair);
    for (uint32_t round = 1; round <= 3; round++) {
        T_OK(clo_channel_upkeep(pair.channels[0], true));
        T_OK(clo_channel_upkeep(pair.channels[1], true));
        T_OK(talk(&pair, 0));
        T_OK(talk(&pair, 1));
        T_INT(clo_channel_peer(pair.channels[0])->round, round);
        T_INT(clo_channel_peer(pair.channels[1])->round, round);
    }
    clo_channel_stats stats = clo_channel_get_stats(pair.channels[0]);
    T_INT(stats.attestations_made, 4);
    T_INT(stats.attestations_verified, 4);
    T_INT(pair.ends[0].admitted, 4);
}

static void upkeep_asks_only_when_the_interval_has_passed(void)
{
    CLO_AUTO(rig_pair) pair;
    open_pair(&pair);
    T_OK(clo_channel_upkeep(pair.channels[0], false));
    T_OK(talk(&pair, 0));
    T_INT(clo_channel_get_stats(pair.channels[1]).attestations_made, 1);
    rig_limits.interval_ms = 0;
    T_OK(clo_channel_upkeep(pair.channels[0], false));
    T_OK(talk(&pair, 0));
    T_INT(clo_channel_get_stats(pair.channels[1]).attestations_made, 2);
}

static void only_one_request_is_outstanding(void)
{
    CLO_AUTO(rig_pair) pair;
    open_pair(&pair);
    for (int i = 0; i < 5; i++) {
        T_OK(clo_channel_upkeep(pair.channels[0], true));
    }
    T_OK(talk(&pair, 0));
    T_INT(clo_channel_get_stats(pair.channels[1]).attestations_made, 2);
}

typedef struct {
    clo_channel *channel;
    uint8_t *out, *in;
    size_t size;
} worker;

static clo_status run_exchange(void *arg)
{
    worker *w = arg;
    return clo_channel_exchange(w->channel, CLO_SPAN(w->out, w->size), w->channel, w->in, w->size,
                                clo_deadline_in(20000));
}

/* An 8 MiB exchange both ways. */
static clo_status exchange(rig_pair *pair)
{
    enum { SIZE = 8 << 20 };

    uint8_t *memory = clo_alloc(4 * (size_t)SIZE);
    worker w[2];
    for (int i = 0; i < 2; i++) {
        w[i] = (worker){pair->channels[i], memory + i * SIZE, memory + (2 + i) * SIZE, SIZE};
        memset(w[i].out, 'a' + i, SIZE);
    }
    clo_thread *thread;
    rig_must(clo_thread_start(run_exchange, &w[1], "exchange", &thread), "thread");
    clo_status status = run_exchange(&w[0]);
    clo_saved_status mine;
    clo_status_save(status, &mine);
    clo_status other = clo_thread_join(thread);
    bool right = memory[2 * SIZE] == 'b' && memory[3 * SIZE] == 'a' &&
                 memory[3 * SIZE - 1] == 'b' && memory[4 * (size_t)SIZE - 1] == 'a';
    clo_free(memory);
    CLO_TRY(clo_status_restore(&mine));
    CLO_TRY(other);
    CLO_CHECK(right, CLO_BUG, "the bytes differ");
    return CLO_STATUS_OK;
}

static void evidence_passes_in_the_middle_of_an_exchange(void)
{
    CLO_AUTO(rig_pair) pair;
    open_pair(&pair);
    T_OK(clo_channel_upkeep(pair.channels[0], true));
    T_OK(clo_channel_upkeep(pair.channels[1], true));
    T_OK(exchange(&pair));
    T_OK(talk(&pair, 0));
    T_INT(clo_channel_peer(pair.channels[0])->round, 1);
    T_INT(clo_channel_peer(pair.channels[1])->round, 1);
}

static void traffic_keys_change_and_traffic_goes_on(void)
{
    CLO_AUTO(rig_pair) pair;
    open_pair(&pair);
    rig_limits.key_update_records = 100;
    for (int i = 0; i < 4; i++) {
        T_OK(exchange(&pair));
    }
    T_OK(talk(&pair, 1));
    T_CHECK(clo_channel_get_stats(pair.channels[0]).key_updates >= 3);
    T_INT(clo_channel_get_stats(pair.channels[1]).key_updates, 0);
    T_CHECK(clo_channel_get_stats(pair.channels[0]).records_sent >= 1024);
    rig_reset_limits();
}

static void an_end_that_only_receives_changes_keys_at_its_upkeep(void)
{
    CLO_AUTO(rig_pair) pair;
    open_pair(&pair);
    rig_limits.key_update_records = 3;
    for (int i = 0; i < 5; i++) {
        CLO_AUTO(clo_buf) got = CLO_BUF_INIT;
        T_OK(clo_channel_send(pair.channels[1], clo_span_of_str("news"), soon()));
        T_OK(clo_channel_recv(pair.channels[0], &got, soon()));
    }
    T_INT(clo_channel_get_stats(pair.channels[0]).key_updates, 0);
    T_OK(clo_channel_upkeep(pair.channels[0], false));
    T_INT(clo_channel_get_stats(pair.channels[0]).key_updates, 1);
    T_OK(talk(&pair, 1));
    T_OK(talk(&pair, 0));
    T_INT(clo_channel_peer(pair.channels[0])->round, 1);
    rig_reset_limits();
}

static void traffic_keys_stay_below_the_threshold(void)
{
    CLO_AUTO(rig_pair) pair;
    open_pair(&pair);
    T_OK(exchange(&pair));
    T_INT(clo_channel_get_stats(pair.channels[0]).key_updates, 0);
    rig_reset_limits();
    T_INT(rig_limits.key_update_records, 1u << 22);
}

/* ---- what goes wrong */

static void a_peer_that_no_longer_meets_the_policy_is_closed(void)
{
    CLO_AUTO(rig_pair) pair;
    open_pair(&pair);
    pair.ends[0].wants.appraisal.measurements[0][5] ^= 1;
    T_OK(clo_channel_upkeep(pair.channels[0], true));
    CLO_AUTO(clo_buf) got = CLO_BUF_INIT;
    T_OK(clo_channel_send(pair.channels[0], clo_span_of_str("step"), soon()));
    T_OK(clo_channel_recv(pair.channels[1], &got, soon()));
    T_OK(clo_channel_send(pair.channels[1], clo_span_of_str("done"), soon()));
    T_CODE(clo_channel_recv(pair.channels[0], &got, soon()), CLO_POLICY);
    T_CODE(clo_channel_recv(pair.channels[1], &got, soon()), CLO_DENIED);
}

static void a_peer_that_left_the_roster_is_closed(void)
{
    CLO_AUTO(rig_pair) pair;
    open_pair(&pair);
    pair.ends[0].refuse_admission = true;
    T_OK(clo_channel_upkeep(pair.channels[0], true));
    T_CODE(talk(&pair, 0), CLO_DENIED);
    T_CHECK(clo_channel_is_broken(pair.channels[0]));
}

static void a_peer_whose_launch_changed_is_closed(void)
{
    CLO_AUTO(rig_pair) pair;
    open_pair(&pair);
    clo_appraisal *appraisal = &pair.ends[0].wants.appraisal;
    clo_maker *first = pair.ends[1].maker;
    rig_measurement[31] ^= 1;
    memcpy(appraisal->measurements[appraisal->measurement_count++], rig_measurement, 32);
    clo_maker *second = NULL;
    T_OK(clo_maker_open(rig_makers, "rig:", &second));
    rig_measurement[31] ^= 1;
    /* The maker's state is the measurement it was opened with: the two trade places. */
    memcpy(*(uint8_t **)((uint8_t *)first + sizeof(void *)),
           *(uint8_t **)((uint8_t *)second + sizeof(void *)), 32);
    clo_maker_close(second);
    T_OK(clo_channel_upkeep(pair.channels[0], true));
    T_CODE(talk(&pair, 0), CLO_ATTEST);
}

static void an_answer_that_is_overdue_closes_the_channel(void)
{
    CLO_AUTO(rig_pair) pair;
    open_pair(&pair);
    rig_limits.answer_ms = 50;
    T_OK(clo_channel_upkeep(pair.channels[0], true));
    T_OK(clo_channel_upkeep(pair.channels[0], false));
    clo_sleep_ms(80);
    T_CODE(clo_channel_upkeep(pair.channels[0], false), CLO_TIMEOUT);
    T_CODE(clo_channel_send(pair.channels[0], clo_span_of_str("x"), soon()), CLO_TIMEOUT);
    rig_reset_limits();
}

static void an_answer_that_is_overdue_ends_a_recv_before_its_own_deadline(void)
{
    CLO_AUTO(rig_pair) pair;
    open_pair(&pair);
    rig_limits.answer_ms = 50;
    T_OK(clo_channel_upkeep(pair.channels[0], true));
    CLO_AUTO(clo_buf) got = CLO_BUF_INIT;
    int64_t before = clo_clock_ms();
    T_CODE(clo_channel_recv(pair.channels[0], &got, soon()), CLO_TIMEOUT);
    T_CHECK(clo_clock_ms() - before < 1500);
    rig_reset_limits();
}

/* ---- puppets in the open channel */

typedef struct {
    rig_pair pair;
    puppet p;
} stage;

static void stage_cleanup(stage *s)
{
    puppet_cleanup(&s->p);
    rig_pair_clear(&s->pair);
}

static void open_stage(stage *s)
{
    static const puppet_lie truth = {0};
    rig_reset_limits();
    rig_pair_init(&s->pair, CLO_ROLE_TRAINER, CLO_ROLE_TRAINER);
    puppet_init(&s->p, CLO_TLS_CLIENT, &s->pair.ends[0], &s->pair.ends[1]);
    CLO_AUTO(clo_buf) frame = CLO_BUF_INIT;
    rig_must(puppet_greet(&s->p), "greet");
    rig_must(puppet_show(&s->p, &truth), "show");
    rig_must(puppet_expect(&s->p, CLO_FRAME_EVIDENCE, &frame), "evidence");
    rig_must(puppet_expect(&s->p, CLO_FRAME_COLLATERAL, &frame), "collateral");
    rig_must(puppet_send(&s->p, CLO_FRAME_ACCEPT, CLO_SPAN_EMPTY), "accept");
    rig_must(puppet_expect(&s->p, CLO_FRAME_ACCEPT, &frame), "accepted");
}

static void expect_victim_ends(stage *s, clo_code expected)
{
    CLO_AUTO(clo_buf) got = CLO_BUF_INIT;
    T_CODE(clo_channel_recv(s->p.victim, &got, soon()), expected);
}

static void the_right_answer_of_a_puppet_is_accepted(void)
{
    CLO_AUTO(stage) s;
    open_stage(&s);
    T_OK(clo_channel_upkeep(s.p.victim, true));
    T_OK(puppet_show(&s.p, &(puppet_lie){.layout_round = 1, .frame_round = 1}));
    T_OK(puppet_send(&s.p, CLO_FRAME_LAST, clo_span_of_str("x")));
    expect_victim_ends(&s, CLO_OK);
    T_INT(clo_channel_peer(s.p.victim)->round, 1);
}

static void evidence_of_the_first_round_is_no_answer_to_the_second(void)
{
    CLO_AUTO(stage) s;
    open_stage(&s);
    T_OK(clo_channel_upkeep(s.p.victim, true));
    (void)puppet_show(&s.p, &(puppet_lie){.layout_round = 0, .frame_round = 1});
    expect_victim_ends(&s, CLO_ATTEST);
}

static void evidence_that_nobody_asked_for_is_refused(void)
{
    CLO_AUTO(stage) s;
    open_stage(&s);
    (void)puppet_show(&s.p, &(puppet_lie){.layout_round = 1, .frame_round = 1});
    expect_victim_ends(&s, CLO_FORMAT);
}

static void a_request_for_any_round_but_the_next_is_refused(void)
{
    static const uint32_t rounds[] = {0, 2, 0xffffffffu};
    for (size_t i = 0; i < 3; i++) {
        CLO_AUTO(stage) s;
        open_stage(&s);
        T_OK(puppet_send_round(&s.p, CLO_FRAME_ATTEST, rounds[i], CLO_SPAN_EMPTY));
        expect_victim_ends(&s, CLO_FORMAT);
        T_INT(clo_channel_get_stats(s.p.victim).attestations_made, 1);
    }
}

static void a_keyed_end_shows_no_evidence(void)
{
    rig_reset_limits();
    CLO_AUTO(rig_pair) pair;
    rig_pair_init(&pair, CLO_ROLE_OWNER, CLO_ROLE_BROKER);
    rig_connect(&pair);
    T_RESULT(pair.results[0], CLO_OK);
    T_OK(clo_channel_upkeep(pair.channels[1], true));
    T_OK(clo_channel_upkeep(pair.channels[0], true));
    T_OK(talk(&pair, 0));
    T_INT(clo_channel_get_stats(pair.channels[0]).attestations_made, 0);
    T_INT(clo_channel_get_stats(pair.channels[1]).attestations_made, 2);
    T_INT(clo_channel_peer(pair.channels[0])->round, 1);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(both_ends_attest_again_between_messages),
        T(upkeep_asks_only_when_the_interval_has_passed),
        T(only_one_request_is_outstanding),
        T(evidence_passes_in_the_middle_of_an_exchange),
        T(traffic_keys_change_and_traffic_goes_on),
        T(an_end_that_only_receives_changes_keys_at_its_upkeep),
        T(traffic_keys_stay_below_the_threshold),
        T(a_peer_that_no_longer_meets_the_policy_is_closed),
        T(a_peer_that_left_the_roster_is_closed),
        T(a_peer_whose_launch_changed_is_closed),
        T(an_answer_that_is_overdue_closes_the_channel),
        T(an_answer_that_is_overdue_ends_a_recv_before_its_own_deadline),
        T(the_right_answer_of_a_puppet_is_accepted),
        T(evidence_of_the_first_round_is_no_answer_to_the_second),
        T(evidence_that_nobody_asked_for_is_refused),
        T(a_request_for_any_round_but_the_next_is_refused),
        T(a_keyed_end_shows_no_evidence),
    };
    rig_start();
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
