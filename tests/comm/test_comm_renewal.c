/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fresh connections for a group that stands: the ranks go on as if nothing had been, and whoever is
 * not the process that it was, or fails meanwhile, ends the group for all in good time.
 */
#include "comm_limits.h"
#include "comm_rig.h"

/* The limits of this program. */
static clo_comm_limits limits = {CLO_RENEW_INTERVAL_MS};

const clo_comm_limits *clo_comm_get_limits(void)
{
    return &limits;
}

enum { COUNT = 3001, SOON_MS = 4000 };

static clo_status sum_up(clo_group *group, uint64_t round)
{
    uint64_t values[COUNT];
    uint64_t world = clo_group_world(group);
    for (uint64_t i = 0; i < COUNT; i++) {
        values[i] = clo_group_rank(group) + i * round;
    }
    CLO_TRY(clo_group_all_reduce(group, values, COUNT, sizeof *values, rig_add_u64));
    for (uint64_t i = 0; i < COUNT; i++) {
        uint64_t expected = world * (world - 1) / 2 + world * i * round;
        CLO_CHECK(values[i] == expected, CLO_BUG, "element %d is wrong", (int)i);
    }
    return CLO_STATUS_OK;
}

/* What tells one connection from another: the peer's nonce. */
static void note_nonces(const clo_group *group, uint8_t nonces[RIG_RANKS][32])
{
    memset(nonces, 0, RIG_RANKS * sizeof nonces[0]);
    for (size_t i = 0; i < clo_group_peer_count(group); i++) {
        const clo_hello *hello = &clo_group_peer(group, i)->hello;
        memcpy(nonces[hello->slot], hello->nonce, 32);
    }
}

static clo_status check_fresh(const clo_group *group, uint8_t nonces[RIG_RANKS][32])
{
    for (size_t i = 0; i < clo_group_peer_count(group); i++) {
        const clo_peer *peer = clo_group_peer(group, i);
        CLO_CHECK(memcmp(nonces[peer->hello.slot], peer->hello.nonce, 32) != 0, CLO_BUG,
                  "rank %u is on its old connection", peer->hello.slot);
        CLO_CHECK(peer->verdict.accepted && peer->round == 0, CLO_BUG, "no verdict of rank %u",
                  peer->hello.slot);
    }
    return CLO_STATUS_OK;
}

static clo_status renew_thrice(rig_member *member, clo_group *group)
{
    uint8_t nonces[RIG_RANKS][32];
    CLO_AUTO_PTR(clo_reducer) reducer = NULL;
    uint64_t value = 0;
    CLO_TRY(clo_reducer_new(group, rig_add_u64, sizeof value, &reducer));
    for (uint64_t round = 1; round <= 3; round++) {
        size_t peers = clo_group_peer_count(group);
        note_nonces(group, nonces);
        CLO_TRY(sum_up(group, round));
        CLO_TRY(clo_group_renew(group, &member->options));
        CLO_TRY(check_fresh(group, nonces));
        CLO_CHECK(clo_group_peer_count(group) == peers, CLO_BUG, "other peers than before");
        value = 1;
        clo_reducer_submit(reducer, &value, 1);
        CLO_TRY(clo_reducer_finish(reducer));
        CLO_CHECK(value == clo_group_world(group), CLO_BUG, "the reducer lost the group");
    }
    CLO_TRY(clo_group_upkeep(group, true));
    return sum_up(group, 4);
}

static void run_all(uint32_t world, rig_body body)
{
    CLO_AUTO(comm_rig) rig;
    rig_init(&rig, world, body, NULL);
    rig_run(&rig);
    for (uint32_t rank = 0; rank < world; rank++) {
        T_RESULT_OK(rig.members[rank]);
    }
}

static void two_ranks_go_on_over_fresh_connections(void)
{
    run_all(2, renew_thrice);
}

static void three_ranks_go_on_over_fresh_connections(void)
{
    run_all(3, renew_thrice);
}

static void four_ranks_go_on_over_fresh_connections(void)
{
    run_all(4, renew_thrice);
}

/* ---- age */

