/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job of two ranks, whole, that is longer than its certificates: the ranks are threads, their
 * slots' sessions doubles that admit by certificate, as the real ones do (test_broker_peers), and
 * the gate is the real one.
 */
#include "sealed_set.h"

#include "../../src/comm/comm_limits.h"
#include "../comm/comm_rig.h"

/* The limits of this program. */
static clo_comm_limits limits = {CLO_RENEW_INTERVAL_MS};

const clo_comm_limits *clo_comm_get_limits(void)
{
    return &limits;
}

enum { WORLD = 2, SAMPLES = 210, SIDE = 28, STEPS = 28, HOUR = 3600 };

typedef struct job_rank job_rank;

struct job_rank {
    clo_slot_session *session;
    const clo_manifest *manifest;
    const char *master;
    char out[600];
    clo_maker *maker;
    clo_cert *old_cert;
    clo_train_job_result result;
    clo_saved_status status;
    size_t steps;
    /* What it saw: connections that began, and the end of the certificate the last one showed. */
    unsigned begun;
    int64_t shown_end;
    bool retakes;             /* the peer's row changes hands right after its gate */
    size_t hour_at, renew_at; /* steps after which an hour passes; the broker gives all anew */
};

typedef struct {
    sealed_set set;
    clo_slot_session other;
    clo_address master;
    job_rank ranks[WORLD];
} fixture;

static void fixture_cleanup(fixture *f)
{
    for (int i = 0; i < WORLD; i++) {
        clo_maker_close(f->ranks[i].maker);
        clo_cert_free(f->ranks[i].old_cert);
    }
    clo_slot_session_cleanup(&f->other);
    sealed_set_cleanup(&f->set);
}

/* ---- rules of a slot */

static clo_status expect_peer(void *arg, const clo_hello *hello, clo_expectation *out)
{
    const job_rank *self = ((clo_slot_session *)arg)->arg;
    *out = (clo_expectation){.role = CLO_ROLE_TRAINER,
                             .slot = hello->slot,
                             .appraisal = rig_appraisal(),
                             .anchors = {rig_anchor},
                             .anchor_count = 1};
    CLO_CHECK(hello->slot == 1 - self->session->rank, CLO_POLICY, "another slot");
    return CLO_STATUS_OK;
}

static clo_status admit_peer(void *arg, const clo_peer *peer, const clo_cert *cert)
{
    clo_slot_session *session = arg;
    job_rank *self = session->arg;
    if (peer->round > 0) {
        return CLO_STATUS_OK;
    }
    CLO_CHECK(clo_clock_utc() <= clo_cert_not_after(cert), CLO_POLICY, "certificate has expired");
    self->begun++;
    self->shown_end = clo_cert_not_after(cert);
    session->roster.rows[peer->hello.slot].incarnation += self->retakes ? 1 : 0;
    return CLO_STATUS_OK;
}

static void on_upkeep(clo_slot_session *session, void *arg)
{
    job_rank *self = arg;
    if (self->hour_at > 0 && self->steps == self->hour_at) {
        clo_clock_raise_floor(clo_clock_utc() + HOUR + 60);
        self->hour_at = 0;
    }
    if (self->renew_at > 0 && self->steps == self->renew_at) {
        self->renew_at = 0;
        self->old_cert = session->cert; /* still borrowed by its connections */
        rig_must(make_cert(session->key, session->ca_key, false, &session->cert), "certificate");
        session->roster.issued = clo_clock_utc();
    }
}

/* ---- the job */

