/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The demo's phases in order; see demo.h.
 */
#include "demo.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define START_TIMEOUT_MS 15000
#define TRAIN_TIMEOUT_MS (60 * 60 * 1000)
#define EPOCHS_MAX       20 /* what the owner's policy allows */

const cli_option cmd_demo_options[] = {
    {"dir", CLI_TEXT, offsetof(cmd_demo_settings, dir), "FOLDER",
     "work here (a new folder in the temporary one)"},
    {"keep", CLI_FLAG, offsetof(cmd_demo_settings, keep), NULL, "keep the folder"},
    {"data", CLI_TEXT, offsetof(cmd_demo_settings, data), "FOLDER",
     "Fashion-MNIST (/usr/share/datasets/fashion-mnist)"},
    {"ranks", CLI_NUMBER, offsetof(cmd_demo_settings, ranks), "N", "trainers (3)"},
    {"epochs", CLI_NUMBER, offsetof(cmd_demo_settings, epochs), "N", "(5)"},
    {"seed", CLI_NUMBER, offsetof(cmd_demo_settings, seed), "N", "(42)"},
    {"json", CLI_FLAG, offsetof(cmd_demo_settings, json), NULL,
     "one JSON object, last on standard output"},
    CLI_OPTIONS_END};

void cmd_demo_defaults(void *settings)
{
    cmd_demo_settings *s = settings;
    s->data = "/usr/share/datasets/fashion-mnist";
    s->ranks = 3;
    s->epochs = 5;
    s->seed = 42;
}

/* ---------------------------------------------------------------- vendor and broker ----------- */

static clo_status read_ready(demo_state *demo, clo_span text)
{
    const char *at = (const char *)text.data;
    size_t size = (size_t)((const char *)memchr(at, '\n', text.size) - at);
    clo_span name, slots, owners;
    const clo_json *event = cli_tee_event(CLO_SPAN(at, size), &demo->arena, &name);
    CLO_CHECK(event && clo_ok(clo_json_str(event, "slots", &slots)) &&
                  clo_ok(clo_json_str(event, "owners", &owners)),
              CLO_FORMAT, "the broker's first event is not 'ready'");
    (void)snprintf(demo->slots, sizeof demo->slots, "%.*s", (int)slots.size,
                   (const char *)slots.data);
    (void)snprintf(demo->owners, sizeof demo->owners, "%.*s", (int)owners.size,
                   (const char *)owners.data);
    return CLO_STATUS_OK;
}

static clo_status start_broker(demo_state *demo)
{
    static const char *const init[] = {"kms", "init", "broker", "--root", "file:root.key", NULL};
    static const char *const serve[] = {"kms",
                                        "serve",
                                        "broker",
                                        "--root",
                                        "file:root.key",
                                        "--maker",
                                        "sim:simulator/qe.sock",
                                        "--slots",
                                        "127.0.0.1:0",
                                        "--owners",
                                        "127.0.0.1:0",
                                        "--json",
                                        NULL};
    CLO_AUTO(clo_buf) out = CLO_BUF_INIT;
    CLO_TRY(demo_do(demo, init, &out));
    clo_buf_clear(&out);
    CLO_TRY(demo_start(demo, serve, &demo->broker));
    clo_status status = demo_wait_text(clo_process_out(demo->broker), "\n", &out,
                                       clo_deadline_in(START_TIMEOUT_MS));
    if (!clo_ok(status)) {
        demo_drain(clo_process_err(demo->broker), &demo->broker_log);
        const char *log = clo_buf_str(&demo->broker_log);
        CLO_FAIL(CLO_TIMEOUT, "the key broker did not start: %s", log ? log : "");
    }
    CLO_TRY(read_ready(demo, clo_buf_span(&out)));
    printf("   key broker: slots at %s, owners at %s\n", demo->slots, demo->owners);
    return CLO_STATUS_OK;
}

