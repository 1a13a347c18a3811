/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A rank's work in a slot, from enrolment to the sealed model:
 *
 *     architecture -> roster complete -> data -> rank 0: recipients, checkpoints, metrics
 *       -> group -> loop -> resume -> train -> compare -> rank 0: transcript, model
 *
 * What can be refused is asked for before the first step: data keys, recipients of the model, the
 * key of the first checkpoint. A rank that fails tells the others why before it leaves.
 */
#include <string.h>

#include "checkpoint_store.h"
#include "cloister/train.h"
#include "job_metrics.h"
#include "job_record.h"
#include "loop.h"

enum {
    BROKER_TIMEOUT_MS = 10 * 1000,
    RENEW_MARGIN_S = 120 /* what new connections stand on holds so long at least: they take less */
};

static const char MODEL[] = "model"; /* as policies name this output */

typedef struct {
    const clo_train_job_options *options;
    const clo_architecture *architecture;
    clo_train_hooks user;  /* the caller's; all NULL when there are none */
    clo_train_hooks hooks; /* ours, around them */
    uint32_t rank;
    uint64_t incarnations[CLO_WORLD_MAX]; /* of the processes that joined, by slot */
    clo_dataset *train, *test;
    clo_key *recipients[CLO_OUTPUT_RECIPIENT_MAX];
    size_t recipient_count;
    clo_checkpoint_store store;
    clo_job_metrics metrics;
    clo_group *group;
    clo_strategy strategy;
    clo_train_loop *loop;
    clo_job_record record;
} job;

static void job_cleanup(job *self)
{
    clo_train_loop_free(self->loop);
    clo_strategy_clear(&self->strategy);
    clo_group_leave(self->group);
    clo_job_metrics_cleanup(&self->metrics);
    clo_checkpoint_store_cleanup(&self->store);
    for (size_t i = 0; i < self->recipient_count; i++) {
        clo_key_free(self->recipients[i]);
    }
    clo_dataset_free(self->test);
    clo_dataset_free(self->train);
}

/* ---------------------------------------------------------------- hooks ----------------------- */

/* What the caller is told leaves the TEE, as the metrics do: how far a run is always, the loss of a
 * batch only where all owners let it out. */
static void on_progress(void *arg, const clo_train_progress *progress)
{
    job *self = arg;
    clo_train_progress told = *progress;
    told.loss_told = clo_slot_metrics_every(self->options->session) == CLO_METRICS_STEP;
    told.loss = told.loss_told ? progress->loss : 0.0;
    if (told.loss_told) {
        clo_job_metrics_step(&self->metrics, &told);
    }
    if (self->user.progress != NULL) {
        self->user.progress(self->user.arg, &told);
    }
}

static void on_epoch_end(void *arg, const clo_epoch_result *result)
{
    job *self = arg;
    clo_job_metrics_epoch(&self->metrics, result);
    if (self->user.epoch_end != NULL) {
        self->user.epoch_end(self->user.arg, result);
    }
}

static clo_status on_checkpoint(void *arg, clo_train_state *state)
{
    return clo_checkpoint_store_save(&((job *)arg)->store, state);
}

/* A slot that changed hands is another process with other parameters: this run cannot go on with
 * it, and its old connection must not either. */
static clo_status check_roster(const job *self)
{
    const clo_roster *roster = clo_slot_roster(self->options->session);
    clo_role role = clo_slot_row(self->options->session)->role;
    for (uint32_t slot = 0; slot < self->options->manifest->world_size; slot++) {
        const clo_roster_row *row = clo_roster_find(roster, role, slot);
        CLO_CHECK(row != NULL, CLO_CLOSED, "rank %u is no longer in the roster", slot);
        CLO_CHECK(row->incarnation == self->incarnations[slot], CLO_CLOSED,
                  "rank %u was started anew: incarnation is %llu, was %llu", slot,
                  (unsigned long long)row->incarnation,
                  (unsigned long long)self->incarnations[slot]);
    }
    return CLO_STATUS_OK;
}

