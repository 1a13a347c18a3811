/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of the broker's records (records.h). Values come from a store that an operator can
 * write, but only with the root key: reading is checked all the same.
 *
 *     owner  name var | pinned u64
 *     key    owner[32] | name var | created u64 | revoked u8 | version u64 | superseded u64
 *     job    epoch u64 | evaluation u32 | CRL number u64 | issue u64 | root[32] | others u8 |
 *            CA var | envelope var
 *     slot   manifest[32] | role u8 | slot u32 | incarnation u64 | key id[32] | platform[32] |
 *            measurement[32] | held u8 | lease u64 | session[32] | evidence[32]
 *     policy digest[32] | envelope
 */
#include "records.h"

#include <string.h>

#define JOB_ID_SIZE (32 + 1 + 4)
#define PAIR_SIZE   (32 + 16)

static void copy_text(clo_span text, char *out, size_t size)
{
    size_t count = text.size < size ? text.size : size - 1;
    memset(out, 0, size);
    if (count > 0) {
        memcpy(out, text.data, count);
    }
}

/* ---- owners */

clo_status clo_owner_record_get(clo_store *store, const uint8_t id[32], clo_owner_record *out_owner)
{
    CLO_AUTO(clo_buf) value = CLO_BUF_INIT;
    clo_owner_record owner = {.pinned = 0};
    CLO_TRY(clo_store_get(store, CLO_RECORD_OWNER, CLO_SPAN(id, sizeof owner.id), &value));
    clo_reader r = clo_reader_of(clo_buf_span(&value));
    memcpy(owner.id, id, sizeof owner.id);
    copy_text(clo_read_var(&r, sizeof owner.name - 1), owner.name, sizeof owner.name);
    owner.pinned = (int64_t)clo_read_u64be(&r);
    CLO_TRY(clo_reader_finish(&r, "an owner record"));
    *out_owner = owner;
    return CLO_STATUS_OK;
}

clo_status clo_owner_record_put(clo_store *store, const clo_owner_record *owner)
{
    CLO_AUTO(clo_buf) value = CLO_BUF_INIT;
    clo_put_var(&value, clo_span_of_str(owner->name));
    clo_put_u64be(&value, (uint64_t)owner->pinned);
    CLO_TRY(clo_buf_check(&value));
    return clo_store_put(store, CLO_RECORD_OWNER, CLO_SPAN_OF(owner->id), CLO_SPAN_EMPTY,
                         clo_buf_span(&value));
}

/* ---- keys */

clo_status clo_key_record_parse(clo_span id, clo_span value, clo_key_record *out_key)
{
    clo_key_record key = {.created = 0};
    clo_reader r = clo_reader_of(value);
    CLO_CHECK(id.size == sizeof key.id, CLO_FORMAT, "key record's id has %zu bytes", id.size);
    memcpy(key.id, id.data, id.size);
    clo_read_copy(&r, key.owner, sizeof key.owner);
    copy_text(clo_read_var(&r, sizeof key.name - 1), key.name, sizeof key.name);
    key.created = (int64_t)clo_read_u64be(&r);
    key.revoked = clo_read_u8(&r) != 0;
    key.version = clo_read_u64be(&r);
    key.superseded = clo_read_u64be(&r);
    CLO_TRY(clo_reader_finish(&r, "a key record"));
    *out_key = key;
    return CLO_STATUS_OK;
}

clo_status clo_key_record_get(clo_store *store, const uint8_t id[16], clo_key_record *out_key)
{
    CLO_AUTO(clo_buf) value = CLO_BUF_INIT;
    CLO_TRY(clo_store_get(store, CLO_RECORD_KEY, CLO_SPAN(id, 16), &value));
    return clo_key_record_parse(CLO_SPAN(id, 16), clo_buf_span(&value), out_key);
}

clo_status clo_key_record_put(clo_store *store, const clo_key_record *key)
{
    CLO_AUTO(clo_buf) value = CLO_BUF_INIT;
    clo_put_bytes(&value, key->owner, sizeof key->owner);
    clo_put_var(&value, clo_span_of_str(key->name));
    clo_put_u64be(&value, (uint64_t)key->created);
    clo_put_u8(&value, key->revoked);
    clo_put_u64be(&value, key->version);
    clo_put_u64be(&value, key->superseded);
    CLO_TRY(clo_buf_check(&value));
    return clo_store_put(store, CLO_RECORD_KEY, CLO_SPAN_OF(key->id), CLO_SPAN_OF(key->owner),
                         clo_buf_span(&value));
}

/* ---- jobs */

void clo_job_record_cleanup(clo_job_record *job)
{
    clo_buf_release(&job->ca);
    clo_buf_release(&job->envelope);
}

