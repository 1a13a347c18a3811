/* SPDX-License-Identifier: Apache-2.0 */
/* A job of one rank, whole: sealed data in, signed transcript and sealed model out. */
#include "test.h"

#include <stdio.h>
#include <string.h>

#include "sealed_set.h"

enum { SAMPLES = 210, SIDE = 28, STEPS = 14 /* two epochs of 6 batches of 32 and one of 18 */ };

typedef struct {
    sealed_set set;
    char out[480];
    clo_arena arena;
    volatile bool stop;
    uint64_t stop_step;
    uint64_t steps, losses, epochs;
    double last_loss;
    clo_train_job_result result;
} fixture;

static void fixture_cleanup(fixture *f)
{
    clo_arena_release(&f->arena);
    sealed_set_cleanup(&f->set);
}

static clo_status start(fixture *f)
{
    clo_manifest *manifest = &f->set.manifest;
    CLO_TRY(start_set(&f->set, SIDE, SAMPLES));
    CLO_TRY(certify_session(&f->set.session));
    snprintf(f->out, sizeof f->out, "%s/out", f->set.folder);
    snprintf(manifest->job, sizeof manifest->job, "test-job");
    snprintf(manifest->model, sizeof manifest->model, "mnist-cnn");
    memset(manifest->digest, 0x4d, sizeof manifest->digest);
    manifest->world_size = 1;
    manifest->train = CLO_TRAIN_SETTINGS_INIT;
    manifest->train.epochs = 2;
    manifest->train.batch_size = 32;
    manifest->train.test_batch_size = 100;
    manifest->train.log_interval = 3;
    manifest->train.save_model = true;
    manifest->train.check_parameters = true;
    manifest->data[1] = manifest->data[0]; /* tested on what it learned: only the path matters */
    snprintf(manifest->data[1].use, sizeof manifest->data[1].use, "test");
    manifest->data_count = 2;
    return CLO_STATUS_OK;
}

static void on_progress(void *arg, const clo_train_progress *progress)
{
    fixture *f = arg;
    f->steps++;
    f->losses += progress->loss_told && progress->loss != 0.0;
    f->last_loss = progress->loss;
    f->stop = progress->step == f->stop_step;
}

static void on_epoch_end(void *arg, const clo_epoch_result *result)
{
    (void)result;
    ((fixture *)arg)->epochs++;
}

static clo_status run(fixture *f)
{
    clo_train_hooks hooks = {
        .progress = on_progress, .epoch_end = on_epoch_end, .stop = &f->stop, .arg = f};
    clo_train_job_options options = {.session = &f->set.session,
                                     .manifest = &f->set.manifest,
                                     .master_address = "127.0.0.1:0",
                                     .out_folder = f->out,
                                     .threads = 1,
                                     .connect_timeout_ms = 5000,
                                     .hooks = &hooks};
    f->steps = 0;
    f->losses = 0;
    return clo_train_job_run(&options, &f->arena, &f->result);
}

static const char *path_in(const fixture *f, const char *name)
{
    static char path[600];
    snprintf(path, sizeof path, "%s/%s", f->out, name);
    return path;
}

/* The transcript's payload, its signature checked with the certificate inside. */
static clo_status open_transcript(const fixture *f, clo_buf *out_payload)
{
    CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
    CLO_AUTO_PTR(clo_key) key = NULL;
    CLO_TRY(clo_file_read(f->result.transcript_path, 1 << 20, &envelope));
    CLO_TRY(clo_cert_public_key(f->set.session.cert, &key));
    return clo_dsse_open(clo_buf_span(&envelope), CLO_TRANSCRIPT_TYPE, key, out_payload);
}

