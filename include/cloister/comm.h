/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLOISTER_COMM_H
#define CLOISTER_COMM_H

/*
 * comm: the group of ranks and its collectives, over attested channels only.
 *
 *     rendezvous: every rank > 0 connects to rank 0 (MASTER_ADDR:MASTER_PORT) through the gate,
 * says who it is and where it listens, and gets the table of all; then each rank connects to the
 *     next. Rank 0 keeps the connections of its two neighbours and closes the others:
 *
 *         0 --- 1 --> 2 --> ... --> W-1 --- 0      one channel a pair of neighbours
 *
 * Data goes from each rank to the next only; two ranks use their one channel both ways.
 *
 * All-reduce is a ring (Patarasuk and Yuan, 2009): W-1 steps of reduce-scatter, W-1 of all-gather,
 * each rank sends and receives 2 (W-1)/W of the bytes; the order of additions depends only on the
 * position in the ring, and every rank ends with the same bits. The reduction is a function passed
 * in, because arithmetic belongs to the tensor room.
 *
 * Invariants:
 *   - Before the first collective all ranks have compared world size, job and build of the
 * protocol.
 *   - Each collective carries its kind, sequence number, element count and element size; a mismatch
 *     names both values and fails the group.
 *   - After any failure the group is broken: every later call returns the same cause, which names
 *     rank, address, collective and phase. The others are told, so that all know within a second.
 *
 * Threads: the collectives belong to one thread at a time: the caller's, or the reducer's own while
 * buckets are under way. clo_group_abort and clo_group_set_phase may come from any thread.
 */
#include "cloister/kms.h"

#define CLO_STEP_TIMEOUT_MS   60000
#define CLO_RENEW_INTERVAL_MS (60 * 60 * 1000)
#define CLO_ELEMENT_MAX       4096 /* bytes of an element of all-reduce */
#define CLO_REDUCER_BUCKETS   1024 /* submitted and not yet reduced */

typedef struct clo_group clo_group;

/* out[i] = out[i] + in[i] or the like, over `count` elements. */
typedef void (*clo_reduce_fn)(void *out, const void *in, size_t count);

typedef struct {
    clo_channel_self self;   /* as clo_slot_self gives it; its slot is the rank */
    clo_channel_rules rules; /* as clo_slot_peer_rules gives them; `arg` outlives the group */
    uint32_t rank, world;
    const char *master_address;  /* host:port of rank 0, where rank 0 listens */
    const char *local_interface; /* may be NULL */
    int64_t connect_timeout_ms;  /* for the rendezvous as a whole */
    int64_t step_timeout_ms;     /* for each collective; 0: CLO_STEP_TIMEOUT_MS */
    /* Called again and again while other ranks are awaited, so that the caller can take a newer
     * roster; with it a rank that was refused tries again until the timeout. May be NULL. */
    clo_status (*refresh)(void *arg);
    void *refresh_arg;
} clo_group_options;

/* Joins all ranks and returns when all are there; with world 1 no connection is made. CLO_INVALID
 * when ranks disagree (world size, job, a rank twice), naming both values; rank 0 waits for late
 * ranks, and late ranks for rank 0, until the timeout. A peer that does not pass the gate is logged
 * ("refused ADDRESS: REASON") and does not end the wait. */
clo_status clo_group_join(const clo_group_options *options, clo_group **out_group);
void clo_group_leave(clo_group *group);
CLO_DEFINE_AUTO_PTR(clo_group, clo_group_leave);

uint32_t clo_group_rank(const clo_group *group);
uint32_t clo_group_world(const clo_group *group);
/* The peers this rank verified itself, for the transcript: neighbours, rank 0, and at rank 0
 * everyone. Borrowed from the group; as of the last attestation. */
size_t clo_group_peer_count(const clo_group *group);
const clo_peer *clo_group_peer(const clo_group *group, size_t index);
/* "epoch 2 step 117": named in failures. Copied, at most 63 characters. */
void clo_group_set_phase(clo_group *group, const char *phase);

/* CLO_CLOSED or CLO_TIMEOUT for a rank that is gone, CLO_INVALID for one that does something else,
 * the code and text of clo_group_abort for one that stopped. */
clo_status clo_group_all_reduce(clo_group *group, void *data, size_t count, size_t element_size,
                                clo_reduce_fn reduce);
clo_status clo_group_broadcast(clo_group *group, uint32_t root, void *data, size_t size);
clo_status clo_group_barrier(clo_group *group);
/* Re-attestation and key updates of all connections when due; between steps, on every rank. With
 * `roster_changed` (as clo_slot_upkeep tells) peers show their evidence again now, and are judged
 * by the new roster. */
clo_status clo_group_upkeep(clo_group *group, bool roster_changed);

/* Connections are replaced every CLO_RENEW_INTERVAL_MS. A rank whose group is_old asks the others,
 * in a collective of its own making, and all enter renew at the same point: rendezvous and gate
 * anew, beside the old connections, which are closed when the new ring is whole. The ranks must be
 * the same processes (incarnation and key): CLO_INVALID. A failure breaks the group, within the
 * deadline of a collective. `options` as for join, with the same rank and world, and with `self`
 * taken anew, for its newer job certificate; the caller's reducer must have finished. */
bool clo_group_is_old(const clo_group *group);
clo_status clo_group_renew(clo_group *group, const clo_group_options *options);

/* Tells the other ranks why this one stops, so that they need not wait for a deadline; the group is
 * broken then. A collective under way in the reducer is ended first. */
void clo_group_abort(clo_group *group, clo_status cause);

/* ---------------------------------------------------------------- reducer --------------------- */

/*
 * All-reduces buckets of one span in a thread of its own while the caller computes:
 *
 *     begin; [backward: submit(0), submit(1) ...]; finish
 *
 * Buckets are reduced in the order of submission, which must be the same on all ranks. submit does
 * not block and may be called from the thread that runs backward; what goes wrong is told by
 * finish. The span of a bucket belongs to the reducer until finish. free drops what is not reduced
 * yet.
 */
typedef struct clo_reducer clo_reducer;

clo_status clo_reducer_new(clo_group *group, clo_reduce_fn reduce, size_t element_size,
                           clo_reducer **out_reducer);
void clo_reducer_free(clo_reducer *reducer);
CLO_DEFINE_AUTO_PTR(clo_reducer, clo_reducer_free);
void clo_reducer_submit(clo_reducer *reducer, void *data, size_t count);
/* Waits until all submitted are reduced; the first failure of any, from then on always. */
clo_status clo_reducer_finish(clo_reducer *reducer);

#endif
