/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_CHANNEL_RIG_H
#define CLO_CHANNEL_RIG_H

/*
 * channel_rig: two ends on one machine, over the simulator and the real verifier.
 *
 *     rig_end   a party: key, certificate, maker, what it demands of the other
 *     rig_pair  two channels on one socket pair, stepped in turn by one thread
 *     puppet    a peer that speaks TLS and frames by hand, for everything an honest one never does
 *
 * Fixture functions abort the program when the machine fails them; the code under test is only ever
 * asked through T_ macros.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "channel_limits.h"
#include "cloister/sim.h"
#include "frame.h"
#include "hello.h"
#include "test.h"
#include "transcript.h"

#define RIG_UNUSED __attribute__((unused))

/* The limits of this program: production's unless a test changes them. */
static clo_channel_limits rig_limits = {5000, 10000, 30000, 600000, CLO_KEY_UPDATE_RECORDS};

const clo_channel_limits *clo_channel_get_limits(void)
{
    return &rig_limits;
}

static inline RIG_UNUSED void rig_reset_limits(void)
{
    rig_limits = (clo_channel_limits){5000, 10000, 30000, 600000, CLO_KEY_UPDATE_RECORDS};
}

static inline void rig_must(clo_status status, const char *what)
{
    if (!clo_ok(status)) {
        char text[1024];
        clo_status_text(status, text, sizeof text);
        fprintf(stderr, "rig: %s: %s\n", what, text);
        abort();
    }
}

/* ---------------------------------------------------------------- the simulator --------------- */

static char rig_folder[512];
static clo_anchor rig_anchor;
static uint8_t rig_measurement[32] = {0x11, 0x22};

/* A vendor of our own and quotes made in this process, so that a test chooses the measurement. */
static inline clo_status rig_maker_open(const char *config, void **out_state)
{
    (void)config;
    uint8_t *measurement = clo_alloc(32);
    CLO_CHECK(measurement != NULL, CLO_NOMEM, "a measurement");
    memcpy(measurement, rig_measurement, 32);
    *out_state = measurement;
    return CLO_STATUS_OK;
}

static inline clo_status rig_maker_quote(void *state, const uint8_t report_data[64],
                                         clo_deadline deadline, clo_evidence *out_evidence)
{
    (void)deadline;
    return clo_sim_quote(rig_folder, state, report_data, out_evidence);
}

static const clo_maker_ops rig_maker_ops = {
    .name = "rig",
    .summary = "the simulator's vendor, in this process",
    .config_help = "",
    .insecure = "insecure_simulator",
    .open = rig_maker_open,
    .quote = rig_maker_quote,
    .close = clo_free,
};

static const clo_maker_ops *const rig_makers[] = {&rig_maker_ops, NULL};

static inline void rig_start(void)
{
    rig_must(clo_crypto_init(), "crypto");
    snprintf(rig_folder, sizeof rig_folder, "%s/vendor", clo_test_folder());
    rig_must(clo_sim_init(rig_folder, &(clo_sim_options){0}), "vendor");
    rig_must(clo_sim_anchor(rig_folder, &rig_anchor), "anchor");
}

/* ---------------------------------------------------------------- ends ------------------------ */

typedef struct {
    clo_key *key;
    clo_cert *cert;
    clo_maker *maker;
    clo_channel_self self;
    clo_channel_rules rules;
    clo_expectation wants; /* what expect answers */
    bool refuse_admission;
    unsigned expected, admitted;
} rig_end;

static inline clo_status rig_expect(void *arg, const clo_hello *hello, clo_expectation *out)
{
    rig_end *end = arg;
    (void)hello;
    end->expected++;
    *out = end->wants;
    return CLO_STATUS_OK;
}

static inline clo_status rig_admit(void *arg, const clo_peer *peer, const clo_cert *cert)
{
    rig_end *end = arg;
    (void)peer;
    CLO_CHECK(cert != NULL, CLO_BUG, "no certificate");
    CLO_CHECK(!end->refuse_admission, CLO_DENIED, "the key is not on the list");
    end->admitted++;
    return CLO_STATUS_OK;
}

