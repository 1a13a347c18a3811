/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_CLI_TEE_COMMANDS_H
#define CLO_CLI_TEE_COMMANDS_H

/*
 * The commands of cloister-tee: option structs, option tables and functions, one file each
 * (tee_broker.c, tee_train.c, tee_eval.c, tee_quote.c). Arguments say where things are; what is
 * done comes from the manifest. Each prints events on standard output (program.h).
 */
#include "options.h"

typedef struct {
    const char *root;  /* "file:PATH" or "passphrase:PATH" */
    const char *name;  /* of an owner */
    const char *slots; /* listener addresses */
    const char *owners;
    const char *maker;
} tee_broker_settings;

extern const cli_option tee_broker_init_options[];
extern const cli_option tee_broker_serve_options[];
void tee_broker_defaults(void *settings);
/* event: made */
clo_status tee_broker_init(const cli_command *command, const void *settings,
                           const cli_arguments *arguments);
extern const cli_option tee_broker_owner_options[];
/* event: pinned */
clo_status tee_broker_owner(const cli_command *command, const void *settings,
                            const cli_arguments *arguments);
/* events: ready {slots, owners, identity} */
clo_status tee_broker_serve(const cli_command *command, const void *settings,
                            const cli_arguments *arguments);

typedef struct {
    const char *broker;
    const char *maker;
    const char *master;    /* host:port of rank 0 */
    const char *interface; /* local network interface */
    const char *train_index, *test_index;
    const char *out;      /* folder for checkpoints, metrics, model */
    uint64_t rank, world; /* hints; world 0: the manifest's */
    uint64_t threads;
    uint64_t timeout; /* seconds for enrolment and rendezvous */
    cli_list set;     /* NAME=VALUE that the manifest lets the host set */
    bool dry_run;     /* prove, get the keys, open the data, leave */
} tee_train_settings;

extern const cli_option tee_train_options[];
void tee_train_defaults(void *settings);
/* events: enrolled, step, epoch, result */
clo_status tee_train(const cli_command *command, const void *settings,
                     const cli_arguments *arguments);
/* events: enrolled, result */
clo_status tee_eval(const cli_command *command, const void *settings,
                    const cli_arguments *arguments);

typedef struct {
    const char *maker;
    const char *data; /* hex, at most 64 bytes */
} tee_quote_settings;

extern const cli_option tee_quote_options[];
/* Writes the evidence file to standard output. */
clo_status tee_quote(const cli_command *command, const void *settings,
                     const cli_arguments *arguments);

#endif
