/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must be refused, each really tried, beside a control that must be accepted:
 *
 *   case                                        control
 *   program with one code byte changed          an unchanged copy
 *   flipped byte in a sealed file               the same files unflipped
 *   right program in another role               the trainer's role
 *   file re-sealed under a laxer policy         the file as it was
 *   plain TCP peer at a rank     \
 *   plain TLS peer at a rank      >             the same key and certificate with evidence
 *   job certificate, no evidence /
 *
 * For the last three the demo itself holds a slot: it owns the simulator's keys, so it can make the
 * evidence that enrolment needs and then leave it out. That is the limit of a simulator, used here.
 */
#include "demo.h"

#include "cloister/sim.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAKER        "sim:simulator/qe.sock"
#define CODE_MARKER  "cloister-tee code marker"
#define TEE_LIMIT    (64u << 20)
#define GATE_WAIT_MS 20000
#define LOG_WAIT_MS  10000

/* ---------------------------------------------------------------- trying ---------------------- */

/* The refusing side's words: the last line of `text` that holds `mark`, from behind it. */
static void find_reason(clo_buf *text, const char *mark, char out_reason[DEMO_TEXT])
{
    const char *all = clo_buf_str(text), *last = NULL;
    for (const char *at = all; at && (at = strstr(at, mark)) != NULL; at += strlen(mark)) {
        last = at + strlen(mark);
    }
    (void)snprintf(out_reason, DEMO_TEXT, "%.*s", last ? (int)strcspn(last, "\n") : 0,
                   last ? last : "");
}

static void report(demo_state *demo, const char *what, const char *reason, const char *control)
{
    demo_refusal *row = &demo->refusals[demo->refusal_count++];
    (void)snprintf(row->what, sizeof row->what, "%s", what);
    (void)snprintf(row->reason, sizeof row->reason, "%s", reason);
    (void)snprintf(row->control, sizeof row->control, "%s", control);
    printf("   refused   %s\n             %s\n   control   %s\n", what, reason, control);
    (void)fflush(stdout);
}

/* A slot command to its end. */
static clo_status try_slot(demo_state *demo, const char *const *words, clo_buf *err, int *out_code)
{
    CLO_AUTO(clo_buf) out = CLO_BUF_INIT;
    demo_command command = {words, false, 60000, &out, err};
    return demo_run(demo, &command, out_code);
}

/* A peer that the gate refuses hears one coarse word; why stands in the broker's log, which may be
 * a moment behind. */
static void add_brokers_reason(demo_state *demo, const char *because, char reason[DEMO_TEXT])
{
    clo_deadline deadline = clo_deadline_in(LOG_WAIT_MS);
    char said[DEMO_TEXT];
    size_t size = strlen(reason);
    if (strstr(reason, because) || !strstr(reason, "not accepted")) {
        return;
    }
    do {
        demo_drain(clo_process_err(demo->broker), &demo->broker_log);
        find_reason(&demo->broker_log, "refused ", said);
        clo_sleep_ms(10);
    } while (!strstr(said, because) && !clo_deadline_passed(deadline));
    (void)snprintf(reason + size, DEMO_TEXT - size, "; the broker's log: %.500s", said);
}

typedef struct {
    const char *what, *control;
    const char *because;     /* the reason must say this: another failure is no refusal */
    const char *const *bad;  /* must be refused */
    const char *const *good; /* must be accepted */
} slot_case;

