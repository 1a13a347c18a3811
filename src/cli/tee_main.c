/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cloister-tee: every role that runs inside a TEE. The only program that is measured, and the only
 * one that is ever given a key. A role is a constant of its row here; no argument sets one.
 */
#include "environment.h"
#include "options.h"
#include "program.h"
#include "tee_commands.h"

#include <stdio.h>

static const cli_command COMMANDS[] = {
    {"broker init", "FOLDER --root KIND:PATH", "make a key broker's store and identity",
     tee_broker_init_options, 1, 1, CLO_ROLE_BROKER, sizeof(tee_broker_settings), NULL,
     tee_broker_init},
    {"broker owner", "FOLDER PUB --root KIND:PATH --name NAME", "pin an owner's key",
     tee_broker_owner_options, 2, 2, CLO_ROLE_BROKER, sizeof(tee_broker_settings), NULL,
     tee_broker_owner},
    {"broker serve", "FOLDER --root KIND:PATH --maker NAME:CONFIG", "serve slots and owners",
     tee_broker_serve_options, 1, 1, CLO_ROLE_BROKER, sizeof(tee_broker_settings),
     tee_broker_defaults, tee_broker_serve},
    {"train", "JOB --broker HOST:PORT --rank N --maker NAME:CONFIG", "one rank of a job",
     tee_train_options, 1, 1, CLO_ROLE_TRAINER, sizeof(tee_train_settings), tee_train_defaults,
     tee_train},
    {"eval", "JOB --broker HOST:PORT --maker NAME:CONFIG", "evaluate a job's last checkpoint",
     tee_train_options, 1, 1, CLO_ROLE_EVALUATOR, sizeof(tee_train_settings), tee_train_defaults,
     tee_eval},
    {"quote", "--maker NAME:CONFIG [--data HEX]", "evidence over a person's own data",
     tee_quote_options, 0, 0, CLO_ROLE_NONE, sizeof(tee_quote_settings), NULL, tee_quote},
    {NULL, NULL, NULL, NULL, 0, 0, CLO_ROLE_NONE, 0, NULL, NULL},
};

/* Bytes inside the code that nothing executes: whoever wants to see that one changed code byte
 * makes another measurement can change these (cloister demo does). */
__attribute__((used, noinline)) static void code_marker(void)
{
    __asm__ volatile("jmp 1f\n\t.ascii \"cloister-tee code marker\"\n1:");
}

int main(int argc, char **argv)
{
    code_marker();
    clo_status status = cli_environment_fix(argv);
    if (clo_ok(status)) {
        status = cli_start(false);
    }
    if (!clo_ok(status)) {
        char text[512];
        clo_status_text(status, text, sizeof text);
        (void)fprintf(stderr, "cloister-tee: %s\n", text);
        return cli_exit_code(status.code);
    }
    return cli_main("cloister-tee", COMMANDS, argc, argv);
}
