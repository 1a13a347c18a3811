/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ranks that die, stand still, stop with a reason, or do something else than the others: everybody
 * learns of it, by name, and nobody hangs.
 */
#include <signal.h>
#include <sys/mman.h>

#include "comm_message.h"
#include "comm_rig.h"
#include "group.h"

/* From the death of a rank to the end of the last other one. The aim is a second; test machines are
 * busy. */
enum { KNOW_MS = 2500, STILL_MS = 1000, MARGINS_MS = 1000 };

/* ---------------------------------------------------------------- killed ---------------------- */

typedef struct {
    uint32_t victim;
    size_t count; /* floats of each all-reduce */
    int signal;
    int64_t step_timeout_ms;
    int64_t *died_ms; /* shared between processes */
} scene;

static clo_status die_later(void *arg)
{
    scene *s = arg;
    clo_sleep_ms(60); /* somewhere inside a collective */
    *s->died_ms = clo_clock_ms();
    (void)kill(getpid(), s->signal);
    return CLO_STATUS_OK;
}

static clo_status reduce_for_ever(rig_member *member, clo_group *group)
{
    scene *s = member->arg;
    clo_thread *thread = NULL;
    float *data = clo_alloc_array(s->count, sizeof *data);
    CLO_CHECK(data != NULL, CLO_NOMEM, "data");
    clo_group_set_phase(group, "epoch 2 step 7");
    if (clo_group_rank(group) == s->victim) {
        CLO_TRY(clo_thread_start(die_later, s, "death", &thread));
    }
    clo_status status = CLO_STATUS_OK;
    while (clo_ok(status)) {
        status = clo_group_all_reduce(group, data, s->count, sizeof *data, rig_add_floats);
    }
    clo_free(data);
    return status;
}