static clo_status on_between(void *arg, bool *out_peers_changed)
{
    job *self = arg;
    bool changed = false;
    CLO_TRY(clo_slot_upkeep(self->options->session, clo_deadline_in(BROKER_TIMEOUT_MS), &changed));
    *out_peers_changed = changed;
    return changed ? check_roster(self) : CLO_STATUS_OK;
}

/* New connections need a roster that is believed and a certificate that is valid, at both ends.
 * While the key broker is away the old connections go on, as far as the manifest's grace lets them.
 */
static bool can_connect(const clo_slot_session *session)
{
    int64_t by_then = clo_clock_utc() + RENEW_MARGIN_S;
    return by_then <= clo_slot_roster(session)->issued + CLO_ROSTER_LIFETIME_S &&
           by_then <= clo_cert_not_after(clo_slot_cert(session));
}

static clo_renewal on_renewal(void *arg)
{
    job *self = arg;
    if (!can_connect(self->options->session)) {
        return CLO_RENEWAL_HELD;
    }
    return clo_group_is_old(self->group) ? CLO_RENEWAL_DUE : CLO_RENEWAL_NONE;
}

/* While ranks are awaited one of them may be started anew: its row changes, our lease goes on. */
static clo_status keep_roster(void *arg)
{
    bool changed;
    return clo_slot_upkeep(arg, clo_deadline_in(BROKER_TIMEOUT_MS), &changed);
}

/* With the session's newest job certificate. */
static clo_group_options group_options(const job *self)
{
    const clo_train_job_options *options = self->options;
    return (clo_group_options){.self = clo_slot_self(options->session),
                               .rules = clo_slot_peer_rules(options->session),
                               .rank = self->rank,
                               .world = options->manifest->world_size,
                               .master_address = options->master_address,
                               .local_interface = options->local_interface,
                               .connect_timeout_ms = options->connect_timeout_ms,
                               .refresh = keep_roster,
                               .refresh_arg = options->session};
}

/* The roster may have moved on while the others were awaited. */
static clo_status on_renew(void *arg)
{
    job *self = arg;
    clo_group_options options = group_options(self);
    CLO_TRY_CTX(clo_group_renew(self->group, &options), "replacing the connections of rank %u",
                self->rank);
    return check_roster(self);
}

static void set_hooks(job *self)
{
    if (self->options->hooks != NULL) {
        self->user = *self->options->hooks;
    }
    self->hooks = (clo_train_hooks){.progress = on_progress,
                                    .epoch_end = on_epoch_end,
                                    .checkpoint = on_checkpoint,
                                    .between = on_between,
                                    .renewal = on_renewal,
                                    .renew = on_renew,
                                    .stop = self->user.stop,
                                    .arg = self};
}

/* ---------------------------------------------------------------- before the first step ------- */

static clo_status open_data(job *self)
{
    const clo_train_job_options *options = self->options;
    CLO_TRY(clo_train_open_data(options->session, options->manifest, "train", options->train_index,
                                self->architecture->classes, &self->train));
    if (clo_manifest_find_data(options->manifest, "test") == NULL) {
        return CLO_STATUS_OK;
    }
    return clo_train_open_data(options->session, options->manifest, "test", options->test_index,
                               self->architecture->classes, &self->test);
}

static clo_status prepare_rank_0(job *self)
{
    const clo_train_job_options *options = self->options;
    const clo_train_settings *settings = &options->manifest->train;
    CLO_TRY(clo_checkpoint_store_open(options->session, options->manifest, options->out_folder,
                                      &self->store));
    CLO_TRY(clo_checkpoint_store_prepare(&self->store));
    CLO_TRY(clo_job_metrics_open(options->out_folder, settings->log_interval, &self->metrics));
    if (!settings->save_model) {
        return CLO_STATUS_OK;
    }
    CLO_TRY_CTX(clo_slot_recipients(options->session, MODEL, clo_deadline_in(BROKER_TIMEOUT_MS),
                                    self->recipients, CLO_OUTPUT_RECIPIENT_MAX,
                                    &self->recipient_count),
                "asking who may have the model");
    return CLO_STATUS_OK;
}

