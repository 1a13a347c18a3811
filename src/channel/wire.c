/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes of one channel: frames into TLS, frames out of TLS, never blocking.
 *
 * The first record of a frame carries its header and up to 16,379 bytes of payload copied behind
 * it; the rest is written from the caller's memory. Data frames of 1 MiB - 5 bytes so fill exactly
 * 64 records, and a short message is one record and one system call. Application bytes that arrive
 * are read straight into the reader's memory.
 *
 * OpenSSL never changes traffic keys by itself: at a frame boundary, once enough records went
 * either way, the connecting end asks for an update of both directions. One end only, and only when
 * the socket has room: while OpenSSL has a key update to write it reads nothing, and two ends that
 * both could not write theirs would wait for each other for ever.
 */
#include "channel_state.h"

#include <poll.h>
#include <string.h>

enum { RECORD = 16384, CONTROL_MAX = 1 << 20 };

void clo_wire_init(clo_wire *wire)
{
    *wire = (clo_wire){
        .out = CLO_BUF_LIMIT(CONTROL_MAX),
        .control = CLO_BUF_LIMIT(CONTROL_MAX),
        .control_in = CLO_BUF_LIMIT(CONTROL_MAX),
        .write_want = CLO_TLS_DONE,
        .read_want = CLO_TLS_DONE,
    };
}

void clo_wire_release(clo_wire *wire)
{
    clo_buf_release(&wire->out);
    clo_buf_release(&wire->control);
    clo_buf_release(&wire->control_in);
}

/* ---- out */

clo_status clo_wire_queue(clo_channel *channel, clo_frame_type type, clo_span first,
                          clo_span second)
{
    clo_buf *control = &channel->wire.control;
    clo_frame_put_head(control, type, first.size + second.size);
    clo_put_span(control, first);
    clo_put_span(control, second);
    return clo_buf_check(control);
}

/* An upper bound of the records under the present keys, both ways. */
static uint64_t records_of(size_t bytes)
{
    return (bytes + RECORD - 1) / RECORD;
}

bool clo_wire_keys_are_old(const clo_channel *channel)
{
    return channel->side == CLO_TLS_CLIENT &&
           channel->records_since_update >= clo_channel_get_limits()->key_update_records;
}

/* Right before a frame is written, and only when the socket takes it at once: see the top. */
static clo_status update_keys_when_due(clo_channel *channel)
{
    struct pollfd room = {.fd = channel->fd, .events = POLLOUT};
    if (!clo_wire_keys_are_old(channel) || poll(&room, 1, 0) != 1 ||
        (room.revents & POLLOUT) == 0) {
        return CLO_STATUS_OK;
    }
    CLO_TRY(clo_tls_key_update(channel->tls));
    channel->records_since_update = 0;
    channel->stats.key_updates++;
    return CLO_STATUS_OK;
}

clo_status clo_wire_stage(clo_channel *channel, clo_frame_type type, clo_span payload)
{
    clo_wire *wire = &channel->wire;
    CLO_ASSERT(wire->out_at == wire->out.size && wire->body.size == 0);
    size_t copied = payload.size < RECORD - CLO_FRAME_HEAD ? payload.size : RECORD - CLO_FRAME_HEAD;
    clo_buf_clear(&wire->out);
    wire->out_at = 0;
    clo_frame_put_head(&wire->out, type, payload.size);
    clo_put_span(&wire->out, CLO_SPAN(payload.data, copied));
    CLO_TRY(clo_buf_check(&wire->out));
    wire->body = CLO_SPAN(payload.data + copied, payload.size - copied);
    channel->stats.bytes_sent += payload.size;
    return update_keys_when_due(channel);
}

/* At a frame boundary: takes up what was queued; false when there is nothing. */
static clo_status next_control(clo_channel *channel, bool *out_more)
{
    clo_wire *wire = &channel->wire;
    *out_more = wire->control.size > 0;
    if (!*out_more) {
        channel->reattest.answering = false;
        return CLO_STATUS_OK;
    }
    clo_buf_clear(&wire->out);
    wire->out_at = 0;
    clo_put_span(&wire->out, clo_buf_span(&wire->control));
    clo_buf_clear(&wire->control);
    CLO_TRY(clo_buf_check(&wire->out));
    return update_keys_when_due(channel);
}

static clo_status write_some(clo_channel *channel, size_t *out_count)
{
    clo_wire *wire = &channel->wire;
    bool staged = wire->out_at < wire->out.size;
    clo_span next = wire->body;
    if (staged) {
        next = CLO_SPAN(wire->out.data + wire->out_at, wire->out.size - wire->out_at);
    }
    size_t count = 0;
    CLO_TRY(clo_tls_write(channel->tls, next, &count, &wire->write_want));
    if (staged) {
        wire->out_at += count;
    } else {
        wire->body = CLO_SPAN(wire->body.data + count, wire->body.size - count);
    }
    channel->stats.records_sent += records_of(count);
    channel->records_since_update += records_of(count);
    *out_count = count;
    return CLO_STATUS_OK;
}

