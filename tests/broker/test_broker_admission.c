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

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(refuses_an_owner_who_is_not_pinned_before_making_evidence),
        T(pins_signing_keys_once_and_by_the_root_key_only),
        T(pins_nobody_in_a_store_whose_log_was_touched),
        T(tells_the_owner_when_policies_do_not_fit_together),
        T(lets_a_program_pass_while_a_living_policy_names_it),
    };
    rig_keys_make();
    rig_vendor_make();
    rig_world_start(&world);
    int code = clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
    rig_world_end(&world);
    rig_keys_free();
    return code;
}