/* Both runs end by themselves; the reason is what cloister-tee printed. */
static clo_status try_case(demo_state *demo, const slot_case *c)
{
    CLO_AUTO(clo_buf) bad = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) good = CLO_BUF_INIT;
    char reason[DEMO_TEXT];
    int code = 0;
    CLO_TRY(try_slot(demo, c->good, &good, &code));
    const char *words = clo_buf_str(&good);
    CLO_CHECK(code == 0, CLO_BUG, "%s: its control was refused (%s): %s", c->what, c->control,
              words ? words : "");
    CLO_TRY(try_slot(demo, c->bad, &bad, &code));
    CLO_CHECK(code != 0, CLO_BUG, "%s was accepted", c->what);
    find_reason(&bad, "cloister-tee: ", reason);
    add_brokers_reason(demo, c->because, reason);
    CLO_CHECK(strstr(reason, c->because), CLO_BUG, "%s failed for another reason than %s: %s",
              c->what, c->because, reason);
    report(demo, c->what, reason, c->control);
    return CLO_STATUS_OK;
}

/* ---------------------------------------------------------------- files ----------------------- */

static clo_status copy_file(const char *from, const char *to, unsigned mode, size_t flip_at)
{
    CLO_AUTO(clo_buf) bytes = CLO_BUF_LIMIT(256u << 20);
    CLO_TRY(clo_file_read(from, 256u << 20, &bytes));
    if (flip_at < bytes.size) {
        bytes.data[flip_at] ^= 1;
    }
    return clo_file_write(to, mode, clo_buf_span(&bytes));
}

static clo_status find_marker(const char *path, size_t *out_at)
{
    CLO_AUTO(clo_buf) bytes = CLO_BUF_LIMIT(TEE_LIMIT);
    CLO_TRY(clo_file_read(path, TEE_LIMIT, &bytes));
    const uint8_t *at = memmem(bytes.data, bytes.size, CODE_MARKER, strlen(CODE_MARKER));
    CLO_CHECK(at, CLO_NOTFOUND, "'%s' has no code marker", path);
    *out_at = (size_t)(at - bytes.data);
    return CLO_STATUS_OK;
}

static clo_status tampered_program(demo_state *demo)
{
    size_t at = 0;
    CLO_TRY(clo_dir_make("copies", 0700));
    CLO_TRY(find_marker(demo->tee, &at));
    CLO_TRY(copy_file(demo->tee, "copies/unchanged", 0755, SIZE_MAX));
    CLO_TRY(copy_file(demo->tee, "copies/changed", 0755, at));
    const char *bad[] = {"train",          "job.dsse",  "--dry-run", "--broker", demo->slots,
                         "--maker",        MAKER,       "--out",     "tries",    "--tee",
                         "copies/changed", "--timeout", "10",        NULL};
    const char *good[] = {
        "train", "job.dsse", "--dry-run", "--broker", demo->slots,        "--maker",
        MAKER,   "--out",    "tries",     "--tee",    "copies/unchanged", NULL};
    slot_case c = {"a copy of cloister-tee with one code byte changed",
                   "an unchanged copy got its keys", "POLICY_MEASUREMENT", bad, good};
    return try_case(demo, &c);
}

static clo_status flipped_file(demo_state *demo)
{
    static const char *const files[] = {"fashion-mnist.index", "train/images.sealed",
                                        "train/labels.sealed", "test/images.sealed",
                                        "test/labels.sealed"};
    char from[256], to[256];
    CLO_TRY(clo_dir_make("flipped/train", 0700));
    CLO_TRY(clo_dir_make("flipped/test", 0700));
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        (void)snprintf(from, sizeof from, "sealed/%s", files[i]);
        (void)snprintf(to, sizeof to, "flipped/%s", files[i]);
        CLO_TRY(copy_file(from, to, 0600, i == 1 ? 1000000 : SIZE_MAX));
    }
    const char *bad[] = {"train",
                         "job.dsse",
                         "--dry-run",
                         "--broker",
                         demo->slots,
                         "--maker",
                         MAKER,
                         "--out",
                         "tries",
                         "--train-index",
                         "flipped/fashion-mnist.index",
                         NULL};
    const char *good[] = {"train",
                          "job.dsse",
                          "--dry-run",
                          "--broker",
                          demo->slots,
                          "--maker",
                          MAKER,
                          "--out",
                          "tries",
                          "--test-index",
                          "flipped/fashion-mnist.index",
                          NULL};
    slot_case c = {"one byte flipped in a sealed file",
                   "the unflipped files of the same copy were opened", "tag does not match", bad,
                   good};
    return try_case(demo, &c);
}

