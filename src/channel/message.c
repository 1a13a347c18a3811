/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Application messages over an open channel.
 *
 * A message is DATA frames and one LAST frame. send, recv and exchange are one loop over at most
 * two directions; it writes one frame, reads what is there, and sleeps only when neither moved, so
 * that two ends that send at the same time in an exchange cannot wait for each other.
 *
 *     sender --> to            from --> receiver
 *        |        |              |          |
 *        memory   frames         frames     memory of the caller, or a growing buf
 */
#include "channel_state.h"

#include <errno.h>
#include <poll.h>

/* One data frame and its header fill whole TLS records. */
#define FRAME_CHUNK (CLO_FRAME_DATA_LIMIT - CLO_FRAME_HEAD)
/* Bytes read in one turn before writing gets its own. */
#define READ_TURN (CLO_FRAME_DATA_LIMIT)

typedef struct {
    clo_channel *channel; /* NULL: nothing to send */
    clo_span left;
    bool staged_last;
    bool done;
} sender;

typedef struct {
    clo_channel *channel; /* NULL: nothing to receive */
    clo_buf *grow;        /* messages of unknown size go here, up to `limit` more bytes */
    size_t limit;
    uint8_t *into; /* where the next byte goes */
    size_t left;   /* of the present frame (grow) or of the whole (fixed) */
    bool in_frame;
    bool done;
} receiver;

/* ---- sending */

static clo_status push(sender *s, bool *out_moved)
{
    clo_channel *channel = s->channel;
    uint64_t before = channel->stats.records_sent;
    bool idle;
    CLO_TRY(clo_wire_flush(channel, &idle));
    if (idle && !s->staged_last) {
        size_t size = s->left.size < FRAME_CHUNK ? s->left.size : FRAME_CHUNK;
        s->staged_last = size == s->left.size;
        clo_frame_type type = s->staged_last ? CLO_FRAME_LAST : CLO_FRAME_DATA;
        CLO_TRY(clo_wire_stage(channel, type, CLO_SPAN(s->left.data, size)));
        s->left = CLO_SPAN(s->left.data + size, s->left.size - size);
        CLO_TRY(clo_wire_flush(channel, &idle));
    }
    s->done = idle && s->staged_last;
    *out_moved = s->done || channel->stats.records_sent != before;
    return CLO_STATUS_OK;
}

/* ---- receiving */

static clo_status begin_frame(receiver *r)
{
    uint32_t size = clo_wire_data_left(r->channel);
    if (r->grow == NULL) {
        CLO_CHECK(size <= r->left, CLO_FORMAT,
                  "peer sends a frame of %u bytes where %zu are left of the message", size,
                  r->left);
        r->in_frame = true;
        return CLO_STATUS_OK;
    }
    CLO_CHECK(size <= r->limit, CLO_LIMIT, "message is larger than its limit by %zu bytes",
              size - r->limit);
    r->limit -= size;
    r->into = clo_buf_grow(r->grow, size);
    CLO_TRY(clo_buf_check(r->grow));
    r->left = size;
    r->in_frame = true;
    return CLO_STATUS_OK;
}

static clo_status end_frame(receiver *r)
{
    bool last = clo_wire_end_data(r->channel);
    r->in_frame = false;
    r->done = last;
    bool fixed = r->grow == NULL;
    CLO_CHECK(!fixed || last == (r->left == 0), CLO_FORMAT,
              "peer's message ends with %zu bytes missing or goes on behind its end", r->left);
    return CLO_STATUS_OK;
}

/* Takes what has arrived of the present frame; ends it when it is whole. */
static clo_status take_frame(receiver *r, size_t *out_count)
{
    size_t count = 0;
    size_t frame_left = clo_wire_data_left(r->channel);
    if (frame_left > 0) {
        CLO_TRY(clo_wire_take(r->channel, r->into, frame_left, &count));
        r->into += count;
        r->left -= count;
    }
    *out_count = count;
    return count == frame_left ? end_frame(r) : CLO_STATUS_OK;
}

