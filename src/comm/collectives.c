/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The collectives, out of steps on the ring.
 *
 * All-reduce (Patarasuk and Yuan, "Bandwidth optimal all-reduce algorithms", 2009): the elements
 * are cut into W segments of equal length, give or take one. In step s rank r sends segment r - s
 * and receives segment r - s - 1 (mod W). For the first W-1 steps what arrives is added to the
 * rank's own; then each rank holds one segment summed up, and for W-1 more steps what arrives
 * replaces it. Shown for W = 3: the segment each rank receives, + added, = replaced
 *
 *     step      rank 0   rank 1   rank 2
 *      0         +2       +0       +1
 *      1         +1       +2       +0
 *      2         =0       =1       =2
 *      3         =2       =0       =1
 *
 * A segment's sum is made in the order of the ring and copied: all ranks end with the same bits.
 * A step goes in pieces of at most CLO_BODY_MAX bytes, each reduced while it is in the cache.
 *
 * Broadcast: from the root along the ring; a rank passes piece i - 1 on while piece i arrives.
 * Barrier: W-1 steps without payload; after step s a rank knows that s + 1 ranks before it came.
 */
#include "group.h"

/* Bytes of the caller's data; none: {NULL, 0}. */
typedef struct {
    uint8_t *data;
    size_t size;
} part;

static clo_span span_of(part p)
{
    return CLO_SPAN(p.data, p.size);
}

/* ---- all-reduce */

typedef struct {
    uint8_t *data;
    size_t count, element_size;
    size_t piece_max; /* elements */
    uint32_t pieces;  /* of the longest segment: every step has so many */
} cut;

/* A piece of segment `segment` (mod W); the last ones may be empty. */
static part find_piece(const clo_group *group, const cut *c, uint32_t segment, uint32_t piece)
{
    size_t at = segment % group->world;
    size_t base = c->count / group->world;
    size_t longer = c->count % group->world; /* the first so many segments have one more */
    size_t start = at * base + (at < longer ? at : longer);
    size_t length = base + (at < longer ? 1 : 0);
    size_t skip = (size_t)piece * c->piece_max;
    if (skip >= length) {
        return (part){NULL, 0};
    }
    size_t count = length - skip < c->piece_max ? length - skip : c->piece_max;
    return (part){c->data + (start + skip) * c->element_size, count * c->element_size};
}

static cut make_cut(const clo_group *group, void *data, size_t count, size_t element_size)
{
    cut c = {.data = data, .count = count, .element_size = element_size};
    size_t longest = count / group->world + (count % group->world > 0 ? 1 : 0);
    c.piece_max = CLO_BODY_MAX / element_size;
    c.pieces = longest == 0 ? 1 : (uint32_t)((longest + c.piece_max - 1) / c.piece_max);
    return c;
}

static clo_status all_reduce_step(clo_group *group, const cut *c, uint32_t step,
                                  clo_reduce_fn reduce, clo_deadline deadline)
{
    clo_comm_lead lead = {
        .kind = CLO_COMM_ALL_REDUCE, .count = c->count, .element_size = (uint32_t)c->element_size};
    bool reducing = step < group->world - 1;
    uint32_t sent = group->rank + 2 * group->world - step; /* segment, before mod W */
    for (uint32_t piece = 0; piece < c->pieces; piece++) {
        uint32_t number = step * c->pieces + piece;
        part to = find_piece(group, c, sent - 1, piece);
        clo_ring_step pass = {.sends = true,
                              .receives = true,
                              .send_step = number,
                              .receive_step = number,
                              .out = span_of(find_piece(group, c, sent, piece)),
                              .in = reducing ? group->scratch : to.data,
                              .in_size = to.size};
        CLO_TRY(clo_ring_pass(group, &lead, &pass, deadline));
        if (reducing && to.size > 0) {
            reduce(to.data, group->scratch, to.size / c->element_size);
        }
    }
    return CLO_STATUS_OK;
}

static clo_status all_reduce(clo_group *group, const cut *c, clo_reduce_fn reduce)
{
    clo_deadline deadline = clo_deadline_in(group->step_timeout_ms);
    group->sequence++;
    for (uint32_t step = 0; step < 2 * (group->world - 1); step++) {
        CLO_TRY(all_reduce_step(group, c, step, reduce, deadline));
    }
    return CLO_STATUS_OK;
}