static clo_status other_role(demo_state *demo)
{
    const char *bad[] = {"eval",  "job.dsse", "--broker",  demo->slots, "--maker", MAKER,
                         "--out", "run",      "--timeout", "10",        NULL};
    const char *good[] = {"train",   "job.dsse", "--dry-run", "--broker", demo->slots,
                          "--maker", MAKER,      "--out",     "tries",    NULL};
    slot_case c = {"the right program in another role (evaluator)",
                   "the same program as trainer got its keys", "ROLE", bad, good};
    return try_case(demo, &c);
}

/* Somebody with the owner's signing hand but not the broker's leave: a file under the same key id
 * whose header carries a policy that the broker was never given, under a key of his own, in an
 * index that is signed as it must be. What is inside does not matter: nobody gets as far. */
static clo_status write_laxer_file(const char *path, const clo_seal_header *header,
                                   clo_index_row *row)
{
    CLO_AUTO(clo_buf) bytes = CLO_BUF_LIMIT(CLO_SEAL_HEADER_MAX);
    CLO_AUTO(clo_secret) key = CLO_SECRET_INIT;
    CLO_AUTO_PTR(clo_seal_writer) writer = NULL;
    static const uint8_t plain[64] = {0, 0, 8, 3};
    CLO_TRY(clo_seal_header_write(header, &bytes));
    CLO_TRY(clo_secret_alloc(&key, CLO_AEAD_KEY));
    CLO_TRY(clo_random_bytes(key.data, key.size));
    CLO_TRY(clo_seal_writer_new(path, clo_buf_span(&bytes), &key, &writer));
    CLO_TRY(clo_seal_writer_write(writer, CLO_SPAN_OF(plain)));
    CLO_TRY(clo_seal_writer_finish(writer, row->digest));
    memcpy(row->file_id, header->file_id, sizeof row->file_id);
    row->size = sizeof plain;
    return CLO_STATUS_OK;
}

static clo_status write_laxer_index(const demo_state *demo, clo_span policy)
{
    static const char *const names[] = {"train/images", "train/labels"};
    clo_index_row rows[2] = {{.size = 0}};
    clo_index index = {.data_set = "fashion-mnist", .version = 2, .rows = rows, .row_count = 2};
    CLO_AUTO_PTR(clo_key) owner = NULL;
    CLO_AUTO(clo_buf) envelope = CLO_BUF_LIMIT(CLO_INDEX_FILE_MAX);
    uint8_t digest[32];
    CLO_TRY(clo_random_bytes(index.data_set_id, sizeof index.data_set_id));
    CLO_TRY(clo_hex_decode(clo_span_of_str(demo->key_id), index.key_id, sizeof index.key_id));
    for (uint32_t i = 0; i < 2; i++) {
        clo_seal_header header;
        char path[64];
        CLO_TRY(clo_seal_header_init(&header));
        memcpy(header.data_set_id, index.data_set_id, sizeof header.data_set_id);
        memcpy(header.key_id, index.key_id, sizeof header.key_id);
        header.key_version = 1;
        header.part = i;
        header.parts = 2;
        header.policy = policy;
        (void)snprintf(path, sizeof path, "laxer/%s.sealed", names[i]);
        (void)snprintf(rows[i].name, sizeof rows[i].name, "%s", names[i]);
        CLO_TRY(write_laxer_file(path, &header, &rows[i]));
    }
    CLO_TRY(clo_key_read_private_file("owner.key", &owner));
    CLO_TRY(clo_index_sign(&index, owner, &envelope, digest));
    return clo_file_write("laxer/fashion-mnist.index", 0644, clo_buf_span(&envelope));
}

