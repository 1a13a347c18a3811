/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_SERVED_RIG_H
#define CLO_SERVED_RIG_H

/*
 * served_rig: a broker served by a thread, an owner with a key, a policy and an approved job, and
 * slots that enrol over loopback, with the simulator's evidence and the real verifier.
 */
#include "broker_rig.h"

#define RIG_DEADLINE clo_deadline_in(15000)

typedef struct {
    char folder[600];
    char root_path[700];
    volatile bool stop;
    volatile bool is_ready;
    char slots[128], owners[128];
    clo_public_key identity;
    clo_maker *maker;
    clo_thread *thread;
} rig_broker;

static inline void rig_ready(void *arg, const char *slots, const char *owners,
                             const clo_public_key *identity)
{
    rig_broker *b = arg;
    snprintf(b->slots, sizeof b->slots, "%s", slots);
    snprintf(b->owners, sizeof b->owners, "%s", owners);
    b->identity = *identity;
    __atomic_store_n(&b->is_ready, true, __ATOMIC_RELEASE);
}

static inline clo_status rig_serve(void *arg)
{
    rig_broker *b = arg;
    clo_broker_options options = {
        .folder = b->folder,
        .root = {"file", b->root_path},
        .slot_address = b->slots[0] != '\0' ? b->slots : "127.0.0.1:0",
        .owner_address = b->owners[0] != '\0' ? b->owners : "127.0.0.1:0",
        .maker = b->maker,
        .insecure_flags = CLO_INSECURE_SIMULATOR,
        .stop = &b->stop,
        .ready = rig_ready,
        .arg = b,
    };
    return clo_broker_serve(&options);
}

/* Again on the same addresses after rig_broker_stop. */
static inline void rig_broker_run(rig_broker *b)
{
    b->stop = false;
    b->is_ready = false;
    rig_must(clo_thread_start(rig_serve, b, "broker", &b->thread), "broker's thread");
    for (int i = 0; i < 1000 && !__atomic_load_n(&b->is_ready, __ATOMIC_ACQUIRE); i++) {
        clo_sleep_ms(10);
    }
    if (!b->is_ready) {
        rig_must(clo_thread_join(b->thread), "the broker did not start");
        abort();
    }
}

/* Beside the running broker, too. */
static inline clo_status rig_pin(const rig_broker *b, const clo_key *owner, const char *name)
{
    clo_broker_root root = {"file", b->root_path};
    clo_public_key public_key = rig_public(owner);
    return clo_broker_add_owner(b->folder, &root, &public_key, name);
}

static inline void rig_broker_start(rig_broker *b)
{
    memset(b, 0, sizeof *b);
    rig_must(clo_dir_make_temp(clo_test_folder(), b->folder, sizeof b->folder), "folder");
    snprintf(b->root_path, sizeof b->root_path, "%s.root", b->folder);
    clo_broker_root root = {"file", b->root_path};
    rig_must(clo_broker_init(b->folder, &root), "init");
    rig_must(rig_pin(b, rig_keys.owner, "fashion house"), "owner");
    b->maker = rig_maker(rig_broker_program);
    rig_broker_run(b);
}

static inline void rig_broker_stop(rig_broker *b)
{
    b->stop = true;
    rig_must(clo_thread_join(b->thread), "broker");
    b->thread = NULL;
}

static inline RIG_UNUSED void rig_broker_end(rig_broker *b)
{
    rig_broker_stop(b);
    clo_maker_close(b->maker);
}

/* ---------------------------------------------------------------- an owner and a job ---------- */

/* A broker with one owner, whose key has a policy; and a job that the owner approved. */
typedef struct {
    rig_broker broker;
    clo_broker_trust trust;
    clo_owner_session *owner;
    uint8_t key_id[16];
    clo_policy policy;
    clo_buf policy_envelope;
    clo_manifest manifest;
    clo_buf manifest_envelope;
    clo_maker *maker; /* of the right program */
    clo_mutex *maker_lock;
} rig_world;

static inline clo_status rig_put_policy(rig_world *w, const clo_policy *policy)
{
    clo_buf_release(&w->policy_envelope);
    CLO_TRY(clo_policy_sign(policy, rig_keys.owner, &w->policy_envelope));
    return clo_owner_put_policy(w->owner, clo_buf_span(&w->policy_envelope), RIG_DEADLINE);
}

