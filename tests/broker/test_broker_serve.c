/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From end to end: owners and slots against a served broker, over loopback and the simulator. Each
 * refusal has its reason checked, and the unchanged case as its control.
 */
#include "served_rig.h"

#include <sys/socket.h>

static rig_world world;

/* ---- trust */

static void pins_the_identity_of_the_broker_that_was_asked_for(void)
{
    clo_verdict verdict;
    clo_broker_trust trust = rig_trust();
    clo_public_key stranger = rig_public(rig_keys.stranger);
    T_OK(clo_owner_trust(world.broker.owners, rig_keys.owner, &world.broker.identity, RIG_DEADLINE,
                         &trust, &verdict));
    T_CHECK(verdict.accepted);
    T_CHECK(clo_public_key_equal(&trust.identity, &world.broker.identity));
    T_CODE(clo_owner_trust(world.broker.owners, rig_keys.owner, &stranger, RIG_DEADLINE, &trust,
                           &verdict),
           CLO_POLICY);
}

static void trusts_no_other_program_and_no_weakness_unnamed(void)
{
    clo_verdict verdict;
    clo_broker_trust trust = rig_trust();
    trust.appraisal.measurements[0][0] ^= 1;
    T_CODE(
        clo_owner_trust(world.broker.owners, rig_keys.owner, NULL, RIG_DEADLINE, &trust, &verdict),
        CLO_POLICY);
    trust = rig_trust();
    trust.insecure_accepted &= ~CLO_INSECURE_ROOT_OPERATOR;
    T_CODE(
        clo_owner_trust(world.broker.owners, rig_keys.owner, NULL, RIG_DEADLINE, &trust, &verdict),
        CLO_POLICY);
    trust = rig_trust();
    trust.anchor_count = 0;
    T_CODE(
        clo_owner_trust(world.broker.owners, rig_keys.owner, NULL, RIG_DEADLINE, &trust, &verdict),
        CLO_ATTEST);
}

static void refuses_another_broker_of_the_same_code(void)
{
    rig_world other;
    clo_owner_session *session = NULL;
    rig_world_start(&other);
    clo_slot_options options = rig_slot(&world, 0);
    options.broker_address = other.broker.slots;
    clo_status status = clo_owner_connect(other.broker.owners, rig_keys.owner, &world.trust,
                                          RIG_DEADLINE, &session);
    bool refused = rig_refused(&options, CLO_CRYPTO, "not the one that is pinned");
    rig_world_end(&other);
    T_CODE(status, CLO_CRYPTO);
    T_CHECK(refused);
}

/* ---- owners */

static void shows_an_owner_its_own_records_only(void)
{
    CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) lines = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) policy = CLO_BUF_INIT;
    CLO_AUTO_PTR(clo_owner_session) stranger = NULL;
    uint8_t head[32];
    T_OK(rig_pin(&world.broker, rig_keys.stranger, "somebody else"));
    T_OK(clo_owner_connect(world.broker.owners, rig_keys.stranger, &world.trust, RIG_DEADLINE,
                           &stranger));
    T_CODE(clo_owner_get_policy(stranger, world.key_id, RIG_DEADLINE, &envelope), CLO_NOTFOUND);
    T_CODE(clo_owner_revoke(stranger, world.key_id, RIG_DEADLINE), CLO_NOTFOUND);
    T_OK(clo_owner_audit(stranger, 0, RIG_DEADLINE, &lines, head));
    T_CHECK(memmem(lines.data, lines.size, "\"kind\":\"owner\"", 14) != NULL);
    T_CHECK(memmem(lines.data, lines.size, "make-key", 8) == NULL);
    clo_buf_clear(&lines);
    clo_policy theirs = world.policy; /* the owner's key under the stranger's signature */
    theirs.owner = rig_public(rig_keys.stranger);
    T_OK(clo_policy_sign(&theirs, rig_keys.stranger, &policy));
    T_CODE(clo_owner_put_policy(stranger, clo_buf_span(&policy), RIG_DEADLINE), CLO_NOTFOUND);
    T_CODE(clo_owner_put_policy(stranger, clo_buf_span(&world.policy_envelope), RIG_DEADLINE),
           CLO_NOTFOUND);
    T_OK(clo_owner_get_policy(world.owner, world.key_id, RIG_DEADLINE, &envelope));
    T_CHECK(clo_span_equal(clo_buf_span(&envelope), clo_buf_span(&world.policy_envelope)));
    T_OK(clo_owner_audit(world.owner, 0, RIG_DEADLINE, &lines, head));
    T_CHECK(memmem(lines.data, lines.size, "put-policy", 10) != NULL);
    T_CHECK(memmem(lines.data, lines.size, "\"owner fashion house\"", 21) != NULL);
}

