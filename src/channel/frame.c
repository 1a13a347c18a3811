/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of frames: sizes and places. It is the first thing that every byte of a peer meets
 * after TLS, and the only place that says what may arrive when.
 */
#include "frame.h"

enum { ROUND_SIZE = 4, HELLO_FRAME_MAX = 1024 };

#define IN(state)    (1u << CLO_GATE_##state)
#define AFTER_TLS    (IN(HELLO) | IN(EVIDENCE) | IN(COLLATERAL) | IN(ACCEPT) | IN(OPEN))
#define UP_TO(limit) (uint32_t)(limit)

typedef struct {
    const char *name;
    uint32_t least, most;
    uint32_t states;
    bool data;
} frame_rule;

static const frame_rule rules[CLO_FRAME_COUNT] = {
    [CLO_FRAME_HELLO] = {"hello", 1, UP_TO(HELLO_FRAME_MAX - CLO_FRAME_HEAD), IN(HELLO), false},
    [CLO_FRAME_EVIDENCE] = {"evidence", ROUND_SIZE + 1, UP_TO(ROUND_SIZE + CLO_EVIDENCE_MAX),
                            IN(EVIDENCE) | IN(OPEN), false},
    [CLO_FRAME_COLLATERAL] = {"collateral", ROUND_SIZE, UP_TO(ROUND_SIZE + CLO_COLLATERAL_MAX),
                              IN(COLLATERAL) | IN(OPEN), false},
    [CLO_FRAME_ACCEPT] = {"accept", 0, 0, IN(ACCEPT), false},
    [CLO_FRAME_REFUSE] = {"refuse", 1, 1, AFTER_TLS, false},
    [CLO_FRAME_ATTEST] = {"attest", ROUND_SIZE, ROUND_SIZE, IN(OPEN), false},
    [CLO_FRAME_DATA] = {"data", 1, CLO_FRAME_DATA_LIMIT, IN(OPEN), true},
    [CLO_FRAME_LAST] = {"last data", 0, CLO_FRAME_DATA_LIMIT, IN(OPEN), true},
};

static const char *const state_names[CLO_GATE_COUNT] = {
    [CLO_GATE_TLS] = "tls",           [CLO_GATE_HELLO] = "hello",
    [CLO_GATE_EVIDENCE] = "evidence", [CLO_GATE_COLLATERAL] = "collateral",
    [CLO_GATE_ACCEPT] = "accept",     [CLO_GATE_OPEN] = "open",
    [CLO_GATE_CLOSED] = "closed",
};

static const char *const refusal_names[CLO_REFUSED_COUNT] = {
    [CLO_REFUSED_PROTOCOL] = "protocol",
    [CLO_REFUSED_PEER] = "not accepted",
    [CLO_REFUSED_TIME] = "too slow",
    [CLO_REFUSED_INTERNAL] = "internal",
};

/* Codes that are not here are the refuser's own trouble. */
static const uint8_t refusals[CLO_CODE_COUNT] = {
    [CLO_FORMAT] = CLO_REFUSED_PROTOCOL, [CLO_LIMIT] = CLO_REFUSED_PROTOCOL,
    [CLO_CRYPTO] = CLO_REFUSED_PROTOCOL, [CLO_ATTEST] = CLO_REFUSED_PEER,
    [CLO_POLICY] = CLO_REFUSED_PEER,     [CLO_DENIED] = CLO_REFUSED_PEER,
    [CLO_NOTFOUND] = CLO_REFUSED_PEER,   [CLO_EXISTS] = CLO_REFUSED_PEER,
    [CLO_TIMEOUT] = CLO_REFUSED_TIME,
};

const char *clo_gate_name(clo_gate_state state)
{
    return (unsigned)state < CLO_GATE_COUNT ? state_names[state] : "none";
}

const char *clo_frame_name(clo_frame_type type)
{
    bool known = (unsigned)type < CLO_FRAME_COUNT && rules[type].name != NULL;
    return known ? rules[type].name : "unknown";
}

bool clo_frame_is_data(clo_frame_type type)
{
    return (unsigned)type < CLO_FRAME_COUNT && rules[type].data;
}

void clo_frame_put_head(clo_buf *out, clo_frame_type type, size_t size)
{
    clo_put_u32be(out, (uint32_t)size);
    clo_put_u8(out, (uint8_t)type);
}

clo_status clo_frame_parse_head(const uint8_t bytes[CLO_FRAME_HEAD], clo_gate_state state,
                                clo_frame_head *out_head)
{
    clo_reader reader = clo_reader_of(CLO_SPAN(bytes, CLO_FRAME_HEAD));
    uint32_t size = clo_read_u32be(&reader);
    uint8_t type = clo_read_u8(&reader);
    CLO_TRY(clo_reader_finish(&reader, "the frame header"));
    CLO_CHECK(type < CLO_FRAME_COUNT && rules[type].name != NULL, CLO_FORMAT,
              "frame of unknown type %u while waiting for '%s'", type, clo_gate_name(state));
    const frame_rule *rule = &rules[type];
    CLO_CHECK((unsigned)state < CLO_GATE_COUNT && (rule->states >> state & 1) != 0, CLO_FORMAT,
              "frame '%s' has no place while waiting for '%s'", rule->name, clo_gate_name(state));
    CLO_CHECK(size >= rule->least, CLO_FORMAT, "frame '%s' has %u bytes, expected at least %u",
              rule->name, size, rule->least);
    CLO_CHECK(size <= rule->most, CLO_LIMIT, "frame '%s' has %u bytes, expected at most %u",
              rule->name, size, rule->most);
    *out_head = (clo_frame_head){(clo_frame_type)type, size};
    return CLO_STATUS_OK;
}

clo_status clo_frame_parse_round(clo_span payload, uint32_t *out_round, clo_span *out_rest)
{
    clo_reader reader = clo_reader_of(payload);
    uint32_t round = clo_read_u32be(&reader);
    clo_span rest = clo_read_span(&reader, clo_reader_left(&reader));
    CLO_TRY(clo_reader_finish(&reader, "an attestation frame"));
    *out_round = round;
    *out_rest = rest;
    return CLO_STATUS_OK;
}

clo_refusal clo_refusal_of(int32_t code)
{
    bool mapped = code > 0 && code < CLO_CODE_COUNT && refusals[code] != 0;
    return mapped ? (clo_refusal)refusals[code] : CLO_REFUSED_INTERNAL;
}

const char *clo_refusal_name(unsigned refusal)
{
    bool known = refusal < CLO_REFUSED_COUNT && refusal_names[refusal] != NULL;
    return known ? refusal_names[refusal] : "unknown";
}
