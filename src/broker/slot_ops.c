/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of slots. Every request but the first stands on an enrolment of the same connection, and
 * every one renews the lease. The manifest is the job's as it was stored at its first enrolment; a
 * slot cannot bring another one later.
 */
#include "broker_state.h"

#include <stdio.h>
#include <string.h>

static void describe(const clo_caller *caller, uint32_t slot, char *out, size_t size)
{
    snprintf(out, size, "%s %u", clo_role_name(caller->peer->hello.role), slot);
}

static clo_status audit_for(clo_caller *caller, const char *kind, const uint8_t *owner,
                            const uint8_t *key_id, const uint8_t *request_id)
{
    char who[64];
    describe(caller, caller->slot, who, sizeof who);
    clo_audit_entry entry = {
        .kind = kind,
        .owner = owner,
        .key_id = key_id,
        .manifest = caller->peer->hello.manifest,
        .who = who,
        .evidence = caller->peer->evidence_digest,
        .request = request_id,
    };
    return clo_audit_add(caller->broker->store, &entry);
}

/* One entry for each owner's key, so that each owner sees what concerns it. */
static clo_status audit_keys(clo_caller *caller, const char *kind, const clo_manifest *manifest,
                             const uint8_t *request_id)
{
    for (uint32_t i = 0; i < manifest->data_count; i++) {
        uint8_t owner[32];
        CLO_TRY(clo_public_key_id(&manifest->data[i].owner, owner));
        CLO_TRY(audit_for(caller, kind, owner, manifest->data[i].key_id, request_id));
    }
    return CLO_STATUS_OK;
}

/* The job of an enrolled caller, whose evidence may be a newer one than it enrolled with. */
static clo_status load_job(clo_caller *caller, clo_manifest *out_manifest, clo_job_record *out_job)
{
    CLO_TRY(clo_job_record_get(caller->broker->store, caller->peer->hello.manifest, out_job));
    CLO_TRY(clo_lease_note_evidence(caller, out_job));
    return clo_manifest_open(clo_buf_span(&out_job->envelope), out_manifest);
}

/* ---- enrolment */

static clo_status take_request(clo_caller *caller, clo_span body, clo_enrol_request *out_request,
                               clo_manifest *out_manifest)
{
    uint8_t key_id[32];
    const clo_peer *peer = caller->peer;
    CLO_TRY(clo_enrol_request_parse(body, out_request));
    CLO_TRY(clo_sha256(out_request->spki, key_id));
    CLO_CHECK(out_request->spki.size > 0 && memcmp(key_id, peer->key_id, sizeof key_id) == 0,
              CLO_DENIED, "KEY: the key is not this connection's");
    caller->peer_key = (clo_public_key){.size = out_request->spki.size};
    memcpy(caller->peer_key.spki, out_request->spki.data, out_request->spki.size);
    CLO_TRY_CTX(clo_manifest_open(out_request->manifest, out_manifest), "MANIFEST");
    CLO_CHECK(memcmp(out_manifest->digest, peer->hello.manifest, 32) == 0, CLO_DENIED,
              "MANIFEST: it is not the one in this connection's evidence");
    return CLO_STATUS_OK;
}

static clo_status decide_all(clo_caller *caller, const clo_manifest *manifest, uint32_t slot)
{
    static const uint8_t no_key[16];
    if (manifest->data_count == 0) {
        return clo_release_decide(caller, manifest, slot, no_key, NULL);
    }
    for (uint32_t i = 0; i < manifest->data_count; i++) {
        CLO_TRY(clo_release_decide(caller, manifest, slot, manifest->data[i].key_id, NULL));
    }
    return CLO_STATUS_OK;
}

/* The strictest of the newest policies: what one owner keeps back does not leave by another. */
static clo_status strictest_metrics(clo_caller *caller, const clo_manifest *manifest,
                                    clo_metrics_every *out_every)
{
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    clo_policy *policy = clo_arena_alloc(&arena, sizeof *policy);
    CLO_CHECK(policy != NULL, CLO_NOMEM, "no memory for a policy");
    *out_every = manifest->data_count > 0 ? CLO_METRICS_STEP : CLO_METRICS_NEVER;
    for (uint32_t i = 0; i < manifest->data_count; i++) {
        clo_key_record key;
        CLO_TRY(clo_key_record_get(caller->broker->store, manifest->data[i].key_id, &key));
        CLO_TRY(clo_release_policy(caller->broker, &key, policy));
        clo_metrics_every every = clo_policy_metrics(policy);
        *out_every = every < *out_every ? every : *out_every;
    }
    return CLO_STATUS_OK;
}

