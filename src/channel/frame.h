/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_CHANNEL_FRAME_H
#define CLO_CHANNEL_FRAME_H

/*
 * frame: the unit of everything inside the TLS session.
 *
 *     +----------------+--------+---------------------+
 *     | size (u32 be)  | type   | payload: size bytes |
 *     +----------------+--------+---------------------+
 *
 *     HELLO       89 bytes, fixed layout: see hello.h
 *     EVIDENCE    u32 round || quote
 *     COLLATERAL  u32 round || JSON, right behind its EVIDENCE
 *     ACCEPT      nothing
 *     REFUSE      u8 coarse code, then the connection is closed
 *     ATTEST      u32 round: "show evidence for this round"
 *     DATA        bytes of a message that goes on
 *     LAST        the last bytes of a message
 *
 * Invariants: what a frame may be is decided from its five header bytes, before a byte of payload
 * is read or memory is taken for it: the table in frame.c names for each type its sizes and the
 * states of the gate in which it may arrive. A frame is never begun inside another, so control
 * frames may stand between the DATA frames of a message.
 */
#include "cloister/channel.h"

/* What the gate waits for. The same names for both sides: see the scripts in gate.c. */
typedef enum {
    CLO_GATE_TLS = 0,
    CLO_GATE_HELLO,
    CLO_GATE_EVIDENCE,
    CLO_GATE_COLLATERAL,
    CLO_GATE_ACCEPT,
    CLO_GATE_OPEN,
    CLO_GATE_CLOSED, /* failed or ended; the reason is kept */
    CLO_GATE_COUNT
} clo_gate_state;

const char *clo_gate_name(clo_gate_state state);

typedef enum {
    CLO_FRAME_NONE = 0,
    CLO_FRAME_HELLO,
    CLO_FRAME_EVIDENCE,
    CLO_FRAME_COLLATERAL,
    CLO_FRAME_ACCEPT,
    CLO_FRAME_REFUSE,
    CLO_FRAME_ATTEST,
    CLO_FRAME_DATA,
    CLO_FRAME_LAST,
    CLO_FRAME_COUNT
} clo_frame_type;

#define CLO_FRAME_HEAD       5
#define CLO_FRAME_DATA_LIMIT (1u << 20)

typedef struct {
    clo_frame_type type;
    uint32_t size;
} clo_frame_head;

const char *clo_frame_name(clo_frame_type type);
/* Application bytes, as opposed to the channel's own. */
bool clo_frame_is_data(clo_frame_type type);

void clo_frame_put_head(clo_buf *out, clo_frame_type type, size_t size);
/* CLO_FORMAT for an unknown type, one that has no place in `state`, or a size below the least;
 * CLO_LIMIT for one above the most. */
clo_status clo_frame_parse_head(const uint8_t bytes[CLO_FRAME_HEAD], clo_gate_state state,
                                clo_frame_head *out_head);

/* Payload of EVIDENCE, COLLATERAL (a round and bytes) and ATTEST (a round alone). */
clo_status clo_frame_parse_round(clo_span payload, uint32_t *out_round, clo_span *out_rest);

/* The coarse code of a refusal: all that a refused peer is told. */
typedef enum {
    CLO_REFUSED_PROTOCOL = 1, /* what you sent has not the form it must have */
    CLO_REFUSED_PEER,         /* you are not accepted here */
    CLO_REFUSED_TIME,         /* you took too long */
    CLO_REFUSED_INTERNAL,     /* it is not about you */
    CLO_REFUSED_COUNT
} clo_refusal;

clo_refusal clo_refusal_of(int32_t code);
const char *clo_refusal_name(unsigned refusal);

#endif