static clo_status pull(receiver *r, bool *out_moved)
{
    size_t turn = 0;
    *out_moved = false;
    while (!r->done && turn < READ_TURN) {
        clo_status status = clo_wire_fill(r->channel);
        CLO_CHECK(status.code != CLO_EOF || r->grow != NULL, CLO_CLOSED,
                  "peer closed where a message was due");
        CLO_TRY(status);
        if (!clo_wire_has_data(r->channel)) {
            return CLO_STATUS_OK;
        }
        if (!r->in_frame) {
            CLO_TRY(begin_frame(r));
        }
        size_t count;
        CLO_TRY(take_frame(r, &count));
        if (count == 0 && r->in_frame) {
            return CLO_STATUS_OK;
        }
        *out_moved = true;
        turn += count;
    }
    return CLO_STATUS_OK;
}

/* ---- the loop */

/* Control frames flow on a direction that carries no message of ours as well: what the peer asked
 * is answered, and a peer that died is noticed. An orderly end there is not our failure. */
static clo_status serve_reading(clo_channel *channel, bool done)
{
    clo_status status = clo_wire_fill(channel);
    if (status.code != CLO_EOF) {
        return status;
    }
    CLO_CHECK(done, CLO_CLOSED, "peer closed before it took the message");
    return CLO_STATUS_OK;
}

static clo_status serve_writing(clo_channel *channel)
{
    bool idle;
    return clo_wire_flush(channel, &idle);
}

static bool is_active(const sender *s, const receiver *r)
{
    return (s->channel != NULL && !s->done) || (r->channel != NULL && !r->done);
}

static struct pollfd poll_of(const clo_channel *channel, bool reading)
{
    short events = clo_wire_events(channel);
    if (!reading && clo_wire_has_data(channel)) {
        events &= (short)~POLLIN; /* nobody takes the waiting frame in this call */
    }
    return (struct pollfd){.fd = events == 0 ? -1 : channel->fd, .events = events};
}

static clo_status sleep_until_ready(const sender *s, const receiver *r, clo_deadline deadline)
{
    struct pollfd fds[2];
    nfds_t count = 0;
    if (r->channel != NULL) {
        fds[count++] = poll_of(r->channel, !r->done);
        deadline = clo_reattest_bound(r->channel, deadline);
    }
    if (s->channel != NULL && s->channel != r->channel) {
        fds[count++] = poll_of(s->channel, false);
        deadline = clo_reattest_bound(s->channel, deadline);
    }
    if (poll(fds, count, clo_deadline_left_ms(deadline)) < 0 && errno != EINTR) {
        return CLO_ERRNO("poll");
    }
    return CLO_STATUS_OK;
}

static clo_status check_time(const clo_channel *channel, bool done, clo_deadline deadline)
{
    CLO_TRY(clo_reattest_check_due(channel));
    CLO_CHECK(done || !clo_deadline_passed(deadline), CLO_TIMEOUT, "the deadline passed");
    return CLO_STATUS_OK;
}

static clo_status step_sender(sender *s, const receiver *r, clo_deadline deadline, bool *out_moved)
{
    if (!s->done) {
        CLO_TRY(push(s, out_moved));
    }
    if (s->channel != r->channel || r->done) {
        CLO_TRY(serve_reading(s->channel, s->done));
    }
    return check_time(s->channel, s->done, deadline);
}

static clo_status step_receiver(receiver *r, const sender *s, clo_deadline deadline,
                                bool *out_moved)
{
    if (!r->done) {
        CLO_TRY(pull(r, out_moved));
    } else if (s->channel != r->channel) {
        CLO_TRY(serve_reading(r->channel, true));
    }
    if (s->channel != r->channel || s->done) {
        CLO_TRY(serve_writing(r->channel));
    }
    return check_time(r->channel, r->done, deadline);
}