static clo_status start_session(fixture *f, uint32_t rank)
{
    clo_slot_session *session = rank == 0 ? &f->set.session : &f->other;
    job_rank *self = &f->ranks[rank];
    if (rank > 0) {
        CLO_TRY(open_session(session));
        memcpy(session->data_key.data, f->set.session.data_key.data, 32);
        memcpy(session->job_key.data, f->set.session.job_key.data, 32);
    }
    CLO_TRY(certify_session(session));
    CLO_TRY(clo_maker_open(rig_makers, "rig:", &self->maker));
    session->rank = rank;
    session->roster.row_count = WORLD;
    session->roster.issued = clo_clock_utc();
    for (uint32_t slot = 0; slot < WORLD; slot++) {
        session->roster.rows[slot] =
            (clo_roster_row){.role = CLO_ROLE_TRAINER, .slot = slot, .incarnation = 7};
    }
    session->self = (clo_channel_self){.as = CLO_PEER_ATTESTED,
                                       .slot = rank,
                                       .incarnation = 7,
                                       .manifest = {0x4d},
                                       .maker = self->maker};
    session->rules = (clo_channel_rules){CLO_PEER_ATTESTED, expect_peer, admit_peer, session};
    session->on_upkeep = on_upkeep;
    session->arg = self;
    self->session = session;
    self->manifest = &f->set.manifest;
    self->master = f->master.text;
    snprintf(self->out, sizeof self->out, "%s/out-%u", f->set.folder, rank);
    return CLO_STATUS_OK;
}

static clo_status start(fixture *f)
{
    clo_manifest *manifest = &f->set.manifest;
    CLO_TRY(start_set(&f->set, SIDE, SAMPLES));
    rig_pick_master(&f->master);
    snprintf(manifest->job, sizeof manifest->job, "test-job");
    snprintf(manifest->model, sizeof manifest->model, "mnist-cnn");
    manifest->digest[0] = 0x4d;
    manifest->world_size = WORLD;
    manifest->train = CLO_TRAIN_SETTINGS_INIT;
    manifest->train.epochs = 2;
    manifest->train.batch_size = 8;
    manifest->train.check_parameters = true;
    for (uint32_t rank = 0; rank < WORLD; rank++) {
        CLO_TRY(start_session(f, rank));
    }
    return CLO_STATUS_OK;
}

static void on_progress(void *arg, const clo_train_progress *progress)
{
    (void)progress;
    ((job_rank *)arg)->steps++;
}

static clo_status run_rank(void *arg)
{
    job_rank *self = arg;
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    clo_train_hooks hooks = {.progress = on_progress, .arg = self};
    clo_train_job_options options = {.session = self->session,
                                     .manifest = self->manifest,
                                     .master_address = self->master,
                                     .out_folder = self->out,
                                     .threads = 1,
                                     .connect_timeout_ms = 10000,
                                     .hooks = &hooks};
    clo_status_save(clo_train_job_run(&options, &arena, &self->result), &self->status);
    return CLO_STATUS_OK;
}

static void run(fixture *f)
{
    clo_thread *threads[WORLD] = {NULL};
    for (int i = 0; i < WORLD; i++) {
        rig_must(clo_thread_start(run_rank, &f->ranks[i], "rank", &threads[i]), "thread");
    }
    for (int i = 0; i < WORLD; i++) {
        rig_must(clo_thread_join(threads[i]), "join");
    }
}

/* The chain over the parameters' hashes after every step, from the transcript. */
static clo_status read_chain(const fixture *f, uint8_t out_chain[32])
{
    CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) payload = CLO_BUF_INIT;
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    const clo_json *root;
    CLO_TRY(clo_file_read(f->ranks[0].result.transcript_path, 1 << 20, &envelope));
    CLO_TRY(
        clo_dsse_open(clo_buf_span(&envelope), CLO_TRANSCRIPT_TYPE, f->set.session.key, &payload));
    CLO_TRY(clo_json_parse(clo_buf_span(&payload), &arena, &root));
    return clo_json_hex(root, "parameter_chain", out_chain, 32);
}

/* ---- tests */

static uint8_t plain_chain[32]; /* of a run without a renewal */

