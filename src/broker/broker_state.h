/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_BROKER_STATE_H
#define CLO_BROKER_STATE_H

/*
 * broker_state: what a running broker is, and what its files offer each other.
 *
 *     serve.c      listeners, connections, threads
 *        |-- admission.c   whom the gates let in
 *        |-- refusals.c    what the audit log tells of who was refused
 *        '-- dispatch.c    one request: transaction, handler, audit, answer
 *               |-- owner_ops.c   commands of owners
 *               '-- slot_ops.c    requests of slots
 *                      |-- release.c   a case for the decision, from the store
 *                      |-- leases.c    slots and rosters
 *                      '-- ca.c        jobs and their certificates
 *
 * Invariants:
 *   - `lock` is held around every use of the store, and never around a wait for the network or the
 *     maker of evidence. `gate_lock` is held for a copy, alone or within `lock`.
 *   - A request's effects are one transaction; its answer leaves after the commit.
 *
 * Threads: a clo_broker is shared by all connection threads; a clo_caller belongs to one.
 */
#include "cloister/kms_protocol.h"

#include "audit.h"
#include "decision.h"
#include "records.h"

/* The union of all living policies' conditions: what the slots' gate demands (admission.c). */
typedef struct {
    uint32_t policies; /* merged; 0: nobody passes */
    clo_appraisal appraisal;
    clo_anchor anchors[CLO_MAX_ANCHORS];
    uint32_t anchor_count;
} clo_gate;

/* Refusals that have no entry of their own in the audit log (refusals.c). */
typedef struct {
    uint64_t at_gate;   /* since the last entry that tells the counts */
    uint64_t beyond;    /* requests, beyond those that are written each */
    char last[256];     /* the last one at a gate, and why */
    int64_t entry_ms;   /* the next entry comes no sooner */
    int64_t minute_ms;  /* since then ... */
    uint32_t in_minute; /* ... requests whose refusals were written */
} clo_refusals;

typedef struct {
    clo_store *store;
    clo_key *identity;
    clo_public_key identity_public;
    clo_key *tls_key; /* of the connections; its certificate is issued by the identity */
    clo_cert *tls_cert;
    uint32_t insecure_flags;
    clo_maker *maker;
    clo_mutex *maker_lock;
    clo_mutex *lock;
    clo_gate next_gate; /* of the transaction that runs, when gate_changes */
    bool gate_changes;
    clo_mutex *gate_lock;
    clo_gate gate;         /* under gate_lock */
    clo_refusals refusals; /* under gate_lock */
} clo_broker;

/* One connection, as its requests see it. */
typedef struct {
    clo_broker *broker;
    const clo_peer *peer;
    uint8_t session[32];
    uint64_t counter;         /* of the last request answered */
    uint8_t last_request[32]; /* its digest, and ... */
    clo_buf last_answer;      /* ... the answer it got, for a retry; secret if it has keys */
    clo_public_key peer_key;  /* slots: of the connection; set at enrolment */
    bool enrolled;            /* slots */
    uint32_t slot;
    uint32_t lease_s;
    uint8_t refused_owner[32]; /* whom a refusal concerns; zero: nobody */
} clo_caller;

void clo_caller_init(clo_broker *broker, const clo_peer *peer, const uint8_t session[32],
                     clo_caller *out_caller);
void clo_caller_cleanup(clo_caller *caller);

/* ---- dispatch.c */

/* Handles one message; the answer is borrowed from the caller until its next message. A status
 * other than CLO_OK ends the connection. */
clo_status clo_dispatch(clo_caller *caller, clo_span message, clo_span *out_answer);

/* ---- owner_ops.c, slot_ops.c: one handler an operation, each in a transaction */

typedef clo_status (*clo_handler)(clo_caller *caller, const uint8_t request_id[32], clo_span body,
                                  clo_buf *out_body);

clo_status clo_op_identity(clo_caller *caller, const uint8_t *request_id, clo_span body,
                           clo_buf *out_body); /* outside the transaction: makes evidence */
clo_status clo_op_make_key(clo_caller *caller, const uint8_t *request_id, clo_span body,
                           clo_buf *out_body);
clo_status clo_op_put_policy(clo_caller *caller, const uint8_t *request_id, clo_span body,
                             clo_buf *out_body);
clo_status clo_op_get_policy(clo_caller *caller, const uint8_t *request_id, clo_span body,
                             clo_buf *out_body);
clo_status clo_op_owner_file_keys(clo_caller *caller, const uint8_t *request_id, clo_span body,
                                  clo_buf *out_body);
clo_status clo_op_approve(clo_caller *caller, const uint8_t *request_id, clo_span body,
                          clo_buf *out_body);
