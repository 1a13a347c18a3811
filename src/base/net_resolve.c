/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A look-up is shared by two threads, the one that waits and the one that works:
 *
 *     waits until done or deadline          getaddrinfo, which may take long
 *     takes the list, or leaves it          sets done, wakes
 *     holders - 1                           holders - 1
 *
 * Whoever lets go last frees it, with the list when nobody took it.
 */
#include "net_resolve.h"

#include <errno.h>
#include <stdio.h>

#include "thread_create.h"

enum { HOST = 128, PORT = 8 };

typedef struct {
    clo_mutex *lock;
    clo_cond *changed;
    int holders;
    bool done;
    int error;
    int system_error; /* errno, when error is EAI_SYSTEM */
    struct addrinfo *list;
    char host[HOST];
    char port[PORT];
} lookup;

/* The converter for getaddrinfo's codes, the only one. */
static clo_status status_from_gai(int error, int system_error, const char *host)
{
    switch (error) {
    case EAI_NONAME:
    case EAI_NODATA:
    case EAI_ADDRFAMILY:
        CLO_FAIL(CLO_NOTFOUND, "host '%s': no address known", host);
    case EAI_MEMORY:
        CLO_FAIL(CLO_NOMEM, "host '%s': out of memory", host);
    case EAI_SYSTEM:
        return clo_status_from_errno(system_error, __FILE__, __LINE__, __func__, "resolve '%s'",
                                     host);
    default:
        CLO_FAIL(CLO_IO, "resolve '%s': %s", host, gai_strerror(error));
    }
}

static int resolve(const char *host, const char *port, int flags, struct addrinfo **out_list)
{
    struct addrinfo wish = {
        .ai_flags = flags | AI_NUMERICSERV, .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    return getaddrinfo(host, port, &wish, out_list);
}

static void lookup_free(lookup *l)
{
    if (l->list != NULL) {
        freeaddrinfo(l->list);
    }
    clo_cond_free(l->changed);
    clo_mutex_free(l->lock);
    clo_free(l);
}

/* Lets go; the lock is held by the caller and released here. */
static void lookup_leave(lookup *l)
{
    bool last = --l->holders == 0;
    clo_mutex_unlock(l->lock);
    if (last) {
        lookup_free(l);
    }
}

static void *lookup_main(void *arg)
{
    lookup *l = arg;
    struct addrinfo *list = NULL;
    int error = resolve(l->host, l->port, AI_ADDRCONFIG, &list);
    int system_error = errno;
    clo_mutex_lock(l->lock);
    l->done = true;
    l->error = error;
    l->system_error = system_error;
    l->list = list;
    clo_cond_wake_all(l->changed);
    lookup_leave(l);
    return NULL;
}

static clo_status lookup_new(const char *host, const char *port, lookup **out_lookup)
{
    lookup *l = clo_alloc(sizeof *l);
    CLO_CHECK(l != NULL, CLO_NOMEM, "out of memory for looking up '%s'", host);
    l->holders = 2;
    snprintf(l->host, sizeof l->host, "%s", host);
    snprintf(l->port, sizeof l->port, "%s", port);
    clo_status status = clo_mutex_new(&l->lock);
    if (clo_ok(status)) {
        status = clo_cond_new(&l->changed);
    }
    if (!clo_ok(status)) {
        lookup_free(l);
        return status;
    }
    *out_lookup = l;
    return CLO_STATUS_OK;
}

/* Detached, because the one who waits may leave first; so not a clo_thread, which is joined. */
static clo_status lookup_start(lookup *l)
{
    pthread_t handle;
    CLO_TRY_CTX(clo_thread_create(lookup_main, l, &handle), "looking up '%s'", l->host);
    pthread_detach(handle);
    return CLO_STATUS_OK;
}

static clo_status lookup_take(lookup *l, struct addrinfo **out_list)
{
    CLO_CHECK(l->done, CLO_TIMEOUT, "host '%s': no answer from the name service in time", l->host);
    if (l->error != 0) {
        return status_from_gai(l->error, l->system_error, l->host);
    }
    *out_list = CLO_TAKE(l->list);
    return CLO_STATUS_OK;
}

clo_status clo_net_resolve(const char *host, const char *port, clo_deadline deadline,
                           struct addrinfo **out_list)
{
    int error = resolve(host, port, AI_NUMERICHOST, out_list);
    if (error == 0) {
        return CLO_STATUS_OK;
    }
    if (error != EAI_NONAME) {
        return status_from_gai(error, errno, host);
    }
    lookup *l;
    CLO_TRY(lookup_new(host, port, &l));
    clo_status status = lookup_start(l);
    if (!clo_ok(status)) {
        lookup_free(l);
        return status;
    }
    clo_mutex_lock(l->lock);
    while (!l->done && clo_cond_wait(l->changed, l->lock, deadline)) {
    }
    status = lookup_take(l, out_list);
    lookup_leave(l);
    return status;
}
