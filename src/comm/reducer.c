/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reducer: a queue of buckets and one thread that all-reduces them in order.
 *
 *     submit --> [ done ... | tail: being reduced | ... | head ]      counters, never reset
 *
 * The thread sleeps on the condition while tail == head. After a failure it drops what is queued,
 * and the failure stays.
 */
#include "group.h"

/* finish waits so long for one bucket: its collective ends by itself before. */
enum { MARGIN_MS = 10 * 1000, IDLE_MS = 60 * 60 * 1000 };

typedef struct {
    void *data;
    size_t count;
} bucket;

struct clo_reducer {
    clo_group *group;
    clo_reduce_fn reduce;
    size_t element_size;
    clo_thread *thread;
    clo_mutex *lock; /* of everything below */
    clo_cond *changed;
    bucket queue[CLO_REDUCER_BUCKETS]; /* entry i % CLO_REDUCER_BUCKETS */
    uint64_t head, tail;
    bool stop;
    clo_saved_status failure;
};

static clo_status reduce_bucket(clo_reducer *reducer, bucket b)
{
    return clo_group_all_reduce(reducer->group, b.data, b.count, reducer->element_size,
                                reducer->reduce);
}

/* With the lock; it is released while the bucket is reduced. */
static void reduce_next(clo_reducer *reducer)
{
    bucket b = reducer->queue[reducer->tail % CLO_REDUCER_BUCKETS];
    bool drop = reducer->failure.code != CLO_OK;
    if (!drop) {
        clo_mutex_unlock(reducer->lock);
        clo_status status = reduce_bucket(reducer, b);
        clo_mutex_lock(reducer->lock);
        if (reducer->failure.code == CLO_OK) {
            clo_status_save(status, &reducer->failure);
        }
    }
    reducer->tail++;
    clo_cond_wake_all(reducer->changed);
}

static clo_status run(void *arg)
{
    clo_reducer *reducer = arg;
    clo_mutex_lock(reducer->lock);
    while (!reducer->stop) {
        if (reducer->tail != reducer->head) {
            reduce_next(reducer);
        } else {
            (void)clo_cond_wait(reducer->changed, reducer->lock, clo_deadline_in(IDLE_MS));
        }
    }
    clo_mutex_unlock(reducer->lock);
    return CLO_STATUS_OK;
}

clo_status clo_reducer_new(clo_group *group, clo_reduce_fn reduce, size_t element_size,
                           clo_reducer **out_reducer)
{
    CLO_AUTO_PTR(clo_reducer) reducer = clo_alloc(sizeof *reducer);
    CLO_CHECK(reducer != NULL, CLO_NOMEM, "out of memory for a reducer");
    reducer->group = group;
    reducer->reduce = reduce;
    reducer->element_size = element_size;
    CLO_TRY(clo_mutex_new(&reducer->lock));
    CLO_TRY(clo_cond_new(&reducer->changed));
    CLO_TRY(clo_thread_start(run, reducer, "reducer", &reducer->thread));
    *out_reducer = CLO_TAKE(reducer);
    return CLO_STATUS_OK;
}

void clo_reducer_free(clo_reducer *reducer)
{
    if (reducer == NULL) {
        return;
    }
    if (reducer->thread != NULL) {
        clo_mutex_lock(reducer->lock);
        reducer->stop = true;
        clo_cond_wake_all(reducer->changed);
        clo_mutex_unlock(reducer->lock);
        (void)clo_thread_join(reducer->thread);
    }
    clo_cond_free(reducer->changed);
    clo_mutex_free(reducer->lock);
    clo_free(reducer);
}

void clo_reducer_submit(clo_reducer *reducer, void *data, size_t count)
{
    clo_mutex_lock(reducer->lock);
    if (reducer->head - reducer->tail < CLO_REDUCER_BUCKETS) {
        reducer->queue[reducer->head % CLO_REDUCER_BUCKETS] = (bucket){data, count};
        reducer->head++;
    } else if (reducer->failure.code == CLO_OK) {
        clo_status_save(clo_status_make(CLO_LIMIT, __FILE__, __LINE__, __func__,
                                        "%d buckets wait already", CLO_REDUCER_BUCKETS),
                        &reducer->failure);
    }
    clo_cond_wake_all(reducer->changed);
    clo_mutex_unlock(reducer->lock);
}

/* With the lock. */
static clo_status wait_for_bucket(clo_reducer *reducer)
{
    uint64_t tail = reducer->tail;
    clo_deadline deadline = clo_deadline_in(reducer->group->step_timeout_ms + MARGIN_MS);
    bool in_time = true;
    while (reducer->tail == tail && in_time) {
        in_time = clo_cond_wait(reducer->changed, reducer->lock, deadline);
    }
    CLO_CHECK(reducer->tail != tail, CLO_TIMEOUT, "a bucket was not reduced within %lld ms",
              (long long)reducer->group->step_timeout_ms + MARGIN_MS);
    return CLO_STATUS_OK;
}

clo_status clo_reducer_finish(clo_reducer *reducer)
{
    clo_status status = CLO_STATUS_OK;
    clo_mutex_lock(reducer->lock);
    while (reducer->tail != reducer->head && clo_ok(status)) {
        status = wait_for_bucket(reducer);
    }
    if (clo_ok(status)) {
        status = clo_status_restore(&reducer->failure);
    }
    clo_mutex_unlock(reducer->lock);
    return status;
}
