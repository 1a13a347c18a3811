/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands of owners. A keyed peer is known by SHA-256 of its SPKI, which is pinned (admission.c),
 * and commands records of its own only: another owner's key is as absent as one that does not
 * exist.
 */
#include "broker_state.h"

#include <stdio.h>
#include <string.h>

#define DATA_KEY_SIZE   32
#define KEYS_MAX        1024 /* of one owner */
#define AUDIT_PAGE_SIZE (1u << 20)

static clo_status audit(clo_caller *caller, const char *kind, const uint8_t *key_id,
                        const uint8_t *manifest, const uint8_t *request_id)
{
    char who[CLO_NAME_MAX + 16];
    clo_owner_record owner;
    CLO_TRY_CTX(clo_owner_record_get(caller->broker->store, caller->peer->key_id, &owner),
                "this owner's pin");
    snprintf(who, sizeof who, "owner %s", owner.name);
    clo_audit_entry entry = {
        .kind = kind,
        .owner = caller->peer->key_id,
        .key_id = key_id,
        .manifest = manifest,
        .who = who,
        .request = request_id,
    };
    return clo_audit_add(caller->broker->store, &entry);
}

/* The owner's own key; another owner's is as absent as none. */
static clo_status own_key(clo_caller *caller, const uint8_t key_id[16], clo_key_record *out_key)
{
    clo_key_record key = {.version = 0};
    clo_status status = clo_key_record_get(caller->broker->store, key_id, &key);
    bool absent = status.code == CLO_NOTFOUND ||
                  (clo_ok(status) && memcmp(key.owner, caller->peer->key_id, 32) != 0);
    CLO_CHECK(!absent, CLO_NOTFOUND, "this owner has no key with this id");
    CLO_TRY(status);
    *out_key = key;
    return CLO_STATUS_OK;
}

/* ---- identity */

static clo_status quote_identity(clo_caller *caller, clo_evidence *out_evidence)
{
    clo_broker *broker = caller->broker;
    uint8_t layout[64];
    CLO_TRY(clo_public_key_id(&broker->identity_public, layout));
    memcpy(layout + 32, caller->session, sizeof caller->session);
    clo_mutex_lock(broker->maker_lock);
    clo_status status = clo_maker_quote(broker->maker, CLO_PURPOSE_BROKER_IDENTITY,
                                        CLO_SPAN_OF(layout), clo_deadline_in(10000), out_evidence);
    clo_mutex_unlock(broker->maker_lock);
    return status;
}

clo_status clo_op_identity(clo_caller *caller, const uint8_t *request_id, clo_span body,
                           clo_buf *out_body)
{
    CLO_AUTO(clo_evidence) evidence = CLO_EVIDENCE_INIT;
    const clo_public_key *identity = &caller->broker->identity_public;
    (void)request_id;
    CLO_TRY(clo_body_empty(body, "the request"));
    CLO_TRY(quote_identity(caller, &evidence));
    clo_identity_answer answer = {
        .spki = CLO_SPAN(identity->spki, identity->size),
        .quote = clo_buf_span(&evidence.quote),
        .collateral = clo_buf_span(&evidence.collateral),
    };
    clo_identity_answer_write(&answer, out_body);
    return clo_buf_check(out_body);
}

/* ---- keys */

/* Two vars an entry. */
static size_t count_entries(clo_span entries)
{
    size_t count = 0;
    clo_reader r = clo_reader_of(entries);
    while (clo_reader_left(&r) > 0 && clo_ok(clo_reader_check(&r, "the keys"))) {
        (void)clo_read_var(&r, UINT32_MAX);
        (void)clo_read_var(&r, UINT32_MAX);
        count++;
    }
    return count;
}

static clo_status check_key_count(clo_caller *caller)
{
    CLO_AUTO(clo_buf) keys = CLO_BUF_INIT;
    clo_span owner = CLO_SPAN_OF(caller->peer->key_id);
    CLO_TRY(clo_store_list(caller->broker->store, CLO_RECORD_KEY, &owner, &keys));
    CLO_CHECK(count_entries(clo_buf_span(&keys)) < KEYS_MAX, CLO_LIMIT,
              "this owner has %d keys already", KEYS_MAX);
    return CLO_STATUS_OK;
}