static void seals_under_the_newest_policy_only(void)
{
    CLO_AUTO(clo_buf) good = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) bare = CLO_BUF_INIT;
    CLO_AUTO(clo_secret) key = CLO_SECRET_INIT;
    CLO_AUTO(clo_secret) again = CLO_SECRET_INIT;
    rig_header(&world, clo_buf_span(&world.policy_envelope), &good);
    rig_header(&world, CLO_SPAN_EMPTY, &bare);
    clo_span spans[] = {clo_buf_span(&good), clo_buf_span(&bare)};
    T_OK(clo_owner_file_keys(world.owner, spans, 1, RIG_DEADLINE, &key));
    T_OK(clo_owner_file_keys(world.owner, spans, 1, RIG_DEADLINE, &again));
    T_CHECK(clo_equal_ct(key.data, again.data, 32));
    clo_secret two[2];
    T_CODE(clo_owner_file_keys(world.owner, spans, 2, RIG_DEADLINE, two), CLO_POLICY);
}

/* ---- slots */

static void gives_slots_certificate_roster_keys_and_recipients(void)
{
    CLO_AUTO_PTR(clo_slot_session) a = NULL;
    CLO_AUTO_PTR(clo_slot_session) b = NULL;
    CLO_AUTO(clo_buf) header = CLO_BUF_INIT;
    CLO_AUTO(clo_secret) sealed_with = CLO_SECRET_INIT;
    CLO_AUTO(clo_secret) opened_with = CLO_SECRET_INIT;
    clo_key *recipients[4];
    size_t count = 0;
    bool changed = true;
    rig_header(&world, clo_buf_span(&world.policy_envelope), &header);
    clo_span span = clo_buf_span(&header);
    T_OK(clo_owner_file_keys(world.owner, &span, 1, RIG_DEADLINE, &sealed_with));
    T_OK(rig_enrol(&world, 0, &a));
    T_CODE(clo_slot_wait_roster(a, clo_deadline_in(300)), CLO_TIMEOUT);
    T_OK(rig_enrol(&world, 1, &b));
    T_OK(clo_slot_wait_roster(a, RIG_DEADLINE));
    T_OK(clo_slot_wait_roster(b, RIG_DEADLINE));
    T_INT(clo_slot_roster(a)->row_count, 2);
    T_INT(clo_slot_roster(a)->floors.min_evaluation, 17); /* the simulator's */
    T_CHECK(clo_slot_roster(a)->floors.min_crl_number > 0);
    T_CHECK(clo_slot_roster(a)->floors.min_issue > 0);
    T_INT(clo_slot_row(b)->slot, 1);
    T_OK(clo_job_leaf_check(
        clo_slot_cert(b), clo_slot_ca(a), &world.trust.identity, &world.manifest,
        clo_roster_find(clo_slot_roster(a), CLO_ROLE_TRAINER, 1), clo_clock_utc()));
    T_OK(clo_slot_file_keys(a, &span, 1, RIG_DEADLINE, &opened_with));
    T_CHECK(clo_equal_ct(sealed_with.data, opened_with.data, 32));
    T_OK(clo_slot_recipients(a, "model", RIG_DEADLINE, recipients, 4, &count));
    T_INT(count, 1);
    T_CHECK(clo_key_same_public(recipients[0], rig_keys.recipient));
    clo_key_free(recipients[0]);
    T_CODE(clo_slot_recipients(a, "gradients", RIG_DEADLINE, recipients, 4, &count), CLO_DENIED);
    T_CODE(clo_slot_recipients(a, "metrics", RIG_DEADLINE, recipients, 4, &count), CLO_DENIED);
    T_OK(clo_slot_upkeep(a, RIG_DEADLINE, &changed));
    T_CHECK(!changed);
    T_CHECK(clo_slot_broker(a)->verdict.accepted);
}

