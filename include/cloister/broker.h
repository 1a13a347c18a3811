/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLOISTER_BROKER_H
#define CLOISTER_BROKER_H

/*
 * broker: the key broker. It holds owners' data keys under a root key, and releases file keys to
 * attested slots when the owner's stored policy, the policy in the file's header, an approval and
 * the slot's evidence all say so.
 *
 *     attested listener (slots) --\                         /-- store (SQLite, values sealed
 *                                  >-- decision, leases, CA <     under the root key)
 *     keyed listener (owners) ----/                         \-- hash-chained audit log
 *
 * Invariants:
 *   - Owners' keys are pinned in the store by whoever has the root key; any other key is turned
 *     away before evidence is made for it.
 *   - A data key never leaves; what leaves is a file key for one exact header.
 *   - One transaction before a key leaves: decision, counters, lease, audit entry, new head.
 *   - The stored owner-signed policy and the header's policy must both allow it; the header alone
 *     grants nothing.
 *   - A slot has one holder within its lease; a new holder is a new incarnation and a new roster
 *     epoch; silence alone never reassigns a slot.
 *   - A decision is a pure function of documents, verdict and counters (src/broker/decision.h), so
 * it can be tested without a network.
 *
 * The state has no freshness anchor yet: the broker says insecure_no_anchor in its hello. Whoever
 * can write the folder can put back an older state; owners see that by the audit head they were
 * shown last, and nothing prevents it.
 *
 * Threads: clo_broker_serve returns when *stop is true and every thread of it has ended: one
 * accepts for each listener, one serves each connection (at most 320), because messages block and a
 * slow peer must wait alone. Requests are handled one at a time under one lock, which is not held
 * while the network or the maker of evidence is waited for, so the store sees one writer. Nothing
 * is cached between requests but what the slots' gate demands, which is made anew with each change
 * of a policy: the file is the state, and a broker that is stopped at any moment can go on.
 */
#include "cloister/kms.h"

/* How the root key is protected; one row a kind in src/broker/root.c. Both kinds make the broker
 * say insecure_root_operator. */
typedef struct {
    const char *kind; /* "file" or "passphrase" */
    const char *path; /* file: 32 random bytes, 0600; passphrase: a file holding it, 0600 */
} clo_broker_root;

/* Makes an empty store in `folder` (0700): broker.db, and the identity key sealed under the root
 * key. With kind "file" the root file is made when it does not exist. CLO_EXISTS when there is a
 * store already. */
clo_status clo_broker_init(const char *folder, const clo_broker_root *root);

/* Pins an owner's key (Ed25519): from then on, and never before, the keyed listener lets it in. One
 * short transaction, which may run beside a broker that serves this folder. `name` is what the
 * audit log calls the owner. CLO_EXISTS when the key is pinned already. There is no way to unpin: a
 * key's records would be nobody's. */
clo_status clo_broker_add_owner(const char *folder, const clo_broker_root *root,
                                const clo_public_key *owner, const char *name);

typedef struct {
    const char *folder;
    clo_broker_root root;
    const char *slot_address;  /* attested listener */
    const char *owner_address; /* keyed listener */
    clo_maker *maker;
    uint32_t insecure_flags;   /* of the maker; root and anchor flags are added */
    const volatile bool *stop; /* true: end */
    /* Called once both listeners stand, with the addresses they got. May be NULL. */
    void (*ready)(void *arg, const char *slot_address, const char *owner_address,
                  const clo_public_key *identity);
    void *arg;
} clo_broker_options;

/* Opens the store and serves until *stop. A wrong root key is CLO_CRYPTO. */
clo_status clo_broker_serve(const clo_broker_options *options);

/* Reads the audit log of a stopped or running broker's store and checks its chain; appends JSON
 * lines. CLO_CRYPTO naming the entry where the chain breaks. */
clo_status clo_broker_audit(const char *folder, clo_buf *out_lines, uint8_t out_head[32]);

#endif
