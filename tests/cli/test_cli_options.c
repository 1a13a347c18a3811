/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parser of options.h over a table of its own: what reaches a command, what is refused and with
 * which words, the help of every level, and the exit codes.
 */
#include "options.h"
#include "test.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---------------------------------------------------------------- a program ------------------- */

typedef struct {
    bool loud;
    const char *output;
    uint64_t epochs;
    double rate;
    cli_list words;
} settings;

static const cli_option OPTIONS[] = {
    {"loud", CLI_FLAG, offsetof(settings, loud), NULL, "say it loudly"},
    {"output", CLI_TEXT, offsetof(settings, output), "FILE", "where it goes"},
    {"epochs", CLI_NUMBER, offsetof(settings, epochs), "N", "how often (10)"},
    {"lr", CLI_REAL, offsetof(settings, rate), "X", "how fast (0.5)"},
    {"word", CLI_LIST, offsetof(settings, words), "WORD", "may be repeated"},
    {"legacy", CLI_FLAG, offsetof(settings, loud), NULL, NULL},
    CLI_OPTIONS_END};

static const cli_option NO_OPTIONS[] = {CLI_OPTIONS_END};

/* What the last command that ran was given. */
static struct {
    const char *words; /* of the command; NULL: none ran */
    clo_role role;
    settings settings;
    cli_arguments arguments;
    bool epochs_given, unknown_given;
} seen;

static clo_code answer; /* of the command */

static clo_status run_command(const cli_command *command, const void *options,
                              const cli_arguments *arguments)
{
    seen.words = command->words;
    seen.role = command->role;
    seen.settings = *(const settings *)options;
    seen.arguments = *arguments;
    seen.epochs_given = cli_given(command, arguments, "epochs");
    seen.unknown_given = cli_given(command, arguments, "nothing");
    CLO_CHECK(answer == CLO_OK, answer, "the reason");
    return CLO_STATUS_OK;
}

static void set_defaults(void *options)
{
    settings *s = options;
    s->epochs = 10;
    s->rate = 0.5;
}

#define ROW(words, usage, summary, options, min, max)                                              \
    {                                                                                              \
        words, usage, summary, options, min, max, CLO_ROLE_TRAINER, sizeof(settings),              \
            set_defaults, run_command                                                              \
    }

static const cli_command COMMANDS[] = {
    ROW("make", "NAME [FILE]", "makes a thing", OPTIONS, 1, 2),
    ROW("keys", "", "lists keys", NO_OPTIONS, 0, 0),
    ROW("keys policy make", "NAME", "makes a policy", OPTIONS, 1, 1),
    ROW("keys policy put", "FILE", "gives a policy", OPTIONS, 1, 1),
    ROW("group one", "", "the first of a group", NO_OPTIONS, 0, 0),
    ROW("group two", "", "the second of a group", NO_OPTIONS, 0, 0),
    {NULL, NULL, NULL, NULL, 0, 0, CLO_ROLE_NONE, 0, NULL, NULL},
};

/* ---------------------------------------------------------------- running it ------------------ */

static char said[8192], complained[2048]; /* standard output and error of the last run */

/* Standard streams go to a file while the program runs. */
static int divert(FILE *stream, int fd, FILE *file)
{
    (void)fflush(stream);
    int kept = dup(fd);
    (void)dup2(fileno(file), fd);
    return kept;
}

static void give_back(FILE *stream, int fd, int kept, FILE *file, char *text, size_t size)
{
    (void)fflush(stream);
    (void)dup2(kept, fd);
    (void)close(kept);
    rewind(file);
    text[fread(text, 1, size - 1, file)] = '\0';
    (void)fclose(file);
}

static int run_words(const char *const *words)
{
    char *argv[96] = {(char[]){"prog"}};
    int argc = 1;
    for (; words[argc - 1]; argc++) {
        argv[argc] = (char *)(uintptr_t)words[argc - 1];
    }
    memset(&seen, 0, sizeof seen);
    FILE *out = tmpfile(), *err = tmpfile();
    if (!out || !err) {
        return -1;
    }
    int kept_out = divert(stdout, STDOUT_FILENO, out),
        kept_err = divert(stderr, STDERR_FILENO, err);
    int code = cli_main("prog", COMMANDS, argc, argv);
    give_back(stdout, STDOUT_FILENO, kept_out, out, said, sizeof said);
    give_back(stderr, STDERR_FILENO, kept_err, err, complained, sizeof complained);
    return code;
}

