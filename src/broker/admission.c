/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whom the gates of the two listeners let in.
 *
 * Slots: at the gate the broker has the peer's claim to a manifest, but not the manifest, so the
 * expectation is what any living policy could allow: the union of their conditions. It keeps
 * programs out that no owner ever named; what the slot may have is decided at its requests, by each
 * policy exactly, with the reason told.
 *
 *     start, put-policy, revoke: clo_admission_prepare   every policy opened, union made
 *     commit or rollback:        clo_admission_settle    union taken, or dropped
 *     HELLO of a slot:           a copy of the union
 *
 * So a peer that has shown no evidence costs neither the store's lock nor a signature. A policy
 * that would not fit into the union is refused when its owner puts it: dropping a condition here
 * would shut out honest jobs.
 *
 * Owners: an Ed25519 key that is pinned in the store, which is asked at each connection, so that an
 * owner who was pinned a moment ago is let in. The gate asks before it makes evidence: whoever is
 * not pinned costs a handshake and a look-up.
 */
#include "broker_state.h"

#include <stddef.h>
#include <string.h>

/* The lists of an appraisal whose members only allow: unions of them are unions of what is allowed.
 * Platforms are not among them: an empty list of those allows any. */
typedef struct {
    const char *name;
    size_t items, item_size, count;
    uint32_t max;
} list_row;

#define LIST(name, list, number)                                                                   \
    {                                                                                              \
        name, offsetof(clo_appraisal, list), sizeof(*((clo_appraisal *)0)->list),                  \
            offsetof(clo_appraisal, number),                                                       \
            sizeof(((clo_appraisal *)0)->list) / sizeof(*((clo_appraisal *)0)->list)               \
    }

static const list_row lists[] = {
    LIST("kinds of TEE", tees, tee_count),
    LIST("measurements", measurements, measurement_count),
    LIST("signers", signers, signer_count),
    LIST("TCB statuses", tcb_statuses, tcb_status_count),
    LIST("advisories", advisories, advisory_count),
};

/* Appends `item` unless it is there. False: the list is full. */
static bool add_item(void *items, uint32_t *count, uint32_t max, const void *item, size_t size)
{
    uint8_t *bytes = items;
    for (uint32_t i = 0; i < *count; i++) {
        if (memcmp(bytes + i * size, item, size) == 0) {
            return true;
        }
    }
    if (*count == max) {
        return false;
    }
    memcpy(bytes + *count * size, item, size);
    (*count)++;
    return true;
}

static clo_status merge_list(const list_row *row, const clo_appraisal *from, clo_appraisal *into)
{
    const uint8_t *items = (const uint8_t *)from + row->items;
    uint32_t number = *(const uint32_t *)((const uint8_t *)from + row->count);
    uint32_t *count = (uint32_t *)((uint8_t *)into + row->count);
    for (uint32_t i = 0; i < number; i++) {
        bool added = add_item((uint8_t *)into + row->items, count, row->max,
                              items + i * row->item_size, row->item_size);
        CLO_CHECK(added, CLO_LIMIT, "the policies of all keys together name more than %u %s",
                  row->max, row->name);
    }
    return CLO_STATUS_OK;
}

/* Empty: any. More than fit must not shut out what a policy allows: then any may pass here. */
static void merge_platforms(const clo_appraisal *from, bool first, clo_appraisal *into)
{
    bool any = from->platform_count == 0 || (!first && into->platform_count == 0);
    for (uint32_t i = 0; i < from->platform_count && !any; i++) {
        any = !add_item(into->platforms, &into->platform_count, CLO_MAX_LIST, from->platforms[i],
                        sizeof from->platforms[i]);
    }
    into->platform_count = any ? 0 : into->platform_count;
}

/* `first`: nothing was merged yet, so restrictions begin with this one's. */
static void merge_limits(const clo_appraisal *from, bool first, clo_appraisal *into)
{
    bool any_age = from->max_collateral_age_s == 0 || (!first && into->max_collateral_age_s == 0);
    if (first || from->min_evaluation < into->min_evaluation) {
        into->min_evaluation = from->min_evaluation;
    }
    if (any_age) {
        into->max_collateral_age_s = 0;
    } else if (from->max_collateral_age_s > into->max_collateral_age_s) {
        into->max_collateral_age_s = from->max_collateral_age_s;
    }
    into->insecure_allow_debug |= from->insecure_allow_debug;
}

