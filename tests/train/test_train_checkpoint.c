/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints: that a resumed run has the bits of one that never stopped, and what is refused. */
#include "test.h"

#include <string.h>

#include "thread_ranks.h"
#include "tiny.h"

enum { SAMPLES = 101, TEST_SAMPLES = 37, WORLD = 3 };

static const uint8_t job[32] = {1, 2, 3};
static int fail_at = -1;

bool clo_mem_should_fail(void)
{
    return fail_at >= 0 && fail_at-- == 0;
}

/* Keeps the checkpoint of one step. */
typedef struct {
    uint64_t keep_step;
    clo_buf kept;
    clo_span from; /* resumed from; empty: fresh */
    clo_train_settings settings;
    uint8_t values[32], momentum[32], chain[32];
    uint64_t steps, generation;
    clo_epoch_result results[8];
} run_case;

static clo_status on_checkpoint(void *arg, clo_train_state *state)
{
    run_case *c = arg;
    if (state->step != c->keep_step || c->kept.size > 0) {
        return CLO_STATUS_OK;
    }
    return clo_checkpoint_write(state, job, &c->kept);
}

static void on_progress(void *arg, const clo_train_progress *progress)
{
    (void)progress;
    ((run_case *)arg)->steps++;
}

static clo_status take_digests(clo_train_state *state, run_case *c)
{
    size_t size = clo_store_size(state->store) * sizeof(float);
    c->generation = state->generation;
    memcpy(c->chain, state->parameter_chain, sizeof c->chain);
    memcpy(c->results, state->results, (state->epoch - 1) * sizeof *c->results);
    CLO_TRY(clo_sha256(CLO_SPAN(clo_store_values(state->store), size), c->values));
    return clo_sha256(CLO_SPAN(clo_store_momentum(state->store), size), c->momentum);
}

static clo_status body(clo_strategy *strategy, void *arg)
{
    run_case *c = arg;
    CLO_AUTO_PTR(clo_dataset) train = make_tiny(SAMPLES, 1);
    CLO_AUTO_PTR(clo_dataset) test = make_tiny(TEST_SAMPLES, 2);
    clo_train_hooks hooks = {.checkpoint = on_checkpoint, .progress = on_progress, .arg = c};
    clo_train_loop_options options = {.architecture = &tiny,
                                      .settings = &c->settings,
                                      .train = train,
                                      .test = test,
                                      .strategy = strategy,
                                      .threads = 1,
                                      .hooks = &hooks};
    CLO_AUTO_PTR(clo_train_loop) loop = NULL;
    CLO_TRY(clo_train_loop_new(&options, &loop));
    CLO_TRY(clo_train_loop_restore(loop, c->from, job));
    CLO_TRY(clo_train_loop_run(loop));
    return take_digests(clo_train_loop_state(loop), c);
}

static run_case make_case(void)
{
    run_case c = {.kept = CLO_BUF_INIT, .settings = CLO_TRAIN_SETTINGS_INIT};
    c.settings.epochs = 3;
    c.settings.batch_size = 5;
    c.settings.test_batch_size = 16;
    c.settings.lr = 0.1;
    c.settings.momentum = 0.9;
    c.settings.check_parameters = true;
    c.settings.checkpoint_steps = 1;
    return c;
}

static bool same_end(const run_case *a, const run_case *b)
{
    bool same = memcmp(a->values, b->values, 32) == 0 && memcmp(a->chain, b->chain, 32) == 0 &&
                memcmp(a->momentum, b->momentum, 32) == 0 && a->generation == b->generation;
    for (size_t i = 0; i < 3; i++) {
        same = same && a->results[i].test_accuracy == b->results[i].test_accuracy &&
               a->results[i].test_loss == b->results[i].test_loss;
    }
    return same;
}

static void a_resumed_run_has_the_bits_of_one_that_never_stopped(void)
{
    /* 21 batches an epoch: within one, at its last batch, at the start of the next, at the end. */
    static const uint64_t places[] = {1, 13, 21, 22, 40, 62, 63};
    clo_strategy solo = clo_strategy_solo();
    run_case whole = make_case();
    T_OK(body(&solo, &whole));
    T_INT(whole.steps, 63);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        run_case first = make_case();
        first.keep_step = places[i];
        T_OK(body(&solo, &first));
        run_case rest = make_case();
        rest.from = clo_buf_span(&first.kept);
        T_OK(body(&solo, &rest));
        clo_buf_release(&first.kept);
        T_INT(rest.steps, 63 - places[i]);
        T_CHECK(same_end(&whole, &rest));
    }
}

