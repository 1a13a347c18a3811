/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whom the gates of the two listeners let in: pinned owners, and programs that some policy names.
 */
#include "served_rig.h"

static rig_world world;

/* ---- owners */

/* A broker that made evidence for anybody would be an oracle and a way to keep it busy. */
static void refuses_an_owner_who_is_not_pinned_before_making_evidence(void)
{
    CLO_AUTO_PTR(clo_owner_session) session = NULL;
    CLO_AUTO_PTR(clo_key) somebody = rig_key(CLO_KEY_ED25519);
    clo_verdict verdict;
    clo_broker_trust trust = rig_trust();
    unsigned quotes = __atomic_load_n(&rig_quotes, __ATOMIC_RELAXED);
    T_CODE(clo_owner_connect(world.broker.owners, somebody, &world.trust, RIG_DEADLINE, &session),
           CLO_DENIED);
    T_CODE(clo_owner_trust(world.broker.owners, somebody, NULL, RIG_DEADLINE, &trust, &verdict),
           CLO_DENIED);
    T_INT(__atomic_load_n(&rig_quotes, __ATOMIC_RELAXED), quotes);
    T_OK(rig_pin(&world.broker, somebody, "somebody")); /* while it serves */
    T_OK(clo_owner_trust(world.broker.owners, somebody, NULL, RIG_DEADLINE, &trust, &verdict));
    T_OK(clo_owner_connect(world.broker.owners, somebody, &world.trust, RIG_DEADLINE, &session));
    T_CHECK(__atomic_load_n(&rig_quotes, __ATOMIC_RELAXED) > quotes);
}

static void pins_signing_keys_once_and_by_the_root_key_only(void)
{
    char other_root[800];
    CLO_AUTO_PTR(clo_key) somebody = rig_key(CLO_KEY_ED25519);
    clo_public_key key = rig_public(somebody);
    clo_broker_root right = {"file", world.broker.root_path};
    clo_broker_root wrong = {"file", other_root};
    snprintf(other_root, sizeof other_root, "%s.other", world.broker.folder);
    T_OK(clo_file_write(other_root, 0600, clo_span_of_str("0123456789abcdef0123456789abcdef")));
    T_CODE(clo_broker_add_owner(world.broker.folder, &wrong, &key, "a"), CLO_CRYPTO);
    T_CODE(clo_broker_add_owner(clo_test_folder(), &right, &key, "a"), CLO_NOTFOUND);
    T_CODE(clo_broker_add_owner(world.broker.folder, &right, &key, ""), CLO_INVALID);
    T_CODE(clo_broker_add_owner(world.broker.folder, &right, &key, "two\nlines"), CLO_INVALID);
    T_CODE(rig_pin(&world.broker, rig_keys.recipient, "receives"), CLO_INVALID);
    T_OK(rig_pin(&world.broker, somebody, "a"));
    T_CODE(rig_pin(&world.broker, somebody, "b"), CLO_EXISTS);
}

/* Pinning adds to the log, and must not seal a log anew that somebody else made longer. */
static void pins_nobody_in_a_store_whose_log_was_touched(void)
{
    char folder[600];
    char root_path[700];
    const uint8_t nobody[32] = {0};
    CLO_AUTO_PTR(clo_store) store = rig_store(folder);
    clo_public_key key = rig_public(rig_keys.owner);
    clo_broker_root root = {"file", root_path};
    snprintf(root_path, sizeof root_path, "%.599s.root", folder);
    clo_sql_value args[] = {CLO_SQL_NUMBER(2), CLO_SQL_BYTES(CLO_SPAN_OF(nobody)),
                            CLO_SQL_BYTES(clo_span_of_str("{}")),
                            CLO_SQL_BYTES(CLO_SPAN_OF(nobody))};
    T_OK(clo_sql_run(clo_store_sql(store), CLO_SQL_AUDIT_ADD, args, 4, NULL, NULL));
    T_CODE(clo_broker_add_owner(folder, &root, &key, "a"), CLO_CRYPTO);
}

/* ---- slots */

