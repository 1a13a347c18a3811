/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_CLI_OPTIONS_H
#define CLO_CLI_OPTIONS_H

/*
 * Options and commands as const tables. A command is a row: its words, what it does, its options
 * and its function. An option is a row: its name, where its value goes in the command's own struct,
 * and its help. `--help` works on every level and is made from the rows; an unknown word is an
 * error that names the nearest known one.
 *
 *     typedef struct { const char *output; uint64_t seed; bool json; } make_options;
 *     static const cli_option OPTIONS[] = {
 *         {"output", CLI_TEXT, offsetof(make_options, output), "FILE", "where the job goes"},
 *         CLI_OPTIONS_END};
 *
 * `-o` is short for `--output`; `--name=value` and `--name value` are the same. Positional
 * arguments go to `positional` in order. Everything is borrowed from argv.
 */
#include "cloister/channel.h"

typedef enum { CLI_FLAG, CLI_TEXT, CLI_NUMBER, CLI_REAL, CLI_LIST } cli_kind;

#define CLI_LIST_MAX 64

typedef struct {
    const char *item[CLI_LIST_MAX];
    size_t count;
} cli_list;

typedef struct {
    const char *name;  /* empty: this build does not have the option */
    cli_kind kind;     /* of the field: bool, const char *, uint64_t, double, cli_list */
    size_t offset;     /* of the field in the command's options */
    const char *value; /* "FILE": shown in help; NULL for flags */
    const char *help;  /* NULL: accepted, not listed */
} cli_option;

#define CLI_OPTIONS_END                                                                            \
    {                                                                                              \
        NULL, CLI_FLAG, 0, NULL, NULL                                                              \
    }

/* Which options were given, for settings where the default matters: bit i is row i. */
typedef struct {
    cli_list positional;
    uint64_t given;
} cli_arguments;

typedef struct cli_command cli_command;

struct cli_command {
    const char *words;   /* "kms init" */
    const char *usage;   /* what follows the words: "FOLDER --root-file FILE" */
    const char *summary; /* one line */
    const cli_option *options;
    size_t positional_min, positional_max;
    clo_role role;                   /* of the TEE commands: a constant, nothing sets it */
    size_t state_size;               /* of the command's options struct, zeroed before `defaults` */
    void (*defaults)(void *options); /* may be NULL */
    clo_status (*run)(const cli_command *command, const void *options,
                      const cli_arguments *arguments);
};

/* Finds the command in a table ended by a row without words, parses, runs. The return value is the
 * process's exit code; failures are printed to standard error as one line. */
int cli_main(const char *program, const cli_command *table, int argc, char **argv);

/* True if the option of this name was given. */
bool cli_given(const cli_command *command, const cli_arguments *arguments, const char *name);

/* The documented exit codes (README.md): 0 done, 1 failed, 2 wrong
 * use, 3 refused (evidence, policy, broker), 4 data or signature damaged, 5 timed out or connection
 * lost, 6 not found or already there. */
int cli_exit_code(int32_t code);
/* The first code of the row: for what a child process ended with. */
clo_code cli_code_of_exit(int exit_code);

#endif
