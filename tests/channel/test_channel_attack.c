/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Peers that lie, against the attack list of the threat model: diversion and relay (M1), replay
 * (M2), reflection (M3), evidence for another key or session (M4), silence (M5), frames that are
 * too large, too early or out of place. The attacker always has a genuine simulator TEE of the
 * allowed measurement: only the binding to this connection can tell.
 */
#include "channel_rig.h"

static const puppet_lie truth = {0};

/* A trainer in slot 1 connecting and one in slot 2 accepting; one of them will be a puppet. */
typedef struct {
    rig_pair pair;
    puppet p;
} stage;

static void stage_cleanup(stage *s)
{
    puppet_cleanup(&s->p);
    rig_pair_clear(&s->pair);
    rig_reset_limits();
}

static void set_stage(stage *s, clo_tls_side puppet_side)
{
    rig_pair_init(&s->pair, CLO_ROLE_TRAINER, CLO_ROLE_TRAINER);
    puppet_init(&s->p, puppet_side, &s->pair.ends[puppet_side], &s->pair.ends[1 - puppet_side]);
}

static void puppets_that_tell_the_truth_are_let_in(void)
{
    CLO_AUTO(stage) s;
    set_stage(&s, CLO_TLS_CLIENT);
    CLO_AUTO(clo_buf) frame = CLO_BUF_INIT;
    T_OK(puppet_greet(&s.p));
    T_OK(puppet_show(&s.p, &truth));
    T_OK(puppet_expect(&s.p, CLO_FRAME_EVIDENCE, &frame));
    T_OK(puppet_expect(&s.p, CLO_FRAME_COLLATERAL, &frame));
    T_OK(puppet_send(&s.p, CLO_FRAME_ACCEPT, CLO_SPAN_EMPTY));
    T_OK(puppet_expect(&s.p, CLO_FRAME_ACCEPT, &frame));
    T_CHECK(s.p.victim_open);
}

/* ---- evidence that is genuine and not for this connection (M1, M3, M4) */

typedef struct {
    const char *name;
    puppet_lie lie;
    clo_code expected;
} lie_row;

/* Layout offsets (transcript.h): direction 0, round 1, exporter 5, certificates 37 and 69, hellos
 * 101 and 133; `flip` counts from 1. */
static const lie_row lies[] = {
    {"made for the other direction", {.wrong_direction = true}, CLO_ATTEST},
    {"of purpose user-data", {.user_data = true}, CLO_ATTEST},
    {"of purpose broker-identity", {.wrong_label = true}, CLO_ATTEST},
    {"made for another round", {.layout_round = 1}, CLO_ATTEST},
    {"shown for another round", {.frame_round = 1}, CLO_ATTEST},
    {"for another session", {.flip = 6}, CLO_ATTEST},
    {"for another client key", {.flip = 38}, CLO_ATTEST},
    {"for another server key", {.flip = 70}, CLO_ATTEST},
    {"for another client hello", {.flip = 102}, CLO_ATTEST},
    {"for another server hello", {.flip = 165}, CLO_ATTEST},
};

static void run_lie(stage *s, const puppet_lie *lie, clo_status *out_told)
{
    *out_told = puppet_greet(&s->p);
    if (clo_ok(*out_told)) {
        (void)puppet_show(&s->p, lie); /* the victim may close in the middle */
        puppet_settle(&s->p, 2000);
    }
}

static void genuine_evidence_for_anything_else_is_refused_at_either_end(void)
{
    for (size_t i = 0; i < 2 * sizeof lies / sizeof *lies; i++) {
        const lie_row *row = &lies[i / 2];
        CLO_AUTO(stage) s;
        set_stage(&s, i % 2 == 0 ? CLO_TLS_CLIENT : CLO_TLS_SERVER);
        clo_status greeted;
        run_lie(&s, &row->lie, &greeted);
        T_OK(greeted);
        if (s.p.victim_result.code != (int32_t)row->expected) {
            clo_test_fail(__FILE__, __LINE__, "%s: expected %s, found %s (%s)", row->name,
                          clo_code_name(row->expected), clo_code_name(s.p.victim_result.code),
                          s.p.victim_result.text);
            return;
        }
        T_INT(clo_channel_get_stats(s.p.victim).bytes_sent, 0);
    }
}