static void gives_every_slot_the_jobs_own_key_for_checkpoints(void)
{
    CLO_AUTO_PTR(clo_slot_session) a = NULL;
    CLO_AUTO_PTR(clo_slot_session) b = NULL;
    CLO_AUTO(clo_buf) bytes = CLO_BUF_INIT;
    CLO_AUTO(clo_secret) first = CLO_SECRET_INIT;
    CLO_AUTO(clo_secret) second = CLO_SECRET_INIT;
    clo_seal_header header;
    T_OK(rig_enrol(&world, 0, &a));
    T_OK(rig_enrol(&world, 1, &b));
    T_OK(clo_seal_header_init(&header));
    header.parts = 1;
    header.key_version = 1;
    clo_slot_job_key_id(a, header.key_id);
    T_OK(clo_seal_header_write(&header, &bytes));
    clo_span span = clo_buf_span(&bytes);
    T_OK(clo_slot_file_keys(a, &span, 1, RIG_DEADLINE, &first));
    T_OK(clo_slot_file_keys(b, &span, 1, RIG_DEADLINE, &second));
    T_CHECK(clo_equal_ct(first.data, second.data, 32));
}

static void refuses_a_second_holder_of_a_rank(void)
{
    CLO_AUTO_PTR(clo_slot_session) a = NULL;
    clo_slot_session *b = NULL;
    clo_slot_options options = rig_slot(&world, 0);
    T_OK(rig_enrol(&world, 0, &a));
    uint64_t incarnation = clo_slot_row(a)->incarnation;
    uint64_t epoch = clo_slot_roster(a)->epoch;
    T_CHECK(rig_refused(&options, CLO_EXISTS, "trainer 0 has a holder"));
    clo_slot_leave(CLO_TAKE(a));
    T_OK(rig_enrol(&world, 0, &b)); /* the control: the rank is free now */
    bool grew =
        clo_slot_row(b)->incarnation == incarnation + 1 && clo_slot_roster(b)->epoch > epoch;
    clo_slot_leave(b);
    T_CHECK(grew);
}

static void refuses_a_rank_that_does_not_fit_the_world(void)
{
    clo_slot_options options = rig_slot(&world, 2);
    T_CHECK(rig_refused(&options, CLO_DENIED, "SLOT_RANGE"));
}

static void refuses_another_role(void)
{
    clo_slot_options options = rig_slot(&world, 0);
    options.role = CLO_ROLE_EVALUATOR;
    T_CHECK(rig_refused(&options, CLO_DENIED, "ROLE"));
}

static void refuses_another_program_at_the_gate(void)
{
    static const uint8_t other[32] = {0x99};
    clo_slot_options options = rig_slot(&world, 0);
    clo_maker *maker = rig_maker(other);
    options.maker = maker;
    bool refused = rig_refused(&options, CLO_DENIED, "peer refused");
    clo_maker_close(maker);
    T_CHECK(refused);
}

/* ---- metrics */

/* A second key of the owner, whose policy lets metrics out this often. */
static clo_status add_key(clo_metrics_every every, uint8_t out_key_id[16])
{
    CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
    CLO_TRY(clo_owner_make_key(world.owner, "second", RIG_DEADLINE, out_key_id));
    clo_policy policy = world.policy;
    memcpy(policy.key_id, out_key_id, sizeof policy.key_id);
    policy.need_approval = false;
    policy.outputs[1].every = every;
    CLO_TRY(clo_policy_sign(&policy, rig_keys.owner, &envelope));
    return clo_owner_put_policy(world.owner, clo_buf_span(&envelope), RIG_DEADLINE);
}

/* What a slot hears of a job on two keys, whose first says "step". */
static clo_metrics_every metrics_with(clo_metrics_every second)
{
    clo_slot_session *session = NULL;
    clo_manifest manifest = rig_world_manifest(&world);
    rig_must(add_key(second, manifest.data[1].key_id), "second key");
    rig_set_manifest(&world, &manifest);
    rig_must(rig_approve(&world), "approval");
    rig_must(rig_enrol(&world, 0, &session), "enrolment");
    clo_metrics_every every = clo_slot_metrics_every(session);
    clo_slot_leave(session);
    manifest = rig_world_manifest(&world);
    rig_set_manifest(&world, &manifest);
    return every;
}