static clo_status open_model(const fixture *f, clo_arena *arena, clo_output_header *out_header,
                             clo_buf *out_model)
{
    CLO_AUTO(clo_buf) file = CLO_BUF_INIT;
    clo_cert *certs[2];
    size_t count;
    CLO_AUTO_PTR(clo_key) leaf = NULL;
    CLO_TRY(clo_file_read(f->result.model_path, 64 << 20, &file));
    CLO_TRY(clo_output_peek(clo_buf_span(&file), arena, out_header));
    CLO_TRY(clo_cert_parse_pem_chain(out_header->certificates, 2, certs, &count));
    CLO_TRY(clo_cert_verify_signature(certs[0], certs[1]));
    CLO_TRY(clo_cert_public_key(certs[0], &leaf));
    clo_cert_free(certs[0]);
    clo_cert_free(certs[1]);
    return clo_output_open(clo_buf_span(&file), leaf, f->set.session.recipient, out_model);
}

static void trains_and_tells(void)
{
    CLO_AUTO(fixture) f = {0};
    T_OK(start(&f));
    T_OK(run(&f));
    T_INT(f.steps, STEPS);
    T_INT(f.epochs, 2);
    T_INT(f.result.result_count, 2);
    T_CHECK(f.result.parameters_identical);
    T_INT(f.result.resumed_step, 0);
    T_CHECK(f.result.samples_per_second > 0.0 && f.result.seconds > 0.0);
    T_CHECK(f.result.results[1].test_accuracy >= 0.3 && f.result.results[1].test_accuracy <= 1.0);
    T_CHECK(f.set.session.upkeeps == STEPS);
}

static void seals_a_model_that_its_recipient_opens(void)
{
    CLO_AUTO(fixture) f = {0};
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    CLO_AUTO(clo_buf) model = CLO_BUF_LIMIT(64 << 20);
    clo_output_header header;
    T_OK(start(&f));
    T_OK(run(&f));
    T_OK(open_model(&f, &arena, &header, &model));
    T_STR(header.what, "model");
    T_STR(header.format, "safetensors");
    T_CHECK(memcmp(header.manifest, f.set.manifest.digest, 32) == 0);
    T_INT(header.input_count, 2);
    T_CHECK(memcmp(header.inputs[0], f.set.manifest.data[0].index, 32) == 0);
    clo_safetensor *tensors;
    size_t count;
    T_OK(clo_safetensors_list(clo_buf_span(&model), &arena, &tensors, &count));
    T_INT(count, 8);
}

static void transcript_and_model_name_each_other(void)
{
    CLO_AUTO(fixture) f = {0};
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    CLO_AUTO(clo_buf) model = CLO_BUF_LIMIT(64 << 20);
    CLO_AUTO(clo_buf) payload = CLO_BUF_INIT;
    clo_output_header header;
    const clo_json *root;
    uint8_t digest[32];
    uint8_t named[32];
    T_OK(start(&f));
    T_OK(run(&f));
    T_OK(open_model(&f, &arena, &header, &model));
    T_OK(open_transcript(&f, &payload));
    T_OK(clo_sha256(clo_buf_span(&payload), digest));
    T_CHECK(memcmp(digest, header.transcript, 32) == 0);
    T_OK(clo_json_parse(clo_buf_span(&payload), &arena, &root));
    T_OK(clo_json_hex(root, "model_digest", named, 32));
    T_OK(clo_sha256(clo_buf_span(&model), digest));
    T_CHECK(memcmp(digest, named, 32) == 0);
    T_OK(clo_json_hex(root, "manifest", named, 32));
    T_CHECK(memcmp(named, f.set.manifest.digest, 32) == 0);
    const clo_json *list;
    T_OK(clo_json_member(root, "results", CLO_JSON_ARRAY, &list));
    T_INT(list->count, 2);
    T_OK(clo_json_member(root, "verified", CLO_JSON_ARRAY, &list));
    T_INT(list->count, 1); /* the broker */
    T_CHECK(clo_json_find(root, "resumed") == NULL);
    uint64_t steps;
    T_OK(clo_json_u64(root, "steps", 1000, &steps));
    T_INT(steps, STEPS);
}