clo_status clo_wire_flush(clo_channel *channel, bool *out_idle)
{
    clo_wire *wire = &channel->wire;
    for (;;) {
        if (wire->out_at == wire->out.size && wire->body.size == 0) {
            bool more = false;
            CLO_TRY(next_control(channel, &more));
            if (!more) {
                wire->write_want = CLO_TLS_DONE;
                *out_idle = true;
                return CLO_STATUS_OK;
            }
        }
        size_t count = 0;
        CLO_TRY(write_some(channel, &count));
        if (count == 0) {
            *out_idle = false;
            return CLO_STATUS_OK;
        }
    }
}

/* ---- in */

/* A close_notify is an orderly end only where a message may end. */
static clo_status read_some(clo_channel *channel, void *into, size_t size, size_t *out_count)
{
    clo_wire *wire = &channel->wire;
    size_t count = 0;
    clo_status status = clo_tls_read(channel->tls, into, size, &count, &wire->read_want);
    if (status.code == CLO_EOF) {
        wire->ended = true;
        CLO_CHECK(channel->state == CLO_GATE_OPEN, CLO_CLOSED,
                  "peer closed while we waited for '%s'", clo_gate_name(channel->state));
        CLO_CHECK(wire->head_have == 0 && !wire->in_message, CLO_CLOSED,
                  "peer closed inside a message");
    }
    CLO_TRY(status);
    *out_count = count;
    return CLO_STATUS_OK;
}

static void begin_next_frame(clo_wire *wire)
{
    wire->head_have = 0;
    wire->frame_have = 0;
    clo_buf_clear(&wire->control_in);
}

/* True when the five bytes are there and were found good. */
static clo_status read_head(clo_channel *channel, bool *out_whole)
{
    clo_wire *wire = &channel->wire;
    while (wire->head_have < CLO_FRAME_HEAD) {
        size_t count = 0;
        CLO_TRY(read_some(channel, wire->head + wire->head_have, CLO_FRAME_HEAD - wire->head_have,
                          &count));
        if (count == 0) {
            *out_whole = false;
            return CLO_STATUS_OK;
        }
        wire->head_have += count;
        if (wire->head_have == CLO_FRAME_HEAD) {
            CLO_TRY(clo_frame_parse_head(wire->head, channel->state, &wire->frame));
        }
    }
    *out_whole = true;
    return CLO_STATUS_OK;
}

static clo_status read_control(clo_channel *channel, bool *out_whole)
{
    clo_wire *wire = &channel->wire;
    clo_buf *in = &wire->control_in;
    if (in->size < wire->frame.size && clo_buf_grow(in, wire->frame.size) == NULL) {
        return clo_buf_check(in);
    }
    while (wire->frame_have < wire->frame.size) {
        size_t count = 0;
        CLO_TRY(read_some(channel, in->data + wire->frame_have, wire->frame.size - wire->frame_have,
                          &count));
        if (count == 0) {
            *out_whole = false;
            return CLO_STATUS_OK;
        }
        wire->frame_have += (uint32_t)count;
    }
    *out_whole = true;
    return CLO_STATUS_OK;
}

clo_status clo_wire_fill(clo_channel *channel)
{
    clo_wire *wire = &channel->wire;
    bool whole = true;
    while (whole && !clo_wire_has_data(channel)) {
        CLO_TRY(read_head(channel, &whole));
        if (!whole || clo_frame_is_data(wire->frame.type)) {
            continue;
        }
        CLO_TRY(read_control(channel, &whole));
        if (whole) {
            CLO_TRY(clo_gate_on_frame(channel, wire->frame.type, clo_buf_span(&wire->control_in)));
            begin_next_frame(wire);
        }
    }
    return CLO_STATUS_OK;
}

bool clo_wire_has_data(const clo_channel *channel)
{
    const clo_wire *wire = &channel->wire;
    return wire->head_have == CLO_FRAME_HEAD && clo_frame_is_data(wire->frame.type);
}

uint32_t clo_wire_data_left(const clo_channel *channel)
{
    return channel->wire.frame.size - channel->wire.frame_have;
}

clo_status clo_wire_take(clo_channel *channel, uint8_t *into, size_t size, size_t *out_count)
{
    size_t left = clo_wire_data_left(channel);
    size_t count = 0;
    CLO_TRY(read_some(channel, into, size < left ? size : left, &count));
    channel->wire.frame_have += (uint32_t)count;
    channel->stats.bytes_received += count;
    channel->records_since_update += records_of(count);
    *out_count = count;
    return CLO_STATUS_OK;
}

bool clo_wire_end_data(clo_channel *channel)
{
    CLO_ASSERT(clo_wire_has_data(channel) && clo_wire_data_left(channel) == 0);
    bool last = channel->wire.frame.type == CLO_FRAME_LAST;
    channel->wire.in_message = !last;
    begin_next_frame(&channel->wire);
    return last;
}

static short poll_bit(clo_tls_want want)
{
    return want == CLO_TLS_WANT_WRITE ? POLLOUT : want == CLO_TLS_WANT_READ ? POLLIN : 0;
}

short clo_wire_events(const clo_channel *channel)
{
    const clo_wire *wire = &channel->wire;
    bool to_write = wire->out_at < wire->out.size || wire->body.size > 0 || wire->control.size > 0;
    short write = to_write ? poll_bit(wire->write_want) : 0;
    short read = poll_bit(wire->read_want);
    return (short)(write | (wire->ended ? 0 : read != 0 ? read : POLLIN));
}
