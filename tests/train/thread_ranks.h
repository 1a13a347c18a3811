/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_TEST_THREAD_RANKS_H
#define CLO_TEST_THREAD_RANKS_H

/*
 * Ranks as threads of one process, with a sync strategy over shared memory: the loop cannot tell it
 * from a network, and the test sees all ranks at once.
 *
 * A collective is a meeting: every rank lays down its pointer; the last to come does the work for
 * all, in the order of ranks, so that all get the same bits. A rank that leaves early breaks the
 * group, and the others fail instead of waiting.
 */
#include "test.h"

#include <stdio.h>
#include <string.h>

#include "cloister/train.h"

enum { RANKS_MAX = 4, MEET_MS = 20 * 1000 };

typedef struct rank_group rank_group;
typedef void (*meeting)(rank_group *group, size_t count);

struct rank_group {
    uint32_t world;
    clo_mutex *lock;
    clo_cond *changed;
    uint32_t present;
    uint64_t round;
    bool broken;
    void *data[RANKS_MAX];
};

typedef struct {
    rank_group *group;
    uint32_t rank;
    uint64_t meetings; /* collectives of this rank */
    void *arg;
    clo_status (*body)(clo_strategy *strategy, void *arg);
    clo_saved_status result;
} rank_thread;

static clo_status meet(rank_thread *self, void *data, size_t count, meeting work)
{
    rank_group *group = self->group;
    clo_deadline deadline = clo_deadline_in(MEET_MS);
    bool in_time = true;
    clo_mutex_lock(group->lock);
    uint64_t round = group->round;
    group->data[self->rank] = data;
    self->meetings++;
    if (++group->present == group->world && !group->broken) {
        work(group, count);
        group->present = 0;
        group->round++;
        clo_cond_wake_all(group->changed);
    }
    while (group->round == round && !group->broken && in_time) {
        in_time = clo_cond_wait(group->changed, group->lock, deadline);
    }
    bool met = group->round != round;
    clo_mutex_unlock(group->lock);
    CLO_CHECK(met || in_time, CLO_TIMEOUT, "rank %u waited for the others", self->rank);
    CLO_CHECK(met, CLO_CLOSED, "another rank left");
    return CLO_STATUS_OK;
}

static void copy_first(rank_group *group, size_t size)
{
    for (uint32_t rank = 1; rank < group->world; rank++) {
        memcpy(group->data[rank], group->data[0], size);
    }
}

static void average(rank_group *group, size_t count)
{
    for (uint32_t rank = 1; rank < group->world; rank++) {
        clo_add_f32(group->data[0], group->data[rank], count);
    }
    clo_scale_f32(group->data[0], 1.0f / (float)group->world, count);
    copy_first(group, count * sizeof(float));
}

static void add_up(rank_group *group, size_t count)
{
    for (uint32_t rank = 1; rank < group->world; rank++) {
        for (size_t i = 0; i < count; i++) {
            ((double *)group->data[0])[i] += ((const double *)group->data[rank])[i];
        }
    }
    copy_first(group, count * sizeof(double));
}

static clo_status threads_share(void *state, void *data, size_t size)
{
    return meet(state, data, size, copy_first);
}

static clo_status threads_finish(void *state, float *gradients, size_t count)
{
    return meet(state, gradients, count, average);
}

static clo_status threads_sum(void *state, double *values, size_t count)
{
    return meet(state, values, count, add_up);
}

static clo_status threads_between(void *state, const char *phase, bool peers_changed)
{
    (void)state;
    (void)phase;
    (void)peers_changed;
    return CLO_STATUS_OK;
}

static void threads_close(void *state)
{
    (void)state;
}

static const clo_strategy_ops thread_ops = {
    .name = "threads",
    .share = threads_share,
    .finish = threads_finish,
    .sum = threads_sum,
    .between = threads_between,
    .close = threads_close,
};

static clo_status rank_main(void *arg)
{
    rank_thread *self = arg;
    clo_strategy strategy = {
        .ops = &thread_ops, .state = self, .rank = self->rank, .world = self->group->world};
    clo_status status = self->body(&strategy, self->arg);
    clo_status_save(status, &self->result);
    clo_mutex_lock(self->group->lock);
    self->group->broken = self->group->broken || !clo_ok(status);
    clo_cond_wake_all(self->group->changed);
    clo_mutex_unlock(self->group->lock);
    return CLO_STATUS_OK;
}

/* Runs `body` in `world` threads; rank r gets args[r]. Their results are in out_results. */
static inline clo_status run_ranks(uint32_t world, clo_status (*body)(clo_strategy *, void *),
                                   void *const *args, clo_saved_status *out_results)
{
    rank_group group = {.world = world};
    rank_thread ranks[RANKS_MAX];
    clo_thread *threads[RANKS_MAX] = {NULL};
    CLO_TRY(clo_mutex_new(&group.lock));
    CLO_TRY(clo_cond_new(&group.changed));
    for (uint32_t rank = 0; rank < world; rank++) {
        ranks[rank] = (rank_thread){.group = &group, .rank = rank, .arg = args[rank], .body = body};
        CLO_TRY(clo_thread_start(rank_main, &ranks[rank], "rank", &threads[rank]));
    }
    for (uint32_t rank = 0; rank < world; rank++) {
        CLO_TRY(clo_thread_join(threads[rank]));
        out_results[rank] = ranks[rank].result;
    }
    clo_cond_free(group.changed);
    clo_mutex_free(group.lock);
    return CLO_STATUS_OK;
}

#endif