static size_t count_lines(const char *path, const char *event)
{
    CLO_AUTO(clo_buf) file = CLO_BUF_INIT;
    size_t count = 0;
    clo_test_read(path, &file);
    const char *at = clo_buf_str(&file);
    while (at != NULL && (at = strstr(at, event)) != NULL) {
        count++;
        at++;
    }
    return count;
}

static void writes_metrics_as_json_lines(void)
{
    CLO_AUTO(fixture) f = {0};
    CLO_AUTO(clo_buf) file = CLO_BUF_INIT;
    T_OK(start(&f));
    T_OK(run(&f));
    const char *path = path_in(&f, CLO_JOB_METRICS);
    T_INT(count_lines(path, "\"event\":\"start\""), 1);
    T_INT(count_lines(path, "\"event\":\"step\""), 2 * 3); /* batches 0, 3, 6 */
    T_INT(f.losses, STEPS);
    T_INT(count_lines(path, "\"event\":\"epoch\""), 2);
    clo_test_read(path, &file);
    clo_span rest = clo_buf_span(&file);
    while (rest.size > 0) {
        CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
        const clo_json *line;
        size_t length = (size_t)((const uint8_t *)memchr(rest.data, '\n', rest.size) - rest.data);
        T_OK(clo_json_parse(CLO_SPAN(rest.data, length), &arena, &line));
        rest = CLO_SPAN(rest.data + length + 1, rest.size - length - 1);
    }
}

/* The control is the test before: the same job under "step". */
static void tells_no_step_where_a_policy_says_epoch(void)
{
    CLO_AUTO(fixture) f = {0};
    T_OK(start(&f));
    f.set.session.metrics = CLO_METRICS_EPOCH;
    T_OK(run(&f));
    T_INT(f.steps, STEPS); /* how far it is, is told */
    T_INT(f.losses, 0);
    T_NEAR(f.last_loss, 0.0, 0.0);
    const char *path = path_in(&f, CLO_JOB_METRICS);
    T_INT(count_lines(path, "\"event\":\"step\""), 0);
    T_INT(count_lines(path, "\"loss\""), 0);
    T_INT(count_lines(path, "\"event\":\"epoch\""), 2);
    T_INT(count_lines(path, "\"test_accuracy\""), 2);
}

static clo_status model_digest(const fixture *f, uint8_t out_digest[32])
{
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    CLO_AUTO(clo_buf) model = CLO_BUF_LIMIT(64 << 20);
    clo_output_header header;
    CLO_TRY(open_model(f, &arena, &header, &model));
    return clo_sha256(clo_buf_span(&model), out_digest);
}

static void a_stopped_job_goes_on_to_the_same_model(void)
{
    CLO_AUTO(fixture) whole = {0};
    CLO_AUTO(fixture) f = {0};
    uint8_t expected[32];
    uint8_t found[32];
    T_OK(start(&whole));
    T_OK(run(&whole));
    T_OK(model_digest(&whole, expected));
    T_OK(start(&f));
    f.stop_step = 9;
    T_CODE(run(&f), CLO_CANCELED);
    T_INT(f.steps, 9);
    T_CHECK(!clo_file_exists(path_in(&f, CLO_JOB_MODEL)));
    f.stop_step = 0;
    f.stop = false;
    T_OK(run(&f));
    T_INT(f.steps, STEPS - 9);
    T_INT(f.result.resumed_step, 9);
    T_INT(f.result.result_count, 2);
    T_OK(model_digest(&f, found));
    T_CHECK(memcmp(expected, found, 32) == 0);
    CLO_AUTO(clo_buf) payload = CLO_BUF_INIT;
    T_OK(open_transcript(&f, &payload));
    T_CHECK(memmem(payload.data, payload.size, "\"resumed\":{\"step\":9,", 20) != NULL);
}

