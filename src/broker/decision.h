/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_BROKER_DECISION_H
#define CLO_BROKER_DECISION_H

/*
 * decision: may this slot of this job have that key's file keys? A pure function of documents,
 * verdict and counters: no store, no clock, no network.
 *
 *     manifest   what the slot says it runs (signature checked)       \
 *     policy     the newest the owner stored                           |
 *     header     the policy in the file, and whether it is stored      |-> allowed, or the first
 *     approval   the owner's word on this manifest                     |   condition that fails
 *     verdict    what the slot's evidence says                         |
 *     counters   what was released before                             /
 *
 * Invariants:
 *   - Every condition is a row of conditions.inc; a check that is not there does not exist.
 *   - Stored policy and header policy must both allow; empty lists deny.
 *   - A header policy counts only as one of the stored versions, so that a file re-sealed under the
 *     same key id with a laxer policy is refused. It yields where a later version superseded it.
 *
 * Threads: pure.
 */
#include "cloister/broker.h"

typedef enum {

#define CLO_CONDITION(id, scope, summary) CLO_CONDITION_##id,
#include "conditions.inc"
#undef CLO_CONDITION
    CLO_CONDITION_COUNT
} clo_condition;

const char *clo_condition_name(clo_condition condition);
const char *clo_condition_summary(clo_condition condition);
/* Production's answer is true. A test program defines this symbol itself to switch one condition
 * off and see that some test then fails; it stands alone in its object file for that. */
bool clo_condition_is_on(clo_condition condition);

/* Everything is borrowed. Zero is the answer that denies. */
typedef struct {
    int64_t now;
    const clo_public_key *identity; /* this broker's */
    uint32_t broker_flags;          /* its weaknesses */
    bool simulator_built;

    const clo_manifest *manifest;
    clo_role role;
    uint32_t slot;
    const clo_verdict *verdict; /* of the channel, accepted */
    clo_build_class build;      /* as its hello says */

    bool key_found;
    bool key_revoked;
    uint8_t key_id[16];
    uint8_t key_owner[32];        /* SHA-256 of the owner's SPKI */
    const clo_policy *policy;     /* newest stored; NULL: none */
    const clo_approval *approval; /* for this manifest and key; NULL: none */
    uint64_t key_releases;
    uint64_t job_releases; /* of this key, to this job */

    const clo_seal_header *header;   /* NULL: enrolment */
    const clo_policy *header_policy; /* NULL: none, or not signed by the key's owner */
    bool header_stored;              /* it is one of the stored versions, by digest */
    bool header_superseded;          /* a later stored version says supersede */
} clo_case;

typedef struct {
    clo_condition failed; /* CLO_CONDITION_COUNT: allowed */
    bool in_header;       /* it was the header's policy that did not allow it */
    char detail[224];     /* expected and found, where a condition has such */
} clo_decision;

void clo_decide(const clo_case *c, clo_decision *out_decision);
/* CLO_OK, or CLO_DENIED with "NAME: summary (detail)". */
clo_status clo_decision_status(const clo_decision *decision);

#endif