/* A policy of another key, with this many measurements that nobody else names. */
static clo_status put_measurements(uint8_t mark, uint32_t count, uint8_t key_id[16])
{
    CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
    CLO_TRY(clo_owner_make_key(world.owner, "other", RIG_DEADLINE, key_id));
    clo_policy policy = rig_policy(key_id);
    policy.broker = world.trust;
    policy.appraisal.measurement_count = count;
    for (uint32_t i = 0; i < count; i++) {
        memset(policy.appraisal.measurements[i], mark, 32);
        policy.appraisal.measurements[i][0] = (uint8_t)i;
    }
    CLO_TRY(clo_policy_sign(&policy, rig_keys.owner, &envelope));
    return clo_owner_put_policy(world.owner, clo_buf_span(&envelope), RIG_DEADLINE);
}

static clo_status enrol_and_leave(void)
{
    clo_slot_session *session = NULL;
    clo_status status = rig_enrol(&world, 0, &session);
    clo_slot_leave(session);
    return status;
}

static clo_status enrol_program(const uint8_t program[32])
{
    clo_slot_session *session = NULL;
    clo_slot_options options = rig_slot(&world, 0);
    clo_maker *maker = rig_maker(program);
    options.maker = maker;
    clo_status status = clo_slot_enrol(&options, clo_deadline_in(2000), &session);
    clo_slot_leave(session);
    clo_maker_close(maker);
    return status;
}

/* The gate holds 32 measurements; one is the world's. */
static void tells_the_owner_when_policies_do_not_fit_together(void)
{
    uint8_t first[16];
    uint8_t second[16];
    T_CODE(put_measurements(1, CLO_MAX_LIST, first), CLO_LIMIT);
    T_OK(enrol_and_leave()); /* the refused one changed nothing */
    T_OK(put_measurements(2, CLO_MAX_LIST - 1, first));
    T_OK(enrol_and_leave());
    T_CODE(put_measurements(3, 1, second), CLO_LIMIT);
    T_OK(clo_owner_revoke(world.owner, first, RIG_DEADLINE));
    T_OK(put_measurements(3, 1, second));
    T_OK(enrol_and_leave());
    T_OK(clo_owner_revoke(world.owner, second, RIG_DEADLINE));
}

/* By what it is refused tells whether it passed the gate. */
static void lets_a_program_pass_while_a_living_policy_names_it(void)
{
    uint8_t key[16];
    uint8_t program[32];
    char text[1024];
    memset(program, 9, sizeof program);
    program[0] = 0;
    clo_status_text(enrol_program(program), text, sizeof text);
    T_CHECK(strstr(text, "peer refused") != NULL);
    T_OK(put_measurements(9, 1, key));
    clo_status_text(enrol_program(program), text, sizeof text);
    T_CHECK(strstr(text, "MANIFEST_APPRAISAL") != NULL);
    clo_owner_close(CLO_TAKE(world.owner));
    rig_broker_stop(&world.broker);
    rig_broker_run(&world.broker); /* made anew from the store */
    clo_status_text(enrol_program(program), text, sizeof text);
    T_CHECK(strstr(text, "MANIFEST_APPRAISAL") != NULL);
    T_OK(clo_owner_connect(world.broker.owners, rig_keys.owner, &world.trust, RIG_DEADLINE,
                           &world.owner));
    T_OK(clo_owner_revoke(world.owner, key, RIG_DEADLINE));
    clo_status_text(enrol_program(program), text, sizeof text);
    T_CHECK(strstr(text, "peer refused") != NULL);
}

/* At a gate whose policies name so many simulators. */
static clo_status expect_build(clo_build_class build, uint32_t anchors)
{
    clo_broker broker = {.gate = {.policies = 1, .anchors = {rig_anchor}, .anchor_count = anchors}};
    clo_channel_rules rules = clo_admission_slots(&broker);
    clo_hello hello = {.role = CLO_ROLE_TRAINER, .slot = CLO_SLOT_NONE, .build = build};
    clo_expectation expectation;
    rig_must(clo_mutex_new(&broker.gate_lock), "lock");
    clo_status status = rules.expect(rules.arg, &hello, &expectation);
    clo_mutex_free(broker.gate_lock);
    return status;
}

static void refuses_a_development_build_where_no_policy_names_a_simulator(void)
{
    char text[512];
    clo_status status = expect_build(CLO_BUILD_DEVELOPMENT, 0);
    clo_status_text(status, text, sizeof text);
    T_INT(status.code, CLO_POLICY);
    T_CHECK(strstr(text, "development build") != NULL);
    T_OK(expect_build(CLO_BUILD_DEVELOPMENT, 1));
    T_OK(expect_build(CLO_BUILD_RELEASE, 0));
    T_OK(expect_build(CLO_BUILD_RELEASE, 1));
}

