/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_COMM_MESSAGE_H
#define CLO_COMM_MESSAGE_H

/*
 * comm_message: what ranks say to each other, as bytes. Integers are big endian; `var` is a u32
 * size and so many bytes. The first byte is the kind.
 *
 *     JOIN    version u16, rank u32, world u32, manifest[32], address var     rank -> rank 0
 *     TABLE   world u32, world times address var                              rank 0 -> rank
 *     lead    sequence u64, count u64, element size u32, root u32, step u32,  rank -> next rank
 *             payload to the end of the message
 *     ABORT   author u32, code u8, text var                                   to both neighbours
 *
 * A lead opens every step of a collective (kinds ALL_REDUCE, BROADCAST, BARRIER). A payload of at
 * most CLO_LEAD_INLINE bytes stands in the lead, a larger one is the next message, alone.
 *
 * Invariants: every size is capped before memory is taken; a text from a peer is cut at its cap and
 * holds printable ASCII only when it leaves this file. Plain data, any thread.
 */
#include "cloister/comm.h"

#define CLO_COMM_VERSION 1

typedef enum {
    CLO_COMM_NONE = 0,
    CLO_COMM_JOIN,
    CLO_COMM_TABLE,
    CLO_COMM_ABORT,
    CLO_COMM_ALL_REDUCE,
    CLO_COMM_BROADCAST,
    CLO_COMM_BARRIER,
    CLO_COMM_COUNT
} clo_comm_kind;

/* "all-reduce" ...; never NULL. */
const char *clo_comm_kind_name(uint32_t kind);

/* The kind of a message; NONE when it is empty. */
clo_comm_kind clo_comm_kind_of(clo_span message);

typedef struct {
    uint16_t version;
    uint32_t rank, world;
    uint8_t manifest[32];
    clo_address listens; /* empty: nobody has to connect to it */
} clo_comm_join;

void clo_comm_join_write(const clo_comm_join *join, clo_buf *out);
/* A JOIN of another version is parsed as far as its version, the rest is zero. */
clo_status clo_comm_join_parse(clo_span message, clo_comm_join *out_join);

/* Of all ranks in order; entry 0 is empty. */
void clo_comm_table_write(const clo_address *addresses, uint32_t world, clo_buf *out);
clo_status clo_comm_table_parse(clo_span message, uint32_t world, clo_address *out_addresses);

/* One TLS record holds channel frame header, lead and payload. */
#define CLO_LEAD_SIZE   29
#define CLO_LEAD_INLINE 16000

typedef struct {
    clo_comm_kind kind;
    uint64_t sequence; /* of the collective in this group, from 1 */
    uint64_t count;
    uint32_t element_size;
    uint32_t root; /* of a broadcast, else 0 */
    uint32_t step; /* inside the collective */
} clo_comm_lead;

void clo_comm_lead_write(const clo_comm_lead *lead, clo_span payload, clo_buf *out);
clo_status clo_comm_lead_parse(clo_span message, clo_comm_lead *out_lead, clo_span *out_payload);
/* CLO_INVALID naming the first field that differs and both its values. */
clo_status clo_comm_lead_check(const clo_comm_lead *found, const clo_comm_lead *expected);

#define CLO_REASON_MAX 512 /* with the NUL */

/* Why a rank stopped, in its own words. */
typedef struct {
    uint32_t author;
    int32_t code; /* never CLO_OK */
    char text[CLO_REASON_MAX];
} clo_comm_abort;

void clo_comm_abort_write(const clo_comm_abort *abort, clo_buf *out);
clo_status clo_comm_abort_parse(clo_span message, clo_comm_abort *out_abort);
/* "rank 2 stopped: ...", with the author's code. */
clo_status clo_comm_abort_status(const clo_comm_abort *abort);

#endif