static clo_status start_vendor(demo_state *demo)
{
    static const char *const init[] = {"attest", "sim-init", "simulator", NULL};
    static const char *const run[] = {"attest", "sim-run", "simulator", NULL};
    CLO_AUTO(clo_buf) out = CLO_BUF_INIT;
    demo_phase_begin(demo, "broker", "A simulator vendor and a key broker");
    printf(
        "   THIS IS A SIMULATOR: evidence has the real format and takes the real path, but proves "
        "nothing\n   against someone who can run programs on this machine.\n");
    CLO_TRY(demo_do(demo, init, &out));
    CLO_TRY(demo_start(demo, run, &demo->vendor));
    CLO_TRY_CTX(demo_wait_text(clo_process_out(demo->vendor), "qe.sock", &out,
                               clo_deadline_in(START_TIMEOUT_MS)),
                "starting the quoting process");
    for (int tries = 0; tries < 500 && access("simulator/qe.sock", F_OK) != 0; tries++) {
        clo_sleep_ms(10);
    }
    return start_broker(demo);
}

/* ---------------------------------------------------------------- owner ----------------------- */

/* The first line of a command's output, as a word of later commands. */
static clo_status first_word(clo_buf *text, char *out_word, size_t size)
{
    const char *all = clo_buf_str(text);
    CLO_CHECK(all, CLO_NOMEM, "no memory for a command's output");
    size_t length = strcspn(all, "\n");
    CLO_CHECK(length > 0 && length < size, CLO_FORMAT, "a command printed '%s'", all);
    memcpy(out_word, all, length);
    out_word[length] = 0;
    return CLO_STATUS_OK;
}

static clo_status pin_broker(demo_state *demo)
{
    CLO_AUTO(clo_buf) out = CLO_BUF_INIT;
    static const char *const keygen[] = {"keygen", "owner", NULL};
    static const char *const pin[] = {"kms",    "owner",         "broker", "owner.pub",
                                      "--root", "file:root.key", NULL};
    static const char *const measure[] = {"attest", "measure", NULL};
    const char *trust[] = {"kms",
                           "trust",
                           demo->owners,
                           "--owner",
                           "owner.key",
                           "--measurement",
                           demo->measurement,
                           "--simulator-root",
                           "simulator/root.pem",
                           "--accept",
                           "insecure_root_operator",
                           "--accept",
                           "insecure_no_anchor",
                           NULL};
    CLO_TRY(demo_do(demo, keygen, NULL));
    CLO_TRY(demo_do(demo, pin, NULL));
    CLO_TRY(demo_do(demo, measure, &out));
    CLO_TRY(first_word(&out, demo->measurement, sizeof demo->measurement));
    return demo_do(demo, trust, NULL);
}

static clo_status make_policy(demo_state *demo)
{
    CLO_AUTO(clo_buf) out = CLO_BUF_INIT;
    const char *key[] = {"kms",       "key",      "fashion-mnist", "--owner",
                         "owner.key", "--broker", demo->owners,    NULL};
    const char *make[] = {"kms",
                          "policy",
                          "make",
                          "--owner",
                          "owner.key",
                          "--key",
                          demo->key_id,
                          "--data-set",
                          "fashion-mnist",
                          "--measurement",
                          demo->measurement,
                          "--simulator-root",
                          "simulator/root.pem",
                          "--role",
                          "trainer",
                          "--model",
                          "mnist-cnn",
                          "--recipient",
                          "owner-receive.pub",
                          "--metrics",
                          "step",
                          "--max-epochs",
                          "20",
                          "-o",
                          "policy.dsse",
                          NULL};
    const char *put[] = {"kms",       "policy",   "put",        "policy.dsse", "--owner",
                         "owner.key", "--broker", demo->owners, NULL};
    CLO_TRY(demo_do(demo, key, &out));
    CLO_TRY(first_word(&out, demo->key_id, sizeof demo->key_id));
    CLO_TRY(demo_do(demo, make, NULL));
    return demo_do(demo, put, NULL);
}

typedef struct {
    const char *name, *file;
} data_row;

static const data_row DATA[] = {
    {"train/images", "train-images-idx3-ubyte.gz"},
    {"train/labels", "train-labels-idx1-ubyte.gz"},
    {"test/images", "t10k-images-idx3-ubyte.gz"},
    {"test/labels", "t10k-labels-idx1-ubyte.gz"},
};

static clo_status check_data(const char *folder)
{
    char path[1200];
    for (size_t i = 0; i < sizeof DATA / sizeof *DATA; i++) {
        CLO_TRY(clo_path_join(path, sizeof path, folder, DATA[i].file));
        CLO_CHECK(clo_file_exists(path), CLO_NOTFOUND,
                  "no '%s': Debian's package is dataset-fashion-mnist", path);
    }
    return CLO_STATUS_OK;
}