/* M1: the proxy has its own session with each side and passes hellos and evidence on unchanged. */
typedef struct {
    rig_pair pair;
    rig_end middle;
    puppet to_client, to_server;
} proxy;

static void proxy_cleanup(proxy *m)
{
    puppet_cleanup(&m->to_client);
    puppet_cleanup(&m->to_server);
    rig_end_clear(&m->middle);
    rig_pair_clear(&m->pair);
}

static void proxy_start(proxy *m)
{
    rig_pair_init(&m->pair, CLO_ROLE_TRAINER, CLO_ROLE_TRAINER);
    rig_end_init(&m->middle, CLO_ROLE_TRAINER, 1);
    puppet_init(&m->to_client, CLO_TLS_SERVER, &m->middle, &m->pair.ends[CLO_TLS_CLIENT]);
    puppet_init(&m->to_server, CLO_TLS_CLIENT, &m->middle, &m->pair.ends[CLO_TLS_SERVER]);
    rig_must(puppet_handshake(&m->to_client), "client's handshake");
    rig_must(puppet_handshake(&m->to_server), "server's handshake");
}

static clo_status pass_frame(puppet *from, puppet *to, clo_frame_type type)
{
    CLO_AUTO(clo_buf) frame = CLO_BUF_INIT;
    CLO_TRY(puppet_expect(from, type, &frame));
    return puppet_send(to, type, clo_buf_span(&frame));
}

static void a_proxy_that_relays_the_clients_evidence_is_refused_by_the_server(void)
{
    CLO_AUTO(proxy) m = {0};
    proxy_start(&m);
    T_OK(pass_frame(&m.to_client, &m.to_server, CLO_FRAME_HELLO));
    T_OK(pass_frame(&m.to_server, &m.to_client, CLO_FRAME_HELLO));
    T_OK(pass_frame(&m.to_client, &m.to_server, CLO_FRAME_EVIDENCE));
    puppet_settle(&m.to_server, 2000);
    T_RESULT(m.to_server.victim_result, CLO_ATTEST);
    T_INT(clo_channel_get_stats(m.to_server.victim).attestations_made, 0);
}

static void a_proxy_in_a_genuine_tee_that_diverts_the_client_is_refused_by_the_client(void)
{
    CLO_AUTO(proxy) m = {0};
    proxy_start(&m);
    CLO_AUTO(clo_buf) hello = CLO_BUF_INIT;
    T_OK(puppet_expect(&m.to_client, CLO_FRAME_HELLO, &hello));
    T_OK(puppet_send_hello(&m.to_server));
    CLO_AUTO(clo_buf) answer = CLO_BUF_INIT;
    T_OK(puppet_expect(&m.to_server, CLO_FRAME_HELLO, &answer));
    T_OK(clo_hello_parse(clo_buf_span(&answer), &m.to_server.peer_hello));
    T_OK(clo_transcript_add_hello(&m.to_server.transcript, CLO_TLS_SERVER, &m.to_server.peer_hello,
                                  clo_buf_span(&answer)));
    T_OK(clo_transcript_bind(&m.to_server.transcript, m.to_server.tls));
    T_OK(puppet_send(&m.to_client, CLO_FRAME_HELLO, clo_buf_span(&answer)));
    T_OK(puppet_show(&m.to_server, &truth));
    T_OK(pass_frame(&m.to_server, &m.to_client, CLO_FRAME_EVIDENCE));
    puppet_settle(&m.to_client, 2000);
    T_RESULT(m.to_client.victim_result, CLO_ATTEST);
    T_CHECK(strstr(m.to_client.victim_result.text, "not for this connection") != NULL);
    T_INT(clo_channel_get_stats(m.to_client.victim).bytes_sent, 0);
}

