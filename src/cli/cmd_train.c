/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cloister train JOB: starts the ranks of a job on this machine (one, as the launcher's environment
 * says, or --nproc N) and shows what they report.
 */
#include "commands.h"

#include "terminal.h"
#include "train_flags.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define RANKS_MAX 32

#define SLOT_OPTIONS                                                                               \
    {"broker", CLI_TEXT, offsetof(cmd_train_settings, broker), "HOST:PORT",                        \
     "the key broker's listener for slots (127.0.0.1:7443)"},                                      \
        {"maker", CLI_TEXT, offsetof(cmd_train_settings, maker), "NAME:CONFIG",                    \
         "what makes evidence (the simulator's default socket)"},                                  \
        {"out", CLI_TEXT, offsetof(cmd_train_settings, out), "FOLDER",                             \
         "checkpoints, metrics, model (beside the job)"},                                          \
        {"tee", CLI_TEXT, offsetof(cmd_train_settings, tee), "PROGRAM",                            \
         "the program to run (cloister-tee beside this one)"},                                     \
        {"train-index", CLI_TEXT, offsetof(cmd_train_settings, train_index), "FILE",               \
         "where the training index is (as the job says)"},                                         \
        {"test-index", CLI_TEXT, offsetof(cmd_train_settings, test_index), "FILE",                 \
         "where the test index is (as the job says)"},                                             \
        {"threads", CLI_NUMBER, offsetof(cmd_train_settings, threads), "N",                        \
         "per rank (cores / local ranks)"},                                                        \
        {"timeout", CLI_NUMBER, offsetof(cmd_train_settings, timeout), "SECONDS",                  \
         "for enrolment and meeting the other ranks (120)"},                                       \
    {                                                                                              \
        "json", CLI_FLAG, offsetof(cmd_train_settings, json), NULL, "print the ranks' events"      \
    }

const cli_option cmd_train_options[] = {
    SLOT_OPTIONS,
    {"nproc", CLI_NUMBER, offsetof(cmd_train_settings, nproc), "N", "start N ranks here"},
    {"rank", CLI_NUMBER, offsetof(cmd_train_settings, rank), "N", "rank, without a launcher (0)"},
    {"port", CLI_NUMBER, offsetof(cmd_train_settings, port), "N", "of rank 0 with --nproc (29500)"},
    {"dry-run", CLI_FLAG, offsetof(cmd_train_settings, dry_run), NULL,
     "prove, get the keys, open the data, leave"},
    {"events", CLI_TEXT, offsetof(cmd_train_settings, events), "FILE",
     "write the ranks' events there, a JSON line each"},
    CLI_TRAIN_FLAGS(cmd_train_settings, train),
    {"backend", CLI_TEXT, offsetof(cmd_train_settings, backend), "NAME", NULL},
    {"no-cuda", CLI_FLAG, offsetof(cmd_train_settings, no_cuda), NULL, NULL},
    CLI_OPTIONS_END};

const cli_option cmd_eval_options[] = {SLOT_OPTIONS, CLI_OPTIONS_END};

void cmd_train_defaults(void *settings)
{
    cmd_train_settings *s = settings;
    s->train = CLO_TRAIN_SETTINGS_INIT;
    s->broker = "127.0.0.1:7443";
    s->port = 29500;
    s->timeout = 120;
}

/* ---------------------------------------------------------------- starting ranks -------------- */

typedef struct {
    const cmd_train_settings *settings;
    const char *role_word; /* "train" or "eval" */
    const char *job;
    clo_manifest *manifest;
    clo_launch_hints hints;
    uint32_t ranks; /* started here */
    uint32_t first_rank;
    char tee[1024], maker[256], out[1024], master[160];
    cli_list set;
    clo_arena arena;
    cli_progress progress;
    bool terminal;
    FILE *events; /* NULL: not asked for */
} train_state;

static clo_status place(train_state *state)
{
    const cmd_train_settings *s = state->settings;
    CLO_TRY(cli_tee_path(s->tee, state->tee, sizeof state->tee));
    CLO_TRY(cli_tee_maker(s->maker, state->maker, sizeof state->maker));
    const char *slash = strrchr(state->job, '/');
    int folder = slash ? (int)(slash - state->job) : 1;
    int got = snprintf(state->out, sizeof state->out, "%.*s", s->out ? 1023 : folder,
                       s->out ? s->out : (slash ? state->job : "."));
    CLO_CHECK(got > 0 && got < 1023, CLO_LIMIT, "the output folder's path is too long");
    CLO_TRY(clo_dir_make(state->out, 0700));
    if (state->hints.master[0] && s->nproc == 0) {
        memcpy(state->master, state->hints.master, sizeof state->master);
    } else {
        (void)snprintf(state->master, sizeof state->master, "127.0.0.1:%llu",
                       (unsigned long long)s->port);
    }
    return CLO_STATUS_OK;
}

