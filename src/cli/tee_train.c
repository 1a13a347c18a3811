/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One rank of a job: prove, enrol, train. What is trained comes from the manifest; the arguments
 * say where its parts are.
 */
#include "tee_slot.h"

#include "cloister/train.h"

#include <string.h>
#include <sys/resource.h>

#define OPTION_TEXT(name, field, value, help)                                                      \
    {                                                                                              \
        name, CLI_TEXT, offsetof(tee_train_settings, field), value, help                           \
    }
#define OPTION_NUMBER(name, field, value, help)                                                    \
    {                                                                                              \
        name, CLI_NUMBER, offsetof(tee_train_settings, field), value, help                         \
    }

const cli_option tee_train_options[] = {
    OPTION_TEXT("broker", broker, "HOST:PORT", "the key broker's listener for slots"),
    OPTION_TEXT("maker", maker, "NAME:CONFIG", "what makes this process's evidence"),
    OPTION_TEXT("master", master, "HOST:PORT", "rank 0 (127.0.0.1:29500)"),
    OPTION_TEXT("interface", interface, "NAME", "local network interface"),
    OPTION_TEXT("train-index", train_index, "FILE", "where the training index is"),
    OPTION_TEXT("test-index", test_index, "FILE", "where the test index is"),
    OPTION_TEXT("out", out, "FOLDER", "checkpoints, metrics, model (.)"),
    OPTION_NUMBER("rank", rank, "N", "slot to ask for"),
    OPTION_NUMBER("world", world, "N", "world size to compare with the manifest's"),
    OPTION_NUMBER("threads", threads, "N", "compute threads (1)"),
    OPTION_NUMBER("timeout", timeout, "SECONDS", "for enrolment and rendezvous (120)"),
    {"set", CLI_LIST, offsetof(tee_train_settings, set), "NAME=VALUE",
     "a setting that the job lets the host choose"},
    {"dry-run", CLI_FLAG, offsetof(tee_train_settings, dry_run), NULL,
     "prove, get the keys, open the data, leave"},
    CLI_OPTIONS_END};

void tee_train_defaults(void *settings)
{
    tee_train_settings *s = settings;
    s->master = "127.0.0.1:29500";
    s->out = ".";
    s->threads = 1;
    s->timeout = 120;
}

typedef struct {
    const clo_manifest *manifest;
} train_hooks;

/* As the samples: every log_interval-th batch, counted from 0. */
static void tell_step(void *arg, const clo_train_progress *progress)
{
    const train_hooks *hooks = arg;
    cli_stop_at_once = false; /* from the first step on there is a state worth a checkpoint */
    uint64_t interval = hooks->manifest->train.log_interval;
    if (interval == 0 || progress->batch % interval != 0) {
        return;
    }
    cli_event event;
    clo_json_writer *w = cli_event_begin(&event, "step");
    clo_json_put_u64(w, "epoch", progress->epoch);
    clo_json_put_u64(w, "batch", progress->batch);
    clo_json_put_u64(w, "batches", progress->batches);
    clo_json_put_u64(w, "step", progress->step);
    if (progress->loss_told) {
        clo_json_put_double(w, "loss", progress->loss);
    }
    clo_json_put_double(w, "samples_per_second", progress->samples_per_second);
    clo_json_put_double(w, "seconds_left", progress->seconds_left);
    cli_event_end(&event);
}

static void put_epoch(clo_json_writer *w, const char *name, const clo_epoch_result *result)
{
    clo_json_begin_object(w, name);
    clo_json_put_u64(w, "epoch", result->epoch);
    clo_json_put_double(w, "test_accuracy", result->test_accuracy);
    clo_json_put_double(w, "test_loss", result->test_loss);
    clo_json_put_double(w, "seconds", result->seconds);
    clo_json_put_double(w, "samples_per_second", result->samples_per_second);
    clo_json_end_object(w);
}

