/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_BROKER_AUDIT_H
#define CLO_BROKER_AUDIT_H

/*
 * audit: what the broker did, as a chain of hashes.
 *
 *     head(0) = zero[32]
 *     head(n) = SHA-256("cloister audit v1" || head(n-1) || n u64 || owner[32] || entry)
 *
 * An entry is one JSON object in one line; it concerns one owner (or none: zero). The newest head
 * stands in the store sealed as well, so whoever rewrites the log needs the root key. It does not
 * show that a whole older store was put in place: owners see that by the head they were shown last.
 *
 * Invariants:
 *   - An entry is added in the transaction that it reports.
 *   - No secret stands in an entry: identifiers, digests, decisions and their reasons.
 *
 * Threads: as the store.
 */
#include "store.h"

typedef struct {
    const char *kind;        /* "enrol", "file-keys", "refused" ... */
    const uint8_t *owner;    /* 32 bytes; NULL: nobody's */
    const uint8_t *key_id;   /* 16 bytes; NULL: none */
    const uint8_t *manifest; /* 32 bytes; NULL: none */
    const char *who;         /* "owner", "trainer 1"; NULL: the broker itself */
    const uint8_t *evidence; /* 32 bytes; NULL: none */
    const uint8_t *request;  /* 32 bytes, the request's id; NULL: none */
    const char *reason;      /* of a refusal, or what was decided; NULL: none */
} clo_audit_entry;

clo_status clo_audit_add(clo_store *store, const clo_audit_entry *entry);
/* The sealed head against the log's last entry; CLO_CRYPTO when they differ. */
clo_status clo_audit_check_head(clo_store *store);
/* Lines that concern `owner` from `first`, about `limit` bytes; *out_next is 0 at the end. */
clo_status clo_audit_lines(clo_store *store, const uint8_t owner[32], uint64_t first, size_t limit,
                           clo_buf *out_lines, uint64_t *out_next, uint8_t out_head[32]);
/* The whole chain, checked from its beginning. CLO_CRYPTO names the entry where it breaks. */
clo_status clo_audit_verify(clo_sql *sql, clo_buf *out_lines, uint8_t out_head[32]);

#endif
