/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every allocation of the broker fails once, in each operation: the request is refused or the
 * connection ended, nothing of it is kept, nothing leaks (ASan), and the next try succeeds.
 */
#include "broker_rig.h"

static long fail_at = -1;
static long seen;

bool clo_mem_should_fail(void)
{
    return fail_at >= 0 && seen++ == fail_at;
}

/* A broker without a network, its owner, and a slot that was verified. */
static struct {
    clo_broker broker;
    clo_peer owner, slot;
    clo_public_key slot_key;
    uint8_t key_id[16];
    clo_policy policy;
    clo_buf policy_envelope, manifest_envelope, approval_envelope, header;
    clo_manifest manifest;
} w;

static void make_slot_peer(void)
{
    clo_claims *claims = &w.slot.verdict.claims;
    clo_key *key = rig_key(CLO_KEY_P256);
    w.slot_key = rig_public(key);
    clo_key_id(key, w.slot.key_id);
    clo_key_free(key);
    w.slot.as = CLO_PEER_ATTESTED;
    w.slot.hello.role = CLO_ROLE_TRAINER;
    w.slot.verdict.accepted = true;
    w.slot.verdict.failed = CLO_RULE_COUNT;
    w.slot.verdict.has_claims = true;
    claims->tee = CLO_TEE_SIMULATOR;
    claims->tcb = CLO_TCB_UP_TO_DATE;
    claims->attribute_flags = 0x05;
    claims->earliest_issue = clo_clock_utc() - 60;
    claims->earliest_expiry = clo_clock_utc() + 86400;
    memcpy(claims->measurement, rig_program, 32);
    memcpy(claims->root_id, rig_anchor.spki_sha256, 32);
}

static void make_world(void)
{
    char folder[600];
    w.broker.store = rig_store(folder);
    w.broker.identity = rig_keys.identity;
    w.broker.identity_public = rig_public(rig_keys.identity);
    w.broker.insecure_flags = 7;
    rig_must(clo_mutex_new(&w.broker.lock), "lock");
    rig_must(clo_mutex_new(&w.broker.gate_lock), "lock");
    w.owner.as = CLO_PEER_KEYED;
    w.owner.hello.role = CLO_ROLE_OWNER;
    clo_key_id(rig_keys.owner, w.owner.key_id);
    clo_owner_record owner = {.name = "fashion house"};
    memcpy(owner.id, w.owner.key_id, sizeof owner.id);
    rig_must(clo_owner_record_put(w.broker.store, &owner), "owner");
    make_slot_peer();
}

static void free_world(void)
{
    clo_buf *bufs[] = {&w.policy_envelope, &w.manifest_envelope, &w.approval_envelope, &w.header};
    for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++) {
        clo_buf_release(bufs[i]);
    }
    clo_store_close(w.broker.store);
    clo_mutex_free(w.broker.lock);
    clo_mutex_free(w.broker.gate_lock);
}

static bool kept_in_secret; /* where the last request's answer was kept */

/* One request on a connection of its own; slots enrol on it before. */
static clo_status ask(const clo_peer *peer, clo_op op, clo_span body, bool enrolled, clo_buf *out)
{
    static const uint8_t session[32] = {1};
    CLO_AUTO(clo_buf) message = CLO_BUF_INIT;
    clo_span bytes = CLO_SPAN_EMPTY;
    clo_caller caller;
    clo_answer answer = {.code = CLO_OK};
    clo_request request = {op, 1, body};
    clo_caller_init(&w.broker, peer, session, &caller);
    caller.enrolled = enrolled;
    caller.lease_s = 10;
    caller.peer_key = w.slot_key;
    clo_request_write(&request, &message);
    clo_status status = clo_buf_check(&message);
    if (clo_ok(status)) {
        status = clo_dispatch(&caller, clo_buf_span(&message), &bytes);
    }
    fail_at = -1; /* what follows is the test's own */
    if (clo_ok(status)) {
        status = clo_answer_parse(bytes, &answer);
    }
    clo_buf_clear(out);
    clo_put_span(out, answer.body);
    clo_code code = answer.code;
    kept_in_secret = caller.last_answer.secret;
    clo_caller_cleanup(&caller);
    CLO_TRY(status);
    CLO_CHECK(code == CLO_OK, code, "refused");
    return clo_buf_check(out);
}

static clo_status ask_var(const clo_peer *peer, clo_op op, clo_span value, clo_buf *out)
{
    CLO_AUTO(clo_buf) body = CLO_BUF_INIT;
    clo_put_var(&body, value);
    CLO_TRY(clo_buf_check(&body));
    return ask(peer, op, clo_buf_span(&body), true, out);
}

static clo_status walk_make_key(clo_buf *out)
{
    return ask_var(&w.owner, CLO_OP_OWNER_MAKE_KEY, clo_span_of_str("fashion"), out);
}

static clo_status walk_put_policy(clo_buf *out)
{
    return ask_var(&w.owner, CLO_OP_OWNER_PUT_POLICY, clo_buf_span(&w.policy_envelope), out);
}

static clo_status walk_approve(clo_buf *out)
{
    return ask_var(&w.owner, CLO_OP_OWNER_APPROVE, clo_buf_span(&w.approval_envelope), out);
}