static inline clo_appraisal rig_appraisal(void)
{
    clo_appraisal appraisal = {
        .tees = {CLO_TEE_SIMULATOR},
        .tee_count = 1,
        .measurement_count = 1,
        .tcb_statuses = {CLO_TCB_UP_TO_DATE},
        .tcb_status_count = 1,
    };
    memcpy(appraisal.measurements[0], rig_measurement, 32);
    return appraisal;
}

static inline void rig_make_cert(const clo_key *key, clo_cert **out_cert)
{
    clo_cert_request request = {
        .subject_cn = "rig",
        .subject_key = key,
        .issuer_key = key,
        .not_before = clo_clock_utc() - 60,
        .not_after = clo_clock_utc() + 3600,
        .tls_usages = true,
    };
    rig_must(clo_cert_make(&request, out_cert), "certificate");
}

static inline void rig_end_init(rig_end *end, clo_role role, uint32_t slot)
{
    *end = (rig_end){0};
    rig_must(clo_key_generate(CLO_KEY_P256, &end->key), "key");
    rig_make_cert(end->key, &end->cert);
    bool keyed = role == CLO_ROLE_OWNER;
    if (!keyed) {
        rig_must(clo_maker_open(rig_makers, "rig:", &end->maker), "maker");
    }
    end->self = (clo_channel_self){
        .as = keyed ? CLO_PEER_KEYED : CLO_PEER_ATTESTED,
        .role = role,
        .slot = slot,
        .incarnation = 1,
        .manifest = {7},
        .key = end->key,
        .cert = end->cert,
        .maker = end->maker,
    };
    end->rules = (clo_channel_rules){CLO_PEER_ATTESTED, rig_expect, rig_admit, end};
}

static inline void rig_end_clear(rig_end *end)
{
    clo_maker_close(end->maker);
    clo_cert_free(end->cert);
    clo_key_free(end->key);
    *end = (rig_end){0};
}

/* Makes `end` demand of its peer what `peer` is. */
static inline void rig_end_wants(rig_end *end, const rig_end *peer)
{
    end->rules.peer_class = peer->self.as;
    end->wants = (clo_expectation){
        .role = peer->self.role,
        .slot = peer->self.slot,
        .check_manifest = true,
        .appraisal = rig_appraisal(),
        .anchors = {rig_anchor},
        .anchor_count = 1,
    };
    memcpy(end->wants.manifest, peer->self.manifest, 32);
}

/* ---------------------------------------------------------------- pairs ----------------------- */

typedef struct {
    rig_end ends[2]; /* by clo_tls_side */
    clo_channel *channels[2];
    clo_saved_status results[2];
} rig_pair;

static inline void rig_socketpair(int out_fds[2])
{
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, out_fds) != 0) {
        abort();
    }
}

static inline void rig_pair_init(rig_pair *pair, clo_role client, clo_role server)
{
    *pair = (rig_pair){0};
    bool slots = client == server;
    rig_end_init(&pair->ends[CLO_TLS_CLIENT], client, slots ? 1 : CLO_SLOT_NONE);
    rig_end_init(&pair->ends[CLO_TLS_SERVER], server, slots ? 2 : CLO_SLOT_NONE);
    rig_end_wants(&pair->ends[CLO_TLS_CLIENT], &pair->ends[CLO_TLS_SERVER]);
    rig_end_wants(&pair->ends[CLO_TLS_SERVER], &pair->ends[CLO_TLS_CLIENT]);
}

static inline void rig_pair_close(rig_pair *pair)
{
    for (int i = 0; i < 2; i++) {
        clo_channel_close(pair->channels[i]);
        pair->channels[i] = NULL;
    }
}