clo_status clo_job_record_get(clo_store *store, const uint8_t manifest[32], clo_job_record *out_job)
{
    CLO_AUTO(clo_buf) value = CLO_BUF_INIT;
    CLO_TRY(clo_store_get(store, CLO_RECORD_JOB, CLO_SPAN(manifest, 32), &value));
    clo_reader r = clo_reader_of(clo_buf_span(&value));
    out_job->epoch = clo_read_u64be(&r);
    out_job->seen.min_evaluation = clo_read_u32be(&r);
    out_job->seen.min_crl_number = clo_read_u64be(&r);
    out_job->seen.min_issue = (int64_t)clo_read_u64be(&r);
    clo_read_copy(&r, out_job->seen_root, sizeof out_job->seen_root);
    out_job->seen_others = clo_read_u8(&r) != 0;
    clo_put_span(&out_job->ca, clo_read_var(&r, CLO_DOCUMENT_MAX));
    clo_put_span(&out_job->envelope, clo_read_var(&r, CLO_DOCUMENT_MAX));
    memcpy(out_job->manifest, manifest, sizeof out_job->manifest);
    CLO_TRY(clo_buf_check(&out_job->ca));
    CLO_TRY(clo_buf_check(&out_job->envelope));
    return clo_reader_finish(&r, "a job record");
}

clo_status clo_job_record_put(clo_store *store, const clo_job_record *job)
{
    CLO_AUTO(clo_buf) value = CLO_BUF_INIT;
    clo_put_u64be(&value, job->epoch);
    clo_put_u32be(&value, job->seen.min_evaluation);
    clo_put_u64be(&value, job->seen.min_crl_number);
    clo_put_u64be(&value, (uint64_t)job->seen.min_issue);
    clo_put_bytes(&value, job->seen_root, sizeof job->seen_root);
    clo_put_u8(&value, job->seen_others);
    clo_put_var(&value, clo_buf_span(&job->ca));
    clo_put_var(&value, clo_buf_span(&job->envelope));
    CLO_TRY(clo_buf_check(&value));
    return clo_store_put(store, CLO_RECORD_JOB, CLO_SPAN_OF(job->manifest), CLO_SPAN_EMPTY,
                         clo_buf_span(&value));
}

/* ---- slots */

static void slot_id(const uint8_t manifest[32], clo_role role, uint32_t slot,
                    uint8_t out_id[JOB_ID_SIZE])
{
    memcpy(out_id, manifest, 32);
    out_id[32] = (uint8_t)role;
    out_id[33] = (uint8_t)(slot >> 24);
    out_id[34] = (uint8_t)(slot >> 16);
    out_id[35] = (uint8_t)(slot >> 8);
    out_id[36] = (uint8_t)slot;
}

clo_status clo_slot_record_parse(clo_span value, clo_slot_record *out_slot)
{
    clo_slot_record slot = {.held = false};
    clo_reader r = clo_reader_of(value);
    clo_read_copy(&r, slot.manifest, sizeof slot.manifest);
    slot.row.role = (clo_role)clo_read_u8(&r);
    slot.row.slot = clo_read_u32be(&r);
    slot.row.incarnation = clo_read_u64be(&r);
    clo_read_copy(&r, slot.row.key_id, sizeof slot.row.key_id);
    clo_read_copy(&r, slot.row.platform_id, sizeof slot.row.platform_id);
    clo_read_copy(&r, slot.row.measurement, sizeof slot.row.measurement);
    slot.held = clo_read_u8(&r) != 0;
    slot.lease_until = (int64_t)clo_read_u64be(&r);
    clo_read_copy(&r, slot.session, sizeof slot.session);
    clo_read_copy(&r, slot.evidence, sizeof slot.evidence);
    CLO_TRY(clo_reader_finish(&r, "a slot record"));
    *out_slot = slot;
    return CLO_STATUS_OK;
}

clo_status clo_slot_record_get(clo_store *store, const uint8_t manifest[32], clo_role role,
                               uint32_t slot, clo_slot_record *out_slot)
{
    CLO_AUTO(clo_buf) value = CLO_BUF_INIT;
    uint8_t id[JOB_ID_SIZE];
    slot_id(manifest, role, slot, id);
    CLO_TRY(clo_store_get(store, CLO_RECORD_SLOT, CLO_SPAN_OF(id), &value));
    return clo_slot_record_parse(clo_buf_span(&value), out_slot);
}

clo_status clo_slot_record_put(clo_store *store, const clo_slot_record *slot)
{
    CLO_AUTO(clo_buf) value = CLO_BUF_INIT;
    const clo_roster_row *row = &slot->row;
    uint8_t id[JOB_ID_SIZE];
    clo_put_bytes(&value, slot->manifest, sizeof slot->manifest);
    clo_put_u8(&value, (uint8_t)row->role);
    clo_put_u32be(&value, row->slot);
    clo_put_u64be(&value, row->incarnation);
    clo_put_bytes(&value, row->key_id, sizeof row->key_id);
    clo_put_bytes(&value, row->platform_id, sizeof row->platform_id);
    clo_put_bytes(&value, row->measurement, sizeof row->measurement);
    clo_put_u8(&value, slot->held);
    clo_put_u64be(&value, (uint64_t)slot->lease_until);
    clo_put_bytes(&value, slot->session, sizeof slot->session);
    clo_put_bytes(&value, slot->evidence, sizeof slot->evidence);
    CLO_TRY(clo_buf_check(&value));
    slot_id(slot->manifest, row->role, row->slot, id);
    return clo_store_put(store, CLO_RECORD_SLOT, CLO_SPAN_OF(id), CLO_SPAN_OF(slot->manifest),
                         clo_buf_span(&value));
}