static void lets_metrics_out_as_often_as_the_strictest_policy_says(void)
{
    T_INT(metrics_with(CLO_METRICS_EPOCH), CLO_METRICS_EPOCH);
    T_INT(metrics_with(CLO_METRICS_STEP), CLO_METRICS_STEP);
}

/* ---- manifests */

/* Whoever it concerns. */
static bool is_in_log(const char *words)
{
    CLO_AUTO(clo_buf) lines = CLO_BUF_INIT;
    uint8_t head[32];
    return clo_ok(clo_broker_audit(world.broker.folder, &lines, head)) &&
           memmem(lines.data, lines.size, words, strlen(words)) != NULL;
}

static void refuses_an_altered_manifest(void)
{
    CLO_AUTO(clo_buf) altered = CLO_BUF_INIT;
    clo_slot_options options = rig_slot(&world, 0);
    clo_put_span(&altered, options.manifest_envelope);
    for (size_t i = 0; i < altered.size; i++) {
        if (memcmp(altered.data + i, "payload\":\"", 10) == 0) {
            altered.data[i + 200] = altered.data[i + 200] == 'A' ? 'B' : 'A';
            break;
        }
    }
    options.manifest_envelope = clo_buf_span(&altered);
    T_CHECK(rig_refused(&options, CLO_OK, "MANIFEST"));
    T_CHECK(is_in_log("\"reason\":\"MANIFEST"));
}

/* Signed by a key that the manifest does not name, under the owner's approval of the payload. */
static void refuses_a_manifest_that_its_signer_did_not_sign(void)
{
    CLO_AUTO(clo_buf) payload = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) forged = CLO_BUF_INIT;
    clo_slot_options options = rig_slot(&world, 0);
    T_OK(clo_dsse_peek(options.manifest_envelope, CLO_MANIFEST_TYPE, &payload));
    T_OK(clo_dsse_sign(rig_keys.stranger, CLO_MANIFEST_TYPE, clo_buf_span(&payload), &forged));
    options.manifest_envelope = clo_buf_span(&forged);
    T_CHECK(rig_refused(&options, CLO_CRYPTO, "MANIFEST"));
}

/* Runs with another manifest and puts the good one back. */
static bool refused_with(const clo_manifest *manifest, bool approved, const char *reason)
{
    clo_manifest good = rig_world_manifest(&world);
    rig_set_manifest(&world, manifest);
    if (approved) {
        rig_must(rig_approve(&world), "approval");
    }
    clo_slot_options options = rig_slot(&world, 0);
    bool refused = rig_refused(&options, CLO_DENIED, reason);
    rig_set_manifest(&world, &good);
    return refused;
}

static void refuses_an_unapproved_manifest(void)
{
    clo_manifest manifest = rig_world_manifest(&world);
    manifest.train.seed = 77;
    T_CHECK(refused_with(&manifest, false, "APPROVAL_MISSING"));
    clo_slot_session *session = NULL;
    rig_set_manifest(&world, &manifest);
    rig_must(rig_approve(&world), "approval");
    clo_status status = rig_enrol(&world, 0, &session); /* the control */
    clo_slot_leave(session);
    clo_manifest good = rig_world_manifest(&world);
    rig_set_manifest(&world, &good);
    T_OK(status);
}

static void refuses_a_manifest_that_the_policy_does_not_allow(void)
{
    clo_manifest manifest = rig_world_manifest(&world);
    strcpy(manifest.model, "other");
    T_CHECK(refused_with(&manifest, true, "MODEL"));
    manifest = rig_world_manifest(&world);
    manifest.train.epochs = 11;
    T_CHECK(refused_with(&manifest, true, "EPOCHS"));
    manifest = rig_world_manifest(&world);
    manifest.data_count = 0;
    T_CHECK(refused_with(&manifest, true, "DATA_LISTED"));
    manifest = rig_world_manifest(&world);
    manifest.data[0].key_id[0] ^= 1;
    T_CHECK(refused_with(&manifest, true, "KEY_OWNER"));
}

