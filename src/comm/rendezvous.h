/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_COMM_RENDEZVOUS_H
#define CLO_COMM_RENDEZVOUS_H

/*
 * rendezvous: from addresses to a ring.
 *
 *     rank r > 0  (rendezvous.c)                   rank 0  (rendezvous_lead.c)
 *        through the gate, again and again  --->     listens at the master address
 *        JOIN                               --->     compares world, job, rank
 *             <---  TABLE (or ABORT)                 once all are there (or one does not fit)
 *     then  1 --> 2 --> ... --> W-1                  each to the address its next rank gave
 *     then  a barrier over the ring: when it ends, every rank has both its channels
 *
 * Who a peer is, the gate has settled: its slot is its rank. A peer that fails the gate, or says
 * nothing sensible after it, is refused and does not disturb the others. A rank that disagrees is
 * another matter: the job is set up wrong, and everybody is told.
 *
 * Threads: the caller's.
 */
#include "group.h"

#define CLO_RENDEZVOUS_MAX (64 * 1024) /* bytes of a message */

/* All of it but the barrier. */
clo_status clo_rendezvous_connect(const clo_group_options *options, clo_group *group,
                                  clo_deadline deadline);

/* The next peer that passes the gate; others are logged, and options->refresh is called while we
 * wait. CLO_TIMEOUT. */
clo_status clo_rendezvous_accept(clo_listener *listener, const clo_group_options *options,
                                 clo_deadline deadline, clo_channel **out_channel);
/* Logs and closes a channel that passed the gate and does not belong here. */
void clo_rendezvous_refuse(clo_channel *channel, clo_status reason);

/* Rank 0's part: gathers all ranks, tells them of each other, keeps its neighbours. */
clo_status clo_rendezvous_lead(const clo_group_options *options, clo_group *group,
                               clo_deadline deadline);

#endif