static clo_status answer_enrolment(clo_caller *caller, const clo_manifest *manifest,
                                   const clo_job_record *job, const clo_slot_record *slot,
                                   clo_buf *out_body)
{
    CLO_AUTO(clo_buf) leaf = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) roster = CLO_BUF_INIT;
    CLO_TRY(clo_ca_leaf(caller, manifest, job, slot, &leaf));
    CLO_TRY(clo_lease_roster(caller->broker, manifest, job, &roster));
    clo_enrol_answer answer = {
        .slot = slot->row.slot,
        .incarnation = slot->row.incarnation,
        .leaf = clo_buf_span(&leaf),
        .ca = clo_buf_span(&job->ca),
        .roster = clo_buf_span(&roster),
    };
    clo_job_key_id(manifest->digest, answer.job_key_id);
    CLO_TRY(strictest_metrics(caller, manifest, &answer.metrics));
    clo_enrol_answer_write(&answer, out_body);
    return clo_buf_check(out_body);
}

clo_status clo_op_enrol(clo_caller *caller, const uint8_t *request_id, clo_span body,
                        clo_buf *out_body)
{
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    CLO_AUTO(clo_job_record) job = CLO_JOB_RECORD_INIT;
    clo_enrol_request request;
    clo_slot_record slot;
    clo_manifest *manifest = clo_arena_alloc(&arena, sizeof *manifest);
    CLO_CHECK(manifest != NULL, CLO_NOMEM, "no memory for a manifest");
    CLO_TRY(take_request(caller, body, &request, manifest));
    CLO_CHECK(!caller->enrolled || caller->slot == request.slot, CLO_DENIED,
              "SLOT: this connection has slot %u already", caller->slot);
    CLO_TRY(decide_all(caller, manifest, request.slot));
    CLO_TRY(clo_ca_job(caller->broker, manifest, request.manifest, &job));
    CLO_TRY(clo_lease_take(caller, manifest, request.slot, &job, &slot));
    caller->slot = request.slot;
    caller->enrolled = true;
    CLO_TRY(audit_keys(caller, "enrol", manifest, request_id));
    return answer_enrolment(caller, manifest, &job, &slot, out_body);
}

/* ---- roster, renewal, leaving */

clo_status clo_op_roster(clo_caller *caller, const uint8_t *request_id, clo_span body,
                         clo_buf *out_body)
{
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    CLO_AUTO(clo_job_record) job = CLO_JOB_RECORD_INIT;
    CLO_AUTO(clo_buf) roster = CLO_BUF_INIT;
    clo_slot_record slot;
    clo_manifest *manifest = clo_arena_alloc(&arena, sizeof *manifest);
    (void)request_id;
    CLO_CHECK(manifest != NULL, CLO_NOMEM, "no memory for a manifest");
    CLO_TRY(clo_body_empty(body, "the request"));
    CLO_TRY(clo_lease_renew(caller, &slot));
    CLO_TRY(load_job(caller, manifest, &job));
    CLO_TRY(clo_lease_roster(caller->broker, manifest, &job, &roster));
    clo_put_var(out_body, clo_buf_span(&roster));
    return CLO_STATUS_OK;
}