static clo_status count_ranks(train_state *state, const cli_command *command,
                              const cli_arguments *arguments)
{
    bool given_nproc = cli_given(command, arguments, "nproc");
    bool given_rank = cli_given(command, arguments, "rank");
    bool alone = state->settings->dry_run || strcmp(state->role_word, "eval") == 0;
    const cmd_train_settings *s = state->settings;
    uint32_t world = state->manifest->world_size;
    CLO_CHECK(!given_nproc || s->nproc > 0, CLO_INVALID, "--nproc is 0, expected 1 to %d",
              RANKS_MAX);
    CLO_CHECK(given_nproc || given_rank || state->hints.has_world || world == 1 || alone,
              CLO_INVALID,
              "the job has %u ranks: --nproc %u starts them here, --rank N (or a launcher's "
              "WORLD_SIZE and RANK) starts one",
              world, world);
    CLO_CHECK(s->nproc <= RANKS_MAX, CLO_INVALID, "--nproc is %llu, at most %d",
              (unsigned long long)s->nproc, RANKS_MAX);
    CLO_CHECK(s->nproc == 0 || s->nproc == world || s->dry_run, CLO_INVALID,
              "--nproc is %llu, the job's world size is %u", (unsigned long long)s->nproc, world);
    CLO_CHECK(!state->hints.has_world || state->hints.world == world, CLO_INVALID,
              "the launcher (%s) says world size %u, the job's is %u", state->hints.launcher,
              state->hints.world, world);
    CLO_CHECK(!state->hints.has_world || s->nproc || !given_rank || s->rank == state->hints.rank,
              CLO_INVALID, "--rank is %llu, the launcher (%s) says %u", (unsigned long long)s->rank,
              state->hints.launcher, state->hints.rank);
    state->ranks = s->nproc ? (uint32_t)s->nproc : 1;
    state->first_rank = state->hints.has_world && !s->nproc ? state->hints.rank : (uint32_t)s->rank;
    return CLO_STATUS_OK;
}

static char *number_text(train_state *state, uint64_t value)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    return clo_arena_str(&state->arena, clo_span_of_str(text));
}

static void add_words(const char **words, size_t *count, const char *option, const char *value)
{
    if (value) {
        words[(*count)++] = option;
        words[(*count)++] = value;
    }
}

static clo_status start_rank(train_state *state, uint32_t i, clo_process **out_process)
{
    const cmd_train_settings *s = state->settings;
    const char *words[160] = {state->role_word, state->job};
    size_t count = 2;
    int threads =
        s->threads
            ? (int)s->threads
            : clo_launch_threads(&state->hints, s->nproc ? state->ranks : state->hints.local_world);
    add_words(words, &count, "--broker", s->broker);
    add_words(words, &count, "--maker", state->maker);
    add_words(words, &count, "--master", state->master);
    add_words(words, &count, "--interface",
              state->hints.local_interface[0] ? state->hints.local_interface : NULL);
    add_words(words, &count, "--train-index", s->train_index);
    add_words(words, &count, "--test-index", s->test_index);
    add_words(words, &count, "--out", state->out);
    add_words(words, &count, "--rank", number_text(state, state->first_rank + i));
    add_words(words, &count, "--world", number_text(state, state->manifest->world_size));
    add_words(words, &count, "--threads", number_text(state, (uint64_t)threads));
    add_words(words, &count, "--timeout", number_text(state, s->timeout));
    for (size_t k = 0; k < state->set.count; k++) {
        add_words(words, &count, "--set", state->set.item[k]);
    }
    if (s->dry_run) {
        words[count++] = "--dry-run";
    }
    clo_process_options options = {
        .program = state->tee, .arguments = words, .capture_out = true, .capture_err = true};
    CLO_TRY(cli_tee_environment(&state->arena, &options.environment));
    return clo_process_start(&options, out_process);
}

/* ---------------------------------------------------------------- showing events -------------- */

