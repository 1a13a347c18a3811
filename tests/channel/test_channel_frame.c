/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames and hellos as bytes: every size and every place, and every byte of a hello changed once.
 */
#include "channel_rig.h"

static clo_status parse_head(uint32_t size, unsigned type, clo_gate_state state)
{
    CLO_AUTO(clo_buf) head = CLO_BUF_INIT;
    clo_frame_put_head(&head, (clo_frame_type)type, size);
    clo_frame_head parsed;
    return clo_frame_parse_head(head.data, state, &parsed);
}

static void data_frames_have_a_place_in_the_open_state_only(void)
{
    for (unsigned state = 0; state < CLO_GATE_COUNT; state++) {
        int32_t expected = state == CLO_GATE_OPEN ? CLO_OK : CLO_FORMAT;
        T_CODE(parse_head(10, CLO_FRAME_DATA, (clo_gate_state)state), expected);
        T_CODE(parse_head(10, CLO_FRAME_LAST, (clo_gate_state)state), expected);
    }
    T_CODE(parse_head(10, CLO_FRAME_DATA, (clo_gate_state)99), CLO_FORMAT);
}

static void the_gate_has_one_awaited_frame_in_each_state(void)
{
    static const struct {
        clo_gate_state state;
        clo_frame_type type;
    } awaited[] = {
        {CLO_GATE_HELLO, CLO_FRAME_HELLO},
        {CLO_GATE_EVIDENCE, CLO_FRAME_EVIDENCE},
        {CLO_GATE_COLLATERAL, CLO_FRAME_COLLATERAL},
        {CLO_GATE_ACCEPT, CLO_FRAME_ACCEPT},
    };

    for (size_t i = 0; i < 4; i++) {
        for (unsigned type = 0; type < CLO_FRAME_COUNT; type++) {
            uint32_t size = type == CLO_FRAME_ACCEPT ? 0 : type == CLO_FRAME_REFUSE ? 1 : 5;
            size = type == CLO_FRAME_ATTEST ? 4 : size;
            bool allowed = type == awaited[i].type || type == CLO_FRAME_REFUSE;
            T_CODE(parse_head(size, type, awaited[i].state), allowed ? CLO_OK : CLO_FORMAT);
        }
    }
    T_CODE(parse_head(1, CLO_FRAME_REFUSE, CLO_GATE_TLS), CLO_FORMAT);
    T_CODE(parse_head(1, CLO_FRAME_REFUSE, CLO_GATE_CLOSED), CLO_FORMAT);
}

static void sizes_are_held_to_their_limits_exactly(void)
{
    static const struct {
        clo_frame_type type;
        clo_gate_state state;
        uint32_t least, most;
    } rows[] = {
        {CLO_FRAME_HELLO, CLO_GATE_HELLO, 1, 1019},
        {CLO_FRAME_EVIDENCE, CLO_GATE_EVIDENCE, 5, 4 + 64 * 1024},
        {CLO_FRAME_COLLATERAL, CLO_GATE_COLLATERAL, 4, 4 + 256 * 1024},
        {CLO_FRAME_ACCEPT, CLO_GATE_ACCEPT, 0, 0},
        {CLO_FRAME_REFUSE, CLO_GATE_OPEN, 1, 1},
        {CLO_FRAME_ATTEST, CLO_GATE_OPEN, 4, 4},
        {CLO_FRAME_DATA, CLO_GATE_OPEN, 1, 1 << 20},
        {CLO_FRAME_LAST, CLO_GATE_OPEN, 0, 1 << 20},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_OK(parse_head(rows[i].least, rows[i].type, rows[i].state));
        T_OK(parse_head(rows[i].most, rows[i].type, rows[i].state));
        T_CODE(parse_head(rows[i].most + 1, rows[i].type, rows[i].state), CLO_LIMIT);
        T_CODE(parse_head(0xffffffffu, rows[i].type, rows[i].state), CLO_LIMIT);
        if (rows[i].least > 0) {
            T_CODE(parse_head(rows[i].least - 1, rows[i].type, rows[i].state), CLO_FORMAT);
        }
    }
}

/* ---- hello */

static clo_hello sample_hello(void)
{
    return (clo_hello){
        .version = CLO_HELLO_VERSION,
        .purpose = CLO_PURPOSE_CHANNEL,
        .nonce = {1, 2, 3},
        .role = CLO_ROLE_TRAINER,
        .slot = 2,
        .incarnation = 0x0102030405060708,
        .manifest = {9, 8},
        .evidence_kinds = 1u << CLO_TEE_SIMULATOR,
        .insecure_flags = CLO_INSECURE_SIMULATOR,
        .build = CLO_BUILD_DEVELOPMENT,
    };
}

static clo_status reparse(const clo_hello *hello, clo_hello *out)
{
    CLO_AUTO(clo_buf) bytes = CLO_BUF_INIT;
    clo_hello_write(hello, &bytes);
    return clo_hello_parse(clo_buf_span(&bytes), out);
}

static void a_hello_survives_writing_and_parsing(void)
{
    clo_hello hello = sample_hello();
    clo_hello back;
    T_OK(reparse(&hello, &back));
    T_INT(back.slot, 2);
    T_INT(back.incarnation, 0x0102030405060708);
    T_INT(back.role, CLO_ROLE_TRAINER);
    T_CHECK(memcmp(back.nonce, hello.nonce, 32) == 0);
    T_CHECK(memcmp(back.manifest, hello.manifest, 32) == 0);
    T_INT(back.build, CLO_BUILD_DEVELOPMENT);
}

