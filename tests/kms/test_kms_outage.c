/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When the key broker is away, and when it only says no. The broker here is the test's own: it
 * passes the gate, enrols a slot, and then answers as the test wants.
 */
#include "cloister/kms_protocol.h"
#include "cloister/sim.h"
#include "kms_rig.h"

#define SOON clo_deadline_in(5000)

/* ---- evidence of both programs */

static char vendor[512];

static clo_status open_maker(const char *program, void **out_state)
{
    bool is_broker = strcmp(program, "broker") == 0;
    *out_state = (void *)(uintptr_t)(is_broker ? rig_broker_program : rig_program);
    return CLO_STATUS_OK;
}

static clo_status quote(void *state, const uint8_t report_data[64], clo_deadline deadline,
                        clo_evidence *out_evidence)
{
    (void)deadline;
    return clo_sim_quote(vendor, state, report_data, out_evidence);
}

static void close_maker(void *state)
{
    (void)state;
}

static const clo_maker_ops maker_ops = {
    .name = "rig",
    .summary = "the simulator's vendor, in this process",
    .config_help = "",
    .insecure = "insecure_simulator",
    .open = open_maker,
    .quote = quote,
    .close = close_maker,
};

static const clo_maker_ops *const makers[] = {&maker_ops, NULL};

/* ---- the broker */

static struct {
    clo_manifest manifest;
    clo_buf envelope;
    clo_key *tls_key, *ca_key;
    clo_cert *tls_cert, *ca;
    clo_maker *maker, *slot_maker;
    clo_listener *listener;
    char address[128];
    clo_roster roster;
    clo_code says; /* what a request for a roster is answered with */
    bool hangs_up; /* instead of an answer to it */
} broker;

static clo_status expect_slot(void *arg, const clo_hello *hello, clo_expectation *out)
{
    (void)arg;
    *out = (clo_expectation){
        .role = hello->role,
        .slot = CLO_SLOT_NONE,
        .appraisal = rig_appraisal(rig_program),
        .anchors = {rig_anchor},
        .anchor_count = 1,
    };
    return CLO_STATUS_OK;
}

static clo_status put_enrolment(clo_span body, clo_buf *out)
{
    CLO_AUTO_PTR(clo_key) subject = NULL;
    CLO_AUTO_PTR(clo_cert) leaf = NULL;
    CLO_AUTO(clo_buf) roster = CLO_BUF_INIT;
    static const uint8_t evidence[32];
    clo_enrol_request request;
    clo_roster_row *row = &broker.roster.rows[0];
    CLO_TRY(clo_enrol_request_parse(body, &request));
    CLO_TRY(clo_key_parse_spki(request.spki, &subject));
    clo_key_id(subject, row->key_id);
    CLO_TRY(clo_roster_sign(&broker.roster, rig_keys.identity, &roster));
    clo_job_leaf_request wanted = {
        broker.ca_key,          broker.ca, subject, broker.manifest.job, row,
        broker.manifest.digest, evidence};
    CLO_TRY(clo_job_leaf_make(&wanted, clo_clock_utc(), &leaf));
    clo_enrol_answer answer = {.incarnation = 1,
                               .metrics = CLO_METRICS_STEP,
                               .leaf = clo_cert_der(leaf),
                               .ca = clo_cert_der(broker.ca),
                               .roster = clo_buf_span(&roster)};
    clo_enrol_answer_write(&answer, out);
    return clo_buf_check(out);
}

static clo_status put_body(const clo_request *request, clo_buf *out)
{
    CLO_AUTO(clo_buf) roster = CLO_BUF_INIT;
    if (request->op == CLO_OP_SLOT_ENROL) {
        return put_enrolment(request->body, out);
    }
    if (request->op == CLO_OP_SLOT_ROSTER) {
        CLO_TRY(clo_roster_sign(&broker.roster, rig_keys.identity, &roster));
        clo_put_var(out, clo_buf_span(&roster));
    }
    return clo_buf_check(out);
}

static clo_status answer_one(clo_channel *channel)
{
    CLO_AUTO(clo_buf) message = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) body = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) bytes = CLO_BUF_INIT;
    clo_request request;
    clo_answer answer = {.code = CLO_OK};
    CLO_TRY(clo_channel_recv(channel, &message, SOON));
    CLO_TRY(clo_request_parse(clo_buf_span(&message), &request));
    CLO_CHECK(request.op != CLO_OP_SLOT_ROSTER || !broker.hangs_up, CLO_CANCELED, "as told");
    if (request.op == CLO_OP_SLOT_ROSTER && broker.says != CLO_OK) {
        answer = (clo_answer){.code = broker.says, .text = clo_span_of_str("as told")};
    } else {
        CLO_TRY(put_body(&request, &body));
        answer.body = clo_buf_span(&body);
    }
    clo_answer_write(&answer, &bytes);
    return clo_channel_send(channel, clo_buf_span(&bytes), SOON);
}