static void show_step(train_state *state, const clo_json *event, uint32_t rank)
{
    cli_progress *p = &state->progress;
    bool whole = clo_ok(clo_json_u64(event, "epoch", UINT32_MAX, &p->epoch)) &&
                 clo_ok(clo_json_u64(event, "batch", UINT32_MAX, &p->batch)) &&
                 clo_ok(clo_json_u64(event, "batches", UINT32_MAX, &p->batches)) &&
                 clo_ok(clo_json_double(event, "samples_per_second", &p->samples_per_second)) &&
                 clo_ok(clo_json_double(event, "seconds_left", &p->seconds_left));
    if (!whole || rank != state->first_rank) {
        return;
    }
    p->has_loss = clo_ok(clo_json_double(event, "loss", &p->loss));
    if (state->terminal) {
        cli_progress_show(p);
    } else {
        cli_log_step(p);
    }
}

static void show_epoch(train_state *state, const clo_json *event, uint32_t rank)
{
    const clo_json *result = NULL;
    double accuracy = 0, loss = 0;
    bool tested = false;
    if (rank == state->first_rank && clo_ok(clo_json_bool(event, "tested", &tested)) && tested &&
        clo_ok(clo_json_member(event, "result", CLO_JSON_OBJECT, &result)) &&
        clo_ok(clo_json_double(result, "test_accuracy", &accuracy)) &&
        clo_ok(clo_json_double(result, "test_loss", &loss))) {
        cli_progress_clear();
        cli_log_test(accuracy, loss);
    }
}

static void show_enrolled(const clo_json *event, uint32_t rank)
{
    clo_span role = CLO_SPAN_EMPTY;
    const clo_json *broker = NULL;
    clo_span evidence = CLO_SPAN_EMPTY, tcb = CLO_SPAN_EMPTY;
    if (clo_ok(clo_json_str(event, "role", &role)) &&
        clo_ok(clo_json_member(event, "broker", CLO_JSON_OBJECT, &broker)) &&
        clo_ok(clo_json_str(broker, "tee", &evidence)) &&
        clo_ok(clo_json_str(broker, "tcb", &tcb))) {
        printf("%.*s %u enrolled; the broker showed %.*s evidence, TCB %.*s\n", (int)role.size,
               (const char *)role.data, rank, (int)evidence.size, (const char *)evidence.data,
               (int)tcb.size, (const char *)tcb.data);
        (void)fflush(stdout);
    }
}

static void show_result(train_state *state, const clo_json *event, uint32_t rank)
{
    double seconds = 0, rate = 0;
    uint64_t resumed = 0;
    clo_span model = CLO_SPAN_EMPTY;
    if (rank != state->first_rank || !clo_ok(clo_json_double(event, "seconds", &seconds)) ||
        !clo_ok(clo_json_double(event, "samples_per_second", &rate)) ||
        !clo_ok(clo_json_u64(event, "resumed_step", INT64_MAX, &resumed))) {
        return;
    }
    cli_progress_clear();
    if (resumed > 0) {
        printf("resumed from the checkpoint of step %llu%s\n", (unsigned long long)resumed,
               rate > 0.0 ? "" : ", which is the job's last: nothing was left to train");
    }
    printf("Elapsed time: %.1f s, training at %.0f samples/s\n", seconds, rate);
    if (clo_ok(clo_json_str(event, "model", &model)) && model.size > 0) {
        printf("model sealed to its recipients: %.*s\n", (int)model.size, (const char *)model.data);
    }
}

static void show_opened(const clo_json *event, uint32_t rank)
{
    uint64_t train = 0, test = 0;
    if (clo_ok(clo_json_u64(event, "train_samples", INT64_MAX, &train)) &&
        clo_ok(clo_json_u64(event, "test_samples", INT64_MAX, &test))) {
        printf("rank %u opened %llu training and %llu test samples\n", rank,
               (unsigned long long)train, (unsigned long long)test);
    }
}

static void show_accuracy(const clo_json *event)
{
    double accuracy = 0, loss = 0;
    if (clo_ok(clo_json_double(event, "test_accuracy", &accuracy)) &&
        clo_ok(clo_json_double(event, "test_loss", &loss))) {
        cli_log_test(accuracy, loss);
    }
}

static void show_event(train_state *state, const clo_json *event, clo_span name, uint32_t rank)
{
    if (clo_span_equals_str(name, "step")) {
        show_step(state, event, rank);
    } else if (clo_span_equals_str(name, "epoch")) {
        show_epoch(state, event, rank);
    } else if (clo_span_equals_str(name, "enrolled")) {
        show_enrolled(event, rank);
    } else if (clo_span_equals_str(name, "result")) {
        show_result(state, event, rank);
    } else if (clo_span_equals_str(name, "opened")) {
        show_opened(event, rank);
    } else if (clo_span_equals_str(name, "evaluated")) {
        show_accuracy(event);
    }
}