/* M2: evidence of one session, word for word, in the next session of the same two ends. */
static void evidence_of_an_earlier_session_is_refused(void)
{
    CLO_AUTO(clo_evidence) old = CLO_EVIDENCE_INIT;
    CLO_AUTO(stage) s;
    set_stage(&s, CLO_TLS_CLIENT);
    T_OK(puppet_greet(&s.p));
    T_OK(puppet_quote(&s.p, &truth, &old));
    puppet_cleanup(&s.p);
    puppet_init(&s.p, CLO_TLS_CLIENT, &s.pair.ends[0], &s.pair.ends[1]);
    clo_status greeted;
    run_lie(&s,
            &(puppet_lie){.quote = clo_buf_span(&old.quote),
                          .collateral = clo_buf_span(&old.collateral)},
            &greeted);
    T_OK(greeted);
    T_RESULT(s.p.victim_result, CLO_ATTEST);
}

/* M3 */
static void our_own_hello_and_evidence_sent_back_are_refused(void)
{
    CLO_AUTO(stage) s;
    set_stage(&s, CLO_TLS_SERVER);
    CLO_AUTO(clo_buf) hello = CLO_BUF_INIT;
    T_OK(puppet_handshake(&s.p));
    T_OK(puppet_expect(&s.p, CLO_FRAME_HELLO, &hello));
    T_OK(puppet_send(&s.p, CLO_FRAME_HELLO, clo_buf_span(&hello)));
    puppet_settle(&s.p, 2000);
    T_RESULT(s.p.victim_result, CLO_ATTEST);
    T_CHECK(strstr(s.p.victim_result.text, "our own hello") != NULL);
}

static void our_own_evidence_sent_back_is_refused(void)
{
    CLO_AUTO(stage) s;
    set_stage(&s, CLO_TLS_SERVER);
    CLO_AUTO(clo_buf) quote = CLO_BUF_INIT;
    T_OK(puppet_greet(&s.p));
    T_OK(puppet_expect(&s.p, CLO_FRAME_EVIDENCE, &quote));
    T_OK(puppet_send(&s.p, CLO_FRAME_EVIDENCE, clo_buf_span(&quote)));
    puppet_settle(&s.p, 2000);
    T_RESULT(s.p.victim_result, CLO_ATTEST);
}

static void a_damaged_quote_or_foreign_collateral_is_refused(void)
{
    CLO_AUTO(stage) s;
    set_stage(&s, CLO_TLS_CLIENT);
    CLO_AUTO(clo_evidence) evidence = CLO_EVIDENCE_INIT;
    T_OK(puppet_greet(&s.p));
    T_OK(puppet_quote(&s.p, &truth, &evidence));
    evidence.quote.data[48 + 64] ^= 1; /* inside the report: the measurement */
    T_OK(puppet_send_round(&s.p, CLO_FRAME_EVIDENCE, 0, clo_buf_span(&evidence.quote)));
    (void)puppet_send_round(&s.p, CLO_FRAME_COLLATERAL, 0, clo_buf_span(&evidence.collateral));
    puppet_settle(&s.p, 2000);
    T_RESULT(s.p.victim_result, CLO_ATTEST);
}

static void evidence_without_collateral_is_refused(void)
{
    CLO_AUTO(stage) s;
    set_stage(&s, CLO_TLS_CLIENT);
    CLO_AUTO(clo_evidence) evidence = CLO_EVIDENCE_INIT;
    T_OK(puppet_greet(&s.p));
    T_OK(puppet_quote(&s.p, &truth, &evidence));
    T_OK(puppet_send_round(&s.p, CLO_FRAME_EVIDENCE, 0, clo_buf_span(&evidence.quote)));
    (void)puppet_send_round(&s.p, CLO_FRAME_COLLATERAL, 0, CLO_SPAN_EMPTY);
    puppet_settle(&s.p, 2000);
    T_RESULT(s.p.victim_result, CLO_ATTEST);
    T_CHECK(strstr(s.p.victim_result.text, "COLLATERAL_MISSING") != NULL);
}

/* ---- hellos that lie about themselves */

static void hide_simulator(clo_hello *hello)
{
    hello->insecure_flags = 0;
}

static void claim_sgx(clo_hello *hello)
{
    hello->evidence_kinds = 1u << CLO_TEE_SGX;
}

