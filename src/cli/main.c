/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cloister: the program for people - owners, operators, developers. A table of commands, and
 * nothing else. Roles inside a TEE are cloister-tee's (tee_main.c); commands here start it beside
 * them.
 */
#include "commands.h"

#include <stdio.h>

#define ROW(words, usage, summary, name, min, max, type, defaults)                                 \
    {                                                                                              \
        words, usage, summary, cmd_##name##_options, min, max, CLO_ROLE_NONE, sizeof(type),        \
            defaults, cmd_##name                                                                   \
    }

static const cli_command COMMANDS[] = {
    ROW("demo", "[--keep] [--json]", "the whole life cycle on this machine, with real data", demo,
        0, 0, cmd_demo_settings, cmd_demo_defaults),

    ROW("keygen", "PREFIX", "an owner's keys: one signs, one receives outputs", keygen, 1, 1,
        cmd_keygen_settings, NULL),

    ROW("kms init", "FOLDER --root KIND:PATH", "make a key broker's store", kms_init, 1, 1,
        cmd_broker_settings, NULL),
    ROW("kms owner", "FOLDER PUB --root KIND:PATH", "pin an owner's key in a broker's store",
        kms_owner, 2, 2, cmd_broker_settings, NULL),
    ROW("kms serve", "FOLDER --root KIND:PATH", "run a key broker", kms_serve, 1, 1,
        cmd_broker_settings, cmd_kms_defaults),
    ROW("kms trust", "HOST:PORT --owner KEY", "verify a broker's evidence and pin its identity",
        kms_trust, 1, 1, cmd_trust_settings, NULL),
    ROW("kms key", "NAME --owner KEY", "make a data key in the broker", kms_key, 1, 1,
        cmd_owner_settings, NULL),
    ROW("kms revoke", "KEY-ID --owner KEY", "stop releases of a data key", kms_revoke, 1, 1,
        cmd_owner_settings, NULL),
    ROW("kms policy make", "--owner KEY --key ID --data-set NAME --model NAME",
        "sign conditions for a data key", policy_make, 0, 0, cmd_policy_settings,
        cmd_policy_defaults),
    ROW("kms policy put", "POLICY --owner KEY", "give a policy to the broker", policy_put, 1, 1,
        cmd_policy_settings, NULL),
    ROW("kms policy show", "POLICY", "print a policy after checking its signature", policy_show, 1,
        1, cmd_policy_settings, NULL),
    ROW("kms audit", "--owner KEY", "what the broker did with this owner's keys", kms_audit, 0, 0,
        cmd_owner_settings, NULL),
    ROW("kms audit-store", "FOLDER", "check the chain of a broker's whole audit log",
        kms_audit_store, 1, 1, cmd_owner_settings, NULL),

    ROW("seal", "NAME=FILE... --owner KEY --policy FILE --index FILE",
        "seal files under a data key, and sign their index", seal, 1, CLI_LIST_MAX,
        cmd_seal_settings, NULL),
    ROW("open", "FILE --key KEY --job JOB -o FILE", "open an output as its recipient", open, 1, 1,
        cmd_open_settings, NULL),
    ROW("inspect", "FILE", "what a file says of itself", inspect, 1, 1, cmd_inspect_settings, NULL),

    ROW("attest quote", "[--data HEX] [-o FILE]", "evidence over your own data", quote, 0, 0,
        cmd_quote_settings, NULL),
    ROW("attest verify", "FILE", "verify evidence; the exit code is the verdict", verify, 1, 1,
        cmd_verify_settings, NULL),
    {"attest explain", "FILE", "verify evidence and show every check", cmd_verify_options, 1, 1,
     CLO_ROLE_NONE, sizeof(cmd_verify_settings), NULL, cmd_explain},
    ROW("attest measure", "[PROGRAM]", "the measurement of a program (cloister-tee)", measure, 0, 1,
        cmd_measure_settings, NULL),
    ROW("attest sim-init", "[FOLDER]", "make a simulator vendor for this installation", sim_init, 0,
        1, cmd_measure_settings, NULL),
    ROW("attest sim-run", "[FOLDER]", "run the simulator's quoting process", sim_run, 0, 1,
        cmd_measure_settings, NULL),

    ROW("job make", "MODEL --train INDEX:SPLIT --sign KEY -o JOB", "make and sign a job", job_make,
        1, 1, cmd_job_settings, cmd_job_defaults),
    ROW("job sign", "MANIFEST --sign KEY -o JOB", "sign a manifest edited by hand", job_sign, 1, 1,
        cmd_job_sign_settings, NULL),
    ROW("job show", "JOB", "print a job after checking its signature", job_show, 1, 1,
        cmd_job_sign_settings, NULL),
    ROW("job approve", "JOB --owner KEY", "allow a job to use your data", job_approve, 1, 1,
        cmd_approve_settings, cmd_approve_defaults),

    ROW("train", "JOB [--broker HOST:PORT] [--nproc N]", "run ranks of a job here", train, 1, 1,
        cmd_train_settings, cmd_train_defaults),
    ROW("eval", "JOB [--broker HOST:PORT]", "evaluate a job's last checkpoint", eval, 1, 1,
        cmd_train_settings, cmd_train_defaults),
    ROW("verify", "TRANSCRIPT --job JOB", "check the signed record of a run, offline", transcript,
        1, 1, cmd_transcript_settings, NULL),
    ROW("predict", "MODEL --images FILE --labels FILE", "classify images with an opened model",
        predict, 1, 1, cmd_predict_settings, cmd_predict_defaults),
    {NULL, NULL, NULL, NULL, 0, 0, CLO_ROLE_NONE, 0, NULL, NULL},
};

int main(int argc, char **argv)
{
    clo_status status = cli_start(false);
    if (!clo_ok(status)) {
        char text[512];
        clo_status_text(status, text, sizeof text);
        (void)fprintf(stderr, "cloister: %s\n", text);
        return cli_exit_code(status.code);
    }
    return cli_main("cloister", COMMANDS, argc, argv);
}