static void the_interval_is_an_hour_and_a_short_job_renews_nothing(void)
{
    CLO_AUTO(fixture) f = {0};
    T_OK(start(&f));
    run(&f);
    for (int i = 0; i < WORLD; i++) {
        T_STR(f.ranks[i].status.text, "ok");
        T_INT(f.ranks[i].steps, STEPS);
        T_INT(f.ranks[i].begun, 1);
    }
    static const uint8_t none[32];
    T_OK(read_chain(&f, plain_chain));
    T_CHECK(memcmp(plain_chain, none, sizeof none) != 0);
}

static void a_job_goes_on_to_the_same_bits_over_fresh_connections(void)
{
    CLO_AUTO(fixture) f = {0};
    uint8_t chain[32];
    T_OK(start(&f));
    limits.renew_ms = 0;
    run(&f);
    limits.renew_ms = CLO_RENEW_INTERVAL_MS;
    for (int i = 0; i < WORLD; i++) {
        T_STR(f.ranks[i].status.text, "ok");
        T_INT(f.ranks[i].steps, STEPS);
        T_INT(f.ranks[i].begun, 1 + 4); /* before steps 0, 8, 16, 24 */
        T_CHECK(f.ranks[i].result.parameters_identical);
    }
    T_OK(read_chain(&f, chain));
    T_CHECK(memcmp(chain, plain_chain, 32) == 0);
}

static void a_roster_that_ends_at_one_rank_keeps_all_on_the_old_connections(void)
{
    CLO_AUTO(fixture) f = {0};
    T_OK(start(&f));
    f.other.roster.issued -= CLO_ROSTER_LIFETIME_S - 60;
    limits.renew_ms = 0;
    run(&f);
    limits.renew_ms = CLO_RENEW_INTERVAL_MS;
    for (int i = 0; i < WORLD; i++) {
        T_STR(f.ranks[i].status.text, "ok");
        T_INT(f.ranks[i].begun, 1);
    }
}

static void a_rank_replaced_after_its_gate_is_noticed_before_the_first_step(void)
{
    CLO_AUTO(fixture) f = {0};
    T_OK(start(&f));
    f.ranks[0].retakes = true;
    run(&f);
    T_INT(f.ranks[0].status.code, CLO_CLOSED);
    T_CHECK(strstr(f.ranks[0].status.text, "rank 1 was started anew: incarnation is 8, was 7") !=
            NULL);
    T_CHECK(f.ranks[1].status.code != CLO_OK);
    T_INT(f.ranks[0].steps, 0);
}

/* Last: the clock does not come back. Roster and certificates end at step 10; the broker gives new
 * ones to the ranks at steps 12 and 18, so that of the boundaries 16 and 24 only the second one
 * finds both able to connect. */
static void a_job_outlives_its_certificates(void)
{
    CLO_AUTO(fixture) f = {0};
    uint8_t chain[32];
    T_OK(start(&f));
    int64_t first_end = clo_cert_not_after(f.set.session.cert);
    f.ranks[0].hour_at = 10;
    f.ranks[0].renew_at = 12;
    f.ranks[1].renew_at = 18;
    limits.renew_ms = 0;
    run(&f);
    limits.renew_ms = CLO_RENEW_INTERVAL_MS;
    T_CHECK(clo_clock_utc() > first_end);
    for (int i = 0; i < WORLD; i++) {
        T_STR(f.ranks[i].status.text, "ok");
        T_INT(f.ranks[i].steps, STEPS);
        T_INT(f.ranks[i].begun, 1 + 3); /* before steps 0, 8, 24 */
        T_CHECK(f.ranks[i].shown_end > first_end + HOUR / 2);
    }
    T_OK(read_chain(&f, chain));
    T_CHECK(memcmp(chain, plain_chain, 32) == 0);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(the_interval_is_an_hour_and_a_short_job_renews_nothing),
        T(a_job_goes_on_to_the_same_bits_over_fresh_connections),
        T(a_roster_that_ends_at_one_rank_keeps_all_on_the_old_connections),
        T(a_rank_replaced_after_its_gate_is_noticed_before_the_first_step),
        T(a_job_outlives_its_certificates),
    };
    rig_start();
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