static inline void rig_pair_clear(rig_pair *pair)
{
    rig_pair_close(pair);
    rig_end_clear(&pair->ends[0]);
    rig_end_clear(&pair->ends[1]);
}

static inline void rig_pair_cleanup(rig_pair *pair)
{
    rig_pair_clear(pair);
}

static inline clo_status rig_begin(rig_end *end, clo_tls_side side, int fd, clo_channel **out)
{
    clo_address address = {.text = "rig:1"};
    return clo_channel_begin(side, fd, &address, &end->self, &end->rules, out);
}

/* Steps one channel once; true when it has nothing more to do (open or failed). */
static inline bool rig_step(clo_channel *channel, clo_saved_status *result)
{
    bool done = false;
    if (result->code != CLO_OK) {
        return true;
    }
    clo_status status = clo_channel_step(channel, &done);
    if (!clo_ok(status)) {
        clo_status_save(status, result);
        return true;
    }
    return done;
}

/* Steps both until each is open or failed; results are kept. */
static inline void rig_drive(rig_pair *pair)
{
    clo_deadline deadline = clo_deadline_in(20000);
    bool done[2] = {false, false};
    while (!(done[0] && done[1]) && !clo_deadline_passed(deadline)) {
        done[0] = rig_step(pair->channels[0], &pair->results[0]);
        done[1] = rig_step(pair->channels[1], &pair->results[1]);
        if (pair->results[0].code != CLO_OK || pair->results[1].code != CLO_OK) {
            deadline = clo_deadline_sooner(deadline, clo_deadline_in(100));
        }
    }
}

static inline void rig_connect(rig_pair *pair)
{
    int fds[2];
    rig_socketpair(fds);
    for (int side = 0; side < 2; side++) {
        pair->results[side] = (clo_saved_status){0};
        rig_must(rig_begin(&pair->ends[side], (clo_tls_side)side, fds[side], &pair->channels[side]),
                 "begin");
    }
    rig_drive(pair);
}

/* ---------------------------------------------------------------- puppets --------------------- */

/* One hand-driven end opposite a victim channel, which is stepped whenever the puppet waits. */
typedef struct {
    clo_tls_side side;
    int fd;
    clo_tls *tls;
    rig_end *end; /* identity it uses */
    clo_hello hello, peer_hello;
    clo_transcript transcript;
    clo_channel *victim;
    clo_saved_status victim_result;
    bool victim_open;
    bool stalled; /* the puppet waited in vain */
} puppet;

static inline void puppet_init(puppet *p, clo_tls_side side, rig_end *own, rig_end *victim)
{
    int fds[2];
    rig_socketpair(fds);
    *p = (puppet){.side = side, .fd = fds[0], .end = own};
    clo_tls_side other = side == CLO_TLS_CLIENT ? CLO_TLS_SERVER : CLO_TLS_CLIENT;
    rig_must(rig_begin(victim, other, fds[1], &p->victim), "victim");
    rig_must(clo_tls_new(side, p->fd, own->key, own->cert, CLO_CHANNEL_ALPN, &p->tls), "puppet");
}

static inline void puppet_cleanup(puppet *p)
{
    clo_tls_free(p->tls);
    clo_net_close(p->fd);
    clo_channel_close(p->victim);
}

static inline void puppet_let_victim(puppet *p)
{
    p->victim_open = rig_step(p->victim, &p->victim_result) && p->victim_result.code == CLO_OK;
}

/* Steps the victim until it failed, opened, or has been quiet for a while. */
static inline void puppet_settle(puppet *p, int64_t ms)
{
    clo_deadline deadline = clo_deadline_in(ms);
    while (p->victim_result.code == CLO_OK && !p->victim_open && !clo_deadline_passed(deadline)) {
        puppet_let_victim(p);
    }
}

