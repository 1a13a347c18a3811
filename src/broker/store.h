/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_BROKER_STORE_H
#define CLO_BROKER_STORE_H

/*
 * store: the broker's memory, sealed. A record is (kind, id) -> value; values are encrypted and
 * authenticated under a key derived from the root key, with what the record is as associated data:
 *
 *     value on disk   nonce[12] | tag[16] | AES-256-GCM(value)
 *     associated      "cloister record v1" | kind u8 | id var | parent var
 *
 * so a value cannot be read, changed, or moved to another record without the root key. What this
 * does not stop is putting an older file in place of a newer one: the state has no freshness anchor
 * (insecure_no_anchor).
 *
 * Invariants:
 *   - Every change happens between begin and commit; nothing is cached here: the file is the state.
 *   - Secrets (private and data keys) are read into clo_secret.
 *
 * Threads: one at a time; the broker holds its lock.
 */
#include "cloister/broker.h"
#include "store_sqlite.h"

typedef enum {
    CLO_RECORD_IDENTITY = 1, /* "" -> the identity key, PEM */
    CLO_RECORD_AUDIT_HEAD,   /* "" -> seq u64 | head[32] */
    CLO_RECORD_OWNER,        /* owner key id -> clo_owner_record */
    CLO_RECORD_KEY,          /* key id -> clo_key_record; parent: owner */
    CLO_RECORD_DATA_KEY,     /* key id -> 32 bytes */
    CLO_RECORD_POLICY,       /* key id | version u64 -> digest[32] | envelope; parent: key id */
    CLO_RECORD_APPROVAL,     /* manifest | key id -> envelope; parent: manifest */
    CLO_RECORD_COUNTER,      /* key id, or manifest | key id -> releases u64 */
    CLO_RECORD_JOB,          /* manifest -> clo_job_record */
    CLO_RECORD_JOB_CA,       /* manifest -> the job CA's private key, PEM */
    CLO_RECORD_SLOT /* manifest | role u8 | slot u32 -> clo_slot_record; parent: manifest */
} clo_record_kind;

typedef struct clo_store clo_store;

/* Begins a transaction, which the caller fills (at least with the identity) and commits. */
clo_status clo_store_create(const char *folder, const clo_broker_root *root, clo_store **out_store);
/* CLO_CRYPTO when the root key is not the store's. */
clo_status clo_store_open(const char *folder, const clo_broker_root *root, clo_store **out_store);
void clo_store_close(clo_store *store);
CLO_DEFINE_AUTO_PTR(clo_store, clo_store_close);

clo_status clo_store_begin(clo_store *store);
clo_status clo_store_commit(clo_store *store);
void clo_store_rollback(clo_store *store);
clo_sql *clo_store_sql(clo_store *store); /* for the audit log, which is not sealed */

/* CLO_NOTFOUND, without a message of its own beyond the kind; CLO_CRYPTO when the value was
 * tampered with. `out` is appended to. */
clo_status clo_store_get(clo_store *store, clo_record_kind kind, clo_span id, clo_buf *out);
clo_status clo_store_get_secret(clo_store *store, clo_record_kind kind, clo_span id,
                                clo_secret *out_secret);
clo_status clo_store_put(clo_store *store, clo_record_kind kind, clo_span id, clo_span parent,
                         clo_span value);
/* All records of a kind, or those under `parent` (NULL: all), appended as id var | value var. */
clo_status clo_store_list(clo_store *store, clo_record_kind kind, const clo_span *parent,
                          clo_buf *out_entries);

#endif
