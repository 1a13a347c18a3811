/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_BASE_NET_RESOLVE_H
#define CLO_BASE_NET_RESOLVE_H

/*
 * Names to addresses, under a deadline.
 *
 * libc's resolver waits as long as its own configuration says, so a name is looked up in a thread
 * of its own, which is left behind when the deadline passes and cleans up after itself. Numeric
 * addresses are converted at once and touch neither a thread nor the name service.
 *
 * Ownership: the list is libc's; the caller gives it to freeaddrinfo. Any thread.
 */
#include <netdb.h>

#include "cloister/base.h"

/* Stream addresses of `host` and `port` (decimal), never an empty list. CLO_NOTFOUND when nobody
 * knows the name, CLO_TIMEOUT. */
clo_status clo_net_resolve(const char *host, const char *port, clo_deadline deadline,
                           struct addrinfo **out_list);

#endif