static inline clo_status puppet_handshake(puppet *p)
{
    clo_deadline deadline = clo_deadline_in(3000);
    clo_tls_want want;
    do {
        CLO_TRY(clo_tls_handshake(p->tls, &want));
        puppet_let_victim(p);
        CLO_CHECK(!clo_deadline_passed(deadline), CLO_TIMEOUT, "puppet handshake");
    } while (want != CLO_TLS_DONE);
    clo_tls_side other = p->side == CLO_TLS_CLIENT ? CLO_TLS_SERVER : CLO_TLS_CLIENT;
    CLO_TRY(clo_sha256(clo_cert_der(p->end->cert), p->transcript.certificate[p->side]));
    return clo_sha256(clo_tls_peer_cert_der(p->tls), p->transcript.certificate[other]);
}

static inline clo_status puppet_write(puppet *p, clo_span bytes)
{
    clo_deadline deadline = clo_deadline_in(3000);
    while (bytes.size > 0) {
        size_t count = 0;
        clo_tls_want want;
        CLO_TRY(clo_tls_write(p->tls, bytes, &count, &want));
        bytes = CLO_SPAN(bytes.data + count, bytes.size - count);
        puppet_let_victim(p);
        CLO_CHECK(!clo_deadline_passed(deadline), CLO_TIMEOUT, "puppet write");
    }
    return CLO_STATUS_OK;
}

static inline clo_status puppet_send(puppet *p, clo_frame_type type, clo_span payload)
{
    CLO_AUTO(clo_buf) frame = CLO_BUF_INIT;
    clo_frame_put_head(&frame, type, payload.size);
    clo_put_span(&frame, payload);
    CLO_TRY(clo_buf_check(&frame));
    return puppet_write(p, clo_buf_span(&frame));
}

static inline clo_status puppet_read(puppet *p, uint8_t *into, size_t size)
{
    clo_deadline deadline = clo_deadline_in(3000);
    for (size_t at = 0; at < size;) {
        size_t count = 0;
        clo_tls_want want;
        CLO_TRY(clo_tls_read(p->tls, into + at, size - at, &count, &want));
        at += count;
        puppet_let_victim(p);
        CLO_CHECK(!clo_deadline_passed(deadline), CLO_TIMEOUT, "puppet read");
    }
    return CLO_STATUS_OK;
}

/* The next frame, whatever it is: header parsed by hand, because puppets know no states. */
static inline clo_status puppet_recv(puppet *p, clo_frame_type *out_type, clo_buf *out)
{
    uint8_t head[CLO_FRAME_HEAD];
    CLO_TRY(puppet_read(p, head, sizeof head));
    clo_reader reader = clo_reader_of(CLO_SPAN_OF(head));
    uint32_t size = clo_read_u32be(&reader);
    *out_type = (clo_frame_type)clo_read_u8(&reader);
    clo_buf_clear(out);
    uint8_t *into = clo_buf_grow(out, size);
    CLO_TRY(clo_buf_check(out));
    return puppet_read(p, into, size);
}

static inline clo_status puppet_expect(puppet *p, clo_frame_type type, clo_buf *out)
{
    clo_frame_type found;
    CLO_TRY(puppet_recv(p, &found, out));
    CLO_CHECK(found == type, CLO_FORMAT, "puppet expected '%s', found '%s'", clo_frame_name(type),
              clo_frame_name(found));
    return CLO_STATUS_OK;
}

static inline clo_status puppet_send_hello_bytes(puppet *p, clo_span payload)
{
    CLO_TRY(clo_transcript_add_hello(&p->transcript, p->side, &p->hello, payload));
    return puppet_send(p, CLO_FRAME_HELLO, payload);
}

static inline clo_status puppet_send_hello(puppet *p)
{
    CLO_TRY(clo_hello_make(&p->end->self, &p->hello));
    CLO_AUTO(clo_buf) hello = CLO_BUF_INIT;
    clo_hello_write(&p->hello, &hello);
    return puppet_send_hello_bytes(p, clo_buf_span(&hello));
}

