/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_CLI_PEOPLE_H
#define CLO_CLI_PEOPLE_H

/*
 * What the commands of `cloister`, the program for people, share: where cloister-tee is, an owner's
 * key and session, and conditions over evidence as options.
 */
#include "options.h"
#include "program.h"

/* The path of cloister-tee: `given`, or the one beside this program. */
clo_status cli_tee_path(const char *given, char *out_path, size_t size);

/* ---------------------------------------------------------------- owner ----------------------- */

/* Options of every command that acts for an owner at a broker. */
typedef struct {
    const char *owner;  /* private key file */
    const char *trust;  /* trust file; default: broker.trust beside the owner's key */
    const char *broker; /* the broker's listener for owners */
} cli_owner_options;

#define CLI_OWNER_OPTIONS(type, field)                                                             \
    {"owner", CLI_TEXT, offsetof(type, field.owner), "KEY", "the owner's private key file"},       \
        {"trust", CLI_TEXT, offsetof(type, field.trust), "FILE",                                   \
         "the pinned broker (broker.trust beside the key)"},                                       \
    {                                                                                              \
        "broker", CLI_TEXT, offsetof(type, field.broker), "HOST:PORT",                             \
            "the broker's listener for owners (127.0.0.1:7444)"                                    \
    }

#define CLI_OWNER_TIMEOUT_MS 15000

typedef struct {
    clo_key *key;
    clo_public_key public_key;
    clo_broker_trust trust;
    clo_owner_session *session;
} cli_owner;

#define CLI_OWNER_INIT ((cli_owner){0})

/* Reads key and trust file; connect also opens the session. */
clo_status cli_owner_load(const cli_owner_options *options, cli_owner *out_owner);
clo_status cli_owner_connect(const cli_owner_options *options, cli_owner *out_owner);
void cli_owner_cleanup(cli_owner *owner);
/* The trust file named, or broker.trust beside `key_path`. */
clo_status cli_trust_path(const char *given, const char *key_path, char *out_path, size_t size);

/* The key of a job's slot from its certificates (PEM: leaf, job CA), once they lead to the broker's
 * identity and name the job. The caller frees it. */
clo_status cli_job_signer(clo_span certificates, const clo_public_key *identity,
                          const clo_manifest *manifest, clo_key **out_signer);

clo_deadline cli_owner_deadline(void);
clo_status cli_read_public(const char *path, clo_public_key *out_public);

/* ---------------------------------------------------------------- conditions ------------------ */

/* The option that accepts a simulator vendor, and its help: both empty in release builds, where the
 * option does not exist (makers_simulator.c, makers_release.c). */
extern const char cli_simulator_root_option[];
extern const char cli_simulator_root_help[];

/* Conditions over evidence, as options. Nothing given means: the cloister-tee beside this program,
 * up to date. */
typedef struct {
    cli_list measurements;      /* hex */
    const char *simulator_root; /* PEM certificate */
    cli_list tcb_statuses;
    cli_list advisories;
    uint64_t min_evaluation;
} cli_conditions;

#define CLI_CONDITION_OPTIONS(type, field)                                                         \
    {"measurement", CLI_LIST, offsetof(type, field.measurements), "HEX",                           \
     "a program that may run (the cloister-tee beside this program)"},                             \
        {cli_simulator_root_option, CLI_TEXT, offsetof(type, field.simulator_root), "PEM",         \
         cli_simulator_root_help},                                                                 \
        {"tcb-status", CLI_LIST, offsetof(type, field.tcb_statuses), "NAME",                       \
         "a TCB status to accept (UpToDate)"},                                                     \
        {"advisory", CLI_LIST, offsetof(type, field.advisories), "ID", "an advisory to tolerate"}, \
    {                                                                                              \
        "min-evaluation", CLI_NUMBER, offsetof(type, field.min_evaluation), "N",                   \
            "lowest TCB evaluation number"                                                         \
    }

/* The appraisal and the anchors they mean. */
clo_status cli_conditions_build(const cli_conditions *conditions, clo_appraisal *out_appraisal,
                                clo_anchor *out_anchors, uint32_t *out_anchor_count);
/* The anchor of a simulator vendor's root certificate file. */
clo_status cli_simulator_anchor(const char *path, clo_anchor *out_anchor);

/* Measures a program as the evidence makers of this build would: CLO_UNSUPPORTED in builds without
 * one that can (makers_simulator.c, makers_release.c). */
clo_status cli_measure(const char *program, uint8_t out_measurement[32]);

#endif