/* ---- policies and approvals */

static clo_status policy_id(const uint8_t key_id[16], uint64_t version, clo_buf *out)
{
    clo_put_bytes(out, key_id, 16);
    clo_put_u64be(out, version);
    return clo_buf_check(out);
}

clo_status clo_policy_record_get(clo_store *store, const uint8_t key_id[16], uint64_t version,
                                 uint8_t out_digest[32], clo_buf *out_envelope)
{
    CLO_AUTO(clo_buf) id = CLO_BUF_LIMIT(32);
    CLO_AUTO(clo_buf) value = CLO_BUF_INIT;
    CLO_TRY(policy_id(key_id, version, &id));
    CLO_TRY(clo_store_get(store, CLO_RECORD_POLICY, clo_buf_span(&id), &value));
    clo_reader r = clo_reader_of(clo_buf_span(&value));
    clo_read_copy(&r, out_digest, 32);
    clo_put_span(out_envelope, clo_read_span(&r, clo_reader_left(&r)));
    CLO_TRY(clo_reader_finish(&r, "a policy record"));
    return clo_buf_check(out_envelope);
}

clo_status clo_policy_record_put(clo_store *store, const clo_policy *policy, clo_span envelope)
{
    CLO_AUTO(clo_buf) id = CLO_BUF_LIMIT(32);
    CLO_AUTO(clo_buf) value = CLO_BUF_INIT;
    CLO_TRY(policy_id(policy->key_id, policy->version, &id));
    clo_put_bytes(&value, policy->digest, sizeof policy->digest);
    clo_put_span(&value, envelope);
    CLO_TRY(clo_buf_check(&value));
    return clo_store_put(store, CLO_RECORD_POLICY, clo_buf_span(&id), CLO_SPAN_OF(policy->key_id),
                         clo_buf_span(&value));
}

static void pair_id(const uint8_t manifest[32], const uint8_t key_id[16], uint8_t out_id[PAIR_SIZE])
{
    memcpy(out_id, manifest, 32);
    memcpy(out_id + 32, key_id, 16);
}

clo_status clo_approval_record_get(clo_store *store, const uint8_t manifest[32],
                                   const uint8_t key_id[16], clo_buf *out_envelope)
{
    uint8_t id[PAIR_SIZE];
    pair_id(manifest, key_id, id);
    return clo_store_get(store, CLO_RECORD_APPROVAL, CLO_SPAN_OF(id), out_envelope);
}

clo_status clo_approval_record_put(clo_store *store, const clo_approval *approval,
                                   clo_span envelope)
{
    uint8_t id[PAIR_SIZE];
    pair_id(approval->manifest, approval->key_id, id);
    return clo_store_put(store, CLO_RECORD_APPROVAL, CLO_SPAN_OF(id),
                         CLO_SPAN_OF(approval->manifest), envelope);
}

/* ---- counters */

static clo_span counter_id(const uint8_t *manifest, const uint8_t key_id[16], uint8_t id[PAIR_SIZE])
{
    if (manifest == NULL) {
        return CLO_SPAN(key_id, 16);
    }
    pair_id(manifest, key_id, id);
    return CLO_SPAN(id, PAIR_SIZE);
}

clo_status clo_counter_get(clo_store *store, const uint8_t *manifest, const uint8_t key_id[16],
                           uint64_t *out_count)
{
    CLO_AUTO(clo_buf) value = CLO_BUF_INIT;
    uint8_t id[PAIR_SIZE];
    clo_status status =
        clo_store_get(store, CLO_RECORD_COUNTER, counter_id(manifest, key_id, id), &value);
    if (status.code == CLO_NOTFOUND) {
        *out_count = 0;
        return CLO_STATUS_OK;
    }
    CLO_TRY(status);
    clo_reader r = clo_reader_of(clo_buf_span(&value));
    *out_count = clo_read_u64be(&r);
    return clo_reader_finish(&r, "a counter");
}

clo_status clo_counter_add(clo_store *store, const uint8_t *manifest, const uint8_t key_id[16])
{
    CLO_AUTO(clo_buf) value = CLO_BUF_INIT;
    uint8_t id[PAIR_SIZE];
    uint64_t count = 0;
    CLO_TRY(clo_counter_get(store, manifest, key_id, &count));
    clo_put_u64be(&value, count + 1);
    CLO_TRY(clo_buf_check(&value));
    return clo_store_put(store, CLO_RECORD_COUNTER, counter_id(manifest, key_id, id),
                         CLO_SPAN_EMPTY, clo_buf_span(&value));
}
