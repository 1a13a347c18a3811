/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_KMS_SLOT_H
#define CLO_KMS_SLOT_H

/*
 * slot: what a slot's session holds, and what its three files offer each other.
 *
 *     slot.c          connect, enrol, keys, recipients, leave
 *     slot_upkeep.c   newer rosters, leases, certificates, outages of the broker
 *     slot_rules.c    whom this slot lets in
 *
 * Invariants:
 *   - The key of the session is the key of the job certificate; it never leaves the process.
 *   - The roster's epoch only grows. A roster without our own row ends the session's use.
 *   - Job certificates live until the session ends, because listeners and channels borrow them.
 *
 * Threads: the session belongs to one thread, but its rules run in whichever thread accepts
 * connections: `lock` guards what they read (roster, CA) against upkeep.
 */
#include "link.h"

typedef struct clo_slot_leaf clo_slot_leaf;

struct clo_slot_leaf {
    clo_cert *cert;
    clo_slot_leaf *older;
};

struct clo_slot_session {
    clo_slot_options options;
    clo_key *key;
    clo_cert *own_cert; /* self-signed; towards the broker */
    clo_link link;      /* channel NULL: the broker cannot be reached now */
    clo_broker_check check;
    clo_peer broker;
    clo_mutex *lock;
    clo_roster roster;
    clo_roster_row row;
    clo_slot_leaf *leaves; /* newest first */
    clo_cert *ca;
    uint8_t job_key_id[16];
    clo_metrics_every metrics;
    int64_t contact_ms; /* of the last answer */
    int64_t leaf_ms;    /* when the newest certificate came */
};

/* Connects to the broker, with evidence both ways. */
clo_status clo_slot_link_open(clo_slot_session *session, clo_deadline deadline);
/* One enrolment request on an open link. CLO_EXISTS: another holder has the lease. */
clo_status clo_slot_link_enrol(clo_slot_session *session, clo_deadline deadline);
/* Checks a roster and makes it the session's. */
clo_status clo_slot_take_roster(clo_slot_session *session, clo_span envelope, bool *out_changed);
/* Checks a certificate and makes it the session's newest. */
clo_status clo_slot_take_leaf(clo_slot_session *session, clo_span der);

#endif