static clo_status make_laxer(demo_state *demo)
{
    const char *policy[] = {"kms",
                            "policy",
                            "make",
                            "--owner",
                            "owner.key",
                            "--key",
                            demo->key_id,
                            "--data-set",
                            "fashion-mnist",
                            "--measurement",
                            demo->measurement,
                            "--simulator-root",
                            "simulator/root.pem",
                            "--model",
                            "mnist-cnn",
                            "--role",
                            "trainer",
                            "--role",
                            "evaluator",
                            "--max-releases",
                            "1000000",
                            "--mode",
                            "signer",
                            "-o",
                            "laxer.dsse",
                            NULL};
    const char *make[] = {"job",
                          "make",
                          "mnist-cnn",
                          "--name",
                          "laxer",
                          "--epochs",
                          "1",
                          "--train",
                          "laxer/fashion-mnist.index:train",
                          "--sign",
                          "owner.key",
                          "-o",
                          "laxer-job.dsse",
                          NULL};
    const char *approve[] = {"job",       "approve",  "laxer-job.dsse", "--owner",
                             "owner.key", "--broker", demo->owners,     NULL};
    CLO_AUTO(clo_buf) envelope = CLO_BUF_LIMIT(CLO_DOCUMENT_MAX);
    CLO_TRY(clo_dir_make("laxer/train", 0700));
    CLO_TRY(demo_do(demo, policy, NULL));
    CLO_TRY(clo_file_read("laxer.dsse", CLO_DOCUMENT_MAX, &envelope));
    CLO_TRY(write_laxer_index(demo, clo_buf_span(&envelope)));
    CLO_TRY(demo_do(demo, make, NULL));
    return demo_do(demo, approve, NULL);
}

static clo_status laxer_policy(demo_state *demo)
{
    const char *bad[] = {"train", "laxer-job.dsse", "--dry-run", "--broker", demo->slots, "--maker",
                         MAKER,   "--out",          "tries",     NULL};
    const char *good[] = {"train",   "job.dsse", "--dry-run", "--broker", demo->slots,
                          "--maker", MAKER,      "--out",     "tries",    NULL};
    slot_case c = {"a file re-sealed under the same key id with a laxer policy",
                   "the file under the policy the broker holds was opened", "HEADER_VERSION", bad,
                   good};
    CLO_TRY_CTX(make_laxer(demo), "preparing the laxer policy");
    return try_case(demo, &c);
}

/* ---------------------------------------------------------------- at a rank's gate ------------ */

static clo_status forge_open(const char *config, void **out_state)
{
    (void)config;
    *out_state = NULL;
    return CLO_STATUS_OK;
}

static clo_status forge_quote(void *state, const uint8_t report_data[64], clo_deadline deadline,
                              clo_evidence *out_evidence)
{
    uint8_t measurement[32];
    char tee[1024];
    (void)state;
    (void)deadline;
    CLO_TRY(cli_tee_path(NULL, tee, sizeof tee));
    CLO_TRY(cli_measure(tee, measurement));
    return clo_sim_quote("simulator", measurement, report_data, out_evidence);
}

static void forge_close(void *state)
{
    (void)state;
}

/* The vendor's own hand: evidence for a program that does not run. */
static const clo_maker_ops FORGER = {"forger",   "signs with the simulator vendor's keys",
                                     "",         "insecure_simulator",
                                     forge_open, forge_quote,
                                     forge_close};
static const clo_maker_ops *const FORGERS[] = {&FORGER, NULL};

typedef struct {
    demo_state *demo;
    clo_process *rank; /* rank 0, waiting for rank 1 */
    clo_buf log;       /* its standard error */
    char address[64];
    clo_buf envelope;
    clo_manifest *manifest;
    clo_maker *maker;
    clo_slot_session *session;  /* ours: slot 1 */
    char reasons[3][DEMO_TEXT]; /* told once the control has passed the same gate */
} gate;

