/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate: no application byte passes before both ends accepted each other on this connection
 * (trust.md section 3).
 *
 *     state        awaits        connecting                     accepting
 *     TLS          handshake     send HELLO                     -
 *     HELLO        HELLO         check; show evidence           check; send HELLO
 *     EVIDENCE     EVIDENCE      names this session?            names this session?
 *     COLLATERAL   COLLATERAL    verify, admit; send ACCEPT     verify, admit; show evidence
 *     ACCEPT       ACCEPT        -                              send ACCEPT
 *     OPEN         messages
 *
 * A keyed peer shows no evidence: the connecting end then skips showing, and the accepting end goes
 * from HELLO to ACCEPT. The accepting end always shows evidence, and never before the peer is
 * admitted. Which frame a state awaits stands in the table of frame.c; what is done with it and
 * what comes next, here.
 */
#include "channel_state.h"

#include <string.h>

#include "hello.h"

enum { ACTIONS_MAX = 4 };

typedef clo_status (*gate_action)(clo_channel *channel, clo_span payload);

typedef struct {
    gate_action actions[ACTIONS_MAX];
    clo_gate_state next;
} gate_step;

/* ---- actions */

static clo_status take_session(clo_channel *channel, clo_span payload)
{
    (void)payload;
    CLO_CHECK(!clo_tls_was_resumed(channel->tls), CLO_CRYPTO, "peer resumed an earlier session");
    clo_span der = clo_tls_peer_cert_der(channel->tls);
    CLO_TRY(clo_cert_parse_der(der, &channel->peer_cert));
    CLO_TRY(clo_sha256(clo_cert_spki(channel->peer_cert), channel->peer.key_id));
    uint8_t own_id[32];
    clo_key_id(channel->self.key, own_id);
    CLO_CHECK(memcmp(own_id, channel->peer.key_id, sizeof own_id) != 0, CLO_ATTEST,
              "peer has our own key");
    clo_transcript *transcript = &channel->transcript;
    CLO_TRY(clo_sha256(der, transcript->certificate[clo_channel_other_side(channel)]));
    return clo_sha256(clo_cert_der(channel->self.cert), transcript->certificate[channel->side]);
}

/* Both hellos are known: the exporter can be drawn. */
static clo_status bind_when_complete(clo_channel *channel)
{
    return clo_transcript_bind(&channel->transcript, channel->tls);
}

static clo_status send_hello(clo_channel *channel, clo_span payload)
{
    (void)payload;
    CLO_AUTO(clo_buf) hello = CLO_BUF_LIMIT(CLO_HELLO_SIZE);
    clo_hello_write(&channel->own_hello, &hello);
    CLO_TRY(clo_buf_check(&hello));
    CLO_TRY(clo_transcript_add_hello(&channel->transcript, channel->side, &channel->own_hello,
                                     clo_buf_span(&hello)));
    CLO_TRY(clo_wire_queue(channel, CLO_FRAME_HELLO, clo_buf_span(&hello), CLO_SPAN_EMPTY));
    return channel->side == CLO_TLS_SERVER ? bind_when_complete(channel) : CLO_STATUS_OK;
}

static clo_status take_hello(clo_channel *channel, clo_span payload)
{
    clo_hello *hello = &channel->peer.hello;
    CLO_TRY(clo_hello_parse(payload, hello));
    CLO_TRY(clo_hello_check_class(hello, channel->rules.peer_class));
    CLO_TRY(clo_hello_check_self(hello, &channel->own_hello));
    CLO_TRY(channel->rules.expect(channel->rules.arg, hello, &channel->expectation));
    CLO_TRY(clo_hello_check_expected(hello, &channel->expectation));
    CLO_TRY(clo_transcript_add_hello(&channel->transcript, clo_channel_other_side(channel), hello,
                                     payload));
    return channel->side == CLO_TLS_CLIENT ? bind_when_complete(channel) : CLO_STATUS_OK;
}

static clo_status take_quote(clo_channel *channel, clo_span payload)
{
    return clo_judge_take_quote(channel, 0, payload);
}

static clo_status decide(clo_channel *channel, clo_span payload)
{
    return clo_judge_decide(channel, 0, payload);
}

static clo_status admit(clo_channel *channel, clo_span payload)
{
    (void)payload;
    return clo_judge_admit(channel);
}

static clo_status show_evidence(clo_channel *channel, clo_span payload)
{
    (void)payload;
    return clo_judge_show(channel, 0);
}

static clo_status send_accept(clo_channel *channel, clo_span payload)
{
    (void)payload;
    return clo_wire_queue(channel, CLO_FRAME_ACCEPT, CLO_SPAN_EMPTY, CLO_SPAN_EMPTY);
}