#define RUN(...) run_words((const char *const[]){__VA_ARGS__, NULL})

/* ---------------------------------------------------------------- options --------------------- */

static void a_value_may_follow_or_stand_behind_an_equals_sign(void)
{
    T_INT(RUN("make", "x", "--output", "a.txt"), 0);
    T_STR(seen.settings.output, "a.txt");
    T_INT(RUN("make", "x", "--output=a.txt"), 0);
    T_STR(seen.settings.output, "a.txt");
    T_INT(RUN("make", "x", "--output=a=b"), 0);
    T_STR(seen.settings.output, "a=b");
    T_INT(RUN("make", "x", "--output="), 0);
    T_STR(seen.settings.output, "");
}

static void o_is_short_for_output(void)
{
    T_INT(RUN("make", "x", "-o", "a.txt"), 0);
    T_STR(seen.settings.output, "a.txt");
    T_INT(RUN("keys", "-o", "a.txt"), 2);
    T_CHECK(strstr(complained, "unknown option '--output' of 'keys'"));
}

static void every_kind_of_value_reaches_its_field(void)
{
    T_INT(RUN("make", "x", "--loud", "--epochs", "3", "--lr", "1e-3", "--word", "a", "--word=b"),
          0);
    T_CHECK(seen.settings.loud);
    T_INT(seen.settings.epochs, 3);
    T_NEAR(seen.settings.rate, 0.001, 0.0);
    T_INT(seen.settings.words.count, 2);
    T_STR(seen.settings.words.item[0], "a");
    T_STR(seen.settings.words.item[1], "b");
}

static void what_is_not_given_keeps_its_default_and_is_known_as_such(void)
{
    T_INT(RUN("make", "x"), 0);
    T_INT(seen.settings.epochs, 10);
    T_NEAR(seen.settings.rate, 0.5, 0.0);
    T_CHECK(!seen.settings.loud && !seen.settings.output);
    T_CHECK(!seen.epochs_given);
    T_INT(RUN("make", "x", "--epochs", "10"), 0);
    T_CHECK(seen.epochs_given && !seen.unknown_given);
}

static void the_last_of_a_repeated_option_counts(void)
{
    T_INT(RUN("make", "x", "--output", "a", "--output", "b"), 0);
    T_STR(seen.settings.output, "b");
}

static void an_option_without_help_is_taken_all_the_same(void)
{
    T_INT(RUN("make", "x", "--legacy"), 0);
    T_CHECK(seen.settings.loud);
}

static void an_option_without_its_value_is_refused_with_its_form(void)
{
    T_INT(RUN("make", "x", "--output"), 2);
    T_STR(complained, "prog: option '--output' needs a value: FILE\n");
    T_CHECK(seen.words == NULL);
}

static void a_flag_with_a_value_is_refused(void)
{
    T_INT(RUN("make", "x", "--loud=yes"), 2);
    T_STR(complained, "prog: option '--loud' takes no value\n");
}

static void a_list_has_a_limit(void)
{
    const char *words[2 * CLI_LIST_MAX + 3] = {NULL};
    for (size_t i = 0; i < CLI_LIST_MAX; i++) {
        words[i] = "--word=w";
    }
    /* The command's own words must come first. */
    memmove(words + 2, words, CLI_LIST_MAX * sizeof *words);
    words[0] = "make";
    words[1] = "x";
    T_INT(run_words(words), 0);
    T_INT(seen.settings.words.count, CLI_LIST_MAX);
    words[CLI_LIST_MAX + 2] = "--word=w";
    T_INT(run_words(words), 2);
    T_STR(complained, "prog: option '--word' given more than 64 times\n");
}

static void what_is_no_number_is_refused_by_the_option_s_name(void)
{
    static const char *const wrong[] = {"ten", "-1", "1.5", "", "99999999999999999999"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        T_INT(RUN("make", "x", "--epochs", wrong[i]), 2);
        T_CHECK(strstr(complained, "prog: option '--epochs' is '"));
        T_CHECK(seen.words == NULL);
    }
    T_INT(RUN("make", "x", "--lr", "fast"), 2);
    T_STR(complained, "prog: option '--lr' is 'fast', expected a number\n");
    T_INT(RUN("make", "x", "--lr", "nan"), 2);
}