static clo_status prepare(job *self)
{
    const clo_train_job_options *options = self->options;
    const clo_manifest *manifest = options->manifest;
    self->architecture = clo_architecture_find(manifest->model);
    CLO_CHECK(self->architecture != NULL, CLO_NOTFOUND, "manifest's model '%s' is not known",
              manifest->model);
    CLO_TRY_CTX(
        clo_slot_wait_roster(options->session, clo_deadline_in(options->connect_timeout_ms)),
        "waiting for the ranks of job '%s'", manifest->job);
    self->rank = clo_slot_row(options->session)->slot;
    CLO_TRY(open_data(self));
    return self->rank == 0 ? prepare_rank_0(self) : CLO_STATUS_OK;
}

/* Who is in the group: our peers by what they showed in the gate, others by the roster. Then both
 * must agree for all: a rank that was replaced after its gate is seen by rank 0 and its neighbours.
 */
static clo_status note_incarnations(job *self)
{
    const clo_roster *roster = clo_slot_roster(self->options->session);
    clo_role role = clo_slot_row(self->options->session)->role;
    for (uint32_t slot = 0; slot < self->options->manifest->world_size; slot++) {
        const clo_roster_row *row = clo_roster_find(roster, role, slot);
        self->incarnations[slot] = row != NULL ? row->incarnation : 0;
    }
    for (size_t i = 0; i < clo_group_peer_count(self->group); i++) {
        const clo_hello *hello = &clo_group_peer(self->group, i)->hello;
        self->incarnations[hello->slot] = hello->incarnation; /* a rank's: rendezvous checks it */
    }
    return check_roster(self);
}

static clo_status join(job *self)
{
    clo_group_options options = group_options(self);
    CLO_TRY_CTX(clo_group_join(&options, &self->group), "joining the group as rank %u", self->rank);
    CLO_TRY(note_incarnations(self));
    if (options.world == 1) {
        self->strategy = clo_strategy_solo();
        return CLO_STATUS_OK;
    }
    return clo_strategy_all_reduce(self->group, &self->strategy);
}

static clo_status make_loop(job *self)
{
    clo_train_loop_options options = {.architecture = self->architecture,
                                      .settings = &self->options->manifest->train,
                                      .train = self->train,
                                      .test = self->test,
                                      .strategy = &self->strategy,
                                      .threads = self->options->threads,
                                      .hooks = &self->hooks};
    return clo_train_loop_new(&options, &self->loop);
}

static clo_status resume(job *self)
{
    CLO_AUTO(clo_buf) checkpoint = CLO_BUF_LIMIT(CLO_CHECKPOINT_MAX);
    if (self->rank == 0) {
        CLO_TRY_CTX(clo_checkpoint_store_load(&self->store, &checkpoint),
                    "looking for a checkpoint in '%s'", self->options->out_folder);
    }
    CLO_TRY(clo_train_loop_restore(self->loop, clo_buf_span(&checkpoint),
                                   self->options->manifest->digest));
    clo_train_state *state = clo_train_loop_state(self->loop);
    self->record = (clo_job_record){.session = self->options->session,
                                    .manifest = self->options->manifest,
                                    .group = self->group,
                                    .state = state,
                                    .resumed_step = state->step};
    memcpy(self->record.resumed_from, state->previous, sizeof state->previous);
    clo_job_metrics_start(&self->metrics, self->options->manifest, state->step);
    return CLO_STATUS_OK;
}

/* ---------------------------------------------------------------- after the last step --------- */