/* One connection, until it ends. */
static clo_status serve(void *arg)
{
    CLO_AUTO_PTR(clo_channel) channel = NULL;
    clo_status status = clo_listener_accept(broker.listener, NULL, SOON, &channel);
    (void)arg;
    while (clo_ok(status)) {
        status = answer_one(channel);
    }
    return CLO_STATUS_OK;
}

static void make_tls(void)
{
    clo_cert_request request = {
        .subject_cn = CLO_BROKER_TLS_CN,
        .issuer_cn = "cloister broker",
        .subject_key = broker.tls_key,
        .issuer_key = rig_keys.identity,
        .not_before = clo_clock_utc() - 10,
        .not_after = clo_clock_utc() + 3600,
        .tls_usages = true,
    };
    rig_must(clo_cert_make(&request, &broker.tls_cert), "certificate");
}

static void listen_for_slots(void)
{
    clo_channel_self self = {
        .as = CLO_PEER_ATTESTED,
        .role = CLO_ROLE_BROKER,
        .slot = CLO_SLOT_NONE,
        .key = broker.tls_key,
        .cert = broker.tls_cert,
        .maker = broker.maker,
    };
    clo_channel_rules rules = {.peer_class = CLO_PEER_ATTESTED, .expect = expect_slot};
    clo_address address;
    rig_must(clo_listener_open("127.0.0.1:0", &self, &rules, &broker.listener), "listener");
    clo_listener_address(broker.listener, &address);
    snprintf(broker.address, sizeof broker.address, "%s", address.text);
}

static void start(void)
{
    static const uint8_t key_id[16] = {1};
    snprintf(vendor, sizeof vendor, "%s/vendor", clo_test_folder());
    rig_must(clo_sim_init(vendor, &(clo_sim_options){0}), "vendor");
    rig_must(clo_sim_anchor(vendor, &rig_anchor), "anchor");
    rig_must(clo_maker_open(makers, "rig:broker", &broker.maker), "maker");
    rig_must(clo_maker_open(makers, "rig:slot", &broker.slot_maker), "maker");
    clo_manifest manifest = rig_manifest(key_id);
    manifest.world_size = 1;
    rig_must(clo_manifest_sign(&manifest, rig_keys.signer, &broker.envelope), "manifest");
    rig_must(clo_manifest_open(clo_buf_span(&broker.envelope), &broker.manifest), "manifest");
    broker.tls_key = rig_key(CLO_KEY_P256);
    broker.ca_key = rig_key(CLO_KEY_P256);
    make_tls();
    rig_must(clo_job_ca_make(rig_keys.identity, broker.ca_key, manifest.job, clo_clock_utc(),
                             &broker.ca),
             "job CA");
    broker.roster = rig_roster(broker.manifest.digest);
    broker.roster.row_count = 1;
    listen_for_slots();
}

static void end(void)
{
    clo_listener_close(broker.listener);
    clo_maker_close(broker.maker);
    clo_maker_close(broker.slot_maker);
    clo_cert_free(broker.tls_cert);
    clo_cert_free(broker.ca);
    clo_key_free(broker.tls_key);
    clo_key_free(broker.ca_key);
    clo_buf_release(&broker.envelope);
}

/* ---- tests */

/* Enrols, lets the interval pass, and asks once while the broker says what it says. */
static clo_status upkeep_once(void)
{
    CLO_AUTO_PTR(clo_slot_session) session = NULL;
    clo_thread *thread = NULL;
    clo_slot_options options = {
        .broker_address = broker.address,
        .manifest_envelope = clo_buf_span(&broker.envelope),
        .manifest = &broker.manifest,
        .role = CLO_ROLE_TRAINER,
        .insecure_flags = CLO_INSECURE_SIMULATOR,
        .maker = broker.slot_maker,
    };
    bool changed;
    rig_must(clo_thread_start(serve, NULL, "broker", &thread), "thread");
    clo_status status = clo_slot_enrol(&options, SOON, &session);
    rig_must(status, "enrolment");
    clo_sleep_ms(2050);
    status = clo_slot_upkeep(session, SOON, &changed);
    clo_saved_status saved;
    clo_status_save(status, &saved);
    clo_slot_leave(CLO_TAKE(session));
    (void)clo_thread_join(thread);
    return clo_status_restore(&saved);
}

static void a_broker_that_answers_is_not_away_whatever_it_says(void)
{
    broker.says = CLO_NOTFOUND;
    T_CODE(upkeep_once(), CLO_NOTFOUND);
    broker.says = CLO_OK;
    T_OK(upkeep_once()); /* the control */
}

static void a_broker_that_hangs_up_is_away(void)
{
    broker.hangs_up = true;
    T_OK(upkeep_once());
    broker.hangs_up = false;
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(a_broker_that_answers_is_not_away_whatever_it_says),
        T(a_broker_that_hangs_up_is_away),
    };
    rig_keys_make();
    start();
    int code = clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
    end();
    rig_keys_free();
    return code;
}