static clo_status seal_data(demo_state *demo)
{
    char files[sizeof DATA / sizeof *DATA][1200];
    const char *words[24] = {"seal",        "--owner",    "owner.key",
                             "--broker",    demo->owners, "--policy",
                             "policy.dsse", "--index",    "sealed/fashion-mnist.index"};
    size_t count = 9;
    for (size_t i = 0; i < sizeof DATA / sizeof *DATA; i++) {
        int got = snprintf(files[i], sizeof files[i], "%s=%s/%s", DATA[i].name,
                           demo->settings->data, DATA[i].file);
        CLO_CHECK(got > 0 && (size_t)got < sizeof files[i], CLO_LIMIT, "--data is too long");
        words[count++] = files[i];
    }
    return demo_do(demo, words, NULL);
}

static clo_status be_owner(demo_state *demo)
{
    demo_phase_begin(demo, "owner", "A data owner verifies the broker, and seals Fashion-MNIST");
    CLO_TRY(pin_broker(demo));
    CLO_TRY(make_policy(demo));
    return seal_data(demo);
}

/* ---------------------------------------------------------------- job ------------------------- */

static clo_status make_job(demo_state *demo)
{
    char epochs[24], seed[24], world[24];
    (void)snprintf(epochs, sizeof epochs, "%llu", (unsigned long long)demo->settings->epochs);
    (void)snprintf(seed, sizeof seed, "%llu", (unsigned long long)demo->settings->seed);
    (void)snprintf(world, sizeof world, "%llu", (unsigned long long)demo->settings->ranks);
    const char *make[] = {"job",
                          "make",
                          "mnist-cnn",
                          "--epochs",
                          epochs,
                          "--batch-size",
                          "64",
                          "--test-batch-size",
                          "1000",
                          "--lr",
                          "0.01",
                          "--momentum",
                          "0.5",
                          "--seed",
                          seed,
                          "--log-interval",
                          "10",
                          "--save-model",
                          "--check-parameters",
                          "--train",
                          "sealed/fashion-mnist.index:train",
                          "--test",
                          "sealed/fashion-mnist.index:test",
                          "--world-size",
                          world,
                          "--sign",
                          "owner.key",
                          "-o",
                          "job.dsse",
                          NULL};
    const char *approve[] = {"job",       "approve",  "job.dsse",   "--owner",
                             "owner.key", "--broker", demo->owners, NULL};
    CLO_TRY(demo_do(demo, make, NULL));
    return demo_do(demo, approve, NULL);
}

static clo_status train(demo_state *demo)
{
    char ranks[24], port[24];
    unsigned free_port = 0;
    CLO_TRY(demo_free_port(&free_port));
    (void)snprintf(ranks, sizeof ranks, "%llu", (unsigned long long)demo->settings->ranks);
    (void)snprintf(port, sizeof port, "%u", free_port);
    const char *words[] = {"train",    "job.dsse",
                           "--nproc",  ranks,
                           "--broker", demo->slots,
                           "--maker",  "sim:simulator/qe.sock",
                           "--port",   port,
                           "--out",    "run",
                           "--events", "run/events.jsonl",
                           NULL};
    demo_command command = {words, true, TRAIN_TIMEOUT_MS, NULL, NULL};
    int code = 0;
    demo_phase_begin(demo, "train", "Attested trainers, each with its own key, train together");
    CLO_TRY(make_job(demo));
    CLO_TRY(clo_dir_make("run", 0700));
    CLO_TRY(demo_run(demo, &command, &code));
    CLO_CHECK(code == 0, CLO_DENIED, "training ended with code %d", code);
    return clo_file_read("run/events.jsonl", demo->events.limit, &demo->events);
}