static void hello_that_disagrees_with_the_evidence(void (*change)(clo_hello *hello))
{
    CLO_AUTO(stage) s;
    set_stage(&s, CLO_TLS_CLIENT);
    T_OK(puppet_handshake(&s.p));
    T_OK(clo_hello_make(&s.p.end->self, &s.p.hello));
    change(&s.p.hello);
    CLO_AUTO(clo_buf) hello = CLO_BUF_INIT;
    clo_hello_write(&s.p.hello, &hello);
    T_OK(puppet_send_hello_bytes(&s.p, clo_buf_span(&hello)));
    T_OK(puppet_take_hello(&s.p));
    T_OK(clo_transcript_bind(&s.p.transcript, s.p.tls));
    (void)puppet_show(&s.p, &truth);
    puppet_settle(&s.p, 2000);
    T_RESULT(s.p.victim_result, CLO_ATTEST);
}

static void a_simulator_that_does_not_say_so_is_refused(void)
{
    hello_that_disagrees_with_the_evidence(hide_simulator);
}

static void a_simulator_that_says_it_is_sgx_is_refused(void)
{
    hello_that_disagrees_with_the_evidence(claim_sgx);
}

/* ---- frames out of place or size */

typedef struct {
    const char *name;
    clo_frame_type type;
    uint32_t size; /* in the header; no payload follows */
    clo_code expected;
    bool after_hello;
} frame_row;

static const frame_row bad_frames[] = {
    {"hello above 1 KiB", CLO_FRAME_HELLO, 1020, CLO_LIMIT, false},
    {"data first", CLO_FRAME_DATA, 10, CLO_FORMAT, false},
    {"last data first", CLO_FRAME_LAST, 10, CLO_FORMAT, false},
    {"accept first", CLO_FRAME_ACCEPT, 0, CLO_FORMAT, false},
    {"evidence first", CLO_FRAME_EVIDENCE, 100, CLO_FORMAT, false},
    {"unknown type", (clo_frame_type)200, 0, CLO_FORMAT, false},
    {"type zero", CLO_FRAME_NONE, 0, CLO_FORMAT, false},
    {"second hello", CLO_FRAME_HELLO, 89, CLO_FORMAT, true},
    {"evidence above 64 KiB", CLO_FRAME_EVIDENCE, 64 * 1024 + 5, CLO_LIMIT, true},
    {"evidence of 4 GiB", CLO_FRAME_EVIDENCE, 0xffffffffu, CLO_LIMIT, true},
    {"empty evidence", CLO_FRAME_EVIDENCE, 4, CLO_FORMAT, true},
    {"collateral before evidence", CLO_FRAME_COLLATERAL, 100, CLO_FORMAT, true},
    {"data before accept", CLO_FRAME_DATA, 10, CLO_FORMAT, true},
    {"attest before open", CLO_FRAME_ATTEST, 4, CLO_FORMAT, true},
};

static void frames_out_of_place_or_size_are_refused_by_their_header(void)
{
    for (size_t i = 0; i < sizeof bad_frames / sizeof *bad_frames; i++) {
        const frame_row *row = &bad_frames[i];
        CLO_AUTO(stage) s;
        set_stage(&s, CLO_TLS_CLIENT);
        T_OK(row->after_hello ? puppet_greet(&s.p) : puppet_handshake(&s.p));
        CLO_AUTO(clo_buf) head = CLO_BUF_INIT;
        clo_frame_put_head(&head, row->type, row->size);
        (void)puppet_write(&s.p, clo_buf_span(&head));
        puppet_settle(&s.p, 2000);
        if (s.p.victim_result.code != (int32_t)row->expected) {
            clo_test_fail(__FILE__, __LINE__, "%s: expected %s, found %s (%s)", row->name,
                          clo_code_name(row->expected), clo_code_name(s.p.victim_result.code),
                          s.p.victim_result.text);
            return;
        }
    }
}

static void a_peer_that_sends_data_right_behind_its_evidence_is_not_heard(void)
{
    CLO_AUTO(stage) s;
    set_stage(&s, CLO_TLS_CLIENT);
    T_OK(puppet_greet(&s.p));
    T_OK(puppet_show(&s.p, &truth));
    (void)puppet_send(&s.p, CLO_FRAME_LAST, clo_span_of_str("secret question"));
    puppet_settle(&s.p, 2000);
    T_RESULT(s.p.victim_result, CLO_FORMAT);
    T_INT(clo_channel_get_stats(s.p.victim).bytes_received, 0);
}