static void three_ranks_resume_from_what_rank_0_has(void)
{
    run_case ranks[WORLD];
    void *args[WORLD];
    clo_saved_status results[WORLD];
    run_case whole = {0};
    clo_buf kept = CLO_BUF_INIT;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < WORLD; i++) {
            ranks[i] = make_case();
            ranks[i].keep_step = 9;
            args[i] = &ranks[i];
        }
        ranks[0].from = clo_buf_span(&kept);
        T_OK(run_ranks(WORLD, body, args, results));
        for (int i = 0; i < WORLD; i++) {
            T_STR(results[i].text, "ok");
            T_CHECK(same_end(&ranks[i], &ranks[0]));
        }
        if (round == 0) {
            T_INT(ranks[1].kept.size, 0);
            whole = ranks[0];
            kept = ranks[0].kept;
        }
    }
    T_INT(ranks[2].steps, 21 - 9);
    T_CHECK(same_end(&whole, &ranks[2]));
    clo_buf_release(&kept);
}

/* ---------------------------------------------------------------- the form -------------------- */

typedef struct {
    clo_graph *graph;
    clo_epoch_result results[4];
    clo_train_state state;
} fixture;

static void fixture_cleanup(fixture *f)
{
    clo_store_free(f->state.store);
    clo_graph_free(f->graph);
}

static clo_status start(fixture *f, clo_status (*build)(clo_graph *), uint64_t seed)
{
    CLO_TRY(clo_graph_new(&f->graph));
    CLO_TRY(build(f->graph));
    CLO_TRY(clo_graph_differentiate(f->graph, clo_graph_find_output(f->graph, CLO_IO_LOSS)));
    CLO_TRY(clo_store_new(f->graph, &f->state.store));
    clo_store_initialize(f->state.store, seed);
    f->state.results = f->results;
    f->state.result_capacity = 4;
    f->state.epoch = 3;
    f->state.batch = 7;
    f->state.step = 49;
    f->state.batch_size = 64;
    f->state.seed = 5;
    f->state.generation = 12;
    f->state.previous[5] = 6;
    f->state.parameters_identical = true;
    f->results[1] = (clo_epoch_result){2, 0.75, 0.5, 1.25, 1000.0};
    return CLO_STATUS_OK;
}

static void brings_everything_back(void)
{
    CLO_AUTO(fixture) f = {0};
    CLO_AUTO(fixture) g = {0};
    T_OK(start(&f, build_tiny, 1));
    T_OK(start(&g, build_tiny, 2));
    g.state.epoch = 1;
    g.state.step = 0;
    memset(g.results, 0, sizeof g.results);
    CLO_AUTO(clo_buf) bytes = CLO_BUF_INIT;
    T_OK(clo_checkpoint_write(&f.state, job, &bytes));
    T_INT(clo_checkpoint_generation(clo_buf_span(&bytes)), 12);
    T_OK(clo_checkpoint_read(clo_buf_span(&bytes), job, &g.state));
    T_INT(g.state.epoch, 3);
    T_INT(g.state.batch, 7);
    T_INT(g.state.step, 49);
    T_INT(g.state.generation, 12);
    T_CHECK(g.state.parameters_identical);
    T_CHECK(memcmp(g.results, f.results, 2 * sizeof *f.results) == 0);
    size_t size = clo_store_size(f.state.store) * sizeof(float);
    T_CHECK(memcmp(clo_store_values(f.state.store), clo_store_values(g.state.store), size) == 0);
    uint8_t digest[32];
    T_OK(clo_sha256(clo_buf_span(&bytes), digest));
    T_CHECK(memcmp(digest, g.state.previous, 32) == 0);
}

static clo_status read_into_fresh(clo_span bytes, const uint8_t manifest[32], bool *out_unchanged)
{
    CLO_AUTO(fixture) g = {0};
    CLO_AUTO(fixture) same = {0};
    CLO_TRY(start(&g, build_tiny, 2));
    CLO_TRY(start(&same, build_tiny, 2));
    clo_status status = clo_checkpoint_read(bytes, manifest, &g.state);
    size_t size = clo_store_size(g.state.store) * sizeof(float);
    *out_unchanged =
        g.state.step == same.state.step && memcmp(g.state.previous, same.state.previous, 32) == 0 &&
        memcmp(g.results, same.results, sizeof g.results) == 0 &&
        memcmp(clo_store_values(g.state.store), clo_store_values(same.state.store), size) == 0;
    return status;
}

static void refuses_every_cut_and_changes_nothing(void)
{
    CLO_AUTO(fixture) f = {0};
    T_OK(start(&f, build_tiny, 1));
    CLO_AUTO(clo_buf) bytes = CLO_BUF_INIT;
    T_OK(clo_checkpoint_write(&f.state, job, &bytes));
    clo_put_u8(&bytes, 0); /* one byte too many is refused as well */
    for (size_t size = 0; size <= bytes.size; size++) {
        bool unchanged = false;
        clo_status status = read_into_fresh(CLO_SPAN(bytes.data, size), job, &unchanged);
        if (size == bytes.size - 1) {
            T_OK(status);
        } else {
            T_CHECK(status.code == CLO_FORMAT || status.code == CLO_INVALID);
            T_CHECK(unchanged);
        }
    }
}

