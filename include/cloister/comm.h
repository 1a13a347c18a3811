/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLOISTER_COMM_H
#define CLOISTER_COMM_H

/*
 * comm: the group of ranks and its collectives, over attested channels only.
 *
 *     rendezvous: every rank > 0 connects to rank 0 (MASTER_ADDR:MASTER_PORT) through the gate, says
 *     where it listens, and gets the table of all; then each rank connects to the next:
 *
 *         0 --> 1 --> 2 --> ... --> W-1 --> 0      one channel a pair of neighbours
 *
 * All-reduce is a ring (Patarasuk and Yuan, 2009): W-1 steps of reduce-scatter, W-1 of all-gather,
 * each rank sends and receives 2 (W-1)/W of the bytes; the order of additions depends only on the
 * position in the ring, and every rank ends with the same bits. The reduction is a function passed
 * in, because arithmetic belongs to the tensor room.
 *
 * Invariants:
 *   - Before the first collective all ranks have compared world size, job and build of the protocol.
 *   - Each collective carries its kind, sequence number, element count and element size; a mismatch
 *     names both values and fails the group.
 *   - After any failure the group is broken: every later call returns the same cause, which names
 *     rank, phase and address. Neighbours are told, so that all ranks know within a second.
 *
 * Threads: the collectives belong to one thread at a time: the caller's, or the reducer's own while
 * one is running.
 */
#include "cloister/kms.h"

typedef struct clo_group clo_group;

/* out[i] = out[i] + in[i] or the like, over `count` elements. */
typedef void (*clo_reduce_fn)(void *out, const void *in, size_t count);

typedef struct {
    clo_slot_session *session;      /* whose roster and certificate admit peers; outlives the group */
    uint32_t rank, world;
    const char *master_address;     /* host:port of rank 0 */
    const char *local_interface;    /* may be NULL */
    int64_t connect_timeout_ms;     /* for the rendezvous as a whole */
    int64_t step_timeout_ms;        /* for each collective; 0: 60,000 */
} clo_group_options;

/* Joins all ranks. With world 1 no connection is made. */
clo_status clo_group_join(const clo_group_options *options, clo_group **out_group);
void clo_group_leave(clo_group *group);
CLO_DEFINE_AUTO_PTR(clo_group, clo_group_leave);

uint32_t clo_group_rank(const clo_group *group);
uint32_t clo_group_world(const clo_group *group);
/* The peers this rank verified itself, for the transcript: neighbours and, at rank 0, everyone. */
size_t clo_group_peer_count(const clo_group *group);
const clo_peer *clo_group_peer(const clo_group *group, size_t index);
/* "epoch 2 step 117": named in failures. Copied. */
void clo_group_set_phase(clo_group *group, const char *phase);

clo_status clo_group_all_reduce(clo_group *group, void *data, size_t count, size_t element_size,
                                clo_reduce_fn reduce);
clo_status clo_group_broadcast(clo_group *group, uint32_t root, void *data, size_t size);
clo_status clo_group_barrier(clo_group *group);
/* Re-attestation and key updates of all connections when due; between steps, on every rank. */
clo_status clo_group_upkeep(clo_group *group);

/* Tells the other ranks why this one stops, so that they need not wait for a deadline. */
void clo_group_abort(clo_group *group, clo_status cause);

/* ---------------------------------------------------------------- reducer --------------------- */

/*
 * All-reduces buckets of one span in a thread of its own while the caller computes:
 *
 *     begin; [backward: submit(0), submit(1) ...]; finish
 *
 * Buckets are reduced in the order of submission, which must be the same on all ranks. submit does
 * not block and may be called from the thread that runs backward.
 */
typedef struct clo_reducer clo_reducer;

clo_status clo_reducer_new(clo_group *group, clo_reduce_fn reduce, size_t element_size,
                           clo_reducer **out_reducer);
void clo_reducer_free(clo_reducer *reducer);
CLO_DEFINE_AUTO_PTR(clo_reducer, clo_reducer_free);
void clo_reducer_submit(clo_reducer *reducer, void *data, size_t count);
/* Waits until all submitted are reduced; the first failure of any. */
clo_status clo_reducer_finish(clo_reducer *reducer);

#endif