static clo_status write_model(job *self, clo_train_job_result *result)
{
    const clo_manifest *manifest = self->options->manifest;
    const char *metadata[] = {"architecture", manifest->model, "job", manifest->job, NULL};
    CLO_AUTO(clo_buf) model = CLO_BUF_LIMIT(CLO_CHECKPOINT_MAX);
    uint8_t digest[32];
    uint8_t transcript[32];
    CLO_TRY(clo_safetensors_write(self->record.state->store, metadata, &model));
    CLO_TRY(clo_sha256(clo_buf_span(&model), digest));
    CLO_TRY(clo_job_sign_transcript(&self->record, digest, result->transcript_path, transcript));
    CLO_TRY(clo_path_join(result->model_path, sizeof result->model_path, self->options->out_folder,
                          CLO_JOB_MODEL));
    return clo_job_seal_model(&self->record, clo_buf_span(&model), transcript,
                              (const clo_key *const *)self->recipients, self->recipient_count,
                              result->model_path);
}

static clo_status write_outputs(job *self, clo_train_job_result *result)
{
    uint8_t ignored[32];
    CLO_TRY(clo_path_join(result->transcript_path, sizeof result->transcript_path,
                          self->options->out_folder, CLO_JOB_TRANSCRIPT));
    return self->options->manifest->train.save_model
               ? write_model(self, result)
               : clo_job_sign_transcript(&self->record, NULL, result->transcript_path, ignored);
}

static clo_status fill_result(job *self, clo_arena *arena, clo_train_job_result *result)
{
    const clo_train_state *state = self->record.state;
    result->result_count = (size_t)(state->epoch - 1);
    result->results = clo_arena_array(arena, result->result_count + 1, sizeof *result->results);
    CLO_CHECK(result->results != NULL, CLO_NOMEM, "out of memory for the epochs' results");
    memcpy(result->results, state->results, result->result_count * sizeof *result->results);
    result->parameters_identical = state->parameters_identical;
    result->resumed_step = self->record.resumed_step;
    if (self->loop->trained_seconds > 0.0) {
        result->samples_per_second = self->loop->trained_samples / self->loop->trained_seconds;
    }
    return CLO_STATUS_OK;
}

static clo_status run(job *self, clo_arena *arena, clo_train_job_result *result)
{
    CLO_TRY(prepare(self));
    CLO_TRY(join(self));
    CLO_TRY(make_loop(self));
    CLO_TRY(resume(self));
    CLO_TRY(clo_train_loop_run(self->loop));
    CLO_TRY(clo_train_loop_compare(self->loop));
    if (self->rank == 0) {
        CLO_TRY_CTX(write_outputs(self, result), "writing the outputs of job '%s'",
                    self->options->manifest->job);
    }
    return fill_result(self, arena, result);
}

/* The others wait in a collective: they learn the reason instead of a deadline. A stop is known to
 * all of them already. */
static clo_status tell_others(job *self, clo_status status)
{
    if (clo_ok(status) || status.code == CLO_CANCELED || self->group == NULL) {
        return status;
    }
    clo_saved_status cause;
    clo_status_save(status, &cause);
    clo_group_abort(self->group, status);
    return clo_status_restore(&cause);
}

clo_status clo_train_job_run(const clo_train_job_options *options, clo_arena *arena,
                             clo_train_job_result *out_result)
{
    CLO_AUTO(job) self = {.options = options,
                          .store = CLO_CHECKPOINT_STORE_INIT,
                          .metrics = CLO_JOB_METRICS_INIT,
                          .strategy = CLO_STRATEGY_INIT};
    clo_train_job_result result = {0};
    int64_t started = clo_clock_ms();
    set_hooks(&self);
    CLO_TRY(tell_others(&self, run(&self, arena, &result)));
    result.seconds = (double)(clo_clock_ms() - started) * 1e-3;
    *out_result = result;
    return CLO_STATUS_OK;
}
