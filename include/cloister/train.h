/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLOISTER_TRAIN_H
#define CLOISTER_TRAIN_H

/*
 * train: the step loop, and what is kept of a run.
 *
 *     for each epoch: for each batch:
 *         forward, backward (buckets go to the strategy as they fill) -> strategy.finish -> SGD
 *     evaluate on the test set -> metrics -> checkpoint
 *
 * How ranks agree is a *strategy*, a const table of functions: `solo` does nothing, `all-reduce`
 * averages gradients over the group. The loop does not know which it is.
 *
 * A *checkpoint* is a sealed file under the job's own key: parameters, momentum, epoch, step,
 * metrics so far, manifest digest, generation and the previous checkpoint's digest. Resuming from
 * one gives the same bits as not having stopped. The *transcript* is the signed record of a run:
 * manifest, roster, verdicts, data, metrics, digest of the model. docs/design/training.md has the
 * formats.
 *
 * Invariants:
 *   - Hyper-parameters come from the manifest alone.
 *   - All ranks take the same steps: what one of them decides (a stop, a NaN) is agreed on before
 * it counts, so that nobody waits in a collective that another rank never enters.
 *   - A step changes the parameters only when all of it succeeded: after a failure rank 0 still
 * holds the state of the last whole step.
 *   - A NaN stops every rank at the same step and names the rank; files appear whole or not at all.
 *
 * Threads: clo_train_* run in the calling thread; hooks are called in it.
 */
#include "cloister/comm.h"
#include "cloister/data.h"
#include "cloister/model.h"

/* ---------------------------------------------------------------- strategies ------------------ */

typedef struct clo_strategy clo_strategy;

/* Collectives are called by all ranks in the same order; each gives every rank the same bits. */
typedef struct {
    const char *name;
    /* Makes all ranks start from rank 0's bytes (parameters, momentum, position). */
    clo_status (*share)(void *state, void *data, size_t size);
    /* A bucket of the gradient span is complete; must not block. NULL: none. */
    void (*bucket_ready)(void *state, float *gradients, clo_bucket bucket);
    /* All buckets hold the mean over ranks when this returns. */
    clo_status (*finish)(void *state, float *gradients, size_t count);
    /* Sums numbers over ranks (metrics, counters, flags). */
    clo_status (*sum)(void *state, double *values, size_t count);
    /* Between steps: upkeep of connections. `phase`, the step that follows, is named in failures;
     * with `peers_changed` the others are looked at again now. */
    clo_status (*between)(void *state, const char *phase, bool peers_changed);
    /* Ends what is under way and frees the state. */
    void (*close)(void *state);
} clo_strategy_ops;

#define CLO_STRATEGY_INIT ((clo_strategy){0})

struct clo_strategy {
    const clo_strategy_ops *ops;
    void *state;
    uint32_t rank, world;
};

clo_strategy clo_strategy_solo(void);
/* Borrows the group. */
clo_status clo_strategy_all_reduce(clo_group *group, clo_strategy *out_strategy);
void clo_strategy_clear(clo_strategy *strategy);

static inline void clo_strategy_cleanup(clo_strategy *strategy)
{
    clo_strategy_clear(strategy);
}

/* ---------------------------------------------------------------- the loop -------------------- */

/* What a run tells while it goes on. All pointers are valid during the call. */
typedef struct {
    uint64_t epoch;            /* from 1 */
    size_t batch, batches;     /* of this rank's epoch */
    uint64_t step;             /* from the start of the job */
    bool loss_told;            /* false where an owner's policy keeps single losses back */
    double loss;               /* of this rank's last batch, as the samples log it; else 0 */
    double samples_per_second; /* all ranks, over the last seconds */
    double seconds_left;       /* estimate for the whole job; < 0 when not known yet */
} clo_train_progress;

/* Accuracy and loss are over the whole test set, seconds and rate of the training part, over all
 * ranks; what a resumed epoch did before it was resumed is not counted in the latter two. */
