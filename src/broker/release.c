/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the store to a decision: gathers the documents and counters that concern one key of one job
 * and asks decision.c. Stored documents are opened again each time: their signatures are checked
 * with the keys in them, not assumed because they lie in the store.
 */
#include "broker_state.h"

#include <string.h>

/* Documents are large; one case's live in an arena. */
typedef struct {
    clo_case c;
    clo_policy policy;
    clo_policy header_policy;
    clo_approval approval;
    clo_key_record key;
} gathered;

static clo_status open_policy(clo_broker *broker, const uint8_t key_id[16], uint64_t version,
                              clo_policy *out_policy)
{
    CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
    uint8_t digest[32];
    CLO_TRY(clo_policy_record_get(broker->store, key_id, version, digest, &envelope));
    CLO_TRY_CTX(clo_policy_open(clo_buf_span(&envelope), NULL, out_policy), "stored policy");
    CLO_CHECK(memcmp(digest, out_policy->digest, sizeof digest) == 0, CLO_CRYPTO,
              "stored policy has another digest than its record");
    return CLO_STATUS_OK;
}

clo_status clo_release_policy(clo_broker *broker, const clo_key_record *key, clo_policy *out_policy)
{
    CLO_CHECK(key->version > 0, CLO_NOTFOUND, "the key has no policy");
    return open_policy(broker, key->id, key->version, out_policy);
}

/* Absent is an answer here, not a failure. */
static clo_status unless_absent(clo_status status, bool *out_found)
{
    *out_found = clo_ok(status);
    return status.code == CLO_NOTFOUND ? CLO_STATUS_OK : status;
}

static clo_status gather_key(clo_broker *broker, const uint8_t key_id[16], gathered *g)
{
    bool found;
    clo_case *c = &g->c;
    memcpy(c->key_id, key_id, sizeof c->key_id);
    CLO_TRY(unless_absent(clo_key_record_get(broker->store, key_id, &g->key), &found));
    c->key_found = found;
    if (!found) {
        return CLO_STATUS_OK;
    }
    c->key_revoked = g->key.revoked;
    memcpy(c->key_owner, g->key.owner, sizeof c->key_owner);
    CLO_TRY(unless_absent(clo_release_policy(broker, &g->key, &g->policy), &found));
    c->policy = found ? &g->policy : NULL;
    CLO_TRY(clo_counter_get(broker->store, NULL, key_id, &c->key_releases));
    return clo_counter_get(broker->store, c->manifest->digest, key_id, &c->job_releases);
}

static clo_status gather_approval(clo_broker *broker, gathered *g)
{
    CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
    bool found;
    clo_case *c = &g->c;
    CLO_TRY(unless_absent(
        clo_approval_record_get(broker->store, c->manifest->digest, c->key_id, &envelope), &found));
    if (found && c->policy != NULL) {
        CLO_TRY_CTX(clo_approval_open(clo_buf_span(&envelope), &c->policy->owner, &g->approval),
                    "stored approval");
        c->approval = &g->approval;
    }
    return CLO_STATUS_OK;
}

/* A header policy that does not open, or is another owner's, is as good as none. */
static clo_status gather_header(clo_broker *broker, const clo_seal_header *header, gathered *g)
{
    CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
    clo_case *c = &g->c;
    uint8_t digest[32];
    bool found;
    c->header = header;
    if (c->policy == NULL || header->policy.size == 0 ||
        !clo_ok(clo_policy_open(header->policy, &c->policy->owner, &g->header_policy))) {
        return CLO_STATUS_OK;
    }
    c->header_policy = &g->header_policy;
    CLO_TRY(unless_absent(clo_policy_record_get(broker->store, c->key_id, g->header_policy.version,
                                                digest, &envelope),
                          &found));
    c->header_stored = found && memcmp(digest, g->header_policy.digest, sizeof digest) == 0 &&
                       memcmp(g->header_policy.key_id, c->key_id, sizeof c->key_id) == 0;
    c->header_superseded = c->header_stored && g->header_policy.version < g->key.superseded;
    return CLO_STATUS_OK;
}

static void gather_caller(const clo_caller *caller, const clo_manifest *manifest, uint32_t slot,
                          clo_case *c)
{
    c->now = clo_clock_utc();
    c->identity = &caller->broker->identity_public;
    c->broker_flags = caller->broker->insecure_flags;
    c->simulator_built = clo_simulator_is_built();
    c->manifest = manifest;
    c->role = caller->peer->hello.role;
    c->slot = slot;
    c->verdict = &caller->peer->verdict;
    c->build = caller->peer->hello.build;
}

clo_status clo_release_decide(clo_caller *caller, const clo_manifest *manifest, uint32_t slot,
                              const uint8_t key_id[16], const clo_seal_header *header)
{
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    clo_decision decision;
    gathered *g = clo_arena_alloc(&arena, sizeof *g);
    CLO_CHECK(g != NULL, CLO_NOMEM, "no memory for a decision");
    gather_caller(caller, manifest, slot, &g->c);
    CLO_TRY(gather_key(caller->broker, key_id, g));
    CLO_TRY(gather_approval(caller->broker, g));
    if (header != NULL) {
        CLO_TRY(gather_header(caller->broker, header, g));
    }
    clo_decide(&g->c, &decision);
    if (decision.failed != CLO_CONDITION_COUNT) {
        memcpy(caller->refused_owner, g->c.key_owner, sizeof caller->refused_owner);
    }
    return clo_decision_status(&decision);
}

clo_status clo_release_file_key(clo_broker *broker, const uint8_t key_id[16], clo_span header,
                                clo_buf *out)
{
    CLO_AUTO(clo_secret) data_key = CLO_SECRET_INIT;
    CLO_AUTO(clo_secret) file_key = CLO_SECRET_INIT;
    CLO_ASSERT(out->secret);
    CLO_TRY(
        clo_store_get_secret(broker->store, CLO_RECORD_DATA_KEY, CLO_SPAN(key_id, 16), &data_key));
    CLO_TRY(clo_seal_file_key(&data_key, header, &file_key));
    clo_put_var(out, clo_secret_span(&file_key));
    return clo_buf_check(out);
}