clo_status clo_op_revoke(clo_caller *caller, const uint8_t *request_id, clo_span body,
                         clo_buf *out_body);
clo_status clo_op_audit(clo_caller *caller, const uint8_t *request_id, clo_span body,
                        clo_buf *out_body);
clo_status clo_op_enrol(clo_caller *caller, const uint8_t *request_id, clo_span body,
                        clo_buf *out_body);
clo_status clo_op_roster(clo_caller *caller, const uint8_t *request_id, clo_span body,
                         clo_buf *out_body);
clo_status clo_op_renew(clo_caller *caller, const uint8_t *request_id, clo_span body,
                        clo_buf *out_body);
clo_status clo_op_slot_file_keys(clo_caller *caller, const uint8_t *request_id, clo_span body,
                                 clo_buf *out_body);
clo_status clo_op_recipients(clo_caller *caller, const uint8_t *request_id, clo_span body,
                             clo_buf *out_body);
clo_status clo_op_leave(clo_caller *caller, const uint8_t *request_id, clo_span body,
                        clo_buf *out_body);

/* ---- release.c */

/* Decides for one key of the caller's job: at enrolment (header NULL) or for a file. CLO_DENIED
 * with the condition's name; the owner concerned is noted in the caller. */
clo_status clo_release_decide(clo_caller *caller, const clo_manifest *manifest, uint32_t slot,
                              const uint8_t key_id[16], const clo_seal_header *header);
/* The newest policy of a key, opened. CLO_NOTFOUND when there is none. */
clo_status clo_release_policy(clo_broker *broker, const clo_key_record *key,
                              clo_policy *out_policy);
/* The file key of exactly these header bytes, under the key record of that id, appended to a buffer
 * of secret memory. */
clo_status clo_release_file_key(clo_broker *broker, const uint8_t key_id[16], clo_span header,
                                clo_buf *out);

/* ---- leases.c */

/* Takes the slot, or resumes it for the key that holds it. CLO_EXISTS when another key holds it.
 * `job` gets a new epoch when the holder changes, and is stored then. */
clo_status clo_lease_take(clo_caller *caller, const clo_manifest *manifest, uint32_t slot,
                          clo_job_record *job, clo_slot_record *out_slot);
/* The caller's slot, with its lease renewed. CLO_DENIED when it was fenced or evicted. */
clo_status clo_lease_renew(clo_caller *caller, clo_slot_record *out_slot);
clo_status clo_lease_leave(clo_caller *caller);
/* Raises the job's collateral floors by the caller's newest evidence. Within an epoch they may only
 * rise: the rows stay the same. */
clo_status clo_lease_note_evidence(clo_caller *caller, clo_job_record *job);
/* Evicts every slot of every job whose manifest uses the key. */
clo_status clo_lease_evict_key(clo_broker *broker, const uint8_t key_id[16]);
/* The signed roster of a job as it is now, appended. */
clo_status clo_lease_roster(clo_broker *broker, const clo_manifest *manifest,
                            const clo_job_record *job, clo_buf *out_envelope);

/* ---- ca.c */

/* The job of a manifest, made at its first enrolment: CA, data key for checkpoints, epoch 0. */
clo_status clo_ca_job(clo_broker *broker, const clo_manifest *manifest, clo_span envelope,
                      clo_job_record *out_job);
/* A certificate for the caller's connection key, DER, appended. */
clo_status clo_ca_leaf(clo_caller *caller, const clo_manifest *manifest, const clo_job_record *job,
                       const clo_slot_record *slot, clo_buf *out_der);

/* ---- admission.c */

clo_channel_rules clo_admission_slots(clo_broker *broker);
clo_channel_rules clo_admission_owners(clo_broker *broker);
/* Makes the union anew from the store, in a transaction that changed a policy or a key. CLO_LIMIT
 * when the policies do not fit together. */
clo_status clo_admission_prepare(clo_broker *broker);
/* The transaction has ended: what it prepared, if anything, holds from now on, or is dropped. */
void clo_admission_settle(clo_broker *broker, bool committed);

/* ---- refusals.c */

/* A slot's request was refused, outside of a transaction and under the lock. Owners' requests leave
 * no entry: they are the owner's own. */
clo_status clo_refusal_audit(clo_caller *caller, const clo_op_row *op, const char *reason,
                             const uint8_t *request_id);
/* Counts; does not wait for the store. */
void clo_refusal_at_gate(clo_broker *broker, const char *listener, const clo_address *peer,
                         const char *reason);
/* Writes the counts, if there are any and the last entry is a minute old, or it is the end. */
void clo_refusal_report(clo_broker *broker, bool at_end);

/* ---- serve.c */

clo_status clo_serve(clo_broker *broker, const clo_broker_options *options);

#endif