typedef struct {
    uint64_t epoch;
    double test_accuracy, test_loss, seconds, samples_per_second;
} clo_epoch_result;

/* How often ranks ask each other whether one is to stop, or connections are to be replaced: each
 * time costs a collective. */
#define CLO_STOP_STRIDE 8

/* What one rank says of replacing the group's connections. */
typedef enum {
    CLO_RENEWAL_NONE = 0,
    CLO_RENEWAL_DUE,  /* this rank's are old */
    CLO_RENEWAL_HELD, /* this rank could not make new ones now: nobody does */
} clo_renewal;

typedef struct clo_train_state clo_train_state;

typedef struct {
    void (*progress)(void *arg, const clo_train_progress *progress); /* each step; may be NULL */
    void (*epoch_end)(void *arg, const clo_epoch_result *result);    /* may be NULL */
    /* At the end of an epoch, each checkpoint_steps, and when the run ends early, at rank 0; sets
     * state->previous. May be NULL. */
    clo_status (*checkpoint)(void *arg, clo_train_state *state);
    /* Between steps, on every rank: upkeep that is not the strategy's; tells whether who the peers
     * are has changed. May be NULL. */
    clo_status (*between)(void *arg, bool *out_peers_changed);
    /* Where ranks ask each other, on every rank. May be NULL: nothing is ever renewed. */
    clo_renewal (*renewal)(void *arg);
    /* On all ranks before the same step, when one said DUE and none HELD. NULL with `renewal`. */
    clo_status (*renew)(void *arg);
    /* True at any rank: all checkpoint and end with CLO_CANCELED, alone at the next step boundary,
     * with others at the next step that CLO_STOP_STRIDE divides. May be NULL. */
    const volatile bool *stop;
    void *arg;
} clo_train_hooks;

#define CLO_EPOCHS_MAX 10000

/* Everything that a checkpoint must bring back. */
struct clo_train_state {
    uint64_t generation; /* grows with each checkpoint */
    uint64_t epoch;      /* the one in progress, from 1 */
    uint64_t batch;      /* next batch in it */
    uint64_t step;
    uint64_t batch_size, seed; /* of the run: they give `batch` its meaning */
    clo_store *store;          /* values and momentum */
    clo_epoch_result *results; /* finished epochs, epoch - 1 of them */
    size_t result_capacity;    /* what `results` can hold: the job's epochs */
    uint8_t previous[32];      /* digest of the newest checkpoint; zero before the first */
    /* When check_parameters is on: SHA-256 chain over the parameters' hashes after each step. */
    uint8_t parameter_chain[32];
    bool parameters_identical; /* over all ranks, when last compared */
};

typedef struct {
    const clo_architecture *architecture;
    const clo_train_settings *settings;
    const clo_dataset *train; /* NULL: the loop only evaluates */
    const clo_dataset *test;  /* may be NULL: no evaluation */
    clo_strategy *strategy;
    int threads;
    const clo_train_hooks *hooks; /* may be NULL */
} clo_train_loop_options;

typedef struct clo_train_loop clo_train_loop;

/* Builds graph, store and programs; parameters initialised from the seed and shared from rank 0.
 * CLO_INVALID names the ranks whose settings or data are not those of rank 0. */
clo_status clo_train_loop_new(const clo_train_loop_options *options, clo_train_loop **out_loop);
void clo_train_loop_free(clo_train_loop *loop);
CLO_DEFINE_AUTO_PTR(clo_train_loop, clo_train_loop_free);
clo_train_state *clo_train_loop_state(clo_train_loop *loop);
/* All ranks go on from the checkpoint that rank 0 has (plain form; the others' `bytes` are not
 * looked at). An empty one at rank 0 leaves the fresh start. */
clo_status clo_train_loop_restore(clo_train_loop *loop, clo_span bytes, const uint8_t manifest[32]);
/* Trains to the end of the last epoch (or max_steps), from the state it is in. CLO_NUMERIC names
 * rank, epoch and step of a NaN; CLO_CANCELED after *stop. */