static void tell_epoch(void *arg, const clo_epoch_result *result)
{
    const train_hooks *hooks = arg;
    cli_event event;
    clo_json_writer *w = cli_event_begin(&event, "epoch");
    clo_json_put_bool(w, "tested", clo_manifest_find_data(hooks->manifest, "test") != NULL);
    put_epoch(w, "result", result);
    cli_event_end(&event);
}

static double peak_memory_mb(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (double)usage.ru_maxrss / 1024.0 : 0.0;
}

static void tell_result(const clo_train_job_result *result)
{
    cli_event event;
    clo_json_writer *w = cli_event_begin(&event, "result");
    clo_json_begin_array(w, "epochs");
    for (size_t i = 0; i < result->result_count; i++) {
        put_epoch(w, NULL, &result->results[i]);
    }
    clo_json_end_array(w);
    clo_json_put_bool(w, "parameters_identical", result->parameters_identical);
    clo_json_put_u64(w, "resumed_step", result->resumed_step);
    clo_json_put_double(w, "seconds", result->seconds);
    clo_json_put_double(w, "samples_per_second", result->samples_per_second);
    clo_json_put_double(w, "peak_memory_mb", peak_memory_mb());
    clo_json_put_str(w, "model", result->model_path);
    clo_json_put_str(w, "transcript", result->transcript_path);
    cli_event_end(&event);
}

/* Everything a rank needs short of the other ranks: for trying a job's approvals and keys. */
static clo_status dry_run(tee_slot *slot, const tee_train_settings *s)
{
    static const char *const uses[] = {"train", "test"};
    const char *indexes[] = {s->train_index, s->test_index};
    const clo_architecture *architecture = clo_architecture_find(slot->manifest.model);
    CLO_CHECK(architecture, CLO_UNSUPPORTED, "no built-in model '%s'", slot->manifest.model);
    cli_event event;
    size_t samples[2] = {0, 0};
    for (size_t i = 0; i < 2; i++) {
        if (clo_manifest_find_data(&slot->manifest, uses[i])) {
            CLO_AUTO_PTR(clo_dataset) dataset = NULL;
            CLO_TRY(clo_train_open_data(slot->session, &slot->manifest, uses[i], indexes[i],
                                        architecture->classes, &dataset));
            samples[i] = clo_dataset_count(dataset);
        }
    }
    clo_json_writer *w = cli_event_begin(&event, "opened");
    clo_json_put_u64(w, "train_samples", samples[0]);
    clo_json_put_u64(w, "test_samples", samples[1]);
    cli_event_end(&event);
    return CLO_STATUS_OK;
}

static clo_status train(tee_slot *slot, const tee_train_settings *s)
{
    train_hooks hooks_state = {&slot->manifest};
    clo_train_hooks hooks = {
        .progress = tell_step, .epoch_end = tell_epoch, .stop = &cli_stop, .arg = &hooks_state};
    clo_train_job_options options = {
        .session = slot->session,
        .manifest = &slot->manifest,
        .master_address = s->master,
        .local_interface = s->interface,
        .train_index = s->train_index,
        .test_index = s->test_index,
        .out_folder = s->out,
        .threads = (int)s->threads,
        .connect_timeout_ms = (int64_t)s->timeout * 1000,
        .hooks = &hooks,
    };
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    clo_train_job_result result;
    CLO_TRY(clo_train_job_run(&options, &arena, &result));
    tell_result(&result);
    return CLO_STATUS_OK;
}

clo_status tee_train(const cli_command *command, const void *settings,
                     const cli_arguments *arguments)
{
    const tee_train_settings *s = settings;
    CLO_AUTO(tee_slot) slot = TEE_SLOT_INIT;
    CLO_TRY(tee_slot_enrol(command->role, arguments->positional.item[0], s, &slot));
    return s->dry_run ? dry_run(&slot, s) : train(&slot, s);
}