static inline clo_status puppet_take_hello(puppet *p)
{
    CLO_AUTO(clo_buf) hello = CLO_BUF_INIT;
    CLO_TRY(puppet_expect(p, CLO_FRAME_HELLO, &hello));
    CLO_TRY(clo_hello_parse(clo_buf_span(&hello), &p->peer_hello));
    clo_tls_side other = p->side == CLO_TLS_CLIENT ? CLO_TLS_SERVER : CLO_TLS_CLIENT;
    return clo_transcript_add_hello(&p->transcript, other, &p->peer_hello, clo_buf_span(&hello));
}

/* TLS and both hellos, as the protocol has them. */
static inline clo_status puppet_greet(puppet *p)
{
    CLO_TRY(puppet_handshake(p));
    if (p->side == CLO_TLS_CLIENT) {
        CLO_TRY(puppet_send_hello(p));
        CLO_TRY(puppet_take_hello(p));
    } else {
        CLO_TRY(puppet_take_hello(p));
        CLO_TRY(puppet_send_hello(p));
    }
    return clo_transcript_bind(&p->transcript, p->tls);
}

/* What a liar may change about the evidence that it makes with a genuine simulator. */
typedef struct {
    bool wrong_direction;
    bool user_data;
    bool wrong_label;
    uint32_t layout_round, frame_round;
    int flip;       /* 1-based byte of the layout to change; 0: none */
    clo_span quote; /* instead of a fresh one */
    clo_span collateral;
} puppet_lie;

static inline clo_status puppet_quote(puppet *p, const puppet_lie *lie, clo_evidence *out)
{
    CLO_AUTO(clo_buf) layout = CLO_BUF_INIT;
    clo_tls_side other = p->side == CLO_TLS_CLIENT ? CLO_TLS_SERVER : CLO_TLS_CLIENT;
    CLO_TRY(clo_transcript_layout(&p->transcript, lie->wrong_direction ? other : p->side,
                                  lie->layout_round, &layout));
    if (lie->flip > 0) {
        layout.data[lie->flip - 1] ^= 1;
    }
    clo_purpose purpose = lie->user_data     ? CLO_PURPOSE_USER_DATA
                          : lie->wrong_label ? CLO_PURPOSE_BROKER_IDENTITY
                                             : CLO_PURPOSE_CHANNEL;
    return clo_maker_quote(p->end->maker, purpose, clo_buf_span(&layout), clo_deadline_in(3000),
                           out);
}

static inline clo_status puppet_send_round(puppet *p, clo_frame_type type, uint32_t round,
                                           clo_span bytes)
{
    CLO_AUTO(clo_buf) payload = CLO_BUF_INIT;
    clo_put_u32be(&payload, round);
    clo_put_span(&payload, bytes);
    return puppet_send(p, type, clo_buf_span(&payload));
}

static inline clo_status puppet_show(puppet *p, const puppet_lie *lie)
{
    CLO_AUTO(clo_evidence) evidence = CLO_EVIDENCE_INIT;
    CLO_TRY(puppet_quote(p, lie, &evidence));
    clo_span quote = lie->quote.size > 0 ? lie->quote : clo_buf_span(&evidence.quote);
    clo_span collateral =
        lie->collateral.size > 0 ? lie->collateral : clo_buf_span(&evidence.collateral);
    CLO_TRY(puppet_send_round(p, CLO_FRAME_EVIDENCE, lie->frame_round, quote));
    return puppet_send_round(p, CLO_FRAME_COLLATERAL, lie->frame_round, collateral);
}

#define T_RESULT(saved, expected)                                                                  \
    do {                                                                                           \
        const clo_saved_status *t_saved = &(saved);                                                \
        if (t_saved->code != (int32_t)(expected)) {                                                \
            clo_test_fail(__FILE__, __LINE__, "%s: expected %s, found %s (%s)", #saved,            \
                          clo_code_name(expected), clo_code_name(t_saved->code), t_saved->text);   \
            return;                                                                                \
        }                                                                                          \
    } while (0)

#endif
