/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLOISTER_KMS_H
#define CLOISTER_KMS_H

/*
 * kms: what is said between a slot or an owner and the key broker - the signed documents, the
 * protocol, and both clients. The broker itself is the room of that name.
 *
 *     owner  --policy, key, approval-->  broker  <--manifest, evidence--  slot (trainer rank)
 *                                          |----job certificate, roster, file keys---->
 *
 * Documents (JSON in DSSE envelopes; parsed strictly: unknown members are refused):
 *   policy     by the owner: who may use one data key, for what, and to whom outputs go
 *   manifest   by the job's signer: what is run, on which data, by which program
 *   approval   by the owner: joins one manifest with one policy version, with budgets
 *   roster     by the broker: who holds the slots of a job now
 *
 * Invariants:
 *   - A manifest is a claim until an authenticated broker has matched it with the owner's policy.
 *     Its digest is in every hello, certificate, key request, checkpoint and output.
 *   - Policy names keys and conditions, never a manifest's digest; the approval joins them.
 *   - Output recipients come from policies alone; with several owners, the ones all of them name.
 *   - The client of a slot holds file keys, never a data key.
 *
 * Threads: documents are plain data; a session belongs to one thread at a time, except that its
 * rules may run where connections are accepted.
 */
#include "cloister/channel.h"
#include "cloister/seal.h"

#define CLO_POLICY_TYPE   "application/vnd.cloister.policy+json"
#define CLO_MANIFEST_TYPE "application/vnd.cloister.manifest+json"
#define CLO_APPROVAL_TYPE "application/vnd.cloister.approval+json"
#define CLO_ROSTER_TYPE   "application/vnd.cloister.roster+json"

#define CLO_DOCUMENT_MAX CLO_SEAL_POLICY_MAX /* bytes of an envelope */
#define CLO_SPKI_MAX     128
#define CLO_NAME_MAX     64
#define CLO_WORLD_MAX    256

/* A public key inside a document, as SPKI DER. */
typedef struct {
    uint8_t spki[CLO_SPKI_MAX];
    size_t size;
} clo_public_key;

clo_status clo_public_key_of(const clo_key *key, clo_public_key *out_public);
clo_status clo_public_key_load(const clo_public_key *public_key, clo_key **out_key);
bool clo_public_key_equal(const clo_public_key *a, const clo_public_key *b);
/* SHA-256 of the SPKI. */
clo_status clo_public_key_id(const clo_public_key *public_key, uint8_t out_id[32]);

/* Which broker is believed: by identity key, by what its evidence must satisfy, and which of its
 * weaknesses are accepted. Part of policies and manifests, and the owner's trust file. */
typedef struct {
    clo_public_key identity;
    clo_appraisal appraisal;
    clo_anchor anchors[CLO_MAX_ANCHORS]; /* roots named besides the built-in ones */
    uint32_t anchor_count;
    uint32_t insecure_accepted; /* CLO_INSECURE_ bits */
} clo_broker_trust;

/* Whether this build has the simulator; without it no document can name its roots. */
bool clo_simulator_is_built(void);

clo_status clo_broker_trust_parse(const clo_json *object, clo_broker_trust *out_trust);
void clo_broker_trust_json(const clo_broker_trust *trust, clo_json_writer *writer,
                           const char *name);
/* The owner's trust file (JSON): written by `kms trust`, read by every owner command. */
clo_status clo_broker_trust_read(const char *path, clo_broker_trust *out_trust);
clo_status clo_broker_trust_write(const char *path, const clo_broker_trust *trust);

/* ---------------------------------------------------------------- policy ---------------------- */

/* How often metrics may leave in clear, the strictest first: one that is smaller tells less. */
typedef enum {
    CLO_METRICS_NEVER = 0,
    CLO_METRICS_EPOCH, /* "epoch": accuracy and loss over the test set, at an epoch's end */
    CLO_METRICS_STEP   /* "step": besides, the loss of single batches */
} clo_metrics_every;

typedef struct {
    char what[32];            /* "model", "metrics" */
    clo_public_key recipient; /* X25519; unset for metrics */
    clo_metrics_every every;  /* of metrics, and only of those; at most one output is metrics */
} clo_policy_output;

/* Every run shows its accuracy at each epoch's end, so a policy without "metrics" lets none run;
 * one without a "model" that has a recipient lets none run that saves its model. */