/* Signs a manifest and makes it the world's. */
static inline void rig_set_manifest(rig_world *w, const clo_manifest *manifest)
{
    clo_buf_release(&w->manifest_envelope);
    rig_must(clo_manifest_sign(manifest, rig_keys.signer, &w->manifest_envelope), "manifest");
    rig_must(clo_manifest_open(clo_buf_span(&w->manifest_envelope), &w->manifest), "manifest");
}

static inline clo_status rig_approve(rig_world *w)
{
    CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
    clo_approval approval = rig_approval(&w->manifest, w->key_id);
    approval.policy_version = w->policy.version;
    CLO_TRY(clo_approval_sign(&approval, rig_keys.owner, &envelope));
    return clo_owner_approve(w->owner, clo_buf_span(&envelope), RIG_DEADLINE);
}

static inline clo_manifest rig_world_manifest(const rig_world *w)
{
    clo_manifest manifest = rig_manifest(w->key_id);
    manifest.broker = w->trust;
    return manifest;
}

static inline RIG_UNUSED void rig_world_start(rig_world *w)
{
    clo_verdict verdict;
    memset(w, 0, sizeof *w);
    rig_broker_start(&w->broker);
    w->trust = rig_trust();
    rig_must(
        clo_owner_trust(w->broker.owners, rig_keys.owner, NULL, RIG_DEADLINE, &w->trust, &verdict),
        "trust");
    rig_must(
        clo_owner_connect(w->broker.owners, rig_keys.owner, &w->trust, RIG_DEADLINE, &w->owner),
        "owner");
    rig_must(clo_owner_make_key(w->owner, "fashion", RIG_DEADLINE, w->key_id), "key");
    w->policy = rig_policy(w->key_id);
    w->policy.broker = w->trust;
    rig_must(rig_put_policy(w, &w->policy), "policy");
    clo_manifest manifest = rig_world_manifest(w);
    rig_set_manifest(w, &manifest);
    rig_must(rig_approve(w), "approval");
    w->maker = rig_maker(rig_program);
    rig_must(clo_mutex_new(&w->maker_lock), "lock");
}

static inline RIG_UNUSED void rig_world_end(rig_world *w)
{
    clo_owner_close(w->owner);
    rig_broker_end(&w->broker);
    clo_buf_release(&w->policy_envelope);
    clo_buf_release(&w->manifest_envelope);
    clo_maker_close(w->maker);
    clo_mutex_free(w->maker_lock);
}

static inline clo_slot_options rig_slot(const rig_world *w, uint32_t slot)
{
    return (clo_slot_options){
        .broker_address = w->broker.slots,
        .manifest_envelope = clo_buf_span(&w->manifest_envelope),
        .manifest = &w->manifest,
        .role = CLO_ROLE_TRAINER,
        .slot = slot,
        .insecure_flags = CLO_INSECURE_SIMULATOR,
        .maker = w->maker,
        .maker_lock = w->maker_lock,
    };
}

static inline RIG_UNUSED clo_status rig_enrol(const rig_world *w, uint32_t slot,
                                              clo_slot_session **out_session)
{
    clo_slot_options options = rig_slot(w, slot);
    return clo_slot_enrol(&options, RIG_DEADLINE, out_session);
}

/* Whether an enrolment is refused with `code` (CLO_OK: any) and a reason that has `reason` in it.
 */
static inline RIG_UNUSED bool rig_refused(const clo_slot_options *options, int code,
                                          const char *reason)
{
    char text[1024];
    clo_slot_session *session = NULL;
    clo_status status = clo_slot_enrol(options, clo_deadline_in(2000), &session);
    clo_slot_leave(session);
    clo_status_text(status, text, sizeof text);
    bool code_fits = code == CLO_OK ? !clo_ok(status) : status.code == code;
    bool as_expected = code_fits && strstr(text, reason) != NULL;
    if (!as_expected) {
        fprintf(stderr, "# expected %s with '%s', found: %s (%s)\n", clo_code_name(code), reason,
                text, clo_code_name(status.code));
    }
    return as_expected;
}

/* A header under the world's key with this policy envelope. */
static inline RIG_UNUSED void rig_header(const rig_world *w, clo_span policy, clo_buf *out)
{
    clo_seal_header header;
    rig_must(clo_seal_header_init(&header), "header");
    memcpy(header.key_id, w->key_id, sizeof header.key_id);
    header.parts = 1;
    header.key_version = 1;
    header.policy = policy;
    rig_must(clo_seal_header_write(&header, out), "header");
}

#endif