static void a_finished_job_run_again_only_writes_its_outputs(void)
{
    CLO_AUTO(fixture) f = {0};
    uint8_t expected[32];
    uint8_t found[32];
    T_OK(start(&f));
    T_OK(run(&f));
    T_OK(model_digest(&f, expected));
    T_OK(run(&f));
    T_INT(f.steps, 0);
    T_INT(f.result.resumed_step, STEPS);
    T_OK(model_digest(&f, found));
    T_CHECK(memcmp(expected, found, 32) == 0);
}

static void asks_who_may_have_the_model_before_it_trains(void)
{
    CLO_AUTO(fixture) f = {0};
    T_OK(start(&f));
    clo_key_free(f.set.session.recipient);
    f.set.session.recipient = NULL;
    T_CODE(run(&f), CLO_DENIED);
    T_INT(f.steps, 0);
    f.set.manifest.train.save_model = false;
    T_OK(run(&f));
    T_STR(f.result.model_path, "");
    T_CHECK(clo_file_exists(f.result.transcript_path));
    T_CHECK(!clo_file_exists(path_in(&f, CLO_JOB_MODEL)));
}

static void refuses_a_model_it_does_not_know(void)
{
    CLO_AUTO(fixture) f = {0};
    T_OK(start(&f));
    snprintf(f.set.manifest.model, sizeof f.set.manifest.model, "mnist-cn");
    T_CODE(run(&f), CLO_NOTFOUND);
    T_INT(f.set.session.requests, 0);
}

static void ends_when_a_slot_changed_hands(void)
{
    CLO_AUTO(fixture) f = {0};
    T_OK(start(&f));
    f.set.session.retake_at = 5;
    clo_status status = run(&f);
    char text[512];
    clo_status_text(status, text, sizeof text);
    T_INT(status.code, CLO_CLOSED);
    T_CHECK(strstr(text, "rank 0 was started anew: incarnation is 8, was 7") != NULL);
    T_INT(f.steps, 4);
    T_CHECK(clo_file_exists(path_in(&f, "checkpoint-1.sealed")));
}

static void saves_when_the_rosters_grace_has_ended(void)
{
    CLO_AUTO(fixture) f = {0};
    T_OK(start(&f));
    f.set.session.fail_at = 6;
    T_CODE(run(&f), CLO_TIMEOUT);
    T_OK(run(&f));
    T_INT(f.result.resumed_step, 5);
}

static void evaluates_the_newest_checkpoint_alone(void)
{
    CLO_AUTO(fixture) f = {0};
    T_OK(start(&f));
    clo_epoch_result result;
    clo_train_job_options options = {
        .session = &f.set.session, .manifest = &f.set.manifest, .out_folder = f.out, .threads = 1};
    T_CODE(clo_train_job_evaluate(&options, &result), CLO_NOTFOUND);
    f.set.manifest.train.checkpoint_steps = 1;
    f.set.manifest.train.max_steps = 13; /* within an epoch */
    T_OK(run(&f));
    T_OK(clo_train_job_evaluate(&options, &result));
    T_INT(result.epoch, 1);
    T_CHECK(result.test_loss > 0.0 && result.test_accuracy >= 0.0);
    f.set.manifest.train.max_steps = 0;
    T_OK(run(&f));
    T_OK(clo_train_job_evaluate(&options, &result));
    T_INT(result.epoch, 2);
    T_NEAR(result.test_accuracy, f.result.results[1].test_accuracy, 0.0);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(trains_and_tells),
        T(seals_a_model_that_its_recipient_opens),
        T(transcript_and_model_name_each_other),
        T(writes_metrics_as_json_lines),
        T(tells_no_step_where_a_policy_says_epoch),
        T(a_stopped_job_goes_on_to_the_same_model),
        T(a_finished_job_run_again_only_writes_its_outputs),
        T(asks_who_may_have_the_model_before_it_trains),
        T(refuses_a_model_it_does_not_know),
        T(ends_when_a_slot_changed_hands),
        T(saves_when_the_rosters_grace_has_ended),
        T(evaluates_the_newest_checkpoint_alone),
    };
    if (!clo_ok(clo_crypto_init())) {
        return 2;
    }
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