typedef struct {
    clo_public_key owner; /* must have signed the envelope */
    char data_set[CLO_NAME_MAX];
    uint8_t key_id[16];
    uint64_t version;     /* 1, 2, ... */
    uint8_t previous[32]; /* digest of version - 1; zero for 1 */
    bool supersede;       /* needed where a newer version loosens */
    clo_broker_trust broker;
    bool need_approval;         /* mode "approved" (default) or "signer" */
    clo_public_key signers[16]; /* who may sign manifests */
    uint32_t signer_count;
    clo_appraisal appraisal;             /* of the slots that ask */
    clo_anchor anchors[CLO_MAX_ANCHORS]; /* "insecure_simulator": {"roots":[hex]} */
    uint32_t anchor_count;
    clo_role roles[CLO_ROLE_COUNT];
    uint32_t role_count;
    char models[16][CLO_NAME_MAX]; /* architecture names */
    uint32_t model_count;
    clo_policy_output outputs[16];
    uint32_t output_count;
    uint64_t max_epochs;
    uint64_t max_releases; /* requests for this key's file keys, over the key's life */
    int64_t until;
    uint8_t digest[32]; /* of the payload; set by open */
} clo_policy;

clo_status clo_policy_sign(const clo_policy *policy, const clo_key *owner, clo_buf *out_envelope);
/* Checks the owner's signature with the key named inside and, when given, that it is `owner`. */
clo_status clo_policy_open(clo_span envelope, const clo_public_key *owner, clo_policy *out_policy);
/* CLO_POLICY if `newer` is not version + 1 of `older`, does not name its digest, or loosens it in
 * any condition without supersede; the message names the condition. */
clo_status clo_policy_check_successor(const clo_policy *older, const clo_policy *newer);
/* CLO_METRICS_NEVER without an output "metrics". */
clo_metrics_every clo_policy_metrics(const clo_policy *policy);

/* ---------------------------------------------------------------- manifest -------------------- */

/* Hyper-parameters, the flags people know from the samples. */
typedef struct {
    uint64_t epochs, batch_size, test_batch_size, seed, log_interval;
    double lr, momentum;
    bool save_model;
    bool check_parameters;     /* hash parameters on all ranks after every step */
    uint64_t checkpoint_steps; /* 0: at epoch ends only */
    uint64_t max_steps;        /* 0: no limit; stops (and checkpoints) after so many */
} clo_train_settings;

#define CLO_TRAIN_SETTINGS_INIT                                                                    \
    ((clo_train_settings){10, 64, 1000, 1, 10, 0.01, 0.5, false, false, 0, 0})

typedef struct {
    char use[16]; /* "train", "test" */
    clo_public_key owner;
    uint8_t key_id[16];
    uint8_t index[32];        /* digest of the index's payload */
    char split[CLO_NAME_MAX]; /* row prefix in the index: "train" -> train/images ... */
    char location[512];       /* path of the index: a hint, the digest decides */
} clo_manifest_data;

typedef struct {
    char job[CLO_NAME_MAX]; /* letters, digits, - : in certificates and logs */
    char model[CLO_NAME_MAX];
    uint32_t world_size;
    uint32_t lease_s; /* of a slot; 10..3600 */
    uint32_t grace_s; /* after the roster expired without a broker */
    clo_broker_trust broker;
    clo_appraisal appraisal; /* of the job's slots, for each other */
    clo_anchor anchors[CLO_MAX_ANCHORS];
    uint32_t anchor_count;
    clo_manifest_data data[16];
    uint32_t data_count;
    clo_train_settings train;
    /* What the command line may change: "log-interval" and "test-batch-size", which no policy and
     * no approval judges; sign and open refuse every other name. */
    char host_may_set[16][32];
    uint32_t host_may_set_count;
    clo_public_key signer; /* must have signed the envelope */
    uint8_t digest[32];    /* of the payload; set by open */
} clo_manifest;

clo_status clo_manifest_sign(const clo_manifest *manifest, const clo_key *signer,
                             clo_buf *out_envelope);
clo_status clo_manifest_open(clo_span envelope, clo_manifest *out_manifest);
const clo_manifest_data *clo_manifest_find_data(const clo_manifest *manifest, const char *use);

/* ---------------------------------------------------------------- approval -------------------- */

typedef struct {
    clo_public_key owner;
    uint8_t manifest[32];
    uint8_t key_id[16];
    uint64_t policy_version;
    uint64_t max_epochs;
    uint64_t max_releases;
    int64_t expires;
} clo_approval;

clo_status clo_approval_sign(const clo_approval *approval, const clo_key *owner,
                             clo_buf *out_envelope);
clo_status clo_approval_open(clo_span envelope, const clo_public_key *owner,
                             clo_approval *out_approval);

/* ---------------------------------------------------------------- roster, job certificates ---- */

typedef struct {
    clo_role role;
    uint32_t slot;
    uint64_t incarnation;
    uint8_t key_id[32];
    uint8_t platform_id[32];
    uint8_t measurement[32];
} clo_roster_row;