/* ---- broadcast */

typedef struct {
    uint8_t *data;
    size_t size;
    uint32_t pieces;
    bool receives, sends;
} stream;

static part stream_piece(const stream *s, uint32_t piece)
{
    size_t start = (size_t)piece * CLO_BODY_MAX;
    if (start >= s->size) {
        return (part){NULL, 0};
    }
    size_t left = s->size - start;
    return (part){s->data + start, left < CLO_BODY_MAX ? left : CLO_BODY_MAX};
}

static clo_status broadcast(clo_group *group, uint32_t root, const stream *s)
{
    clo_deadline deadline = clo_deadline_in(group->step_timeout_ms);
    clo_comm_lead lead = {
        .kind = CLO_COMM_BROADCAST, .count = s->size, .element_size = 1, .root = root};
    group->sequence++;
    uint32_t lag = s->receives ? 1 : 0; /* what is sent is one piece behind what comes */
    for (uint32_t turn = 0; turn < s->pieces + lag; turn++) {
        clo_ring_step pass = {.sends = s->sends && turn >= lag,
                              .receives = s->receives && turn < s->pieces};
        if (pass.sends) {
            pass.send_step = turn - lag;
            pass.out = span_of(stream_piece(s, turn - lag));
        }
        if (pass.receives) {
            part piece = stream_piece(s, turn);
            pass.receive_step = turn;
            pass.in = piece.data;
            pass.in_size = piece.size;
        }
        CLO_TRY(clo_ring_pass(group, &lead, &pass, deadline));
    }
    return CLO_STATUS_OK;
}

/* ---- barrier */

clo_status clo_collective_barrier(clo_group *group, clo_deadline deadline)
{
    clo_comm_lead lead = {.kind = CLO_COMM_BARRIER};
    group->sequence++;
    for (uint32_t step = 0; step < group->world - 1; step++) {
        clo_ring_step pass = {
            .sends = true, .receives = true, .send_step = step, .receive_step = step};
        CLO_TRY(clo_ring_pass(group, &lead, &pass, deadline));
    }
    return CLO_STATUS_OK;
}

/* ---- public */

clo_status clo_group_all_reduce(clo_group *group, void *data, size_t count, size_t element_size,
                                clo_reduce_fn reduce)
{
    size_t size;
    CLO_CHECK(element_size > 0 && element_size <= CLO_ELEMENT_MAX, CLO_INVALID,
              "element size is %zu, expected 1 to %d", element_size, CLO_ELEMENT_MAX);
    CLO_CHECK(clo_size_mul(count, element_size, &size), CLO_INVALID,
              "%zu elements of %zu bytes are too many", count, element_size);
    if (group->world == 1) {
        return CLO_STATUS_OK;
    }
    CLO_TRY(clo_group_begin(group, clo_comm_kind_name(CLO_COMM_ALL_REDUCE)));
    cut c = make_cut(group, data, count, element_size);
    return clo_group_end(group, all_reduce(group, &c, reduce));
}

clo_status clo_group_broadcast(clo_group *group, uint32_t root, void *data, size_t size)
{
    CLO_CHECK(root < group->world, CLO_INVALID, "root is %u, expected less than %u", root,
              group->world);
    if (group->world == 1) {
        return CLO_STATUS_OK;
    }
    stream s = {.data = data,
                .size = size,
                .pieces = size == 0 ? 1 : (uint32_t)((size - 1) / CLO_BODY_MAX + 1),
                .receives = group->rank != root,
                .sends = (group->rank + 1) % group->world != root};
    CLO_TRY(clo_group_begin(group, clo_comm_kind_name(CLO_COMM_BROADCAST)));
    return clo_group_end(group, broadcast(group, root, &s));
}

clo_status clo_group_barrier(clo_group *group)
{
    if (group->world == 1) {
        return CLO_STATUS_OK;
    }
    CLO_TRY(clo_group_begin(group, clo_comm_kind_name(CLO_COMM_BARRIER)));
    return clo_group_end(group,
                         clo_collective_barrier(group, clo_deadline_in(group->step_timeout_ms)));
}
