/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_COMM_GROUP_H
#define CLO_COMM_GROUP_H

/*
 * group: what one rank holds of the ring, and the functions its files offer each other.
 *
 *     group.c         life: leave, phase, upkeep; begin and end of a collective; abort
 *        |-- rendezvous*.c  from nothing to two channels
 *        |-- renewal.c      from two channels to two others
 *        |-- ring.c         one step of a collective, and telling the others of a failure
 *     collectives.c   all-reduce, broadcast, barrier out of steps
 *     reducer.c       the same from a thread of its own
 *
 * Invariants:
 *   - Application bytes go from a rank to its next only, but for aborts, which go both ways.
 *   - A collective runs between clo_group_begin and clo_group_end, in one thread; the channels are
 *     touched in no other place once the group is joined, but by upkeep and the abort.
 *   - `broken` is set once, with `cause`, and never taken back; the channels are closed then.
 *   - Closing a channel may begin a new chain of causes: a status is saved before, restored after.
 *
 * Ownership: the group owns channels, memory and copies of peers. Threads: `lock` guards the fields
 * named under it; all others belong to the thread of the collective.
 */
#include "cloister/comm.h"
#include "comm_message.h"

/* Bytes of a body: one data frame, so that a body that was begun can always be ended before an
 * abort (ring.c), in 64 full TLS records. Pieces of a cache's size are also reduced fastest. */
#define CLO_BODY_MAX ((1u << 20) - 64)

/* A peer that this rank verified: as the channel knows it while that stands, a copy afterwards. */
typedef struct {
    const clo_channel *channel; /* NULL: closed */
    clo_peer *copy;
} clo_verified_peer;

struct clo_group {
    uint32_t rank, world;
    int64_t step_timeout_ms;
    clo_channel *next,
        *prev;      /* the same one in a world of two; NULL in a world of one, or broken */
    bool next_left; /* it closed in order: only sending to it is a failure now */
    clo_verified_peer *peers;
    size_t peer_count;
    int64_t joined_ms; /* when the present channels were made */

    uint64_t sequence; /* of the present or last collective */
    const char *doing; /* for failures: a constant */
    clo_buf out, in;   /* leads */
    uint8_t *scratch;  /* CLO_BODY_MAX bytes: what is to be reduced arrives here */
    clo_span owed;     /* the body that a lead has announced and that is not under way */
    bool heard;        /* the failure came as an abort, kept in `abort` */
    clo_comm_abort abort;

    clo_mutex *lock;
    clo_cond *idle;
    char phase[64];
    bool busy;     /* a collective runs */
    bool stopping; /* an abort waits for the collective to end; `cause` is set */
    bool broken;
    clo_saved_status cause;
};

/* ---- group.c */

/* The cause when the group is broken or about to be; else the group is busy until end, which turns
 * a failure of the collective into the cause and tells the others. */
clo_status clo_group_begin(clo_group *group, const char *doing);
clo_status clo_group_end(clo_group *group, clo_status status);
/* The cause when somebody called clo_group_abort. */
clo_status clo_group_check_stop(clo_group *group);

/* Checks options and takes memory; the group has no channels yet. Nothing is kept on failure. */
clo_status clo_group_new(const clo_group_options *options, clo_group **out_group);
/* Channels, peers and their age change places; both groups are of the same rank and world. */
void clo_group_trade_rings(clo_group *group, clo_group *other);

/* Enters a peer into the list; a copy of what is known of it now is made. */
clo_status clo_group_add_peer(clo_group *group, const clo_channel *channel);
/* Closes a channel of the group; its peer stays on the list. NULL is fine. */
void clo_group_drop_channel(clo_group *group, clo_channel *channel);

/* ---- ring.c */

/* One step: a lead to the next rank, a lead from the previous one, and their bodies. */
typedef struct {
    bool sends, receives;
    uint32_t send_step, receive_step;
    clo_span out;   /* borrowed until the collective ends */
    void *in;       /* in_size bytes */
    size_t in_size; /* both sizes at most CLO_BODY_MAX */
} clo_ring_step;

/* `lead` has kind, count, element size and root. The deadline is the collective's. */
clo_status clo_ring_pass(clo_group *group, const clo_comm_lead *lead, const clo_ring_step *step,
                         clo_deadline deadline);
/* After a failure: tells the others and waits a moment for a better reason than ours. Returns what
 * is to be this group's cause. */
clo_status clo_ring_settle(clo_group *group, clo_status status);
/* Between collectives, when nothing but an abort is expected: whatever else lies on either channel,
 * its end too, is a failure. */
clo_status clo_ring_look(clo_group *group);
/* Tells both neighbours, as far as they take it at once. */
void clo_ring_tell(clo_group *group, const clo_comm_abort *abort);
/* Names rank, address, collective and phase. */
clo_status clo_ring_name_failure(clo_group *group, const clo_channel *channel, clo_status status);

/* ---- collectives.c */

/* W-1 steps without payload, inside begin and end. */
clo_status clo_collective_barrier(clo_group *group, clo_deadline deadline);

/* ---- rendezvous.c */

/* Fills channels and peers of a group of two or more, and meets the others in a barrier. */
clo_status clo_rendezvous(const clo_group_options *options, clo_group *group);

#endif