#define CLO_ROSTER_LIFETIME_S 1800

typedef struct {
    uint8_t manifest[32];
    uint64_t epoch;
    int64_t issued;
    clo_collateral_floors floors;
    clo_roster_row rows[CLO_WORLD_MAX];
    uint32_t row_count;
} clo_roster;

clo_status clo_roster_sign(const clo_roster *roster, const clo_key *broker, clo_buf *out_envelope);
/* Checks signature, manifest and lifetime at `now`. CLO_POLICY for another manifest or expired. */
clo_status clo_roster_open(clo_span envelope, const clo_public_key *broker,
                           const uint8_t manifest[32], int64_t now, clo_roster *out_roster);
const clo_roster_row *clo_roster_find(const clo_roster *roster, clo_role role, uint32_t slot);

/* Job certificate extension, critical: OCTET STRING { manifest digest[32] || evidence digest[32] }.
 */
#define CLO_JOB_EXTENSION_OID   "2.25.193317391437923516317143137514385061329.1"
#define CLO_JOB_CERT_LIFETIME_S 3600

/* The job CA is certified by the broker's identity key; a leaf is the key of an attested enrolment
 * session. Both made by the broker, checked by everyone. */
clo_status clo_job_ca_make(const clo_key *identity, const clo_key *ca_key, const char *job,
                           int64_t now, clo_cert **out_cert);

/* What a leaf is made from; all borrowed during the call. */
typedef struct {
    const clo_key *ca_key;
    const clo_cert *ca;
    const clo_key *subject;
    const char *job;
    const clo_roster_row *row;
    const uint8_t *manifest; /* digests, 32 bytes each */
    const uint8_t *evidence;
} clo_job_leaf_request;

clo_status clo_job_leaf_make(const clo_job_leaf_request *request, int64_t now, clo_cert **out_cert);
/* Checks leaf <- CA <- identity, times, usages, SAN and extension against job, row and manifest.
 * `row` NULL: any trainer's (for outputs opened later; then times are not checked either). */
clo_status clo_job_leaf_check(const clo_cert *leaf, const clo_cert *ca,
                              const clo_public_key *identity, const clo_manifest *manifest,
                              const clo_roster_row *row, int64_t now);

/* ---------------------------------------------------------------- owner's session ------------- */

typedef struct clo_owner_session clo_owner_session;

/* Connects as the keyed owner and demands the pinned broker. The key must outlive the session. */
clo_status clo_owner_connect(const char *address, const clo_key *owner,
                             const clo_broker_trust *trust, clo_deadline deadline,
                             clo_owner_session **out_session);
void clo_owner_close(clo_owner_session *session);
CLO_DEFINE_AUTO_PTR(clo_owner_session, clo_owner_close);

/* First contact, `kms trust`: verifies fresh evidence of purpose broker-identity over the broker's
 * identity key under the appraisal and anchors in `trust`, and sets trust->identity. `expected`
 * (may be NULL) is an identity learned elsewhere that must match. */
clo_status clo_owner_trust(const char *address, const clo_key *owner,
                           const clo_public_key *expected, clo_deadline deadline,
                           clo_broker_trust *trust, clo_verdict *out_verdict);

/* The commands an owner has, each over its own records only. */
clo_status clo_owner_make_key(clo_owner_session *session, const char *name, clo_deadline deadline,
                              uint8_t out_key_id[16]);
clo_status clo_owner_put_policy(clo_owner_session *session, clo_span envelope,
                                clo_deadline deadline);
/* The newest policy envelope of a key, appended. CLO_NOTFOUND when there is none. */
clo_status clo_owner_get_policy(clo_owner_session *session, const uint8_t key_id[16],
                                clo_deadline deadline, clo_buf *out_envelope);
/* File keys for sealing, one a header; the caller frees with clo_secret_clear each. A header must
 * carry the key's newest policy envelope, exactly: else CLO_POLICY. */
clo_status clo_owner_file_keys(clo_owner_session *session, const clo_span *headers, size_t count,
                               clo_deadline deadline, clo_secret *out_keys);
clo_status clo_owner_approve(clo_owner_session *session, clo_span approval_envelope,
                             clo_deadline deadline);
/* Stops releases of a key at once and evicts the slots that use it. */
clo_status clo_owner_revoke(clo_owner_session *session, const uint8_t key_id[16],
                            clo_deadline deadline);
/* Audit entries from `first` that concern this owner, as JSON lines, and the chain's head. */
clo_status clo_owner_audit(clo_owner_session *session, uint64_t first, clo_deadline deadline,
                           clo_buf *out_lines, uint8_t out_head[32]);

/* ---------------------------------------------------------------- slot's session -------------- */

typedef struct clo_slot_session clo_slot_session;