static void refuses_a_changed_header(void)
{
    CLO_AUTO(fixture) f = {0};
    T_OK(start(&f, build_tiny, 1));
    CLO_AUTO(clo_buf) bytes = CLO_BUF_INIT;
    T_OK(clo_checkpoint_write(&f.state, job, &bytes));
    bool unchanged;
    /* Magic and manifest; then the epoch, which must fit the results; then the flag. */
    static const size_t places[] = {0, 21, 22, 53, 22 + 32 + 8 + 32 + 7, 22 + 32 + 8 + 32 + 40};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        bytes.data[places[i]] ^= 0x40;
        clo_status status = read_into_fresh(clo_buf_span(&bytes), job, &unchanged);
        T_CHECK(status.code == CLO_FORMAT || status.code == CLO_INVALID);
        T_CHECK(unchanged);
        bytes.data[places[i]] ^= 0x40;
    }
    T_OK(read_into_fresh(clo_buf_span(&bytes), job, &unchanged));
}

static clo_status build_renamed(clo_graph *graph)
{
    clo_value x = clo_graph_input(graph, CLO_IO_IMAGES, CLO_F32,
                                  CLO_SHAPE(CLO_DIM_BATCH, 1, TINY_SIDE, TINY_SIDE));
    clo_value labels = clo_graph_input(graph, CLO_IO_LABELS, CLO_I32, CLO_SHAPE(CLO_DIM_BATCH));
    clo_value w = clo_graph_param(graph, "fc.weight", CLO_SHAPE(3, 16), CLO_INIT_UNIFORM(16));
    clo_value b = clo_graph_param(graph, "fc.bias", CLO_SHAPE(3), CLO_INIT_ZERO);
    clo_value logits = clo_graph_gemm(graph, clo_graph_flatten(graph, x), w, b);
    clo_graph_output(graph, CLO_IO_LOSS, clo_graph_cross_entropy(graph, logits, labels));
    return clo_graph_check(graph);
}

static void refuses_another_job_and_another_model(void)
{
    CLO_AUTO(fixture) f = {0};
    CLO_AUTO(fixture) other = {0};
    T_OK(start(&f, build_tiny, 1));
    T_OK(start(&other, build_renamed, 1));
    CLO_AUTO(clo_buf) bytes = CLO_BUF_INIT;
    T_OK(clo_checkpoint_write(&f.state, job, &bytes));
    static const uint8_t another_job[32] = {9};
    T_CODE(clo_checkpoint_read(clo_buf_span(&bytes), another_job, &f.state), CLO_INVALID);
    T_CODE(clo_checkpoint_read(clo_buf_span(&bytes), job, &other.state), CLO_INVALID);
    f.state.seed = 6;
    T_CODE(clo_checkpoint_read(clo_buf_span(&bytes), job, &f.state), CLO_INVALID);
    f.state.seed = 5;
    f.state.batch_size = 32;
    T_CODE(clo_checkpoint_read(clo_buf_span(&bytes), job, &f.state), CLO_INVALID);
    f.state.batch_size = 64;
    T_OK(clo_checkpoint_read(clo_buf_span(&bytes), job, &f.state));
    f.state.result_capacity = 1; /* a job of fewer epochs than the checkpoint has */
    T_CODE(clo_checkpoint_read(clo_buf_span(&bytes), job, &f.state), CLO_FORMAT);
}

static void says_when_writing_runs_out_of_memory(void)
{
    CLO_AUTO(fixture) f = {0};
    T_OK(start(&f, build_tiny, 1));
    int failures = 0;
    for (int n = 0; n < 100; n++) {
        CLO_AUTO(clo_buf) bytes = CLO_BUF_INIT;
        fail_at = n;
        clo_status status = clo_checkpoint_write(&f.state, job, &bytes);
        fail_at = -1;
        if (clo_ok(status)) {
            break;
        }
        T_INT(status.code, CLO_NOMEM);
        failures++;
    }
    T_CHECK(failures >= 2 && failures < 100);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(a_resumed_run_has_the_bits_of_one_that_never_stopped),
        T(three_ranks_resume_from_what_rank_0_has),
        T(brings_everything_back),
        T(refuses_every_cut_and_changes_nothing),
        T(refuses_a_changed_header),
        T(refuses_another_job_and_another_model),
        T(says_when_writing_runs_out_of_memory),
    };
    if (!clo_ok(clo_crypto_init())) {
        return 2;
    }
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