/* A new certificate is a new word for this slot: the policies are asked again. */
clo_status clo_op_renew(clo_caller *caller, const uint8_t *request_id, clo_span body,
                        clo_buf *out_body)
{
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    CLO_AUTO(clo_job_record) job = CLO_JOB_RECORD_INIT;
    CLO_AUTO(clo_buf) leaf = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) roster = CLO_BUF_INIT;
    clo_slot_record slot;
    clo_manifest *manifest = clo_arena_alloc(&arena, sizeof *manifest);
    CLO_CHECK(manifest != NULL, CLO_NOMEM, "no memory for a manifest");
    CLO_TRY(clo_body_empty(body, "the request"));
    CLO_TRY(clo_lease_renew(caller, &slot));
    CLO_TRY(load_job(caller, manifest, &job));
    CLO_TRY(decide_all(caller, manifest, caller->slot));
    CLO_TRY(clo_ca_leaf(caller, manifest, &job, &slot, &leaf));
    CLO_TRY(clo_lease_roster(caller->broker, manifest, &job, &roster));
    clo_renew_answer answer = {clo_buf_span(&leaf), clo_buf_span(&roster)};
    clo_renew_answer_write(&answer, out_body);
    return audit_keys(caller, "renew", manifest, request_id);
}

clo_status clo_op_leave(clo_caller *caller, const uint8_t *request_id, clo_span body,
                        clo_buf *out_body)
{
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    CLO_AUTO(clo_job_record) job = CLO_JOB_RECORD_INIT;
    clo_manifest *manifest = clo_arena_alloc(&arena, sizeof *manifest);
    (void)out_body;
    CLO_CHECK(manifest != NULL, CLO_NOMEM, "no memory for a manifest");
    CLO_TRY(clo_body_empty(body, "the request"));
    CLO_TRY(clo_lease_leave(caller));
    CLO_TRY(load_job(caller, manifest, &job));
    return audit_keys(caller, "leave", manifest, request_id);
}

/* ---- file keys */

/* What one request releases: a key counts once in it, however many of its files are asked for. */
typedef struct {
    uint8_t key_id[CLO_KMS_LIST_MAX][16];
    size_t count;
} released_keys;

static bool is_released(const released_keys *released, const uint8_t key_id[16])
{
    for (size_t i = 0; i < released->count; i++) {
        if (memcmp(released->key_id[i], key_id, 16) == 0) {
            return true;
        }
    }
    return false;
}

static clo_status count_release(clo_caller *caller, const clo_manifest *manifest,
                                const uint8_t key_id[16], const uint8_t *request_id,
                                released_keys *released)
{
    clo_key_record key;
    if (is_released(released, key_id)) {
        return CLO_STATUS_OK;
    }
    memcpy(released->key_id[released->count++], key_id, 16);
    CLO_TRY(clo_key_record_get(caller->broker->store, key_id, &key));
    CLO_TRY(clo_counter_add(caller->broker->store, NULL, key_id));
    CLO_TRY(clo_counter_add(caller->broker->store, manifest->digest, key_id));
    return audit_for(caller, "file-keys", key.owner, key_id, request_id);
}

/* Several files of one key in a request: each is decided before the key is counted. */
static clo_status decide_files(clo_caller *caller, const clo_manifest *manifest,
                               const clo_span_list *list)
{
    uint8_t job_key[16];
    clo_job_key_id(manifest->digest, job_key);
    for (size_t i = 0; i < list->count; i++) {
        clo_seal_header header;
        size_t size;
        CLO_TRY_CTX(clo_seal_header_parse(list->items[i], &header, &size), "header %zu", i);
        CLO_CHECK(size == list->items[i].size, CLO_FORMAT, "header %zu has bytes behind it", i);
        if (memcmp(header.key_id, job_key, sizeof job_key) == 0) {
            CLO_TRY(decide_all(caller, manifest, caller->slot)); /* the job's own checkpoints */
        } else {
            CLO_TRY_CTX(clo_release_decide(caller, manifest, caller->slot, header.key_id, &header),
                        "file %zu", i);
        }
    }
    return CLO_STATUS_OK;
}

static clo_status release_files(clo_caller *caller, const clo_manifest *manifest,
                                const clo_span_list *list, const uint8_t *request_id,
                                clo_buf *out_body)
{
    released_keys released = {.count = 0};
    uint8_t job_key[16];
    clo_job_key_id(manifest->digest, job_key);
    clo_put_u32be(out_body, (uint32_t)list->count);
    for (size_t i = 0; i < list->count; i++) {
        clo_seal_header header;
        size_t size;
        CLO_TRY(clo_seal_header_parse(list->items[i], &header, &size));
        if (memcmp(header.key_id, job_key, sizeof job_key) != 0) {
            CLO_TRY(count_release(caller, manifest, header.key_id, request_id, &released));
        }
        CLO_TRY(clo_release_file_key(caller->broker, header.key_id, list->items[i], out_body));
    }
    return CLO_STATUS_OK;
}