static void a_hello_of_any_other_length_is_refused(void)
{
    clo_hello hello = sample_hello();
    clo_hello back;
    CLO_AUTO(clo_buf) bytes = CLO_BUF_INIT;
    clo_hello_write(&hello, &bytes);
    T_INT(bytes.size, CLO_HELLO_SIZE);
    for (size_t size = 0; size < bytes.size; size++) {
        T_CODE(clo_hello_parse(CLO_SPAN(bytes.data, size), &back), CLO_FORMAT);
    }
    clo_put_u8(&bytes, 0);
    T_CODE(clo_hello_parse(clo_buf_span(&bytes), &back), CLO_FORMAT);
}

static void expect_bad_hello(const clo_hello *hello, clo_code expected)
{
    clo_hello back;
    T_CODE(reparse(hello, &back), expected);
}

static void hellos_with_unknown_values_are_refused(void)
{
    clo_hello h = sample_hello();
    h.version = 2;
    expect_bad_hello(&h, CLO_UNSUPPORTED);
    h = sample_hello();
    h.purpose = CLO_PURPOSE_USER_DATA;
    expect_bad_hello(&h, CLO_FORMAT);
    h = sample_hello();
    h.role = CLO_ROLE_NONE;
    expect_bad_hello(&h, CLO_FORMAT);
    h.role = CLO_ROLE_COUNT;
    expect_bad_hello(&h, CLO_FORMAT);
    h = sample_hello();
    h.evidence_kinds |= 1u << CLO_TEE_COUNT;
    expect_bad_hello(&h, CLO_FORMAT);
    h = sample_hello();
    h.evidence_kinds |= 1u << CLO_TEE_NONE;
    expect_bad_hello(&h, CLO_FORMAT);
    h = sample_hello();
    h.insecure_flags |= 0x80000000u;
    expect_bad_hello(&h, CLO_FORMAT);
    h = sample_hello();
    h.build = (clo_build_class)0;
    expect_bad_hello(&h, CLO_FORMAT);
    h = sample_hello();
    h.evidence_kinds = 0;
    expect_bad_hello(&h, CLO_FORMAT);
    h.role = CLO_ROLE_OWNER;
    expect_bad_hello(&h, CLO_FORMAT); /* a keyed role with a slot */
    h.slot = CLO_SLOT_NONE;
    clo_hello back;
    T_OK(reparse(&h, &back));
    h.evidence_kinds = 1u << CLO_TEE_SIMULATOR;
    expect_bad_hello(&h, CLO_FORMAT);
}

static void a_round_needs_four_bytes(void)
{
    static const uint8_t bytes[] = {0, 0, 1, 2, 9};
    uint32_t round;
    clo_span rest;
    T_OK(clo_frame_parse_round(CLO_SPAN(bytes, 5), &round, &rest));
    T_INT(round, 0x102);
    T_INT(rest.size, 1);
    T_CODE(clo_frame_parse_round(CLO_SPAN(bytes, 3), &round, &rest), CLO_FORMAT);
}

static void names_are_never_null(void)
{
    for (unsigned i = 0; i < 20; i++) {
        T_CHECK(clo_frame_name((clo_frame_type)i) != NULL);
        T_CHECK(clo_gate_name((clo_gate_state)i) != NULL);
        T_CHECK(clo_refusal_name(i) != NULL);
        T_CHECK(clo_refusal_of((int32_t)i) >= CLO_REFUSED_PROTOCOL);
    }
    T_INT(clo_refusal_of(CLO_BUG), CLO_REFUSED_INTERNAL);
    T_INT(clo_refusal_of(-1), CLO_REFUSED_INTERNAL);
}

static void the_layout_of_the_transcript_is_fixed(void)
{
    clo_transcript t;
    memset(&t.exporter, 1, 32);
    memset(&t.certificate[CLO_TLS_CLIENT], 2, 32);
    memset(&t.certificate[CLO_TLS_SERVER], 3, 32);
    memset(&t.hello[CLO_TLS_CLIENT], 4, 32);
    memset(&t.hello[CLO_TLS_SERVER], 5, 32);
    CLO_AUTO(clo_buf) layout = CLO_BUF_INIT;
    T_OK(clo_transcript_layout(&t, CLO_TLS_SERVER, 0x01020304, &layout));
    T_INT(layout.size, CLO_TRANSCRIPT_SIZE);
    static const uint8_t head[] = {2, 1, 2, 3, 4};
    T_CHECK(memcmp(layout.data, head, sizeof head) == 0);
    for (size_t i = 0; i < 160; i++) {
        T_INT(layout.data[5 + i], 1 + i / 32);
    }
    clo_buf_clear(&layout);
    T_OK(clo_transcript_layout(&t, CLO_TLS_CLIENT, 0, &layout));
    T_INT(layout.data[0], 1);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(data_frames_have_a_place_in_the_open_state_only),
        T(the_gate_has_one_awaited_frame_in_each_state),
        T(sizes_are_held_to_their_limits_exactly),
        T(a_hello_survives_writing_and_parsing),
        T(a_hello_of_any_other_length_is_refused),
        T(hellos_with_unknown_values_are_refused),
        T(a_round_needs_four_bytes),
        T(names_are_never_null),
        T(the_layout_of_the_transcript_is_fixed),
    };
    rig_must(clo_crypto_init(), "crypto");
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
