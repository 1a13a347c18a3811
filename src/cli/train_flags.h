/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_CLI_TRAIN_FLAGS_H
#define CLO_CLI_TRAIN_FLAGS_H

/*
 * The hyper-parameter flags people know from the samples, once for `job make`, which writes them
 * into the manifest, and `train`, where they may only repeat what the manifest says (or change what
 * its host_may_set lists).
 */
#include "options.h"

#include "cloister/kms.h"

#define CLI_TRAIN_FLAGS(type, field)                                                               \
    {"epochs", CLI_NUMBER, offsetof(type, field.epochs), "N", "(10)"},                             \
        {"epoch", CLI_NUMBER, offsetof(type, field.epochs), "N", NULL},                            \
        {"batch-size", CLI_NUMBER, offsetof(type, field.batch_size), "N", "per rank (64)"},        \
        {"test-batch-size", CLI_NUMBER, offsetof(type, field.test_batch_size), "N", "(1000)"},     \
        {"lr", CLI_REAL, offsetof(type, field.lr), "X", "learning rate (0.01)"},                   \
        {"momentum", CLI_REAL, offsetof(type, field.momentum), "X", "(0.5)"},                      \
        {"seed", CLI_NUMBER, offsetof(type, field.seed), "N", "(1)"},                              \
        {"log-interval", CLI_NUMBER, offsetof(type, field.log_interval), "N", "batches (10)"},     \
        {"save-model", CLI_FLAG, offsetof(type, field.save_model), NULL,                           \
         "seal the trained model to its recipients"},                                              \
        {"check-parameters", CLI_FLAG, offsetof(type, field.check_parameters), NULL,               \
         "compare the ranks' parameters after every step"},                                        \
        {"checkpoint-steps", CLI_NUMBER, offsetof(type, field.checkpoint_steps), "N",              \
         "steps between checkpoints (epoch ends only)"},                                           \
    {                                                                                              \
        "max-steps", CLI_NUMBER, offsetof(type, field.max_steps), "N", "stop after (no limit)"     \
    }

/* CLO_INVALID, with the nearest name, unless `name` is one of these flags. */
clo_status cli_train_flag_check(const char *name);

/* Checks the flags given to `train` against the manifest: equal values pass, different ones only
 * when the manifest's host_may_set lists them, and are then added to `out_set` as "name=value" for
 * the ranks (texts live in `arena`). CLO_INVALID names flag and both values. */
clo_status cli_train_flags_match(const cli_command *command, const cli_arguments *arguments,
                                 const clo_train_settings *given, const clo_manifest *manifest,
                                 clo_arena *arena, cli_list *out_set);

/* A rank's side: applies "name=value" if the manifest allows it. */
clo_status cli_train_flag_set(const char *text, clo_manifest *manifest);

#endif