static void an_unknown_option_names_the_nearest(void)
{
    T_INT(RUN("make", "x", "--epoch", "3"), 2);
    T_STR(complained, "prog: unknown option '--epoch' of 'make'; did you mean '--epochs'?\n");
    T_CHECK(seen.words == NULL);
    T_INT(RUN("make", "x", "--epochs", "3"), 0);
}

static void the_nearest_is_found_whatever_the_value(void)
{
    T_INT(RUN("make", "x", "--outptu=a/rather/long/path"), 2);
    T_STR(complained, "prog: unknown option '--outptu' of 'make'; did you mean '--output'?\n");
}

static void an_option_that_is_near_to_none_names_none(void)
{
    T_INT(RUN("make", "x", "--entirely-different"), 2);
    T_STR(complained, "prog: unknown option '--entirely-different' of 'make'\n");
}

static void options_of_another_command_are_unknown(void)
{
    T_INT(RUN("keys", "--loud"), 2);
    T_CHECK(strstr(complained, "unknown option '--loud' of 'keys'"));
}

/* ---------------------------------------------------------------- arguments ------------------- */

static void arguments_come_in_order_wherever_options_stand(void)
{
    T_INT(RUN("make", "--epochs", "3", "one", "--loud", "two"), 0);
    T_INT(seen.arguments.positional.count, 2);
    T_STR(seen.arguments.positional.item[0], "one");
    T_STR(seen.arguments.positional.item[1], "two");
}

static void a_lone_dash_is_an_argument(void)
{
    T_INT(RUN("make", "-"), 0);
    T_STR(seen.arguments.positional.item[0], "-");
}

static void too_few_and_too_many_arguments_are_refused_with_the_usage(void)
{
    T_INT(RUN("make"), 2);
    T_STR(complained, "prog: 'make' takes NAME [FILE]\n");
    T_INT(RUN("make", "a", "b", "c"), 2);
    T_STR(complained, "prog: 'make' takes NAME [FILE]\n");
    T_CHECK(seen.words == NULL);
    T_INT(RUN("make", "a", "b"), 0);
}

/* ---------------------------------------------------------------- commands -------------------- */

static void the_longest_command_is_meant(void)
{
    T_INT(RUN("keys", "policy", "make", "x"), 0);
    T_STR(seen.words, "keys policy make");
    T_STR(seen.arguments.positional.item[0], "x");
    T_INT(RUN("keys"), 0);
    T_STR(seen.words, "keys");
}

static void a_command_has_the_role_of_its_row(void)
{
    T_INT(RUN("make", "x", "--output", "owner"), 0);
    T_INT(seen.role, CLO_ROLE_TRAINER);
}

static void an_unknown_command_names_the_nearest(void)
{
    T_INT(RUN("maek", "x"), 2);
    T_STR(complained, "prog: unknown command 'maek'; did you mean 'make'?\n");
    T_INT(RUN("completely-else"), 2);
    T_STR(complained, "prog: unknown command 'completely-else'; --help lists them\n");
    T_CHECK(seen.words == NULL);
}

/* ---------------------------------------------------------------- help ------------------------ */

static void help_of_the_program_lists_all_commands(void)
{
    static const char *const ways[] = {"--help", "-h"};
    for (size_t i = 0; i < 2; i++) {
        T_INT(RUN(ways[i]), 0);
        for (const cli_command *row = COMMANDS; row->words; row++) {
            T_CHECK(strstr(said, row->words) && strstr(said, row->summary));
        }
    }
}

static void no_command_at_all_shows_the_help_and_is_wrong_use(void)
{
    T_INT(run_words((const char *const[]){NULL}), 2);
    T_CHECK(strstr(said, "makes a thing"));
}

static void help_of_a_command_shows_usage_and_listed_options(void)
{
    T_INT(RUN("make", "--help"), 0);
    T_CHECK(strstr(said, "usage: prog make NAME [FILE]\n\nmakes a thing\n"));
    T_CHECK(strstr(said, "--epochs N") && strstr(said, "how often (10)"));
    T_CHECK(strstr(said, "--loud") && !strstr(said, "--legacy"));
    T_CHECK(seen.words == NULL);
    T_STR(complained, "");
}

