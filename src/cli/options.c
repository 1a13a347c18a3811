/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parser behind the tables of options.h. Nothing here knows a command.
 */
#include "options.h"

#include <stdio.h>
#include <string.h>

#define WORDS_MAX   96
#define CLO_VERSION "0.1.0"

typedef struct {
    int32_t code;
    int exit_code;
} exit_row;

static const exit_row EXIT_CODES[] = {
    {CLO_OK, 0},      {CLO_INVALID, 2},  {CLO_DENIED, 3},      {CLO_CRYPTO, 4},
    {CLO_TIMEOUT, 5}, {CLO_NOTFOUND, 6}, {CLO_UNSUPPORTED, 2}, {CLO_ATTEST, 3},
    {CLO_POLICY, 3},  {CLO_FORMAT, 4},   {CLO_LIMIT, 4},       {CLO_NUMERIC, 4},
    {CLO_EOF, 4},     {CLO_CLOSED, 5},   {CLO_CANCELED, 5},    {CLO_EXISTS, 6},
};

int cli_exit_code(int32_t code)
{
    for (size_t i = 0; i < sizeof EXIT_CODES / sizeof *EXIT_CODES; i++) {
        if (EXIT_CODES[i].code == code) {
            return EXIT_CODES[i].exit_code;
        }
    }
    return 1;
}

clo_code cli_code_of_exit(int exit_code)
{
    for (size_t i = 0; i < sizeof EXIT_CODES / sizeof *EXIT_CODES; i++) {
        if (EXIT_CODES[i].exit_code == exit_code) {
            return (clo_code)EXIT_CODES[i].code;
        }
    }
    return CLO_IO;
}

static size_t option_count(const cli_command *command)
{
    size_t count = 0;
    while (command->options && command->options[count].name) {
        count++;
    }
    return count;
}

static const cli_option *find_option(const cli_command *command, const char *name, size_t size)
{
    for (size_t i = 0; i < option_count(command); i++) {
        const char *known = command->options[i].name;
        if (size > 0 && strlen(known) == size && memcmp(known, name, size) == 0) {
            return &command->options[i];
        }
    }
    return NULL;
}

bool cli_given(const cli_command *command, const cli_arguments *arguments, const char *name)
{
    const cli_option *option = find_option(command, name, strlen(name));
    return option && (arguments->given >> (option - command->options) & 1);
}

static clo_status store_value(const cli_option *option, const char *text, void *field)
{
    switch (option->kind) {
    case CLI_FLAG:
        *(bool *)field = true;
        return CLO_STATUS_OK;
    case CLI_TEXT:
        *(const char **)field = text;
        return CLO_STATUS_OK;
    case CLI_NUMBER:
        CLO_CHECK(clo_ok(clo_parse_u64(text, INT64_MAX, field)), CLO_INVALID,
                  "option '--%s' is '%.32s', expected a whole number", option->name, text);
        return CLO_STATUS_OK;
    case CLI_REAL:
        CLO_CHECK(clo_ok(clo_parse_double(text, field)), CLO_INVALID,
                  "option '--%s' is '%.32s', expected a number", option->name, text);
        return CLO_STATUS_OK;
    case CLI_LIST: {
        cli_list *list = field;
        CLO_CHECK(list->count < CLI_LIST_MAX, CLO_INVALID, "option '--%s' given more than %d times",
                  option->name, CLI_LIST_MAX);
        list->item[list->count++] = text;
        return CLO_STATUS_OK;
    }
    }
    CLO_FAIL(CLO_BUG, "option '--%s' has no kind", option->name);
}

/* `word` may go on behind the name, with its value. */
static clo_status unknown_option(const cli_command *command, const char *word, size_t size)
{
    const char *names[64] = {NULL};
    char name[64];
    (void)snprintf(name, sizeof name, "%.*s", size < sizeof name ? (int)size : 63, word);
    for (size_t i = 0; i < option_count(command) && i < 63; i++) {
        names[i] = command->options[i].name;
    }
    const char *near = clo_nearest(name, names);
    CLO_CHECK(near, CLO_INVALID, "unknown option '--%s' of '%s'", name, command->words);
    CLO_FAIL(CLO_INVALID, "unknown option '--%s' of '%s'; did you mean '--%s'?", name,
             command->words, near);
}

typedef struct {
    const cli_command *command;
    int argc;
    char **argv;
    int at;
    void *options;
    cli_arguments *arguments;
} parse_state;

static clo_status parse_option(parse_state *state, const char *word)
{
    const char *name = strcmp(word, "-o") == 0 ? "output" : word + 2;
    const char *equals = strchr(name, '=');
    size_t size = equals ? (size_t)(equals - name) : strlen(name);
    const cli_option *option = find_option(state->command, name, size);
    if (!option) {
        return unknown_option(state->command, name, size);
    }
    CLO_CHECK(option->kind != CLI_FLAG || !equals, CLO_INVALID, "option '--%s' takes no value",
              option->name);
    const char *value = equals ? equals + 1 : NULL;
    if (option->kind != CLI_FLAG && !value) {
        CLO_CHECK(state->at < state->argc, CLO_INVALID, "option '--%s' needs a value: %s",
                  option->name, option->value);
        value = state->argv[state->at++];
    }
    state->arguments->given |= UINT64_C(1) << (option - state->command->options);
    return store_value(option, value, (uint8_t *)state->options + option->offset);
}

