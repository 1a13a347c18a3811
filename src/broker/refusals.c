/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Refusals in the audit log, bounded, because whoever is refused may be anybody.
 *
 *     at a gate      a stranger's: counted; one entry a minute at most, with count and last reason
 *     of a request   an attested slot's: one entry for each owner it concerns, or one that is
 *                    nobody's; beyond REFUSALS_A_MINUTE they are counted too
 *
 * So a stranger makes the log grow by a line a minute, and whoever runs an allowed program by
 * REFUSALS_A_MINUTE requests' entries. What was not written one by one is still counted.
 */
#include "broker_state.h"

#include <stdio.h>
#include <string.h>

#define MINUTE_MS         60000
#define REFUSALS_A_MINUTE 60

/* A reason may quote a peer, and may have been cut within a character: an entry that is no UTF-8
 * would not be written at all. */
static void put_plain(const char *reason, char *out, size_t size)
{
    snprintf(out, size, "%s", reason);
    for (; *out != '\0'; out++) {
        *out = (char)(*out >= ' ' && *out <= '~' ? *out : '?');
    }
}

static clo_status add_in_transaction(clo_store *store, const clo_audit_entry *entries, size_t count)
{
    clo_status status = clo_store_begin(store);
    for (size_t i = 0; i < count && clo_ok(status); i++) {
        status = clo_audit_add(store, &entries[i]);
    }
    if (clo_ok(status)) {
        status = clo_store_commit(store);
    }
    if (!clo_ok(status)) {
        clo_store_rollback(store);
    }
    return status;
}

/* ---- requests */

static bool may_write(clo_broker *broker)
{
    clo_refusals *r = &broker->refusals;
    int64_t now = clo_clock_ms();
    clo_mutex_lock(broker->gate_lock);
    if (now - r->minute_ms >= MINUTE_MS) {
        r->minute_ms = now;
        r->in_minute = 0;
    }
    bool may = r->in_minute < REFUSALS_A_MINUTE;
    r->in_minute += may;
    r->beyond += !may;
    clo_mutex_unlock(broker->gate_lock);
    return may;
}

typedef struct {
    uint8_t id[16][32];
    size_t count;
} owner_set;

static void add_owner(const uint8_t id[32], owner_set *owners)
{
    for (size_t i = 0; i < owners->count; i++) {
        if (memcmp(owners->id[i], id, 32) == 0) {
            return;
        }
    }
    memcpy(owners->id[owners->count++], id, 32);
}

/* Those whose data an enrolled slot's job uses: it concerns them that a slot of it was fenced. */
static clo_status add_owners_of_job(clo_caller *caller, owner_set *owners)
{
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    CLO_AUTO(clo_job_record) job = CLO_JOB_RECORD_INIT;
    clo_manifest *manifest = clo_arena_alloc(&arena, sizeof *manifest);
    CLO_CHECK(manifest != NULL, CLO_NOMEM, "no memory for a manifest");
    CLO_TRY(clo_job_record_get(caller->broker->store, caller->peer->hello.manifest, &job));
    CLO_TRY(clo_manifest_open(clo_buf_span(&job.envelope), manifest));
    for (uint32_t i = 0; i < manifest->data_count; i++) {
        uint8_t id[32];
        CLO_TRY(clo_public_key_id(&manifest->data[i].owner, id));
        add_owner(id, owners);
    }
    return CLO_STATUS_OK;
}

static clo_status gather_owners(clo_caller *caller, owner_set *owners)
{
    static const uint8_t nobody[32];
    if (memcmp(caller->refused_owner, nobody, sizeof nobody) != 0) {
        add_owner(caller->refused_owner, owners);
    } else if (caller->enrolled) {
        CLO_TRY(add_owners_of_job(caller, owners));
    }
    if (owners->count == 0) {
        add_owner(nobody, owners);
    }
    return CLO_STATUS_OK;
}

clo_status clo_refusal_audit(clo_caller *caller, const clo_op_row *op, const char *reason,
                             const uint8_t *request_id)
{
    clo_audit_entry entries[16];
    owner_set owners = {.count = 0};
    char who[64];
    char plain[CLO_KMS_TEXT_MAX];
    const clo_hello *hello = &caller->peer->hello;
    if (op->keyed || !may_write(caller->broker)) {
        return CLO_STATUS_OK;
    }
    CLO_TRY(gather_owners(caller, &owners));
    put_plain(reason, plain, sizeof plain);
    snprintf(who, sizeof who, "%s, '%s'", clo_role_name(hello->role), op->name);
    for (size_t i = 0; i < owners.count; i++) {
        entries[i] = (clo_audit_entry){
            .kind = "refused",
            .owner = owners.id[i],
            .manifest = hello->manifest,
            .who = who,
            .evidence = caller->peer->evidence_digest,
            .request = request_id,
            .reason = plain,
        };
    }
    return add_in_transaction(caller->broker->store, entries, owners.count);
}

/* ---- gates */

void clo_refusal_at_gate(clo_broker *broker, const char *listener, const clo_address *peer,
                         const char *reason)
{
    clo_refusals *r = &broker->refusals;
    char last[sizeof r->last];
    snprintf(last, sizeof last, "%s at %s: %s", listener, peer->text, reason);
    clo_mutex_lock(broker->gate_lock);
    r->at_gate++;
    put_plain(last, r->last, sizeof r->last);
    clo_mutex_unlock(broker->gate_lock);
}

/* Takes the counts when an entry is due. */
static bool take_counts(clo_broker *broker, bool at_end, clo_refusals *out_taken)
{
    clo_refusals *r = &broker->refusals;
    int64_t now = clo_clock_ms();
    clo_mutex_lock(broker->gate_lock);
    bool due = r->at_gate + r->beyond > 0 && (at_end || now >= r->entry_ms);
    if (due) {
        *out_taken = *r;
        r->at_gate = r->beyond = 0;
        r->entry_ms = now + MINUTE_MS;
    }
    clo_mutex_unlock(broker->gate_lock);
    return due;
}

static void give_back(clo_broker *broker, const clo_refusals *taken)
{
    clo_mutex_lock(broker->gate_lock);
    broker->refusals.at_gate += taken->at_gate;
    broker->refusals.beyond += taken->beyond;
    clo_mutex_unlock(broker->gate_lock);
}

void clo_refusal_report(clo_broker *broker, bool at_end)
{
    clo_refusals taken;
    char reason[CLO_KMS_TEXT_MAX];
    clo_audit_entry entry = {.kind = "gate", .reason = reason};
    if (!take_counts(broker, at_end, &taken)) {
        return;
    }
    snprintf(reason, sizeof reason,
             "%llu refused at the gates, %llu requests refused beyond %d a minute; last at a gate: "
             "%s",
             (unsigned long long)taken.at_gate, (unsigned long long)taken.beyond, REFUSALS_A_MINUTE,
             taken.last);
    clo_mutex_lock(broker->lock);
    clo_status status = add_in_transaction(broker->store, &entry, 1);
    clo_mutex_unlock(broker->lock);
    if (!clo_ok(status)) {
        char text[256];
        clo_status_text(status, text, sizeof text);
        clo_log(CLO_LOG_WARN, "broker", "refusals are not in the audit log yet: %s", text);
        give_back(broker, &taken);
    }
}