static clo_status use_model(demo_state *demo)
{
    char images[1200], labels[1200];
    (void)snprintf(images, sizeof images, "%s/t10k-images-idx3-ubyte.gz", demo->settings->data);
    (void)snprintf(labels, sizeof labels, "%s/t10k-labels-idx1-ubyte.gz", demo->settings->data);
    const char *open[] = {"open",  "run/model.safetensors.sealed",
                          "--key", "owner-receive.key",
                          "--job", "job.dsse",
                          "-o",    "model.safetensors",
                          NULL};
    const char *verify[] = {"verify", "run/transcript.dsse", "--job", "job.dsse", NULL};
    const char *predict[] = {"predict", "model.safetensors", "--images", images,       "--labels",
                             labels,    "--count",           "4",        "--pictures", NULL};
    demo_phase_begin(demo, "model", "The owner opens the sealed model and uses it");
    CLO_TRY(demo_do(demo, verify, NULL));
    CLO_TRY(demo_do(demo, open, NULL));
    CLO_TRY(demo_do(demo, predict, NULL));
    CLO_TRY(clo_path_join(demo->model, sizeof demo->model, demo->folder, "model.safetensors"));
    return CLO_STATUS_OK;
}

/* ---------------------------------------------------------------- the whole ------------------- */

static clo_status find_programs(demo_state *demo)
{
    ssize_t got = readlink("/proc/self/exe", demo->self, sizeof demo->self - 1);
    if (got < 0) {
        return CLO_ERRNO("finding this program");
    }
    demo->self[got] = 0;
    return cli_tee_path(NULL, demo->tee, sizeof demo->tee);
}

static clo_status enter_folder(demo_state *demo)
{
    const cmd_demo_settings *s = demo->settings;
    if (s->dir) {
        CLO_CHECK(!clo_file_exists(s->dir), CLO_EXISTS, "'%s' is already there", s->dir);
        CLO_TRY(clo_dir_make(s->dir, 0700));
    } else {
        CLO_TRY(clo_dir_make_temp("/tmp/cloister-demo-", demo->folder, sizeof demo->folder));
    }
    if (chdir(s->dir ? s->dir : demo->folder) != 0 || !getcwd(demo->folder, sizeof demo->folder)) {
        return CLO_ERRNO("entering the demo's folder");
    }
    printf("folder: %s%s\n", demo->folder, s->keep ? "" : " (removed at the end; --keep keeps it)");
    return CLO_STATUS_OK;
}

static clo_status play(demo_state *demo)
{
    CLO_TRY(find_programs(demo));
    CLO_CHECK(demo->settings->ranks >= 1 && demo->settings->ranks <= 8, CLO_INVALID,
              "--ranks is %llu, expected 1 to 8", (unsigned long long)demo->settings->ranks);
    CLO_CHECK(demo->settings->epochs >= 1 && demo->settings->epochs <= EPOCHS_MAX, CLO_INVALID,
              "--epochs is %llu, expected 1 to %d", (unsigned long long)demo->settings->epochs,
              EPOCHS_MAX);
    CLO_TRY(check_data(demo->settings->data));
    CLO_TRY(enter_folder(demo));
    CLO_TRY(start_vendor(demo));
    CLO_TRY(be_owner(demo));
    CLO_TRY(train(demo));
    CLO_TRY(use_model(demo));
    demo_phase_begin(demo, "refusals", "What must be refused is tried, each beside its control");
    CLO_TRY(demo_attacks(demo));
    demo_phase_begin(demo, NULL, NULL);
    return demo_report(demo);
}

static void clean_up(demo_state *demo)
{
    clo_process_stop(demo->broker, 3000);
    clo_process_stop(demo->vendor, 3000);
    if (demo->folder[0] && !demo->settings->keep && chdir("/") == 0) {
        (void)clo_dir_remove_tree(demo->folder);
    }
    clo_buf_release(&demo->events);
    clo_buf_release(&demo->broker_log);
    clo_arena_release(&demo->arena);
}

clo_status cmd_demo(const cli_command *command, const void *settings,
                    const cli_arguments *arguments)
{
    (void)command;
    (void)arguments;
    demo_state *demo = clo_alloc(sizeof *demo);
    CLO_CHECK(demo, CLO_NOMEM, "no memory for the demo");
    *demo = (demo_state){.settings = settings,
                         .events = CLO_BUF_LIMIT(64u << 20),
                         .broker_log = CLO_BUF_LIMIT(16u << 20),
                         .arena = CLO_ARENA_INIT};
    clo_status status = play(demo);
    clo_saved_status saved;
    clo_status_save(status, &saved);
    clean_up(demo);
    clo_free(demo);
    return clo_ok(status) ? status : clo_status_restore(&saved);
}