/* ---- what the log tells of them */

static size_t count_words(const rig_broker *b, const char *words)
{
    CLO_AUTO(clo_buf) lines = CLO_BUF_INIT;
    uint8_t head[32];
    size_t count = 0;
    rig_must(clo_broker_audit(b->folder, &lines, head), "audit");
    for (size_t i = 0; i + strlen(words) <= lines.size; i++) {
        count += memcmp(lines.data + i, words, strlen(words)) == 0;
    }
    return count;
}

static clo_status knock(const rig_broker *b)
{
    CLO_AUTO_PTR(clo_owner_session) session = NULL;
    clo_broker_trust trust = rig_trust();
    return clo_owner_connect(b->owners, rig_keys.stranger, &trust, RIG_DEADLINE, &session);
}

/* A stranger may knock as often as it likes: the log grows by a line a minute. */
static void logs_refusals_at_the_gate_by_their_number(void)
{
    rig_broker b;
    rig_broker_start(&b);
    clo_status first = knock(&b);
    for (int i = 0; i < 100 && count_words(&b, "\"gate\"") == 0; i++) {
        clo_sleep_ms(20);
    }
    size_t soon = count_words(&b, "1 refused at the gates");
    for (int i = 0; i < 3; i++) {
        (void)knock(&b);
    }
    clo_sleep_ms(300);
    size_t later = count_words(&b, "\"gate\"");
    rig_broker_stop(&b);
    size_t end = count_words(&b, "3 refused at the gates");
    size_t reason = count_words(&b, "is pinned");
    clo_maker_close(b.maker);
    T_CODE(first, CLO_DENIED);
    T_INT(soon, 1);
    T_INT(later, 1);
    T_INT(end, 1);
    T_INT(reason, 2);
}

/* An allowed program in the hands of anybody may ask for nonsense for ever. */
static void writes_so_many_refused_requests_a_minute_and_counts_the_rest(void)
{
    rig_broker b;
    clo_caller caller;
    clo_peer peer = {.as = CLO_PEER_ATTESTED, .hello = {.role = CLO_ROLE_TRAINER}};
    const uint8_t session[32] = {1};
    char folder[600];
    clo_broker broker = {.store = rig_store(folder)};
    snprintf(b.folder, sizeof b.folder, "%s", folder);
    rig_must(clo_mutex_new(&broker.lock), "lock");
    rig_must(clo_mutex_new(&broker.gate_lock), "lock");
    clo_caller_init(&broker, &peer, session, &caller);
    const clo_op_row *op = clo_op_find(CLO_OP_SLOT_ENROL);
    clo_status status = CLO_STATUS_OK;
    for (int i = 0; i < 100 && clo_ok(status); i++) {
        status = clo_refusal_audit(&caller, op, "MANIFEST: nonsense \xff\n", session);
    }
    size_t written = count_words(&b, "MANIFEST: nonsense ??");
    clo_refusal_report(&broker, false);
    size_t counted = count_words(&b, "40 requests refused beyond 60 a minute");
    clo_caller_cleanup(&caller);
    clo_store_close(broker.store);
    clo_mutex_free(broker.gate_lock);
    clo_mutex_free(broker.lock);
    T_OK(status);
    T_INT(written, 60);
    T_INT(counted, 1);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(refuses_an_owner_who_is_not_pinned_before_making_evidence),
        T(pins_signing_keys_once_and_by_the_root_key_only),
        T(pins_nobody_in_a_store_whose_log_was_touched),
        T(tells_the_owner_when_policies_do_not_fit_together),
        T(refuses_a_development_build_where_no_policy_names_a_simulator),
        T(lets_a_program_pass_while_a_living_policy_names_it),
        T(logs_refusals_at_the_gate_by_their_number),
        T(writes_so_many_refused_requests_a_minute_and_counts_the_rest),
    };
    rig_keys_make();
    rig_vendor_make();
    rig_world_start(&world);
    int code = clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
    rig_world_end(&world);
    rig_keys_free();
    return code;
}