static size_t count_refusals(gate *g)
{
    demo_drain(clo_process_err(g->rank), &g->log);
    const char *at = clo_buf_str(&g->log);
    size_t count = 0;
    for (; at && (at = strstr(at, "refused ")) != NULL; at++) {
        count++;
    }
    return count;
}

/* One row a case at the gate: what it is, and what the rank's reason must say. */
typedef struct {
    const char *what, *because;
    clo_status (*attack)(gate *g);
} gate_case;

/* The rank's reason for its next refusal after `before` ones. */
static clo_status wait_refusal(gate *g, size_t before, const gate_case *c,
                               char out_reason[DEMO_TEXT])
{
    clo_deadline deadline = clo_deadline_in(GATE_WAIT_MS);
    while (count_refusals(g) <= before) {
        CLO_CHECK(!clo_deadline_passed(deadline), CLO_BUG, "%s: the rank refused nothing", c->what);
        clo_sleep_ms(10);
    }
    find_reason(&g->log, "refused ", out_reason);
    CLO_CHECK(strstr(out_reason, c->because), CLO_BUG, "%s failed for another reason than %s: %s",
              c->what, c->because, out_reason);
    return CLO_STATUS_OK;
}

static clo_status connect_rank(const gate *g, int *out_fd)
{
    clo_deadline deadline = clo_deadline_in(GATE_WAIT_MS);
    clo_status status;
    do {
        status = clo_net_connect(g->address, NULL, clo_deadline_in(1000), out_fd);
        if (!clo_ok(status)) {
            clo_sleep_ms(50);
        }
    } while (!clo_ok(status) && !clo_deadline_passed(deadline));
    return status;
}

/* Reads until the other side closes. */
static void wait_closed(int fd)
{
    clo_deadline deadline = clo_deadline_in(GATE_WAIT_MS);
    uint8_t bytes[4096];
    while (clo_ok(clo_fd_wait(fd, POLLIN, deadline))) {
        if (read(fd, bytes, sizeof bytes) <= 0) {
            return;
        }
    }
}

static clo_status plain_tcp(gate *g)
{
    int fd = -1;
    CLO_TRY(connect_rank(g, &fd));
    clo_status status = clo_fd_write_all(fd, clo_span_of_str("GET / HTTP/1.0\r\n\r\n"));
    wait_closed(fd);
    clo_net_close(fd);
    return status;
}

/* TLS to its end with this key and certificate, then `bytes`, then whatever the rank does. */
static clo_status speak_tls(int fd, const clo_key *key, const clo_cert *cert, clo_span bytes)
{
    clo_deadline deadline = clo_deadline_in(GATE_WAIT_MS);
    clo_tls_want want = CLO_TLS_WANT_WRITE;
    size_t sent = 0;
    CLO_AUTO_PTR(clo_tls) tls = NULL;
    CLO_TRY(clo_tls_new(CLO_TLS_CLIENT, fd, key, cert, CLO_CHANNEL_ALPN, &tls));
    while (want != CLO_TLS_DONE) {
        CLO_TRY(clo_tls_handshake(tls, &want));
        if (want != CLO_TLS_DONE) {
            CLO_TRY(clo_fd_wait(fd, want == CLO_TLS_WANT_READ ? POLLIN : POLLOUT, deadline));
        }
    }
    CLO_TRY(clo_tls_write(tls, bytes, &sent, &want));
    wait_closed(fd);
    return CLO_STATUS_OK;
}

static clo_status speak_to_rank(gate *g, const clo_key *key, const clo_cert *cert, clo_span bytes)
{
    int fd = -1;
    CLO_TRY(connect_rank(g, &fd));
    clo_status status = speak_tls(fd, key, cert, bytes);
    clo_net_close(fd);
    return status;
}