clo_status clo_train_loop_run(clo_train_loop *loop);
/* Compares the parameters' hashes over all ranks; sets state->parameters_identical. CLO_BUG names
 * the ranks that differ from rank 0. */
clo_status clo_train_loop_compare(clo_train_loop *loop);
/* Accuracy and mean loss over a dataset, each rank its share, each sample once, summed. */
clo_status clo_train_loop_evaluate(clo_train_loop *loop, const clo_dataset *dataset,
                                   double *out_accuracy, double *out_loss);

/* ---------------------------------------------------------------- checkpoints ----------------- */

/* The largest checkpoint: parameters and momentum of a model of 128 million parameters. */
#define CLO_CHECKPOINT_MAX ((size_t)1 << 30)

/* Plain form, before sealing, appended. Reading checks manifest digest, layout and all numbers
 * before it changes `state`, whose store and results it fills; state->previous becomes the digest
 * of `bytes`. CLO_INVALID for another manifest, model, batch size or seed; CLO_FORMAT, CLO_CRYPTO.
 */
clo_status clo_checkpoint_write(const clo_train_state *state, const uint8_t manifest[32],
                                clo_buf *out);
clo_status clo_checkpoint_read(clo_span bytes, const uint8_t manifest[32], clo_train_state *state);

/* The generation of a checkpoint that is not yet checked, to order files; 0 for what is too short.
 */
uint64_t clo_checkpoint_generation(clo_span bytes);

/* ---------------------------------------------------------------- a job in a slot ------------- */

#define CLO_TRANSCRIPT_TYPE "application/vnd.cloister.transcript+json"

/* File names in the job's folder at rank 0. */
#define CLO_JOB_METRICS    "metrics.jsonl"
#define CLO_JOB_TRANSCRIPT "transcript.dsse"
#define CLO_JOB_MODEL      "model.safetensors.sealed"

/* Where things are: hints from the host. What is trained comes from the manifest. */
typedef struct {
    clo_slot_session *session; /* enrolled */
    const clo_manifest *manifest;
    const char *master_address;
    const char *local_interface; /* may be NULL */
    const char *train_index;     /* NULL: the manifest's location */
    const char *test_index;
    const char *out_folder; /* checkpoints, metrics, transcript, model */
    int threads;
    int64_t connect_timeout_ms;
    /* progress, epoch_end and stop; the job sets the others. `progress` is told losses only where
     * the session lets metrics out at each step. */
    const clo_train_hooks *hooks;
} clo_train_job_options;

typedef struct {
    clo_epoch_result *results; /* in the arena given */
    size_t result_count;
    bool parameters_identical; /* compared over all ranks at the end (and each step if asked) */
    uint64_t resumed_step;     /* 0: started fresh */
    double seconds;
    double samples_per_second;
    char model_path[1024];      /* rank 0 with save_model: the sealed output; else empty */
    char transcript_path[1024]; /* rank 0 */
} clo_train_job_result;

/* The whole of a rank's work: roster, file keys, datasets, group, resume, loop, checkpoints, sealed
 * model to the owners' recipients, transcript. */
clo_status clo_train_job_run(const clo_train_job_options *options, clo_arena *arena,
                             clo_train_job_result *out_result);

/* Evaluates the newest checkpoint in out_folder on the job's test data, alone: finished epochs,
 * accuracy, mean loss, seconds. The session may be of another role than the trainers'. CLO_NOTFOUND
 * when there is no checkpoint. */
clo_status clo_train_job_evaluate(const clo_train_job_options *options,
                                  clo_epoch_result *out_result);

/* Opens a data set of the manifest through its index: signature, digest, rows, file keys in one
 * request, digests, unlock. `use` is "train" or "test". */
clo_status clo_train_open_data(clo_slot_session *session, const clo_manifest *manifest,
                               const char *use, const char *index_path, int classes,
                               clo_dataset **out_dataset);

#endif
