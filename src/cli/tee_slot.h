/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_CLI_TEE_SLOT_H
#define CLO_CLI_TEE_SLOT_H

/*
 * What the commands that hold a slot of a job share: the manifest, the maker and the enrolled
 * session, opened together and closed in the right order.
 */
#include "program.h"
#include "tee_commands.h"

typedef struct {
    clo_buf envelope;
    clo_manifest manifest;
    clo_maker *maker;
    clo_mutex *maker_lock;
    clo_slot_session *session;
} tee_slot;

#define TEE_SLOT_INIT ((tee_slot){.envelope = CLO_BUF_LIMIT(CLO_DOCUMENT_MAX)})

/* Reads the job, compares the host's hints with it (CLO_INVALID names both values), enrols as
 * `role` and prints the event enrolled. From here on a signal ends the process at once, until the
 * caller has something to save and clears cli_stop_at_once. */
clo_status tee_slot_enrol(clo_role role, const char *job_path, const tee_train_settings *settings,
                          tee_slot *out_slot);
void tee_slot_cleanup(tee_slot *slot);

#endif