static void check_victim(uint32_t world, scene s, clo_code code)
{
    char name[32];
    char address[] = "127.0.0.1:";
    CLO_AUTO(comm_rig) rig;
    s.died_ms =
        mmap(NULL, sizeof *s.died_ms, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    T_CHECK(s.died_ms != MAP_FAILED);
    rig_init(&rig, world, reduce_for_ever, &s);
    for (uint32_t rank = 0; rank < world; rank++) {
        rig.members[rank].options.step_timeout_ms = s.step_timeout_ms;
    }
    rig_spawn(&rig);
    for (uint32_t rank = 0; rank < world; rank++) {
        if (rank != s.victim) {
            rig_reap_one(&rig, rank);
        }
    }
    kill(rig.pids[s.victim], SIGKILL);
    rig_reap_one(&rig, s.victim);
    int64_t died = *s.died_ms;
    munmap(s.died_ms, sizeof *s.died_ms);
    snprintf(name, sizeof name, "rank %u at ", s.victim);
    for (uint32_t rank = 0; rank < world; rank++) {
        if (rank == s.victim) {
            continue;
        }
        T_RESULT(rig.members[rank], code);
        T_SAYS(rig.members[rank], name);
        T_SAYS(rig.members[rank], address);
        T_SAYS(rig.members[rank], "during all-reduce epoch 2 step 7");
        int64_t took = rig.members[rank].ended_ms - died;
        int64_t limit = KNOW_MS + (code == CLO_TIMEOUT ? s.step_timeout_ms + MARGINS_MS : 0);
        T_CHECK(died > 0 && took >= 0 && took < limit);
    }
}

static void a_killed_rank_is_named_by_all_others(void)
{
    for (uint32_t world = 2; world <= RIG_RANKS; world++) {
        for (uint32_t victim = 0; victim < world; victim++) {
            check_victim(world, (scene){victim, 1000, SIGKILL, 20000, NULL}, CLO_CLOSED);
        }
    }
}

static void a_rank_killed_inside_a_long_transfer_is_named_by_all_others(void)
{
    for (uint32_t world = 2; world <= RIG_RANKS; world++) {
        check_victim(world, (scene){world - 1, 8 << 20, SIGKILL, 20000, NULL}, CLO_CLOSED);
    }
    check_victim(4, (scene){1, 8 << 20, SIGKILL, 20000, NULL}, CLO_CLOSED);
}

static void a_rank_that_stands_still_is_named_by_all_others(void)
{
    check_victim(4, (scene){1, 1000, SIGSTOP, STILL_MS, NULL}, CLO_TIMEOUT);
    check_victim(4, (scene){0, 2 << 20, SIGSTOP, STILL_MS, NULL}, CLO_TIMEOUT);
}

/* ---------------------------------------------------------------- abort ----------------------- */

typedef struct {
    uint32_t author;
    size_t count;
    int rounds;
    const char *text;
} stop_scene;

static clo_status stop_after_rounds(rig_member *member, clo_group *group)
{
    stop_scene *s = member->arg;
    clo_status status = CLO_STATUS_OK;
    float *data = clo_alloc_array(s->count, sizeof *data);
    CLO_CHECK(data != NULL, CLO_NOMEM, "data");
    for (int i = 0; clo_ok(status); i++) {
        if (clo_group_rank(group) == s->author && i == s->rounds) {
            clo_group_abort(group, clo_status_make(CLO_NUMERIC, "f", 1, "f", "%s", s->text));
        }
        status = clo_group_all_reduce(group, data, s->count, sizeof *data, rig_add_floats);
    }
    clo_free(data);
    clo_saved_status first;
    clo_saved_status again;
    clo_status_save(status, &first);
    clo_status_save(clo_group_barrier(group), &again);
    CLO_CHECK(strcmp(first.text, again.text) == 0 && first.code == again.code, CLO_BUG,
              "the cause changed");
    return clo_status_restore(&first);
}

static void check_stop(uint32_t world, uint32_t author, size_t count)
{
    stop_scene s = {author, count, 3, "the loss is not finite"};
    char expected[64];
    CLO_AUTO(comm_rig) rig;
    rig_init(&rig, world, stop_after_rounds, &s);
    int64_t start = clo_clock_ms();
    rig_run(&rig);
    T_CHECK(clo_clock_ms() - start < RIG_STEP_MS / 2);
    snprintf(expected, sizeof expected, "rank %u stopped: the loss is not finite", author);
    for (uint32_t rank = 0; rank < world; rank++) {
        T_RESULT(rig.members[rank], CLO_NUMERIC);
        T_STR(rig.members[rank].result.text, rank == author ? "the loss is not finite" : expected);
    }
}

static void the_reason_of_a_rank_that_stops_reaches_everyone(void)
{
    for (uint32_t world = 2; world <= RIG_RANKS; world++) {
        for (uint32_t author = 0; author < world; author++) {
            check_stop(world, author, 10);
        }
    }
}

static void the_reason_reaches_ranks_that_move_long_vectors(void)
{
    check_stop(2, 0, 3 << 20);
    check_stop(3, 1, 3 << 20);
    check_stop(4, 3, 3 << 20);
}

static clo_status stop_with_long_text(rig_member *member, clo_group *group)
{
    char text[700];
    (void)member;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    memcpy(text, "a\033[31mb\n", 8);
    if (clo_group_rank(group) == 0) {
        clo_saved_status saved = {.code = CLO_IO};
        memcpy(saved.text, text, sizeof text);
        clo_group_abort(group, clo_status_restore(&saved));
    }
    return clo_group_barrier(group);
}

static void a_long_or_hostile_text_is_cut_and_cleaned(void)
{
    CLO_AUTO(comm_rig) rig;
    rig_init(&rig, 2, stop_with_long_text, NULL);
    rig_run(&rig);
    T_RESULT(rig.members[1], CLO_IO);
    T_SAYS(rig.members[1], "rank 0 stopped: a");
    T_CHECK(strlen(rig.members[1].result.text) < CLO_REASON_MAX + 20);
    for (const char *at = rig.members[1].result.text; *at != '\0'; at++) {
        T_CHECK(*at >= 0x20 && *at < 0x7f);
    }
}

/* Rank 0's reducer waits for the others, who do not come; its other thread stops the group. */
static clo_status stop_beside_reducer(rig_member *member, clo_group *group)
{
    uint64_t value = 1;
    CLO_AUTO_PTR(clo_reducer) reducer = NULL;
    (void)member;
    if (clo_group_rank(group) != 0) {
        clo_sleep_ms(600);
        return clo_group_all_reduce(group, &value, 1, sizeof value, rig_add_u64);
    }
    CLO_TRY(clo_reducer_new(group, rig_add_u64, sizeof value, &reducer));
    clo_reducer_submit(reducer, &value, 1);
    clo_reducer_submit(reducer, &value, 1);
    clo_sleep_ms(100);
    int64_t start = clo_clock_ms();
    clo_group_abort(group, clo_status_make(CLO_IO, "f", 1, "f", "the disk is full"));
    clo_status status = clo_reducer_finish(reducer);
    CLO_CHECK(clo_clock_ms() - start < RIG_STEP_MS / 2, CLO_BUG, "the reducer hung");
    return status;
}

static void an_abort_ends_a_collective_of_the_reducer(void)
{
    CLO_AUTO(comm_rig) rig;
    rig_init(&rig, 3, stop_beside_reducer, NULL);
    rig_run(&rig);
    T_RESULT(rig.members[0], CLO_IO);
    T_STR(rig.members[0].result.text, "the disk is full");
    for (uint32_t rank = 1; rank < 3; rank++) {
        T_RESULT(rig.members[rank], CLO_IO);
        T_STR(rig.members[rank].result.text, "rank 0 stopped: the disk is full");
    }
}

/* A rank that just leaves, without a word, between collectives. */
static clo_status leave_early(rig_member *member, clo_group *group)
{
    uint64_t value = 0;
    (void)member;
    CLO_TRY(clo_group_barrier(group));
    if (clo_group_rank(group) == 1) {
        return CLO_STATUS_OK;
    }
    CLO_TRY(clo_group_all_reduce(group, &value, 1, sizeof value, rig_add_u64));
    return clo_group_barrier(group);
}

static void a_rank_that_leaves_in_order_is_named_too(void)
{
    for (uint32_t world = 2; world <= RIG_RANKS; world++) {
        CLO_AUTO(comm_rig) rig;
        rig_init(&rig, world, leave_early, NULL);
        rig_run(&rig);
        for (uint32_t rank = 0; rank < world; rank++) {
            T_RESULT(rig.members[rank], rank == 1 ? CLO_OK : CLO_CLOSED);
            T_CHECK(rank == 1 || strstr(rig.members[rank].result.text, "rank 1 at 127.0.0.1:"));
        }
    }
}

/* ---------------------------------------------------------------- mismatches ------------------ */

typedef enum { DO_COUNT, DO_SIZE, DO_KIND, DO_ROOT, DO_SHORT, DO_SEQUENCE, DO_KINDS } difference;

/* Who sees it first says it from its own side. Two roots of two ranks first miss each other in what
 * comes next. */
static const struct {
    difference does;
    uint32_t least_world;
    const char *says, *or_says;
} mismatches[] = {
    {DO_COUNT, 2, "its element count is 9, expected 8", "its element count is 8, expected 9"},
    {DO_SIZE, 2, "its element size is 4, expected 8", "its element size is 8, expected 4"},
    {DO_KIND, 2, "it does 'barrier', expected 'all-reduce'",
     "it does 'all-reduce', expected 'barrier'"},
    {DO_ROOT, 3, "its root is 1, expected 0", "its root is 0, expected 1"},
    {DO_SHORT, 2, "its element count is 8, expected 400000",
     "its element count is 400000, expected 8"},
    {DO_SEQUENCE, 2, "its sequence number is 3, expected 2",
     "its sequence number is 2, expected 3"},
};

static clo_status differ(rig_member *member, clo_group *group)
{
    difference does = *(difference *)member->arg;
    bool odd_one = clo_group_rank(group) == 1;
    uint64_t *data = clo_alloc_array(400000, sizeof *data);
    CLO_CHECK(data != NULL, CLO_NOMEM, "data");
    size_t count = does == DO_SHORT && !odd_one ? 400000 : 8;
    clo_status status = CLO_STATUS_OK;
    group->sequence += odd_one && does == DO_SEQUENCE ? 1 : 0;
    if (does == DO_ROOT) {
        status = clo_group_broadcast(group, odd_one ? 1 : 0, data, 8);
    } else if (odd_one && does == DO_KIND) {
        status = clo_group_barrier(group);
    } else {
        status = clo_group_all_reduce(group, data, count + (odd_one && does == DO_COUNT ? 1 : 0),
                                      odd_one && does == DO_SIZE ? 4 : 8, rig_add_u64);
    }
    if (clo_ok(status)) {
        status = clo_group_barrier(group); /* a root of a broadcast may have been through already */
    }
    clo_free(data);
    return status;
}

static void ranks_that_differ_fail_and_name_both_values(void)
{
    for (size_t i = 0; i < sizeof mismatches / sizeof *mismatches; i++) {
        for (uint32_t world = mismatches[i].least_world; world <= 3; world++) {
            difference does = mismatches[i].does;
            bool named = false;
            CLO_AUTO(comm_rig) rig;
            rig_init(&rig, world, differ, &does);
            rig_run(&rig);
            for (uint32_t rank = 0; rank < world; rank++) {
                T_RESULT(rig.members[rank], CLO_INVALID);
                const char *text = rig.members[rank].result.text;
                named = named || strstr(text, mismatches[i].says) != NULL ||
                        strstr(text, mismatches[i].or_says) != NULL;
            }
            if (!named) {
                clo_test_fail(__FILE__, __LINE__, "'%s' is not in '%s' of %u", mismatches[i].says,
                              rig.members[world - 1].result.text, world);
                return;
            }
        }
    }
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(a_killed_rank_is_named_by_all_others),
        T(a_rank_killed_inside_a_long_transfer_is_named_by_all_others),
        T(a_rank_that_stands_still_is_named_by_all_others),
        T(the_reason_of_a_rank_that_stops_reaches_everyone),
        T(the_reason_reaches_ranks_that_move_long_vectors),
        T(a_long_or_hostile_text_is_cut_and_cleaned),
        T(an_abort_ends_a_collective_of_the_reducer),
        T(a_rank_that_leaves_in_order_is_named_too),
        T(ranks_that_differ_fail_and_name_both_values),
    };
    rig_start();
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