static clo_status grow_old(rig_member *member, clo_group *group)
{
    CLO_CHECK(!clo_group_is_old(group), CLO_BUG, "old at once");
    clo_sleep_ms(limits.renew_ms + 10);
    CLO_CHECK(clo_group_is_old(group), CLO_BUG, "never old");
    CLO_TRY(clo_group_renew(group, &member->options));
    CLO_CHECK(!clo_group_is_old(group), CLO_BUG, "old after renewal");
    return clo_group_barrier(group);
}

static void connections_are_old_after_the_interval_and_young_after_renewal(void)
{
    T_INT(limits.renew_ms, 3600 * 1000);
    limits.renew_ms = 400;
    run_all(2, grow_old);
    limits.renew_ms = CLO_RENEW_INTERVAL_MS;
}

static void a_world_of_one_is_never_old(void)
{
    clo_group_options options = {.rank = 0, .world = 1};
    CLO_AUTO_PTR(clo_group) group = NULL;
    limits.renew_ms = 0;
    T_OK(clo_group_join(&options, &group));
    T_CHECK(!clo_group_is_old(group));
    T_OK(clo_group_renew(group, &options));
    limits.renew_ms = CLO_RENEW_INTERVAL_MS;
}

/* ---- upkeep */

static clo_status attest_again(rig_member *member, clo_group *group)
{
    const bool *changed = member->arg;
    CLO_TRY(clo_group_upkeep(group, *changed));
    for (int i = 0; i < 2; i++) { /* the answers pass */
        CLO_TRY(clo_group_barrier(group));
    }
    uint32_t expected = *changed ? 1 : 0;
    for (size_t i = 0; i < clo_group_peer_count(group); i++) {
        const clo_peer *peer = clo_group_peer(group, i);
        CLO_CHECK(peer->round == expected, CLO_BUG, "rank %u is at round %u, expected %u",
                  peer->hello.slot, peer->round, expected);
    }
    return clo_group_barrier(group);
}

static void a_changed_roster_has_every_peer_attest_again(void)
{
    static bool changed[] = {false, true};
    for (int i = 0; i < 2; i++) {
        CLO_AUTO(comm_rig) rig;
        rig_init(&rig, 3, attest_again, &changed[i]);
        rig_run(&rig);
        for (uint32_t rank = 0; rank < 3; rank++) {
            T_RESULT_OK(rig.members[rank]);
        }
    }
}

/* ---- who is not what it was */

static clo_status renew_once(rig_member *member, clo_group *group)
{
    CLO_TRY(sum_up(group, 1));
    CLO_TRY(clo_group_renew(group, &member->options));
    return sum_up(group, 2);
}

static clo_status renew_as_another(rig_member *member, clo_group *group)
{
    CLO_TRY(sum_up(group, 1));
    member->options.self.incarnation++;
    CLO_TRY(clo_group_renew(group, &member->options));
    return sum_up(group, 2);
}

static clo_status renew_with_another_key(rig_member *member, clo_group *group)
{
    CLO_AUTO_PTR(clo_key) key = NULL;
    CLO_AUTO_PTR(clo_cert) cert = NULL;
    clo_group_options options = member->options;
    CLO_TRY(sum_up(group, 1));
    rig_must(clo_key_generate(CLO_KEY_P256, &key), "key");
    rig_make_cert(key, &cert);
    options.self.key = key;
    options.self.cert = cert;
    clo_status status = clo_group_renew(group, &options);
    CLO_CHECK(!clo_ok(status), CLO_BUG, "renewed under another key");
    return status;
}

/* Rank `odd` does something else: the others all end soon, and at least `tellers` of them, with
 * this code, say `part`. (A rank may also see no more than that another one has closed for that.)
 */
static void expect_end(uint32_t odd, rig_body body, int32_t code, const char *part, int tellers)
{
    CLO_AUTO(comm_rig) rig;
    rig_init(&rig, 3, renew_once, NULL);
    rig.members[odd].body = body;
    int64_t start = clo_clock_ms();
    rig_run(&rig);
    T_CHECK(clo_clock_ms() - start < SOON_MS);
    int told = 0;
    for (uint32_t rank = 0; rank < 3; rank++) {
        const clo_saved_status *result = &rig.members[rank].result;
        T_CHECK(rank == odd || result->code != CLO_OK);
        told += rank != odd && result->code == code && strstr(result->text, part) != NULL ? 1 : 0;
    }
    T_CHECK(told >= tellers);
}