static void refuses_the_simulator_unless_the_manifest_names_it(void)
{
    clo_manifest manifest = rig_world_manifest(&world);
    manifest.anchor_count = 0;
    T_CHECK(refused_with(&manifest, true, "MANIFEST_ANCHOR"));
}

static void refuses_the_simulator_unless_the_policy_names_it(void)
{
    rig_world strict;
    rig_world_start(&strict);
    clo_policy policy = strict.policy;
    policy.version = 2;
    policy.anchor_count = 0;
    rig_must(clo_policy_open(clo_buf_span(&strict.policy_envelope), NULL, &strict.policy), "v1");
    memcpy(policy.previous, strict.policy.digest, 32);
    rig_must(rig_put_policy(&strict, &policy), "policy");
    clo_slot_options options = rig_slot(&strict, 0);
    bool refused = rig_refused(&options, CLO_DENIED, "peer refused");
    rig_world_end(&strict);
    T_CHECK(refused);
}

/* ---- files */

static bool file_refused(clo_slot_session *session, clo_span policy, const char *reason)
{
    CLO_AUTO(clo_buf) header = CLO_BUF_INIT;
    CLO_AUTO(clo_secret) key = CLO_SECRET_INIT;
    char text[1024];
    rig_header(&world, policy, &header);
    clo_span span = clo_buf_span(&header);
    clo_status status = clo_slot_file_keys(session, &span, 1, RIG_DEADLINE, &key);
    clo_status_text(status, text, sizeof text);
    if (status.code != CLO_DENIED || strstr(text, reason) == NULL) {
        fprintf(stderr, "# expected '%s', found: %s\n", reason, text);
        return false;
    }
    return true;
}

static void refuses_a_file_resealed_with_a_laxer_policy(void)
{
    CLO_AUTO_PTR(clo_slot_session) session = NULL;
    CLO_AUTO(clo_buf) laxer = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) later = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) forged = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) good = CLO_BUF_INIT;
    CLO_AUTO(clo_secret) key = CLO_SECRET_INIT;
    clo_policy policy = world.policy;
    T_OK(rig_enrol(&world, 0, &session));
    policy.max_releases =
        1000000; /* the owner signed it once, but it is not the stored version 1 */
    T_OK(clo_policy_sign(&policy, rig_keys.owner, &laxer));
    T_CHECK(file_refused(session, clo_buf_span(&laxer), "HEADER_VERSION"));
    policy.version = 2;
    policy.previous[0] = 1;
    T_OK(clo_policy_sign(&policy, rig_keys.owner, &later));
    T_CHECK(file_refused(session, clo_buf_span(&later), "HEADER_VERSION"));
    policy = world.policy;
    policy.owner = rig_public(rig_keys.stranger);
    T_OK(clo_policy_sign(&policy, rig_keys.stranger, &forged));
    T_CHECK(file_refused(session, clo_buf_span(&forged), "HEADER_POLICY"));
    T_CHECK(file_refused(session, CLO_SPAN_EMPTY, "HEADER_POLICY"));
    rig_header(&world, clo_buf_span(&world.policy_envelope), &good);
    clo_span span = clo_buf_span(&good);
    T_OK(clo_slot_file_keys(session, &span, 1, RIG_DEADLINE, &key)); /* the control */
}

/* All or none: one bad header among good ones releases nothing and counts nothing. */
static void releases_all_keys_of_a_request_or_none(void)
{
    CLO_AUTO_PTR(clo_slot_session) session = NULL;
    CLO_AUTO(clo_buf) good = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) bad = CLO_BUF_INIT;
    clo_secret keys[2] = {CLO_SECRET_INIT, CLO_SECRET_INIT};
    T_OK(rig_enrol(&world, 0, &session));
    rig_header(&world, clo_buf_span(&world.policy_envelope), &good);
    rig_header(&world, CLO_SPAN_EMPTY, &bad);
    clo_span spans[] = {clo_buf_span(&good), clo_buf_span(&bad)};
    T_CODE(clo_slot_file_keys(session, spans, 2, RIG_DEADLINE, keys), CLO_DENIED);
    T_CHECK(keys[0].data == NULL && keys[1].data == NULL);
}

/* ---- replay */