static clo_status store_data_key(clo_store *store, const uint8_t key_id[16])
{
    CLO_AUTO(clo_secret) key = CLO_SECRET_INIT;
    CLO_TRY(clo_secret_alloc(&key, DATA_KEY_SIZE));
    CLO_TRY(clo_random_reseed());
    CLO_TRY(clo_random_bytes(key.data, key.size));
    return clo_store_put(store, CLO_RECORD_DATA_KEY, CLO_SPAN(key_id, 16), CLO_SPAN_EMPTY,
                         clo_secret_span(&key));
}

clo_status clo_op_make_key(clo_caller *caller, const uint8_t *request_id, clo_span body,
                           clo_buf *out_body)
{
    clo_span name;
    clo_key_record key = {.created = clo_clock_utc()};
    CLO_TRY(clo_body_var(body, sizeof key.name - 1, "the key's name", &name));
    CLO_CHECK(name.size > 0, CLO_INVALID, "a key needs a name");
    CLO_TRY(check_key_count(caller));
    memcpy(key.name, name.data, name.size);
    memcpy(key.owner, caller->peer->key_id, sizeof key.owner);
    CLO_TRY(clo_random_bytes(key.id, sizeof key.id));
    CLO_TRY(store_data_key(caller->broker->store, key.id));
    CLO_TRY(clo_key_record_put(caller->broker->store, &key));
    clo_put_bytes(out_body, key.id, sizeof key.id);
    return audit(caller, "make-key", key.id, NULL, request_id);
}

/* ---- policies */

static clo_status check_policy(clo_caller *caller, const clo_key_record *key,
                               const clo_policy *policy)
{
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    uint8_t owner[32];
    CLO_TRY(clo_public_key_id(&policy->owner, owner));
    CLO_CHECK(memcmp(owner, caller->peer->key_id, sizeof owner) == 0, CLO_DENIED,
              "policy is signed by another owner than the one who is connected");
    CLO_CHECK(clo_public_key_equal(&policy->broker.identity, &caller->broker->identity_public),
              CLO_POLICY, "policy names another broker");
    if (key->version == 0) {
        CLO_CHECK(policy->version == 1, CLO_POLICY, "policy version is %llu, expected 1",
                  (unsigned long long)policy->version);
        return CLO_STATUS_OK;
    }
    clo_policy *newest = clo_arena_alloc(&arena, sizeof *newest);
    CLO_CHECK(newest != NULL, CLO_NOMEM, "no memory for a policy");
    CLO_TRY(clo_release_policy(caller->broker, key, newest));
    return clo_policy_check_successor(newest, policy);
}

clo_status clo_op_put_policy(clo_caller *caller, const uint8_t *request_id, clo_span body,
                             clo_buf *out_body)
{
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    clo_span envelope;
    clo_key_record key;
    (void)out_body;
    clo_policy *policy = clo_arena_alloc(&arena, sizeof *policy);
    CLO_CHECK(policy != NULL, CLO_NOMEM, "no memory for a policy");
    CLO_TRY(clo_body_var(body, CLO_DOCUMENT_MAX, "the policy", &envelope));
    CLO_TRY(clo_policy_open(envelope, NULL, policy));
    CLO_TRY(own_key(caller, policy->key_id, &key));
    CLO_CHECK(!key.revoked, CLO_DENIED, "the key was revoked");
    CLO_TRY(check_policy(caller, &key, policy));
    CLO_TRY(clo_policy_record_put(caller->broker->store, policy, envelope));
    key.version = policy->version;
    key.superseded = policy->supersede ? policy->version : key.superseded;
    CLO_TRY(clo_key_record_put(caller->broker->store, &key));
    CLO_TRY(clo_admission_prepare(caller->broker));
    return audit(caller, "put-policy", key.id, NULL, request_id);
}

clo_status clo_op_get_policy(clo_caller *caller, const uint8_t *request_id, clo_span body,
                             clo_buf *out_body)
{
    CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
    uint8_t key_id[16];
    uint8_t digest[32];
    clo_key_record key;
    (void)request_id;
    CLO_TRY(clo_body_bytes(body, sizeof key_id, "the key's id", key_id));
    CLO_TRY(own_key(caller, key_id, &key));
    CLO_CHECK(key.version > 0, CLO_NOTFOUND, "the key has no policy");
    CLO_TRY(clo_policy_record_get(caller->broker->store, key_id, key.version, digest, &envelope));
    clo_put_var(out_body, clo_buf_span(&envelope));
    return CLO_STATUS_OK;
}

/* ---- sealing */

