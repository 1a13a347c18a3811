/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_CHANNEL_STATE_H
#define CLO_CHANNEL_STATE_H

/*
 * channel_state: what one channel is, and the functions its files offer each other.
 *
 *     channel.c   life: begin, step, close             listener.c  many of them, half open
 *        |
 *     gate.c      which frame is awaited, what is done with it, what comes next
 *        |-- judge.c     is this evidence for this connection, and is it good enough
 *        |-- reattest.c  the same again, in the open state
 *     wire.c      bytes through TLS, frames out of bytes
 *     message.c   application messages, only in the open state
 *
 * Invariants:
 *   - `state` only grows, and only gate.c (and clo_channel_fail) writes it.
 *   - A channel that failed keeps its reason and gives it to every later call.
 *   - Bytes in `wire.body` belong to the caller of a message function that has not returned.
 *
 * Threads: one at a time per channel.
 */
#include "channel_limits.h"
#include "cloister/channel.h"
#include "frame.h"
#include "transcript.h"

/* Frames out: `out` (staged bytes) is written first, then `body` (the caller's own memory), and
 * only then `control` is moved to `out`: a frame is never begun inside another. Frames in: five
 * header bytes, then either `control_in` fills up, or a data frame waits for its reader. */
typedef struct {
    clo_buf out;
    size_t out_at;
    clo_span body;
    clo_buf control;
    clo_tls_want write_want;

    uint8_t head[CLO_FRAME_HEAD];
    size_t head_have;
    clo_frame_head frame; /* valid when head_have is whole */
    uint32_t frame_have;  /* bytes of it already taken */
    clo_buf control_in;
    bool in_message; /* the last data frame taken was not the last of its message */
    bool ended;      /* close_notify was seen */
    clo_tls_want read_want;
} clo_wire;

/* Re-attestation, both ways. `awaited` is NONE when nothing is outstanding. */
typedef struct {
    clo_frame_type awaited;
    uint32_t asked; /* the newest round we asked the peer for */
    clo_deadline due;
    int64_t verified_ms;
    int64_t warned_expiry; /* the end of the peer's collateral that was said to be near */
    uint32_t answered;     /* the newest round we showed */
    bool answering;        /* our answer has not left yet */
} clo_reattest;

/* Which of the four ways through the gate this end takes: see the table in gate.c. */
typedef enum {
    CLO_SCRIPT_CONNECT_ATTESTED = 0,
    CLO_SCRIPT_CONNECT_KEYED,
    CLO_SCRIPT_ACCEPT_ATTESTED,
    CLO_SCRIPT_ACCEPT_KEYED,
    CLO_SCRIPT_COUNT
} clo_gate_script;

struct clo_channel {
    clo_tls_side side;
    int fd;
    clo_channel_self self;
    clo_channel_rules rules;
    clo_gate_script script;
    clo_gate_state state;
    clo_deadline deadline; /* of the gate's present phase */
    clo_saved_status failure;
    bool secure; /* the TLS handshake is done */
    bool peer_refused;
    bool told;     /* our refusal was written: the session itself is sound */
    bool reported; /* somebody was told that the channel opened */

    clo_tls *tls;
    clo_tls_want handshake_want;
    clo_wire wire;

    clo_hello own_hello;
    clo_transcript transcript;
    clo_cert *peer_cert;
    clo_expectation expectation;
    clo_buf quote; /* kept between EVIDENCE and COLLATERAL */
    clo_peer peer;

    clo_reattest reattest;
    uint64_t records_since_update;
    clo_channel_stats stats;
};

static inline clo_tls_side clo_channel_other_side(const clo_channel *channel)
{
    return channel->side == CLO_TLS_CLIENT ? CLO_TLS_SERVER : CLO_TLS_CLIENT;
}

/* ---- channel.c */

/* Keeps the reason, tells the peer one coarse code if that makes sense, and closes the gate.
 * Returns the reason again. A second failure returns the first reason. */
clo_status clo_channel_fail(clo_channel *channel, clo_status reason);
/* The kept reason of a closed channel; OK otherwise. */
clo_status clo_channel_check(const clo_channel *channel);

/* ---- wire.c */

void clo_wire_init(clo_wire *wire);
void clo_wire_release(clo_wire *wire);
/* Queues a whole frame behind what is being written. */
clo_status clo_wire_queue(clo_channel *channel, clo_frame_type type, clo_span first,
                          clo_span second);
/* Begins a data frame; only when the last flush said idle. `payload` stays the caller's. */
clo_status clo_wire_stage(clo_channel *channel, clo_frame_type type, clo_span payload);
/* Writes what there is; idle when nothing is left and a new frame may begin. */
clo_status clo_wire_flush(clo_channel *channel, bool *out_idle);
/* Reads and handles frames until the descriptor has no more or a data frame waits. */
clo_status clo_wire_fill(clo_channel *channel);
/* A data frame's header is read and its bytes wait for clo_wire_take. */
bool clo_wire_has_data(const clo_channel *channel);
/* Bytes left in the waiting data frame. */
uint32_t clo_wire_data_left(const clo_channel *channel);
/* Moves up to `size` of them; *out_count is 0 when they have not arrived. */
clo_status clo_wire_take(clo_channel *channel, uint8_t *into, size_t size, size_t *out_count);
/* Ends a data frame that was taken whole; true when it was the last of its message. */
bool clo_wire_end_data(clo_channel *channel);
/* Enough went over the present traffic keys: the next frame of this end changes them. */
bool clo_wire_keys_are_old(const clo_channel *channel);
/* Poll bits for what a read or write waits for. */
short clo_wire_events(const clo_channel *channel);

/* ---- gate.c */

clo_gate_script clo_gate_script_of(clo_tls_side side, const clo_channel_self *self,
                                   const clo_channel_rules *rules);
/* After the TLS handshake. */
clo_status clo_gate_begin(clo_channel *channel);
/* A whole frame that is not data. */
clo_status clo_gate_on_frame(clo_channel *channel, clo_frame_type type, clo_span payload);

/* ---- judge.c */

/* Makes our evidence for `round` and queues it. */
clo_status clo_judge_show(clo_channel *channel, uint32_t round);
/* Keeps the quote of `round` until its collateral comes; refuses one that is not for this session
 * before any signature is looked at. */
clo_status clo_judge_take_quote(clo_channel *channel, uint32_t round, clo_span payload);
/* Verifies and appraises quote and collateral, sets channel->peer, and asks for admission. */
clo_status clo_judge_decide(clo_channel *channel, uint32_t round, clo_span payload);
/* The owner's last word. */
clo_status clo_judge_admit(clo_channel *channel);

/* ---- reattest.c */

clo_status clo_reattest_on_frame(clo_channel *channel, clo_frame_type type, clo_span payload);
/* CLO_TIMEOUT when an answer is overdue. */
clo_status clo_reattest_check_due(const clo_channel *channel);
/* The sooner of `deadline` and the moment an outstanding answer is due. */
clo_deadline clo_reattest_bound(const clo_channel *channel, clo_deadline deadline);

#endif