static clo_status raw_expect(void *arg, const clo_hello *hello, clo_expectation *out)
{
    (void)arg;
    (void)hello;
    *out = (clo_expectation){
        .role = CLO_ROLE_BROKER,
        .slot = CLO_SLOT_NONE,
        .appraisal = rig_appraisal(rig_broker_program),
        .anchors = {rig_anchor},
        .anchor_count = 1,
    };
    return CLO_STATUS_OK;
}

static clo_status raw_owner(clo_channel **out_channel, clo_cert **out_cert)
{
    int64_t now = clo_clock_utc();
    clo_cert_request request = {
        .subject_cn = "cloister owner",
        .subject_key = rig_keys.owner,
        .issuer_key = rig_keys.owner,
        .not_before = now - 10,
        .not_after = now + 100,
        .tls_usages = true,
    };
    CLO_TRY(clo_cert_make(&request, out_cert));
    clo_channel_self self = {.as = CLO_PEER_KEYED,
                             .role = CLO_ROLE_OWNER,
                             .slot = CLO_SLOT_NONE,
                             .key = rig_keys.owner,
                             .cert = *out_cert};
    clo_channel_rules rules = {.peer_class = CLO_PEER_ATTESTED, .expect = raw_expect};
    return clo_channel_connect(world.broker.owners, NULL, &self, &rules, RIG_DEADLINE, out_channel);
}

static clo_status ask(clo_channel *channel, uint32_t op, uint64_t counter, const char *name,
                      clo_buf *out)
{
    CLO_AUTO(clo_buf) body = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) message = CLO_BUF_INIT;
    clo_put_var(&body, clo_span_of_str(name));
    clo_request request = {op, counter, clo_buf_span(&body)};
    clo_request_write(&request, &message);
    CLO_TRY(clo_channel_send(channel, clo_buf_span(&message), RIG_DEADLINE));
    clo_buf_clear(out);
    return clo_channel_recv(channel, out, RIG_DEADLINE);
}

static void answers_a_retry_alike_and_counts_it_once(void)
{
    CLO_AUTO_PTR(clo_channel) channel = NULL;
    CLO_AUTO_PTR(clo_cert) cert = NULL;
    CLO_AUTO(clo_buf) first = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) again = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) next = CLO_BUF_INIT;
    T_OK(raw_owner(&channel, &cert));
    T_OK(ask(channel, CLO_OP_OWNER_MAKE_KEY, 1, "k", &first));
    T_OK(ask(channel, CLO_OP_OWNER_MAKE_KEY, 1, "k", &again));
    T_CHECK(clo_span_equal(clo_buf_span(&first), clo_buf_span(&again)));
    T_OK(ask(channel, CLO_OP_OWNER_MAKE_KEY, 2, "k", &next));
    T_CHECK(!clo_span_equal(clo_buf_span(&first), clo_buf_span(&next)));
    T_CHECK(!clo_ok(ask(channel, CLO_OP_OWNER_MAKE_KEY, 1, "k", &again))); /* replayed */
}

static void ends_a_connection_that_misuses_counters_or_operations(void)
{
    static const struct {
        uint32_t op;
        uint64_t counter;
    } bad[] = {
        {CLO_OP_OWNER_MAKE_KEY, 0},
        {CLO_OP_OWNER_MAKE_KEY, 2},
        {CLO_OP_SLOT_ENROL, 1},
        {99, 1},
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CLO_AUTO_PTR(clo_channel) channel = NULL;
        CLO_AUTO_PTR(clo_cert) cert = NULL;
        CLO_AUTO(clo_buf) answer = CLO_BUF_INIT;
        T_OK(raw_owner(&channel, &cert));
        T_CHECK(!clo_ok(ask(channel, bad[i].op, bad[i].counter, "k", &answer)));
    }
}

/* ---- slots among themselves */

typedef struct {
    int fd;
    clo_tls_side side;
    clo_slot_session *session;
    clo_channel_self self;
    clo_channel *channel;
} slot_end;

static clo_status open_end(void *arg)
{
    slot_end *end = arg;
    clo_channel_rules rules = clo_slot_peer_rules(end->session);
    clo_address peer = {"test"};
    return clo_channel_open(end->side, end->fd, &peer, &end->self, &rules, RIG_DEADLINE,
                            &end->channel);
}