/* A file whose policy is not stored could never be opened by a job: refused while it is made. */
static clo_status check_seal_header(clo_caller *caller, const clo_seal_header *header)
{
    CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
    clo_key_record key;
    uint8_t digest[32];
    CLO_TRY(own_key(caller, header->key_id, &key));
    CLO_CHECK(!key.revoked, CLO_DENIED, "the key was revoked");
    CLO_CHECK(key.version > 0, CLO_POLICY, "the key has no policy yet");
    CLO_TRY(clo_policy_record_get(caller->broker->store, key.id, key.version, digest, &envelope));
    CLO_CHECK(clo_span_equal(header->policy, clo_buf_span(&envelope)), CLO_POLICY,
              "the header's policy is not the key's newest");
    return CLO_STATUS_OK;
}

clo_status clo_op_owner_file_keys(clo_caller *caller, const uint8_t *request_id, clo_span body,
                                  clo_buf *out_body)
{
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    clo_span_list *list = clo_arena_alloc(&arena, sizeof *list);
    CLO_CHECK(list != NULL, CLO_NOMEM, "no memory for a list of headers");
    CLO_TRY(clo_list_parse(body, CLO_SEAL_HEADER_MAX, "the headers", list));
    clo_put_u32be(out_body, (uint32_t)list->count);
    for (size_t i = 0; i < list->count; i++) {
        clo_seal_header header;
        size_t size;
        CLO_TRY_CTX(clo_seal_header_parse(list->items[i], &header, &size), "header %zu", i);
        CLO_CHECK(size == list->items[i].size, CLO_FORMAT, "header %zu has bytes behind it", i);
        CLO_TRY_CTX(check_seal_header(caller, &header), "header %zu", i);
        CLO_TRY(clo_release_file_key(caller->broker, header.key_id, list->items[i], out_body));
        CLO_TRY(audit(caller, "seal", header.key_id, NULL, request_id));
    }
    return CLO_STATUS_OK;
}

/* ---- approvals, revocation */

clo_status clo_op_approve(clo_caller *caller, const uint8_t *request_id, clo_span body,
                          clo_buf *out_body)
{
    clo_span envelope;
    clo_approval approval;
    clo_key_record key;
    uint8_t owner[32];
    (void)out_body;
    CLO_TRY(clo_body_var(body, CLO_DOCUMENT_MAX, "the approval", &envelope));
    CLO_TRY(clo_approval_open(envelope, NULL, &approval));
    CLO_TRY(clo_public_key_id(&approval.owner, owner));
    CLO_CHECK(memcmp(owner, caller->peer->key_id, sizeof owner) == 0, CLO_DENIED,
              "approval is signed by another owner than the one who is connected");
    CLO_TRY(own_key(caller, approval.key_id, &key));
    CLO_CHECK(approval.policy_version == key.version, CLO_POLICY,
              "approval is for policy version %llu, the newest is %llu",
              (unsigned long long)approval.policy_version, (unsigned long long)key.version);
    CLO_TRY(clo_approval_record_put(caller->broker->store, &approval, envelope));
    return audit(caller, "approve", key.id, approval.manifest, request_id);
}

clo_status clo_op_revoke(clo_caller *caller, const uint8_t *request_id, clo_span body,
                         clo_buf *out_body)
{
    uint8_t key_id[16];
    clo_key_record key;
    (void)out_body;
    CLO_TRY(clo_body_bytes(body, sizeof key_id, "the key's id", key_id));
    CLO_TRY(own_key(caller, key_id, &key));
    key.revoked = true;
    CLO_TRY(clo_key_record_put(caller->broker->store, &key));
    CLO_TRY(clo_admission_prepare(caller->broker));
    CLO_TRY(clo_lease_evict_key(caller->broker, key_id));
    return audit(caller, "revoke", key_id, NULL, request_id);
}

/* ---- audit */

clo_status clo_op_audit(clo_caller *caller, const uint8_t *request_id, clo_span body,
                        clo_buf *out_body)
{
    CLO_AUTO(clo_buf) lines = CLO_BUF_INIT;
    clo_audit_answer answer;
    uint64_t first;
    (void)request_id;
    CLO_TRY(clo_body_u64(body, "the first entry", &first));
    CLO_TRY(clo_audit_lines(caller->broker->store, caller->peer->key_id, first, AUDIT_PAGE_SIZE,
                            &lines, &answer.next, answer.head));
    answer.lines = clo_buf_span(&lines);
    clo_audit_answer_write(&answer, out_body);
    return CLO_STATUS_OK;
}