static clo_status fail_with(clo_channel *channel, const char *doing, clo_status status)
{
    clo_status named = status;
    if (status.code != CLO_EOF) {
        named = clo_status_wrap(status, __FILE__, __LINE__, __func__, "%s '%s'", doing,
                                channel->peer.address.text);
    }
    return clo_channel_fail(channel, named);
}

static clo_status run(sender *s, receiver *r, clo_deadline deadline)
{
    while (is_active(s, r)) {
        bool sent = false;
        bool received = false;
        if (s->channel != NULL) {
            clo_status status = step_sender(s, r, deadline, &sent);
            if (!clo_ok(status)) {
                return fail_with(s->channel, "sending to", status);
            }
        }
        if (r->channel != NULL) {
            clo_status status = step_receiver(r, s, deadline, &received);
            if (!clo_ok(status)) {
                return fail_with(r->channel, "receiving from", status);
            }
        }
        if (!sent && !received && is_active(s, r)) {
            CLO_TRY(sleep_until_ready(s, r, deadline));
        }
    }
    return CLO_STATUS_OK;
}

static clo_status check_open(const clo_channel *channel)
{
    CLO_TRY(clo_channel_check(channel));
    CLO_CHECK(channel->state == CLO_GATE_OPEN, CLO_INVALID, "the channel is not open yet");
    return CLO_STATUS_OK;
}

clo_status clo_channel_send(clo_channel *channel, clo_span message, clo_deadline deadline)
{
    CLO_TRY(check_open(channel));
    CLO_CHECK(message.size <= CLO_MESSAGE_MAX, CLO_LIMIT,
              "message of %zu bytes, expected at most %u", message.size, CLO_MESSAGE_MAX);
    sender s = {.channel = channel, .left = message};
    receiver none = {0};
    return run(&s, &none, deadline);
}

/* How many bytes a message may add to `out`. */
static size_t room_in(const clo_buf *out)
{
    size_t room = out->limit == 0 ? CLO_MESSAGE_MAX : out->limit - out->size;
    return room < CLO_MESSAGE_MAX ? room : CLO_MESSAGE_MAX;
}

clo_status clo_channel_recv(clo_channel *channel, clo_buf *out, clo_deadline deadline)
{
    CLO_TRY(check_open(channel));
    CLO_TRY(clo_buf_check(out));
    size_t before = out->size;
    sender none = {0};
    receiver r = {.channel = channel, .grow = out, .limit = room_in(out)};
    clo_status status = run(&none, &r, deadline);
    if (!clo_ok(status)) {
        out->size = before;
    }
    return status;
}

clo_status clo_channel_exchange(clo_channel *to, clo_span out_bytes, clo_channel *from, void *in,
                                size_t in_size, clo_deadline deadline)
{
    sender s = {.channel = out_bytes.size > 0 ? to : NULL, .left = out_bytes};
    receiver r = {.channel = in_size > 0 ? from : NULL, .into = in, .left = in_size};
    CLO_CHECK(out_bytes.size == 0 || to != NULL, CLO_INVALID, "bytes to send but no channel");
    CLO_CHECK(in_size == 0 || from != NULL, CLO_INVALID, "bytes to receive but no channel");
    if (s.channel != NULL) {
        CLO_TRY(check_open(s.channel));
    }
    if (r.channel != NULL) {
        CLO_TRY(check_open(r.channel));
    }
    return run(&s, &r, deadline);
}

static clo_status look(clo_channel *channel)
{
    CLO_TRY(check_open(channel));
    bool idle;
    CLO_TRY(clo_wire_fill(channel));
    return clo_wire_flush(channel, &idle);
}

bool clo_channel_has_input(clo_channel *channel)
{
    clo_status status = look(channel);
    if (!clo_ok(status)) {
        (void)clo_channel_fail(channel, status);
        return true;
    }
    return clo_wire_has_data(channel);
}