/* What a slot must know about itself to ask. */
typedef struct {
    const char *broker_address;
    const char *local_interface; /* may be NULL */
    clo_span manifest_envelope;
    const clo_manifest *manifest; /* parsed from the envelope; both must outlive the session */
    clo_role role;                /* constant of the command's table row */
    uint32_t slot;                /* rank hint */
    uint32_t insecure_flags;
    clo_maker *maker;
    clo_mutex *maker_lock;
} clo_slot_options;

/* Makes the slot's key, connects, proves itself, enrols. A slot whose lease another holder has is
 * CLO_EXISTS; it is tried again until the deadline. The broker's refusal is CLO_DENIED with the
 * reason it gave. */
clo_status clo_slot_enrol(const clo_slot_options *options, clo_deadline deadline,
                          clo_slot_session **out_session);
/* Ends the lease (if the connection still stands) and closes. */
void clo_slot_leave(clo_slot_session *session);
CLO_DEFINE_AUTO_PTR(clo_slot_session, clo_slot_leave);

const clo_roster_row *clo_slot_row(const clo_slot_session *session); /* ours */
const clo_key *clo_slot_key(const clo_slot_session *session);
const clo_cert *clo_slot_cert(const clo_slot_session *session); /* job leaf */
const clo_cert *clo_slot_ca(const clo_slot_session *session);
const clo_peer *clo_slot_broker(const clo_slot_session *session); /* whom we verified */
/* The strictest of what the policies of the job's data let out, as the broker said at enrolment. */
clo_metrics_every clo_slot_metrics_every(const clo_slot_session *session);

/* Waits until the roster has all `world_size` rows of our role; keeps it in the session. */
clo_status clo_slot_wait_roster(clo_slot_session *session, clo_deadline deadline);
const clo_roster *clo_slot_roster(const clo_slot_session *session);
/* Asks for a newer roster and renews lease and certificate at half-life; called between steps, and
 * cheap: it asks every two seconds at most. A roster with a lower epoch is refused; *out_changed
 * tells that rows changed. CLO_DENIED when our own row has gone (evicted, or another holder).
 * During a broker outage this succeeds until the roster's expiry plus grace, and connects again
 * when it can, with the same key and incarnation. */
clo_status clo_slot_upkeep(clo_slot_session *session, clo_deadline deadline, bool *out_changed);

/* File keys for reading, one a header (owners' data and the job's own checkpoints), in one
 * transaction: all or none. */
clo_status clo_slot_file_keys(clo_slot_session *session, const clo_span *headers, size_t count,
                              clo_deadline deadline, clo_secret *out_keys);
/* The key id of the job's own data key, for checkpoint headers. */
void clo_slot_job_key_id(const clo_slot_session *session, uint8_t out_key_id[16]);

/* Recipients of an output, from the owners' policies. The caller frees each key. CLO_DENIED when
 * the policies have none in common. */
clo_status clo_slot_recipients(clo_slot_session *session, const char *what, clo_deadline deadline,
                               clo_key **out_keys, size_t max, size_t *out_count);

/* Rules for connections between slots of this job: expectation from manifest and roster, admission
 * by job certificate and roster row. They admit any other slot of our role; who connects to a
 * certain rank compares clo_channel_peer()->hello.slot with it. `arg` of the rules is the session,
 * which must outlive the channel; they may run in another thread than the session's. A self holds
 * the newest job certificate: take a new one for connections made after a renewal. */
clo_channel_rules clo_slot_peer_rules(clo_slot_session *session);
clo_channel_self clo_slot_self(clo_slot_session *session);

/* ---------------------------------------------------------------- protocol -------------------- */

/* The operations, by number on the wire. A request is u16 op, u64 counter, body; an answer u32
 * code, text, body. The layouts stand in kms_protocol.h. Request id = SHA-256(session id ||
 * counter): a retry gets the same decision and does not count twice. */
typedef enum {
    CLO_OP_OWNER_IDENTITY = 1,
    CLO_OP_OWNER_MAKE_KEY,
    CLO_OP_OWNER_PUT_POLICY,
    CLO_OP_OWNER_GET_POLICY,
    CLO_OP_OWNER_FILE_KEYS,
    CLO_OP_OWNER_APPROVE,
    CLO_OP_OWNER_REVOKE,
    CLO_OP_OWNER_AUDIT,
    CLO_OP_SLOT_ENROL = 32,
    CLO_OP_SLOT_ROSTER,
    CLO_OP_SLOT_RENEW,
    CLO_OP_SLOT_FILE_KEYS,
    CLO_OP_SLOT_RECIPIENTS,
    CLO_OP_SLOT_LEAVE
} clo_op;

#endif
