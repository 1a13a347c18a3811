/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLOISTER_TRAIN_CHECKPOINT_STORE_H
#define CLOISTER_TRAIN_CHECKPOINT_STORE_H

/*
 * Checkpoints as sealed files of the job, at rank 0.
 *
 *     <folder>/checkpoint-0.sealed   generations 2, 4, 6 ...
 *     <folder>/checkpoint-1.sealed   generations 1, 3, 5 ...
 *
 * Two names taken in turn keep exactly the last two, without ever deleting a file: the atomic
 * rename of generation n replaces n - 2. The header names the job's own key, so only slots of this
 * job can get the file key, and the data set id is the start of the manifest's digest, so that
 * another job's folder is told apart before any key is asked for.
 *
 * Invariants:
 *   - The key of the next checkpoint is asked for ahead of time: a broker that is away does not
 * keep the job from saving once more.
 *   - A file that is there and cannot be read is never taken for a fresh start.
 *
 * What this does not do: a host may put back an older pair of files. The chain of digests makes
 * that visible in the transcript; it cannot prevent it.
 *
 * Threads: one. Ownership: borrows session and manifest.
 */
#include "cloister/train.h"

typedef struct {
    clo_slot_session *session;
    const clo_manifest *manifest;
    char folder[1024];
    clo_buf next_header; /* empty: no key was got yet */
    clo_secret next_key;
} clo_checkpoint_store;

#define CLO_CHECKPOINT_STORE_INIT                                                                  \
    ((clo_checkpoint_store){.next_header = CLO_BUF_INIT, .next_key = CLO_SECRET_INIT})

clo_status clo_checkpoint_store_open(clo_slot_session *session, const clo_manifest *manifest,
                                     const char *folder, clo_checkpoint_store *out_store);
/* Makes the folder and gets the key of the next checkpoint: for who will save. */
clo_status clo_checkpoint_store_prepare(clo_checkpoint_store *store);
void clo_checkpoint_store_cleanup(clo_checkpoint_store *store);

/* Appends the newest checkpoint's plain form; nothing when there is none. When the newest is
 * damaged the one before it is taken, with a warning in the log; CLO_CRYPTO when all that are there
 * are. What says nothing of the file (no memory, no broker, another job's folder) passes over none.
 */
clo_status clo_checkpoint_store_load(clo_checkpoint_store *store, clo_buf *out_plain);

/* Seals the state as its generation and sets state->previous to what was written. */
clo_status clo_checkpoint_store_save(clo_checkpoint_store *store, clo_train_state *state);

#endif