/* Both ends' statuses; `server` may show something else than its session. */
static void connect_slots(slot_end *client, slot_end *server, clo_status *out_client,
                          clo_status *out_server)
{
    int fds[2];
    clo_thread *thread = NULL;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0) {
        abort();
    }
    client->fd = fds[0];
    server->fd = fds[1];
    client->side = CLO_TLS_CLIENT;
    server->side = CLO_TLS_SERVER;
    rig_must(clo_thread_start(open_end, server, "server", &thread), "thread");
    *out_client = open_end(client);
    *out_server = clo_thread_join(thread);
    clo_channel_close(CLO_TAKE(client->channel));
    clo_channel_close(CLO_TAKE(server->channel));
}

static void lets_slots_connect_by_roster_and_certificate(void)
{
    CLO_AUTO_PTR(clo_slot_session) a = NULL;
    CLO_AUTO_PTR(clo_slot_session) b = NULL;
    clo_status client;
    clo_status server;
    T_OK(rig_enrol(&world, 0, &a));
    T_OK(rig_enrol(&world, 1, &b));
    T_OK(clo_slot_wait_roster(a, RIG_DEADLINE));
    slot_end end_a = {.session = a, .self = clo_slot_self(a)};
    slot_end end_b = {.session = b, .self = clo_slot_self(b)};
    connect_slots(&end_a, &end_b, &client, &server);
    T_OK(client);
    T_OK(server);
    end_b.self.incarnation++; /* not the roster's row */
    connect_slots(&end_a, &end_b, &client, &server);
    T_CODE(client, CLO_POLICY);
    end_b.self = clo_slot_self(b);
    end_b.self.cert = clo_slot_ca(b); /* a certificate of the job, of another key */
    end_b.self.key = clo_slot_key(b);
    connect_slots(&end_a, &end_b, &client, &server);
    T_CHECK(!clo_ok(client) || !clo_ok(server));
}

/* ---- outage, fencing, revocation */

/* As if the same key had come on a newer connection. */
static void set_session(uint32_t number, bool held)
{
    clo_slot_record slot;
    CLO_AUTO_PTR(clo_store) store = NULL;
    clo_broker_root root = {"file", world.broker.root_path};
    rig_must(clo_store_open(world.broker.folder, &root, &store), "store");
    rig_must(clo_slot_record_get(store, world.manifest.digest, CLO_ROLE_TRAINER, number, &slot),
             "slot");
    slot.session[0] ^= 1;
    slot.held = held;
    rig_must(clo_slot_record_put(store, &slot), "slot");
}

static void tells_the_owners_of_a_job_when_its_slot_is_fenced(void)
{
    CLO_AUTO_PTR(clo_slot_session) session = NULL;
    CLO_AUTO(clo_buf) header = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) lines = CLO_BUF_INIT;
    CLO_AUTO(clo_secret) key = CLO_SECRET_INIT;
    uint8_t head[32];
    T_OK(rig_enrol(&world, 1, &session));
    set_session(1, true);
    rig_header(&world, clo_buf_span(&world.policy_envelope), &header);
    clo_span span = clo_buf_span(&header);
    T_CODE(clo_slot_file_keys(session, &span, 1, RIG_DEADLINE, &key), CLO_DENIED);
    T_OK(clo_owner_audit(world.owner, 0, RIG_DEADLINE, &lines, head));
    T_CHECK(memmem(lines.data, lines.size, "FENCED", 6) != NULL);
    set_session(1, false);
}

static void resumes_its_slot_after_an_outage_of_the_broker(void)
{
    CLO_AUTO_PTR(clo_slot_session) session = NULL;
    CLO_AUTO(clo_buf) header = CLO_BUF_INIT;
    CLO_AUTO(clo_secret) key = CLO_SECRET_INIT;
    bool changed = true;
    T_OK(rig_enrol(&world, 0, &session));
    uint64_t incarnation = clo_slot_row(session)->incarnation;
    uint64_t epoch = clo_slot_roster(session)->epoch;
    clo_owner_close(CLO_TAKE(world.owner));
    rig_broker_stop(&world.broker);
    clo_sleep_ms(2100);
    T_OK(clo_slot_upkeep(session, RIG_DEADLINE, &changed)); /* goes on without it */
    T_CHECK(!changed);
    rig_broker_run(&world.broker);
    rig_header(&world, clo_buf_span(&world.policy_envelope), &header);
    clo_span span = clo_buf_span(&header);
    T_OK(clo_slot_file_keys(session, &span, 1, RIG_DEADLINE, &key));
    T_INT(clo_slot_row(session)->incarnation, incarnation);
    T_INT(clo_slot_roster(session)->epoch, epoch);
    T_OK(clo_owner_connect(world.broker.owners, rig_keys.owner, &world.trust, RIG_DEADLINE,
                           &world.owner));
}

