/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_BROKER_RECORDS_H
#define CLO_BROKER_RECORDS_H

/*
 * records: what the broker remembers, as C structs; each is written to and read from one sealed
 * value. Numbers are big-endian.
 *
 *     owner --makes--> key --has--> policy versions         manifest + key --> approval, counter
 *                       '--counter of releases              manifest --> job --> slots
 *
 * Invariants:
 *   - An owner that has no record is none: records of owners are made by pinning alone.
 *   - A key belongs to one owner, by the SHA-256 of its SPKI, for good.
 *   - Policy versions are only added; counters only grow; epochs and incarnations only grow.
 *
 * Threads: as the store.
 */
#include "store.h"

typedef struct {
    uint8_t id[32]; /* SHA-256 of the SPKI */
    char name[CLO_NAME_MAX];
    int64_t pinned;
} clo_owner_record;

typedef struct {
    uint8_t id[16];
    uint8_t owner[32];
    char name[CLO_NAME_MAX];
    int64_t created;
    bool revoked;
    uint64_t version;    /* of the newest policy; 0: none yet */
    uint64_t superseded; /* newest version that says supersede; headers of older ones yield */
} clo_key_record;

typedef struct {
    uint8_t manifest[32];
    uint64_t epoch;
    clo_collateral_floors seen; /* the highest in accepted evidence of the job (leases.c) */
    uint8_t seen_root[32];      /* whose numbers these are; zero: none seen yet */
    bool seen_others;           /* evidence of another root too: the numbers say nothing */
    clo_buf ca;                 /* certificate, DER */
    clo_buf envelope;           /* of the manifest */
} clo_job_record;

#define CLO_JOB_RECORD_INIT ((clo_job_record){.epoch = 0})
void clo_job_record_cleanup(clo_job_record *job);

typedef struct {
    uint8_t manifest[32];
    clo_roster_row row;
    bool held;
    int64_t lease_until;
    uint8_t session[32]; /* of the holder's connection: another one's requests are refused */
    uint8_t evidence[32];
} clo_slot_record;

clo_status clo_owner_record_get(clo_store *store, const uint8_t id[32],
                                clo_owner_record *out_owner);
clo_status clo_owner_record_put(clo_store *store, const clo_owner_record *owner);

clo_status clo_key_record_get(clo_store *store, const uint8_t id[16], clo_key_record *out_key);
clo_status clo_key_record_put(clo_store *store, const clo_key_record *key);
clo_status clo_key_record_parse(clo_span id, clo_span value, clo_key_record *out_key);

clo_status clo_job_record_get(clo_store *store, const uint8_t manifest[32],
                              clo_job_record *out_job);
clo_status clo_job_record_put(clo_store *store, const clo_job_record *job);

clo_status clo_slot_record_get(clo_store *store, const uint8_t manifest[32], clo_role role,
                               uint32_t slot, clo_slot_record *out_slot);
clo_status clo_slot_record_put(clo_store *store, const clo_slot_record *slot);
clo_status clo_slot_record_parse(clo_span value, clo_slot_record *out_slot);

/* Policies by version; `out_envelope` is appended to. */
clo_status clo_policy_record_get(clo_store *store, const uint8_t key_id[16], uint64_t version,
                                 uint8_t out_digest[32], clo_buf *out_envelope);
clo_status clo_policy_record_put(clo_store *store, const clo_policy *policy, clo_span envelope);

clo_status clo_approval_record_get(clo_store *store, const uint8_t manifest[32],
                                   const uint8_t key_id[16], clo_buf *out_envelope);
clo_status clo_approval_record_put(clo_store *store, const clo_approval *approval,
                                   clo_span envelope);

/* Releases granted so far: of a key (manifest NULL), or of a key to one job. */
clo_status clo_counter_get(clo_store *store, const uint8_t *manifest, const uint8_t key_id[16],
                           uint64_t *out_count);
clo_status clo_counter_add(clo_store *store, const uint8_t *manifest, const uint8_t key_id[16]);

#endif
