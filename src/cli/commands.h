/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_CLI_COMMANDS_H
#define CLO_CLI_COMMANDS_H

/*
 * The commands of `cloister`: for each its options struct, its option table and its function, in
 * cmd_<name>.c. main.c joins them in one table.
 */
#include "people.h"
#include "tee_process.h"

#define CMD_DECLARE(name)                                                                          \
    extern const cli_option cmd_##name##_options[];                                                \
    clo_status cmd_##name(const cli_command *command, const void *settings,                        \
                          const cli_arguments *arguments)

/* ---------------------------------------------------------------- attest ---------------------- */

typedef struct {
    const char *maker, *data, *output;
} cmd_quote_settings;

CMD_DECLARE(quote);

typedef struct {
    const char *collateral, *at, *policy, *simulator_root;
    bool json;
} cmd_verify_settings;

CMD_DECLARE(verify);
CMD_DECLARE(explain); /* takes the options of verify */

/* Simulator only; in release builds they refuse. */
typedef struct {
    bool json;
} cmd_measure_settings;

CMD_DECLARE(measure);
CMD_DECLARE(sim_init);
CMD_DECLARE(sim_run);

/* ---------------------------------------------------------------- keys, kms ------------------- */

typedef struct {
    bool json;
} cmd_keygen_settings;

CMD_DECLARE(keygen);

typedef struct {
    const char *root, *slots, *owners, *maker, *name;
    bool json;
} cmd_broker_settings;

CMD_DECLARE(kms_init);
CMD_DECLARE(kms_owner);
CMD_DECLARE(kms_serve);
void cmd_kms_defaults(void *settings);

typedef struct {
    const char *owner, *identity, *output;
    cli_conditions conditions;
    cli_list accept;
    bool json;
} cmd_trust_settings;

CMD_DECLARE(kms_trust);

typedef struct {
    cli_owner_options owner;
    uint64_t first;
    bool json;
} cmd_owner_settings;

CMD_DECLARE(kms_key);
CMD_DECLARE(kms_revoke);
CMD_DECLARE(kms_audit);
CMD_DECLARE(kms_audit_store);

typedef struct {
    cli_owner_options owner;
    cli_conditions conditions;
    const char *data_set, *key, *metrics, *mode, *output, *replace;
    cli_list signers, roles, models, recipients;
    uint64_t max_epochs, max_releases, days;
    bool supersede;
} cmd_policy_settings;

CMD_DECLARE(policy_make);
CMD_DECLARE(policy_put);
CMD_DECLARE(policy_show);
void cmd_policy_defaults(void *settings);

/* ---------------------------------------------------------------- files ----------------------- */

typedef struct {
    cli_owner_options owner;
    const char *policy, *data_set, *index;
    bool raw, json;
} cmd_seal_settings;

CMD_DECLARE(seal);

typedef struct {
    const char *key, *trust, *job, *output;
} cmd_open_settings;

CMD_DECLARE(open);

typedef struct {
    bool json;
} cmd_inspect_settings;

CMD_DECLARE(inspect);

typedef struct {
    const char *job, *trust;
    bool json;
} cmd_transcript_settings;

CMD_DECLARE(transcript);

/* ---------------------------------------------------------------- jobs ------------------------ */

typedef struct {
    clo_train_settings train;
    cli_conditions conditions;
    const char *sign, *trust, *output, *train_data, *test_data, *data_owner, *name, *backend;
    cli_list host_may_set;
    uint64_t world_size, lease, grace;
    bool no_cuda, json;
} cmd_job_settings;

CMD_DECLARE(job_make);
void cmd_job_defaults(void *settings);

typedef struct {
    const char *sign, *output;
} cmd_job_sign_settings;

CMD_DECLARE(job_sign);
CMD_DECLARE(job_show);

typedef struct {
    cli_owner_options owner;
    uint64_t max_epochs, max_releases, days;
    bool json;
} cmd_approve_settings;

CMD_DECLARE(job_approve);
void cmd_approve_defaults(void *settings);

typedef struct {
    clo_train_settings train; /* given flags must equal the manifest's values */
    const char *broker, *maker, *out, *tee, *train_index, *test_index, *backend, *events;
    uint64_t nproc, rank, threads, timeout, port;
    bool dry_run, no_cuda, json;
} cmd_train_settings;

CMD_DECLARE(train);
CMD_DECLARE(eval);
void cmd_train_defaults(void *settings);

typedef struct {
    const char *model, *images, *labels;
    uint64_t first, count;
    bool json, pictures;
} cmd_predict_settings;

CMD_DECLARE(predict);
void cmd_predict_defaults(void *settings);

/* ---------------------------------------------------------------- demo ------------------------ */

typedef struct {
    const char *dir, *data;
    uint64_t epochs, ranks, seed;
    bool keep, json;
} cmd_demo_settings;

CMD_DECLARE(demo);
void cmd_demo_defaults(void *settings);

#endif
