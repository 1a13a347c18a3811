/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whom the gates of the two listeners let in.
 *
 * Slots: at the gate the broker has the peer's claim to a manifest, but not the manifest, so the
 * expectation is what any living policy could allow: the union of their conditions, with the
 * policies first whose owner approved this manifest. It keeps programs out that no owner ever
 * named; what the slot may have is decided at its requests, by each policy exactly, with the reason
 * told.
 *
 * Owners: an Ed25519 key that is pinned in the store, which is asked at each connection, so that an
 * owner who was pinned a moment ago is let in. The gate asks before it makes evidence: whoever is
 * not pinned costs a handshake and a look-up.
 */
#include "broker_state.h"

#include <string.h>

/* Appends `item` to a list unless it is there or the list is full. */
static void add_item(void *items, uint32_t *count, uint32_t max, const void *item, size_t size)
{
    uint8_t *bytes = items;
    for (uint32_t i = 0; i < *count; i++) {
        if (memcmp(bytes + i * size, item, size) == 0) {
            return;
        }
    }
    if (*count < max) {
        memcpy(bytes + *count * size, item, size);
        (*count)++;
    }
}

#define ADD_ALL(into, from, list, number)                                                          \
    do {                                                                                           \
        for (uint32_t add_i = 0; add_i < (from)->number; add_i++) {                                \
            add_item((into)->list, &(into)->number, sizeof((into)->list) / sizeof(*(into)->list),  \
                     &(from)->list[add_i], sizeof(*(into)->list));                                 \
        }                                                                                          \
    } while (0)

/* `first`: nothing was merged yet, so restrictions begin with this one's. */
static void merge(const clo_appraisal *from, bool first, clo_appraisal *into)
{
    bool any_platform = !first && into->platform_count == 0;
    ADD_ALL(into, from, tees, tee_count);
    ADD_ALL(into, from, measurements, measurement_count);
    ADD_ALL(into, from, signers, signer_count);
    ADD_ALL(into, from, tcb_statuses, tcb_status_count);
    ADD_ALL(into, from, advisories, advisory_count);
    if (any_platform || from->platform_count == 0) {
        into->platform_count = 0;
    } else {
        ADD_ALL(into, from, platforms, platform_count);
    }
    if (first || from->min_evaluation < into->min_evaluation) {
        into->min_evaluation = from->min_evaluation;
    }
    bool any_age = from->max_collateral_age_s == 0 || (!first && into->max_collateral_age_s == 0);
    if (any_age) {
        into->max_collateral_age_s = 0;
    } else if (from->max_collateral_age_s > into->max_collateral_age_s) {
        into->max_collateral_age_s = from->max_collateral_age_s;
    }
    into->insecure_allow_debug |= from->insecure_allow_debug;
}

/* Platforms beyond the list's size must not shut out what a policy allows: then any may pass here.
 */
static void add_policy(const clo_policy *policy, bool first, clo_expectation *expectation)
{
    clo_appraisal *into = &expectation->appraisal;
    merge(&policy->appraisal, first, into);
    if (into->platform_count == CLO_MAX_LIST) {
        into->platform_count = 0;
    }
    for (uint32_t i = 0; i < policy->anchor_count; i++) {
        add_item(expectation->anchors, &expectation->anchor_count, CLO_MAX_ANCHORS - 1,
                 &policy->anchors[i], sizeof policy->anchors[i]);
    }
}

static clo_status is_approved(clo_broker *broker, const uint8_t manifest[32],
                              const uint8_t key_id[16], bool *out_approved)
{
    CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
    clo_status status = clo_approval_record_get(broker->store, manifest, key_id, &envelope);
    *out_approved = clo_ok(status);
    return status.code == CLO_NOTFOUND ? CLO_STATUS_OK : status;
}