clo_status clo_op_slot_file_keys(clo_caller *caller, const uint8_t *request_id, clo_span body,
                                 clo_buf *out_body)
{
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    CLO_AUTO(clo_job_record) job = CLO_JOB_RECORD_INIT;
    clo_slot_record slot;
    clo_manifest *manifest = clo_arena_alloc(&arena, sizeof *manifest);
    clo_span_list *list = clo_arena_alloc(&arena, sizeof *list);
    CLO_CHECK(manifest != NULL && list != NULL, CLO_NOMEM, "no memory for a release");
    CLO_TRY(clo_list_parse(body, CLO_SEAL_HEADER_MAX, "the headers", list));
    CLO_TRY(clo_lease_renew(caller, &slot));
    CLO_TRY(load_job(caller, manifest, &job));
    CLO_TRY(decide_files(caller, manifest, list));
    return release_files(caller, manifest, list, request_id, out_body);
}

/* ---- recipients */

static bool policy_lets(const clo_policy *policy, clo_span what, const clo_public_key *recipient)
{
    for (uint32_t i = 0; i < policy->output_count; i++) {
        if (clo_span_equals_str(what, policy->outputs[i].what) &&
            clo_public_key_equal(&policy->outputs[i].recipient, recipient)) {
            return true;
        }
    }
    return false;
}

/* The recipients that one more policy leaves of those before. */
static void intersect(const clo_policy *policy, clo_span what, bool first,
                      clo_public_key *recipients, size_t *count)
{
    size_t kept = 0;
    if (first) {
        for (uint32_t i = 0; i < policy->output_count; i++) {
            const clo_policy_output *output = &policy->outputs[i];
            if (clo_span_equals_str(what, output->what) && output->recipient.size > 0) {
                recipients[kept++] = output->recipient;
            }
        }
    }
    for (size_t i = 0; !first && i < *count; i++) {
        if (policy_lets(policy, what, &recipients[i])) {
            recipients[kept++] = recipients[i];
        }
    }
    *count = kept;
}

static clo_status gather_recipients(clo_caller *caller, const clo_manifest *manifest, clo_span what,
                                    clo_public_key *recipients, size_t *out_count)
{
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    clo_policy *policy = clo_arena_alloc(&arena, sizeof *policy);
    CLO_CHECK(policy != NULL, CLO_NOMEM, "no memory for a policy");
    *out_count = 0;
    for (uint32_t i = 0; i < manifest->data_count; i++) {
        clo_key_record key;
        CLO_TRY(clo_key_record_get(caller->broker->store, manifest->data[i].key_id, &key));
        CLO_TRY(clo_release_policy(caller->broker, &key, policy));
        intersect(policy, what, i == 0, recipients, out_count);
    }
    return CLO_STATUS_OK;
}

clo_status clo_op_recipients(clo_caller *caller, const uint8_t *request_id, clo_span body,
                             clo_buf *out_body)
{
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    CLO_AUTO(clo_job_record) job = CLO_JOB_RECORD_INIT;
    clo_public_key recipients[16];
    clo_span spki[16];
    clo_span what;
    size_t count;
    clo_slot_record slot;
    clo_manifest *manifest = clo_arena_alloc(&arena, sizeof *manifest);
    CLO_CHECK(manifest != NULL, CLO_NOMEM, "no memory for a manifest");
    CLO_TRY(clo_body_var(body, 31, "the output's name", &what));
    CLO_TRY(clo_lease_renew(caller, &slot));
    CLO_TRY(load_job(caller, manifest, &job));
    CLO_TRY(decide_all(caller, manifest, caller->slot));
    CLO_TRY(gather_recipients(caller, manifest, what, recipients, &count));
    CLO_CHECK(count > 0, CLO_DENIED, "OUTPUT: no recipient that all owners' policies name");
    for (size_t i = 0; i < count; i++) {
        spki[i] = CLO_SPAN(recipients[i].spki, recipients[i].size);
    }
    clo_list_write(spki, count, out_body);
    return audit_keys(caller, "recipients", manifest, request_id);
}