static void a_rank_of_another_incarnation_ends_the_group(void)
{
    expect_end(2, renew_as_another, CLO_INVALID, "was started anew: incarnation is 2, was 1", 1);
    expect_end(1, renew_as_another, CLO_INVALID, "was started anew: incarnation is 2, was 1", 1);
    expect_end(0, renew_as_another, CLO_INVALID, "was started anew: incarnation is 2, was 1", 1);
}

static void a_rank_with_another_key_ends_the_group(void)
{
    expect_end(1, renew_with_another_key, CLO_INVALID, "has another key than before", 1);
}

/* A process that begins, with the right key and incarnation: only its place in the run is wrong. */
static clo_status begin_instead(rig_member *member, clo_group *group)
{
    CLO_AUTO_PTR(clo_group) second = NULL;
    CLO_TRY(sum_up(group, 1));
    return clo_group_join(&member->options, &second);
}

static void a_rank_that_only_begins_is_no_rank_that_goes_on(void)
{
    expect_end(2, begin_instead, CLO_INVALID, "sequence", 2);
}

/* ---- who fails meanwhile */

static clo_status leave_instead(rig_member *member, clo_group *group)
{
    (void)member;
    return sum_up(group, 1);
}

static void a_rank_that_leaves_is_named_by_the_others(void)
{
    expect_end(2, leave_instead, CLO_CLOSED, "rank 2", 2);
    expect_end(0, leave_instead, CLO_CLOSED, "rank 0", 2);
}

static clo_status stop_instead(rig_member *member, clo_group *group)
{
    (void)member;
    CLO_TRY(sum_up(group, 1));
    clo_sleep_ms(300);
    clo_group_abort(group, clo_status_make(CLO_NUMERIC, "f", 1, "f", "a disk is full"));
    return CLO_STATUS_OK;
}

static void a_rank_that_stops_tells_the_others_why(void)
{
    expect_end(1, stop_instead, CLO_NUMERIC, "rank 1 stopped: a disk is full", 2);
}

static clo_status ask_wrongly(rig_member *member, clo_group *group)
{
    clo_group_options options = member->options;
    options.world++;
    clo_status status = clo_group_renew(group, &options);
    CLO_CHECK(status.code == CLO_INVALID, CLO_BUG, "another world was taken");
    return sum_up(group, 1);
}

static void options_of_another_group_break_nothing(void)
{
    run_all(2, ask_wrongly);
}

static clo_status renew_broken(rig_member *member, clo_group *group)
{
    clo_group_abort(group, clo_status_make(CLO_NUMERIC, "f", 1, "f", "a NaN"));
    clo_status status = clo_group_renew(group, &member->options);
    CLO_CHECK(status.code == CLO_NUMERIC, CLO_BUG, "a broken group was renewed");
    return CLO_STATUS_OK;
}

static void a_broken_group_stays_broken(void)
{
    CLO_AUTO(comm_rig) rig;
    rig_init(&rig, 2, renew_broken, NULL);
    rig_run(&rig);
    T_RESULT_OK(rig.members[0]);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(two_ranks_go_on_over_fresh_connections),
        T(three_ranks_go_on_over_fresh_connections),
        T(four_ranks_go_on_over_fresh_connections),
        T(connections_are_old_after_the_interval_and_young_after_renewal),
        T(a_world_of_one_is_never_old),
        T(a_changed_roster_has_every_peer_attest_again),
        T(a_rank_of_another_incarnation_ends_the_group),
        T(a_rank_with_another_key_ends_the_group),
        T(a_rank_that_only_begins_is_no_rank_that_goes_on),
        T(a_rank_that_leaves_is_named_by_the_others),
        T(a_rank_that_stops_tells_the_others_why),
        T(options_of_another_group_break_nothing),
        T(a_broken_group_stays_broken),
    };
    rig_start();
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