/* One pass over the keys: those with an approval for the manifest, or those without. */
static clo_status add_policies(clo_broker *broker, const uint8_t manifest[32], bool approved,
                               clo_span keys, clo_expectation *expectation, uint32_t *count)
{
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    clo_policy *policy = clo_arena_alloc(&arena, sizeof *policy);
    CLO_CHECK(policy != NULL, CLO_NOMEM, "no memory for a policy");
    clo_reader r = clo_reader_of(keys);
    while (clo_reader_left(&r) > 0) {
        clo_key_record key;
        bool matches;
        clo_span id = clo_read_var(&r, UINT32_MAX);
        clo_span value = clo_read_var(&r, UINT32_MAX);
        CLO_TRY(clo_reader_check(&r, "the keys"));
        CLO_TRY(clo_key_record_parse(id, value, &key));
        CLO_TRY(is_approved(broker, manifest, key.id, &matches));
        if (key.revoked || key.version == 0 || matches != approved) {
            continue;
        }
        CLO_TRY(clo_release_policy(broker, &key, policy));
        add_policy(policy, *count == 0, expectation);
        (*count)++;
    }
    return CLO_STATUS_OK;
}

static clo_status expect_any_policy(clo_broker *broker, const clo_hello *hello,
                                    clo_expectation *expectation)
{
    CLO_AUTO(clo_buf) keys = CLO_BUF_INIT;
    uint32_t count = 0;
    CLO_TRY(clo_store_list(broker->store, CLO_RECORD_KEY, NULL, &keys));
    clo_span entries = clo_buf_span(&keys);
    CLO_TRY(add_policies(broker, hello->manifest, true, entries, expectation, &count));
    CLO_TRY(add_policies(broker, hello->manifest, false, entries, expectation, &count));
    CLO_CHECK(count > 0, CLO_POLICY, "no owner has stored a policy yet");
    expectation->anchors[expectation->anchor_count++] = CLO_ANCHOR_INTEL_SGX;
    return CLO_STATUS_OK;
}

static clo_status expect_slot(void *arg, const clo_hello *hello, clo_expectation *out_expectation)
{
    clo_broker *broker = arg;
    bool is_slot_role = hello->role == CLO_ROLE_TRAINER || hello->role == CLO_ROLE_EVALUATOR;
    CLO_CHECK(is_slot_role, CLO_POLICY, "peer is a %s, which is no role of a slot",
              clo_role_name(hello->role));
    *out_expectation = (clo_expectation){.role = hello->role, .slot = CLO_SLOT_NONE};
    clo_mutex_lock(broker->lock);
    clo_status status = expect_any_policy(broker, hello, out_expectation);
    clo_mutex_unlock(broker->lock);
    return status;
}

static clo_status expect_owner(void *arg, const clo_hello *hello, clo_expectation *out_expectation)
{
    (void)arg;
    (void)hello;
    *out_expectation = (clo_expectation){.role = CLO_ROLE_OWNER, .slot = CLO_SLOT_NONE};
    return CLO_STATUS_OK;
}

static clo_status admit_owner(void *arg, const clo_peer *peer, const clo_cert *cert)
{
    CLO_AUTO_PTR(clo_key) key = NULL;
    clo_broker *broker = arg;
    clo_owner_record owner;
    char id[65];
    CLO_TRY(clo_cert_public_key(cert, &key));
    CLO_CHECK(clo_key_get_kind(key) == CLO_KEY_ED25519, CLO_POLICY,
              "an owner shows an Ed25519 key");
    clo_mutex_lock(broker->lock);
    clo_status status = clo_owner_record_get(broker->store, peer->key_id, &owner);
    clo_mutex_unlock(broker->lock);
    clo_hex_encode(CLO_SPAN_OF(peer->key_id), id);
    CLO_CHECK(status.code != CLO_NOTFOUND, CLO_POLICY, "no owner with the key %s is pinned", id);
    return status;
}

clo_channel_rules clo_admission_slots(clo_broker *broker)
{
    return (clo_channel_rules){
        .peer_class = CLO_PEER_ATTESTED,
        .expect = expect_slot,
        .arg = broker,
    };
}

clo_channel_rules clo_admission_owners(clo_broker *broker)
{
    return (clo_channel_rules){
        .peer_class = CLO_PEER_KEYED,
        .expect = expect_owner,
        .admit = admit_owner,
        .arg = broker,
    };
}