static void help_is_found_behind_wrong_words_too(void)
{
    T_INT(RUN("make", "a", "b", "c", "--nonsense", "-h"), 0);
    T_CHECK(strstr(said, "usage: prog make"));
    T_CHECK(seen.words == NULL);
}

static void help_of_a_group_lists_the_group(void)
{
    T_INT(RUN("group", "--help"), 0);
    T_CHECK(strstr(said, "group one") && strstr(said, "group two") && !strstr(said, "make"));
    T_INT(RUN("group"), 2);
    T_CHECK(strstr(said, "group one"));
    T_INT(RUN("gro", "--help"), 2);
    T_CHECK(!strstr(said, "group one"));
}

/* ---------------------------------------------------------------- exit codes ------------------ */

static const struct {
    clo_code code;
    int exit_code;
} EXIT_CODES[CLO_CODE_COUNT] = {
    {CLO_OK, 0},     {CLO_INVALID, 2},     {CLO_NOMEM, 1},   {CLO_IO, 1},      {CLO_EOF, 4},
    {CLO_FORMAT, 4}, {CLO_LIMIT, 4},       {CLO_CRYPTO, 4},  {CLO_ATTEST, 3},  {CLO_POLICY, 3},
    {CLO_DENIED, 3}, {CLO_NOTFOUND, 6},    {CLO_EXISTS, 6},  {CLO_TIMEOUT, 5}, {CLO_CANCELED, 5},
    {CLO_CLOSED, 5}, {CLO_UNSUPPORTED, 2}, {CLO_NUMERIC, 4}, {CLO_BUG, 1},
};

static void every_code_has_its_documented_exit_code(void)
{
    for (size_t i = 0; i < CLO_CODE_COUNT; i++) {
        T_INT(EXIT_CODES[i].code, i);
        T_INT(cli_exit_code(EXIT_CODES[i].code), EXIT_CODES[i].exit_code);
    }
    T_INT(cli_exit_code(CLO_CODE_COUNT), 1);
    T_INT(cli_exit_code(-1), 1);
}

static void a_failure_is_one_line_and_its_exit_code(void)
{
    for (size_t i = 1; i < CLO_CODE_COUNT; i++) {
        answer = EXIT_CODES[i].code;
        int code = RUN("make", "x");
        answer = CLO_OK;
        T_INT(code, EXIT_CODES[i].exit_code);
        T_STR(complained, "prog: the reason\n");
    }
    T_INT(RUN("make", "x"), 0);
    T_STR(complained, "");
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(a_value_may_follow_or_stand_behind_an_equals_sign),
        T(o_is_short_for_output),
        T(every_kind_of_value_reaches_its_field),
        T(what_is_not_given_keeps_its_default_and_is_known_as_such),
        T(the_last_of_a_repeated_option_counts),
        T(an_option_without_help_is_taken_all_the_same),
        T(an_option_without_its_value_is_refused_with_its_form),
        T(a_flag_with_a_value_is_refused),
        T(a_list_has_a_limit),
        T(what_is_no_number_is_refused_by_the_option_s_name),
        T(an_unknown_option_names_the_nearest),
        T(the_nearest_is_found_whatever_the_value),
        T(an_option_that_is_near_to_none_names_none),
        T(options_of_another_command_are_unknown),
        T(arguments_come_in_order_wherever_options_stand),
        T(a_lone_dash_is_an_argument),
        T(too_few_and_too_many_arguments_are_refused_with_the_usage),
        T(the_longest_command_is_meant),
        T(a_command_has_the_role_of_its_row),
        T(an_unknown_command_names_the_nearest),
        T(help_of_the_program_lists_all_commands),
        T(no_command_at_all_shows_the_help_and_is_wrong_use),
        T(help_of_a_command_shows_usage_and_listed_options),
        T(help_is_found_behind_wrong_words_too),
        T(help_of_a_group_lists_the_group),
        T(every_code_has_its_documented_exit_code),
        T(a_failure_is_one_line_and_its_exit_code),
    };
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