static void stops_releases_and_evicts_when_the_owner_revokes(void)
{
    CLO_AUTO_PTR(clo_slot_session) session = NULL;
    CLO_AUTO(clo_buf) header = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) lines = CLO_BUF_INIT;
    CLO_AUTO(clo_secret) key = CLO_SECRET_INIT;
    uint8_t head[32];
    uint8_t chain_head[32];
    clo_slot_options options = rig_slot(&world, 0);
    T_OK(rig_enrol(&world, 0, &session));
    T_OK(clo_owner_revoke(world.owner, world.key_id, RIG_DEADLINE));
    rig_header(&world, clo_buf_span(&world.policy_envelope), &header);
    clo_span span = clo_buf_span(&header);
    T_CODE(clo_slot_file_keys(session, &span, 1, RIG_DEADLINE, &key), CLO_DENIED);
    T_CHECK(rig_refused(&options, CLO_DENIED, ""));
    T_CODE(clo_owner_put_policy(world.owner, clo_buf_span(&world.policy_envelope), RIG_DEADLINE),
           CLO_DENIED);
    T_OK(clo_owner_audit(world.owner, 0, RIG_DEADLINE, &lines, head));
    T_CHECK(memmem(lines.data, lines.size, "\"revoke\"", 8) != NULL);
    T_CHECK(memmem(lines.data, lines.size, "APPROVAL_MISSING", 16) != NULL);
    T_CHECK(memmem(lines.data, lines.size, "HEADER_VERSION", 14) != NULL);
    T_CHECK(memmem(lines.data, lines.size, "EVICTED", 7) != NULL);
    clo_buf_clear(&lines);
    T_OK(clo_broker_audit(world.broker.folder, &lines, chain_head));
    T_CHECK(memcmp(head, chain_head, 32) == 0);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(pins_the_identity_of_the_broker_that_was_asked_for),
        T(trusts_no_other_program_and_no_weakness_unnamed),
        T(refuses_another_broker_of_the_same_code),
        T(shows_an_owner_its_own_records_only),
        T(seals_under_the_newest_policy_only),
        T(gives_slots_certificate_roster_keys_and_recipients),
        T(gives_every_slot_the_jobs_own_key_for_checkpoints),
        T(refuses_a_second_holder_of_a_rank),
        T(refuses_a_rank_that_does_not_fit_the_world),
        T(refuses_another_role),
        T(refuses_another_program_at_the_gate),
        T(lets_metrics_out_as_often_as_the_strictest_policy_says),
        T(refuses_an_altered_manifest),
        T(refuses_a_manifest_that_its_signer_did_not_sign),
        T(refuses_an_unapproved_manifest),
        T(refuses_a_manifest_that_the_policy_does_not_allow),
        T(refuses_the_simulator_unless_the_manifest_names_it),
        T(refuses_the_simulator_unless_the_policy_names_it),
        T(refuses_a_file_resealed_with_a_laxer_policy),
        T(releases_all_keys_of_a_request_or_none),
        T(answers_a_retry_alike_and_counts_it_once),
        T(ends_a_connection_that_misuses_counters_or_operations),
        T(lets_slots_connect_by_roster_and_certificate),
        T(tells_the_owners_of_a_job_when_its_slot_is_fenced),
        T(resumes_its_slot_after_an_outage_of_the_broker),
        T(stops_releases_and_evicts_when_the_owner_revokes),
    };
    rig_keys_make();
    rig_vendor_make();
    rig_world_start(&world);
    int code = clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
    rig_world_end(&world);
    rig_keys_free();
    return code;
}