static clo_status plain_tls(gate *g)
{
    CLO_AUTO_PTR(clo_key) key = NULL;
    CLO_AUTO_PTR(clo_cert) cert = NULL;
    clo_cert_request request = {.subject_cn = "somebody",
                                .tls_usages = true,
                                .not_before = clo_clock_utc() - 60,
                                .not_after = clo_clock_utc() + 3600};
    CLO_TRY(clo_key_generate(CLO_KEY_P256, &key));
    request.subject_key = request.issuer_key = key;
    CLO_TRY(clo_cert_make(&request, &cert));
    return speak_to_rank(g, key, cert, clo_span_of_str("all-reduce, please: 0.1 0.2 0.3 0.4"));
}

/* Frames of the channel as docs/design/channel.md has them. */
enum { FRAME_HELLO = 1, FRAME_LAST = 8 };

static void put_frame(clo_buf *out, uint8_t type, clo_span payload)
{
    clo_put_u32be(out, (uint32_t)payload.size);
    clo_put_u8(out, type);
    clo_put_span(out, payload);
}

static void put_hello(clo_buf *out, const clo_channel_self *self)
{
    CLO_AUTO(clo_buf) hello = CLO_BUF_INIT;
    uint8_t nonce[32] = {0};
    clo_put_u16be(&hello, 1);
    clo_put_u8(&hello, CLO_PURPOSE_CHANNEL);
    clo_put_bytes(&hello, nonce, sizeof nonce);
    clo_put_u8(&hello, (uint8_t)self->role);
    clo_put_u32be(&hello, self->slot);
    clo_put_u64be(&hello, self->incarnation);
    clo_put_bytes(&hello, self->manifest, sizeof self->manifest);
    clo_put_u32be(&hello, 1u << CLO_TEE_SIMULATOR);
    clo_put_u32be(&hello, self->insecure_flags);
    clo_put_u8(&hello, CLO_BUILD_DEVELOPMENT);
    put_frame(out, FRAME_HELLO, clo_buf_span(&hello));
}

/* Everything of the slot is genuine - key, job certificate, hello - and the gradients come at once,
 * where the evidence has its place. */
static clo_status without_evidence(gate *g)
{
    clo_channel_self self = clo_slot_self(g->session);
    CLO_AUTO(clo_buf) bytes = CLO_BUF_INIT;
    put_hello(&bytes, &self);
    put_frame(&bytes, FRAME_LAST, clo_span_of_str("gradients: 0.1 0.2 0.3 0.4"));
    CLO_TRY(clo_buf_check(&bytes));
    return speak_to_rank(g, self.key, self.cert, clo_buf_span(&bytes));
}

static clo_status with_evidence(gate *g)
{
    clo_channel_self self = clo_slot_self(g->session);
    clo_channel_rules rules = clo_slot_peer_rules(g->session);
    CLO_AUTO_PTR(clo_channel) channel = NULL;
    CLO_TRY_CTX(clo_channel_connect(g->address, NULL, &self, &rules, clo_deadline_in(GATE_WAIT_MS),
                                    &channel),
                "the control at the rank's gate");
    return CLO_STATUS_OK;
}

static clo_status take_slot(gate *g)
{
    CLO_TRY(cli_read_manifest("gate.dsse", &g->envelope, g->manifest));
    CLO_TRY(clo_maker_open(FORGERS, "forger:", &g->maker));
    clo_slot_options options = {
        .broker_address = g->demo->slots,
        .manifest_envelope = clo_buf_span(&g->envelope),
        .manifest = g->manifest,
        .role = CLO_ROLE_TRAINER,
        .slot = 1,
        .insecure_flags = CLO_INSECURE_SIMULATOR,
        .maker = g->maker,
    };
    CLO_TRY_CTX(clo_slot_enrol(&options, clo_deadline_in(GATE_WAIT_MS), &g->session),
                "taking slot 1 of the gate's job");
    return clo_slot_wait_roster(g->session, clo_deadline_in(GATE_WAIT_MS));
}