static clo_status parse_words(parse_state *state)
{
    cli_list *positional = &state->arguments->positional;
    while (state->at < state->argc) {
        const char *word = state->argv[state->at++];
        bool is_option = strncmp(word, "--", 2) == 0 || strcmp(word, "-o") == 0;
        if (is_option) {
            CLO_TRY(parse_option(state, word));
            continue;
        }
        CLO_CHECK(positional->count < CLI_LIST_MAX, CLO_INVALID, "too many arguments");
        positional->item[positional->count++] = word;
    }
    const cli_command *command = state->command;
    CLO_CHECK(positional->count >= command->positional_min &&
                  positional->count <= command->positional_max,
              CLO_INVALID, "'%s' takes %s", command->words, command->usage);
    return CLO_STATUS_OK;
}

static void print_options(const cli_command *command)
{
    for (size_t i = 0; i < option_count(command); i++) {
        const cli_option *option = &command->options[i];
        char left[64];
        if (option->help && option->name[0]) {
            (void)snprintf(left, sizeof left, "%s--%s%s%s",
                           strcmp(option->name, "output") == 0 ? "-o, " : "", option->name,
                           option->value ? " " : "", option->value ? option->value : "");
            printf("  %-28s %s%s\n", left, option->help,
                   option->kind == CLI_LIST ? "; may be repeated" : "");
        }
    }
}

static void print_command_help(const char *program, const cli_command *command)
{
    printf("usage: %s %s %s\n\n%s\n", program, command->words, command->usage, command->summary);
    if (option_count(command) > 0) {
        printf("\noptions\n");
        print_options(command);
    }
}

/* Commands whose words begin with `prefix` (all for an empty one). */
static size_t print_group_help(const char *program, const cli_command *table, const char *prefix)
{
    size_t size = strlen(prefix), shown = 0;
    for (const cli_command *row = table; row->words; row++) {
        bool inside = size == 0 || (strncmp(row->words, prefix, size) == 0 &&
                                    (row->words[size] == ' ' || row->words[size] == 0));
        if (inside) {
            if (shown++ == 0) {
                printf("usage: %s COMMAND ...   (%s COMMAND --help tells more)\n\n", program,
                       program);
            }
            printf("  %-18s %s\n", row->words, row->summary);
        }
    }
    return shown;
}

/* The row whose words are the longest prefix of argv; *out_words is how many words it took. */
static const cli_command *find_command(const cli_command *table, int argc, char **argv,
                                       int *out_words)
{
    const cli_command *best = NULL;
    for (const cli_command *row = table; row->words; row++) {
        char words[WORDS_MAX];
        int count = 0;
        (void)snprintf(words, sizeof words, "%s", row->words);
        char *rest = words, *word;
        bool same = true;
        while (same && (word = strsep(&rest, " ")) != NULL) {
            same = count < argc && strcmp(argv[count], word) == 0;
            count++;
        }
        if (same && (!best || count > *out_words)) {
            best = row;
            *out_words = count;
        }
    }
    return best;
}

static bool asks_help(int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            return true;
        }
    }
    return false;
}

static clo_status unknown_command(const cli_command *table, const char *word)
{
    const char *names[65] = {NULL};
    size_t count = 0;
    for (const cli_command *row = table; row->words && count < 64; row++) {
        names[count++] = row->words;
    }
    const char *near = clo_nearest(word, names);
    CLO_CHECK(near, CLO_INVALID, "unknown command '%s'; --help lists them", word);
    CLO_FAIL(CLO_INVALID, "unknown command '%s'; did you mean '%s'?", word, near);
}

static clo_status run_command(const cli_command *command, int argc, char **argv)
{
    cli_arguments arguments = {0};
    void *options = clo_alloc(command->state_size ? command->state_size : 1);
    CLO_CHECK(options, CLO_NOMEM, "no memory for options");
    if (command->defaults) {
        command->defaults(options);
    }
    parse_state state = {command, argc, argv, 0, options, &arguments};
    clo_status status = parse_words(&state);
    if (clo_ok(status)) {
        status = command->run(command, options, &arguments);
    }
    clo_free(options);
    return status;
}

static int finish(const char *program, clo_status status)
{
    if (!clo_ok(status)) {
        char text[1600];
        clo_status_text(status, text, sizeof text);
        (void)fflush(stdout);
        (void)fprintf(stderr, "%s: %s\n", program, text);
    }
    return cli_exit_code(status.code);
}

int cli_main(const char *program, const cli_command *table, int argc, char **argv)
{
    bool help = asks_help(argc - 1, argv + 1);
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        printf("%s %s\n", program, CLO_VERSION);
        return 0;
    }
    if (argc < 2 || (help && argc == 2)) {
        (void)print_group_help(program, table, "");
        return argc < 2 ? 2 : 0;
    }
    int words = 0;
    const cli_command *command = find_command(table, argc - 1, argv + 1, &words);
    if (command && help) {
        print_command_help(program, command);
        return 0;
    }
    if (!command) {
        size_t shown = print_group_help(program, table, argv[1]);
        return shown > 0 ? (help ? 0 : 2) : finish(program, unknown_command(table, argv[1]));
    }
    return finish(program, run_command(command, argc - 1 - words, argv + 1 + words));
}