static clo_status walk_headers(const clo_peer *peer, clo_op op, clo_buf *out)
{
    CLO_AUTO(clo_buf) body = CLO_BUF_INIT;
    clo_span header = clo_buf_span(&w.header);
    clo_list_write(&header, 1, &body);
    CLO_TRY(clo_buf_check(&body));
    return ask(peer, op, clo_buf_span(&body), true, out);
}

static clo_status walk_owner_file_keys(clo_buf *out)
{
    return walk_headers(&w.owner, CLO_OP_OWNER_FILE_KEYS, out);
}

static clo_status walk_enrol(clo_buf *out)
{
    CLO_AUTO(clo_buf) body = CLO_BUF_INIT;
    clo_enrol_request request = {0, CLO_SPAN(w.slot_key.spki, w.slot_key.size),
                                 clo_buf_span(&w.manifest_envelope)};
    clo_enrol_request_write(&request, &body);
    CLO_TRY(clo_buf_check(&body));
    return ask(&w.slot, CLO_OP_SLOT_ENROL, clo_buf_span(&body), false, out);
}

static clo_status walk_roster(clo_buf *out)
{
    return ask(&w.slot, CLO_OP_SLOT_ROSTER, CLO_SPAN_EMPTY, true, out);
}

static clo_status walk_slot_file_keys(clo_buf *out)
{
    return walk_headers(&w.slot, CLO_OP_SLOT_FILE_KEYS, out);
}

static clo_status walk_recipients(clo_buf *out)
{
    return ask_var(&w.slot, CLO_OP_SLOT_RECIPIENTS, clo_span_of_str("model"), out);
}

static clo_status walk_revoke(clo_buf *out)
{
    return ask(&w.owner, CLO_OP_OWNER_REVOKE, CLO_SPAN_OF(w.key_id), true, out);
}

/* Leaves the operation done, once, for the tests that follow. */
static void sweep(clo_status (*walk)(clo_buf *out), clo_buf *out)
{
    for (long at = 0; at < 20000; at++) {
        seen = 0;
        fail_at = at;
        clo_status status = walk(out);
        bool reached = seen > at;
        fail_at = -1;
        if (!reached) {
            T_OK(status);
            T_CHECK(at > 5);
            T_OK(clo_audit_check_head(w.broker.store));
            return;
        }
        T_CHECK(!clo_ok(status));
    }
    clo_test_fail(__FILE__, __LINE__, "the sweep did not end");
}

static void survives_failures_while_an_owner_prepares(void)
{
    CLO_AUTO(clo_buf) out = CLO_BUF_INIT;
    sweep(walk_make_key, &out);
    T_INT(out.size, 16);
    memcpy(w.key_id, out.data, 16);
    w.policy = rig_policy(w.key_id);
    rig_must(clo_policy_sign(&w.policy, rig_keys.owner, &w.policy_envelope), "policy");
    sweep(walk_put_policy, &out);
    clo_manifest manifest = rig_manifest(w.key_id);
    rig_must(clo_manifest_sign(&manifest, rig_keys.signer, &w.manifest_envelope), "manifest");
    rig_must(clo_manifest_open(clo_buf_span(&w.manifest_envelope), &w.manifest), "manifest");
    clo_approval approval = rig_approval(&w.manifest, w.key_id);
    rig_must(clo_approval_sign(&approval, rig_keys.owner, &w.approval_envelope), "approval");
    sweep(walk_approve, &out);
    clo_seal_header header;
    rig_must(clo_seal_header_init(&header), "header");
    header.parts = 1;
    header.key_version = 1;
    header.policy = clo_buf_span(&w.policy_envelope);
    memcpy(header.key_id, w.key_id, 16);
    rig_must(clo_seal_header_write(&header, &w.header), "header");
    sweep(walk_owner_file_keys, &out);
}

static void survives_failures_while_a_slot_enrols_and_asks(void)
{
    CLO_AUTO(clo_buf) out = CLO_BUF_INIT;
    uint64_t count = 0;
    memcpy(w.slot.hello.manifest, w.manifest.digest, 32);
    sweep(walk_enrol, &out);
    sweep(walk_roster, &out);
    sweep(walk_slot_file_keys, &out);
    T_OK(clo_counter_get(w.broker.store, NULL, w.key_id, &count));
    T_INT(count, 1); /* what failed was not counted */
    sweep(walk_recipients, &out);
}

static void keeps_answers_with_file_keys_in_secret_memory(void)
{
    CLO_AUTO(clo_buf) out = CLO_BUF_INIT;
    T_OK(walk_slot_file_keys(&out));
    T_CHECK(kept_in_secret);
    T_OK(walk_owner_file_keys(&out));
    T_CHECK(kept_in_secret);
    T_OK(walk_roster(&out));
    T_CHECK(!kept_in_secret);
}

static void survives_failures_while_an_owner_revokes(void)
{
    CLO_AUTO(clo_buf) out = CLO_BUF_INIT;
    sweep(walk_revoke, &out);
    T_CODE(walk_roster(&out), CLO_DENIED);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(survives_failures_while_an_owner_prepares),
        T(survives_failures_while_a_slot_enrols_and_asks),
        T(keeps_answers_with_file_keys_in_secret_memory),
        T(survives_failures_while_an_owner_revokes),
    };
    rig_keys_make();
    make_world();
    int code = clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
    free_world();
    rig_keys_free();
    return code;
}