/* One place is kept for the built-in anchor. */
static clo_status add_policy(const clo_policy *policy, clo_gate *gate)
{
    bool first = gate->policies == 0;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        CLO_TRY(merge_list(&lists[i], &policy->appraisal, &gate->appraisal));
    }
    merge_platforms(&policy->appraisal, first, &gate->appraisal);
    merge_limits(&policy->appraisal, first, &gate->appraisal);
    for (uint32_t i = 0; i < policy->anchor_count; i++) {
        bool added = add_item(gate->anchors, &gate->anchor_count, CLO_MAX_ANCHORS - 1,
                              &policy->anchors[i], sizeof policy->anchors[i]);
        CLO_CHECK(added, CLO_LIMIT, "the policies of all keys together name more than %d anchors",
                  CLO_MAX_ANCHORS - 1);
    }
    gate->policies++;
    return CLO_STATUS_OK;
}

static clo_status add_policies(clo_broker *broker, clo_span keys, clo_gate *gate)
{
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    clo_policy *policy = clo_arena_alloc(&arena, sizeof *policy);
    CLO_CHECK(policy != NULL, CLO_NOMEM, "no memory for a policy");
    clo_reader r = clo_reader_of(keys);
    while (clo_reader_left(&r) > 0) {
        clo_key_record key;
        clo_span id = clo_read_var(&r, UINT32_MAX);
        clo_span value = clo_read_var(&r, UINT32_MAX);
        CLO_TRY(clo_reader_check(&r, "the keys"));
        CLO_TRY(clo_key_record_parse(id, value, &key));
        if (!key.revoked && key.version > 0) {
            CLO_TRY(clo_release_policy(broker, &key, policy));
            CLO_TRY(add_policy(policy, gate));
        }
    }
    return CLO_STATUS_OK;
}

clo_status clo_admission_prepare(clo_broker *broker)
{
    CLO_AUTO(clo_buf) keys = CLO_BUF_INIT;
    broker->next_gate = (clo_gate){.policies = 0};
    CLO_TRY(clo_store_list(broker->store, CLO_RECORD_KEY, NULL, &keys));
    CLO_TRY(add_policies(broker, clo_buf_span(&keys), &broker->next_gate));
    broker->gate_changes = true;
    return CLO_STATUS_OK;
}

void clo_admission_settle(clo_broker *broker, bool committed)
{
    if (broker->gate_changes && committed) {
        clo_mutex_lock(broker->gate_lock);
        broker->gate = broker->next_gate;
        clo_mutex_unlock(broker->gate_lock);
    }
    broker->gate_changes = false;
}

static clo_status expect_slot(void *arg, const clo_hello *hello, clo_expectation *out_expectation)
{
    clo_broker *broker = arg;
    bool is_slot_role = hello->role == CLO_ROLE_TRAINER || hello->role == CLO_ROLE_EVALUATOR;
    CLO_CHECK(is_slot_role, CLO_POLICY, "peer is a %s, which is no role of a slot",
              clo_role_name(hello->role));
    *out_expectation = (clo_expectation){.role = hello->role, .slot = CLO_SLOT_NONE};
    clo_mutex_lock(broker->gate_lock);
    uint32_t policies = broker->gate.policies;
    out_expectation->appraisal = broker->gate.appraisal;
    out_expectation->anchor_count = broker->gate.anchor_count;
    memcpy(out_expectation->anchors, broker->gate.anchors, sizeof broker->gate.anchors);
    clo_mutex_unlock(broker->gate_lock);
    CLO_CHECK(policies > 0, CLO_POLICY, "no owner has stored a policy yet");
    CLO_CHECK(hello->build == CLO_BUILD_RELEASE || out_expectation->anchor_count > 0, CLO_POLICY,
              "peer is a development build, which can simulate, and no policy names a simulator");
    out_expectation->anchors[out_expectation->anchor_count++] = CLO_ANCHOR_INTEL_SGX;
    return CLO_STATUS_OK;
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