/* An event as it came, with its rank in front. */
static void pass_event(FILE *to, uint32_t rank, clo_span line)
{
    (void)fprintf(to, "{\"rank\":%u,%.*s\n", rank, (int)line.size - 1, (const char *)line.data + 1);
    (void)fflush(to);
}

static void show_line(void *arg, size_t process, clo_stream stream, clo_span line)
{
    train_state *state = arg;
    uint32_t rank = state->first_rank + (uint32_t)process;
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    clo_span name;
    if (stream == CLO_STREAM_ERR) {
        cli_progress_clear();
        (void)fprintf(stderr, "rank %u: %.*s\n", rank, (int)line.size, (const char *)line.data);
        return;
    }
    const clo_json *event = cli_tee_event(line, &arena, &name);
    if (event && state->events) {
        pass_event(state->events, rank, line);
    }
    if (event && state->settings->json) {
        pass_event(stdout, rank, line);
    } else if (event) {
        show_event(state, event, name, rank);
    }
}

static clo_status run_ranks(train_state *state)
{
    clo_process *processes[RANKS_MAX] = {NULL};
    clo_process_group_options group = {
        .line = show_line, .stop = &cli_stop, .grace_ms = 15000, .arg = state};
    clo_status status = CLO_STATUS_OK;
    for (uint32_t i = 0; i < state->ranks && clo_ok(status); i++) {
        status = start_rank(state, i, &processes[i]);
    }
    if (clo_ok(status)) {
        status = cli_tee_group_run(processes, state->ranks, &group, clo_deadline_in(INT64_MAX / 4));
    }
    for (uint32_t i = 0; i < state->ranks; i++) {
        clo_process_stop(processes[i], 2000);
    }
    cli_progress_clear();
    return status;
}

static clo_status open_events(train_state *state)
{
    const char *path = state->settings->events;
    if (path) {
        state->events = fopen(path, "we");
        if (!state->events) {
            return CLO_ERRNO("opening '%s'", path);
        }
    }
    return CLO_STATUS_OK;
}

static clo_status prepare(train_state *state, const cli_command *command,
                          const cli_arguments *arguments)
{
    CLO_AUTO(clo_buf) envelope = CLO_BUF_LIMIT(CLO_DOCUMENT_MAX);
    CLO_TRY(cli_read_manifest(state->job, &envelope, state->manifest));
    CLO_TRY(clo_launch_read_hints(&state->hints));
    if (state->hints.gloo_transport) {
        clo_log(CLO_LOG_WARN, "train",
                "GLOO_DEVICE_TRANSPORT changes nothing: connections are always attested TLS");
    }
    CLO_TRY(cli_train_flags_match(command, arguments, &state->settings->train, state->manifest,
                                  &state->arena, &state->set));
    CLO_TRY(count_ranks(state, command, arguments));
    state->progress.epochs = state->manifest->train.epochs;
    state->terminal = cli_is_terminal(STDERR_FILENO) && !state->settings->json;
    CLO_TRY(open_events(state));
    return place(state);
}

static clo_status run(const char *role_word, const cli_command *command, const void *settings,
                      const cli_arguments *arguments)
{
    train_state *state = clo_alloc(sizeof *state);
    clo_manifest *manifest = clo_alloc(sizeof *manifest);
    clo_status status = CLO_STATUS_OK;
    bool enough = state && manifest;
    if (enough) {
        *state = (train_state){.settings = settings,
                               .role_word = role_word,
                               .job = arguments->positional.item[0],
                               .manifest = manifest,
                               .arena = CLO_ARENA_INIT};
        status = prepare(state, command, arguments);
        if (clo_ok(status)) {
            status = run_ranks(state);
        }
        if (state->events) {
            (void)fclose(state->events);
        }
        clo_arena_release(&state->arena);
    }
    clo_free(state);
    clo_free(manifest);
    CLO_CHECK(enough, CLO_NOMEM, "no memory for a job");
    return status;
}

clo_status cmd_train(const cli_command *command, const void *settings,
                     const cli_arguments *arguments)
{
    return run("train", command, settings, arguments);
}

clo_status cmd_eval(const cli_command *command, const void *settings,
                    const cli_arguments *arguments)
{
    return run("eval", command, settings, arguments);
}
