/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads, locks and waits over pthreads. Locks check themselves: locking twice or unlocking what
 * another thread holds is a broken promise and aborts, where a plain lock would hang.
 */
#include "cloister/base.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "thread_create.h"

enum { NAME = 16 }; /* the kernel's limit, with the NUL */

struct clo_thread {
    pthread_t handle;
    clo_status (*run)(void *arg);
    void *arg;
    char name[NAME];
    clo_saved_status result;
};

struct clo_mutex {
    pthread_mutex_t handle;
};

struct clo_cond {
    pthread_cond_t handle;
};

static void *thread_main(void *arg)
{
    clo_thread *thread = arg;
    pthread_setname_np(pthread_self(), thread->name);
    /* The chain is this thread's: it must be saved here. */
    clo_status_save(thread->run(thread->arg), &thread->result);
    return NULL;
}

clo_status clo_thread_create(void *(*run)(void *arg), void *arg, pthread_t *out_handle)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* the new thread inherits it */
    int error = pthread_create(out_handle, NULL, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        return clo_status_from_errno(error, __FILE__, __LINE__, __func__, "start a thread");
    }
    return CLO_STATUS_OK;
}

clo_status clo_thread_start(clo_status (*run)(void *arg), void *arg, const char *name,
                            clo_thread **out_thread)
{
    clo_thread *thread = clo_alloc(sizeof *thread);
    CLO_CHECK(thread != NULL, CLO_NOMEM, "out of memory for thread '%s'", name);
    thread->run = run;
    thread->arg = arg;
    snprintf(thread->name, sizeof thread->name, "%s", name);
    clo_status status = clo_thread_create(thread_main, thread, &thread->handle);
    if (!clo_ok(status)) {
        clo_free(thread);
        return clo_status_wrap(status, __FILE__, __LINE__, __func__, "thread '%s'", name);
    }
    *out_thread = thread;
    return CLO_STATUS_OK;
}

clo_status clo_thread_join(clo_thread *thread)
{
    if (thread == NULL) {
        return CLO_STATUS_OK;
    }
    CLO_ASSERT(pthread_join(thread->handle, NULL) == 0);
    clo_status status = clo_status_restore(&thread->result);
    clo_free(thread);
    return status;
}

clo_status clo_mutex_new(clo_mutex **out_mutex)
{
    clo_mutex *mutex = clo_alloc(sizeof *mutex);
    CLO_CHECK(mutex != NULL, CLO_NOMEM, "out of memory for a lock");
    pthread_mutexattr_t how;
    CLO_ASSERT(pthread_mutexattr_init(&how) == 0);
    CLO_ASSERT(pthread_mutexattr_settype(&how, PTHREAD_MUTEX_ERRORCHECK) == 0);
    CLO_ASSERT(pthread_mutex_init(&mutex->handle, &how) == 0);
    pthread_mutexattr_destroy(&how);
    *out_mutex = mutex;
    return CLO_STATUS_OK;
}

void clo_mutex_free(clo_mutex *mutex)
{
    if (mutex != NULL) {
        CLO_ASSERT(pthread_mutex_destroy(&mutex->handle) == 0);
        clo_free(mutex);
    }
}

void clo_mutex_lock(clo_mutex *mutex)
{
    CLO_ASSERT(pthread_mutex_lock(&mutex->handle) == 0);
}

void clo_mutex_unlock(clo_mutex *mutex)
{
    CLO_ASSERT(pthread_mutex_unlock(&mutex->handle) == 0);
}

clo_status clo_cond_new(clo_cond **out_cond)
{
    clo_cond *cond = clo_alloc(sizeof *cond);
    CLO_CHECK(cond != NULL, CLO_NOMEM, "out of memory for a condition");
    pthread_condattr_t how;
    CLO_ASSERT(pthread_condattr_init(&how) == 0);
    CLO_ASSERT(pthread_condattr_setclock(&how, CLOCK_MONOTONIC) == 0);
    CLO_ASSERT(pthread_cond_init(&cond->handle, &how) == 0);
    pthread_condattr_destroy(&how);
    *out_cond = cond;
    return CLO_STATUS_OK;
}

void clo_cond_free(clo_cond *cond)
{
    if (cond != NULL) {
        CLO_ASSERT(pthread_cond_destroy(&cond->handle) == 0);
        clo_free(cond);
    }
}

void clo_cond_wake_all(clo_cond *cond)
{
    CLO_ASSERT(pthread_cond_broadcast(&cond->handle) == 0);
}

bool clo_cond_wait(clo_cond *cond, clo_mutex *mutex, clo_deadline deadline)
{
    struct timespec at = {(time_t)(deadline.at_ms / 1000), (long)(deadline.at_ms % 1000) * 1000000};
    int error = pthread_cond_timedwait(&cond->handle, &mutex->handle, &at);
    CLO_ASSERT(error == 0 || error == ETIMEDOUT);
    return error == 0;
}