static void the_first_data_behind_accept_is_heard(void)
{
    CLO_AUTO(stage) s;
    set_stage(&s, CLO_TLS_CLIENT);
    CLO_AUTO(clo_buf) frame = CLO_BUF_INIT;
    T_OK(puppet_greet(&s.p));
    T_OK(puppet_show(&s.p, &truth));
    T_OK(puppet_expect(&s.p, CLO_FRAME_EVIDENCE, &frame));
    T_OK(puppet_expect(&s.p, CLO_FRAME_COLLATERAL, &frame));
    T_OK(puppet_send(&s.p, CLO_FRAME_ACCEPT, CLO_SPAN_EMPTY));
    T_OK(puppet_expect(&s.p, CLO_FRAME_ACCEPT, &frame));
    T_OK(puppet_send(&s.p, CLO_FRAME_LAST, clo_span_of_str("question")));
    clo_buf_clear(&frame);
    T_OK(clo_channel_recv(s.p.victim, &frame, clo_deadline_in(1000)));
    T_CHECK(clo_span_equals_str(clo_buf_span(&frame), "question"));
}

/* ---- silence (M5) */

static void expect_gate_timeout(puppet *p, int64_t about_ms)
{
    int64_t before = clo_clock_ms();
    puppet_settle(p, 3000);
    int64_t took = clo_clock_ms() - before;
    T_RESULT(p->victim_result, CLO_TIMEOUT);
    T_CHECK(took <= about_ms + 500);
    T_INT(clo_channel_get_stats(p->victim).bytes_sent, 0);
}

static void a_peer_that_never_speaks_tls_is_dropped_at_the_deadline(void)
{
    CLO_AUTO(stage) s;
    rig_limits.tls_ms = 100;
    set_stage(&s, CLO_TLS_CLIENT);
    expect_gate_timeout(&s.p, 100);
}

static void a_peer_that_stalls_after_tls_is_dropped_at_the_deadline(void)
{
    CLO_AUTO(stage) s;
    rig_limits.gate_ms = 150;
    set_stage(&s, CLO_TLS_CLIENT);
    T_OK(puppet_handshake(&s.p));
    expect_gate_timeout(&s.p, 150);
}

static void a_peer_that_strips_the_evidence_is_dropped_at_the_deadline(void)
{
    CLO_AUTO(stage) s;
    rig_limits.gate_ms = 150;
    set_stage(&s, CLO_TLS_SERVER);
    T_OK(puppet_greet(&s.p));
    expect_gate_timeout(&s.p, 150);
}

static void a_peer_that_never_accepts_is_dropped_at_the_deadline(void)
{
    CLO_AUTO(stage) s;
    rig_limits.gate_ms = 250;
    set_stage(&s, CLO_TLS_CLIENT);
    T_OK(puppet_greet(&s.p));
    T_OK(puppet_show(&s.p, &truth));
    expect_gate_timeout(&s.p, 250);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(puppets_that_tell_the_truth_are_let_in),
        T(genuine_evidence_for_anything_else_is_refused_at_either_end),
        T(a_proxy_that_relays_the_clients_evidence_is_refused_by_the_server),
        T(a_proxy_in_a_genuine_tee_that_diverts_the_client_is_refused_by_the_client),
        T(evidence_of_an_earlier_session_is_refused),
        T(our_own_hello_and_evidence_sent_back_are_refused),
        T(our_own_evidence_sent_back_is_refused),
        T(a_damaged_quote_or_foreign_collateral_is_refused),
        T(evidence_without_collateral_is_refused),
        T(a_simulator_that_does_not_say_so_is_refused),
        T(a_simulator_that_says_it_is_sgx_is_refused),
        T(frames_out_of_place_or_size_are_refused_by_their_header),
        T(a_peer_that_sends_data_right_behind_its_evidence_is_not_heard),
        T(the_first_data_behind_accept_is_heard),
        T(a_peer_that_never_speaks_tls_is_dropped_at_the_deadline),
        T(a_peer_that_stalls_after_tls_is_dropped_at_the_deadline),
        T(a_peer_that_strips_the_evidence_is_dropped_at_the_deadline),
        T(a_peer_that_never_accepts_is_dropped_at_the_deadline),
    };
    rig_start();
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