static clo_status start_gate(gate *g)
{
    char port[24];
    unsigned free_port = 0;
    const char *make[] = {"job",
                          "make",
                          "mnist-cnn",
                          "--name",
                          "gate",
                          "--epochs",
                          "1",
                          "--train",
                          "sealed/fashion-mnist.index:train",
                          "--world-size",
                          "2",
                          "--sign",
                          "owner.key",
                          "-o",
                          "gate.dsse",
                          NULL};
    const char *approve[] = {"job",       "approve",  "gate.dsse",     "--owner",
                             "owner.key", "--broker", g->demo->owners, NULL};
    CLO_TRY(demo_free_port(&free_port));
    (void)snprintf(port, sizeof port, "%u", free_port);
    (void)snprintf(g->address, sizeof g->address, "127.0.0.1:%u", free_port);
    const char *rank[] = {"train",        "gate.dsse", "--rank", "0",      "--broker",
                          g->demo->slots, "--maker",   MAKER,    "--port", port,
                          "--out",        "gate",      NULL};
    CLO_TRY(demo_do(g->demo, make, NULL));
    CLO_TRY(demo_do(g->demo, approve, NULL));
    CLO_TRY(demo_start(g->demo, rank, &g->rank));
    return take_slot(g);
}

static const gate_case GATE_CASES[3] = {
    {"a plain TCP peer at a rank", "tls handshake", plain_tcp},
    {"a plain TLS peer at a rank", "waiting for 'hello'", plain_tls},
    {"a valid job certificate without evidence", "waiting for 'evidence'", without_evidence},
};

static clo_status try_gate(gate *g)
{
    int fd = -1;
    CLO_TRY(start_gate(g));
    CLO_TRY(connect_rank(g, &fd)); /* its listener stands */
    clo_net_close(fd);
    for (size_t i = 0; i < 3; i++) {
        clo_sleep_ms(100); /* what the connection before left in the log is there */
        size_t before = count_refusals(g);
        CLO_TRY(GATE_CASES[i].attack(g));
        CLO_TRY(wait_refusal(g, before, &GATE_CASES[i], g->reasons[i]));
    }
    CLO_TRY(with_evidence(g));
    for (size_t i = 0; i < 3; i++) {
        report(g->demo, GATE_CASES[i].what, g->reasons[i],
               "the same slot with its evidence passed the same gate");
    }
    return CLO_STATUS_OK;
}

static clo_status tell_log(gate *g, clo_status status)
{
    if (!clo_ok(status) && g->rank) {
        demo_drain(clo_process_err(g->rank), &g->log);
        const char *log = clo_buf_str(&g->log);
        CLO_TRY_CTX(status, "at a rank's gate (the rank says: %s)", log ? log : "");
    }
    return status;
}

static clo_status attack_gate(demo_state *demo)
{
    gate g = {.demo = demo,
              .log = CLO_BUF_LIMIT(4u << 20),
              .envelope = CLO_BUF_LIMIT(CLO_DOCUMENT_MAX),
              .manifest = clo_alloc(sizeof(clo_manifest))};
    CLO_CHECK(g.manifest, CLO_NOMEM, "no memory for a manifest");
    clo_status status = tell_log(&g, try_gate(&g));
    clo_saved_status saved;
    clo_status_save(status, &saved);
    clo_process_stop(g.rank, 2000);
    clo_slot_leave(g.session);
    clo_maker_close(g.maker);
    clo_free(g.manifest);
    clo_buf_release(&g.envelope);
    clo_buf_release(&g.log);
    return clo_ok(status) ? status : clo_status_restore(&saved);
}

clo_status demo_attacks(demo_state *demo)
{
    static clo_status (*const cases[])(demo_state *) = {tampered_program, flipped_file, other_role,
                                                        laxer_policy, attack_gate};
    CLO_TRY(clo_dir_make("tries", 0700));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CLO_TRY(cases[i](demo));
    }
    return CLO_STATUS_OK;
}