/* ---- the table */

static const gate_step scripts[CLO_SCRIPT_COUNT][CLO_GATE_OPEN] = {
    [CLO_SCRIPT_CONNECT_ATTESTED] =
        {
            [CLO_GATE_TLS] = {{take_session, send_hello}, CLO_GATE_HELLO},
            [CLO_GATE_HELLO] = {{take_hello, show_evidence}, CLO_GATE_EVIDENCE},
            [CLO_GATE_EVIDENCE] = {{take_quote}, CLO_GATE_COLLATERAL},
            [CLO_GATE_COLLATERAL] = {{decide, send_accept}, CLO_GATE_ACCEPT},
            [CLO_GATE_ACCEPT] = {{NULL}, CLO_GATE_OPEN},
        },
    [CLO_SCRIPT_CONNECT_KEYED] =
        {
            [CLO_GATE_TLS] = {{take_session, send_hello}, CLO_GATE_HELLO},
            [CLO_GATE_HELLO] = {{take_hello}, CLO_GATE_EVIDENCE},
            [CLO_GATE_EVIDENCE] = {{take_quote}, CLO_GATE_COLLATERAL},
            [CLO_GATE_COLLATERAL] = {{decide, send_accept}, CLO_GATE_ACCEPT},
            [CLO_GATE_ACCEPT] = {{NULL}, CLO_GATE_OPEN},
        },
    [CLO_SCRIPT_ACCEPT_ATTESTED] =
        {
            [CLO_GATE_TLS] = {{take_session}, CLO_GATE_HELLO},
            [CLO_GATE_HELLO] = {{take_hello, send_hello}, CLO_GATE_EVIDENCE},
            [CLO_GATE_EVIDENCE] = {{take_quote}, CLO_GATE_COLLATERAL},
            [CLO_GATE_COLLATERAL] = {{decide, show_evidence}, CLO_GATE_ACCEPT},
            [CLO_GATE_ACCEPT] = {{send_accept}, CLO_GATE_OPEN},
        },
    [CLO_SCRIPT_ACCEPT_KEYED] =
        {
            [CLO_GATE_TLS] = {{take_session}, CLO_GATE_HELLO},
            [CLO_GATE_HELLO] = {{take_hello, admit, send_hello, show_evidence}, CLO_GATE_ACCEPT},
            [CLO_GATE_ACCEPT] = {{send_accept}, CLO_GATE_OPEN},
        },
};

clo_gate_script clo_gate_script_of(clo_tls_side side, const clo_channel_self *self,
                                   const clo_channel_rules *rules)
{
    if (side == CLO_TLS_CLIENT) {
        return self->as == CLO_PEER_KEYED ? CLO_SCRIPT_CONNECT_KEYED : CLO_SCRIPT_CONNECT_ATTESTED;
    }
    return rules->peer_class == CLO_PEER_KEYED ? CLO_SCRIPT_ACCEPT_KEYED
                                               : CLO_SCRIPT_ACCEPT_ATTESTED;
}

static clo_status run_step(clo_channel *channel, clo_span payload)
{
    const gate_step *step = &scripts[channel->script][channel->state];
    for (size_t i = 0; i < ACTIONS_MAX && step->actions[i] != NULL; i++) {
        CLO_TRY(step->actions[i](channel, payload));
    }
    channel->state = step->next;
    if (channel->state == CLO_GATE_OPEN) {
        channel->reattest.verified_ms = clo_clock_ms();
    }
    return CLO_STATUS_OK;
}

clo_status clo_gate_begin(clo_channel *channel)
{
    channel->deadline = clo_deadline_in(clo_channel_get_limits()->gate_ms);
    return run_step(channel, CLO_SPAN_EMPTY);
}

static clo_status on_refusal(clo_channel *channel, clo_span payload)
{
    clo_reader reader = clo_reader_of(payload);
    unsigned code = clo_read_u8(&reader);
    CLO_TRY(clo_reader_finish(&reader, "a refusal"));
    channel->peer_refused = true;
    CLO_FAIL(CLO_DENIED, "peer refused while we waited for '%s': %s", clo_gate_name(channel->state),
             clo_refusal_name(code));
}

clo_status clo_gate_on_frame(clo_channel *channel, clo_frame_type type, clo_span payload)
{
    if (type == CLO_FRAME_REFUSE) {
        return on_refusal(channel, payload);
    }
    if (channel->state == CLO_GATE_OPEN) {
        return clo_reattest_on_frame(channel, type, payload);
    }
    return run_step(channel, payload);
}
