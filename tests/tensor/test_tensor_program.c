/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compiling and running: refusals, what a run allocates (nothing), what happens when memory is
 * short (a clean refusal at every point), threads, hooks, and the store.
 */
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "net.h"

enum { BATCH = 8 };

/* Replaces production's: counts allocations, and fails the chosen one. */
static size_t allocations;
static size_t fail_at = SIZE_MAX;

bool clo_mem_should_fail(void)
{
    return allocations++ == fail_at;
}

typedef struct {
    clo_graph *graph;
    clo_store *store;
    clo_program *program;
} fixture;

static void fixture_cleanup(fixture *f)
{
    clo_program_free(f->program);
    clo_store_free(f->store);
    clo_graph_free(f->graph);
}

static clo_status fixture_new(bool training, fixture *f)
{
    CLO_TRY(net_new(&f->graph));
    CLO_TRY(clo_store_new(f->graph, &f->store));
    clo_store_initialize(f->store, 11);
    CLO_TRY(net_compile(f->graph, f->store, BATCH, training, &f->program));
    net_feed(f->program, BATCH);
    return CLO_STATUS_OK;
}

static float loss_of(fixture *f)
{
    return *(const float *)clo_program_output(f->program, "loss").data;
}

static void a_step_allocates_nothing(void)
{
    CLO_AUTO(fixture) f = {NULL, NULL, NULL};
    T_OK(fixture_new(true, &f));
    T_OK(clo_program_run(f.program, NULL));
    allocations = 0;
    for (int i = 0; i < 3; i++) {
        T_OK(clo_program_run(f.program, NULL));
        clo_sgd_step(clo_store_values(f.store), clo_store_momentum(f.store),
                     clo_store_gradients(f.store), clo_store_size(f.store), 0.1f, 0.5f);
    }
    T_INT(allocations, 0);
}

/* Everything from an empty graph to a program, with the n-th allocation failing, for every n. */
static void every_failed_allocation_is_a_clean_refusal(void)
{
    size_t n = 0;
    for (bool done = false; !done; n++) {
        CLO_AUTO(fixture) f = {NULL, NULL, NULL};
        allocations = 0;
        fail_at = n;
        clo_status status = fixture_new(true, &f);
        fail_at = SIZE_MAX;
        done = clo_ok(status);
        T_CHECK(done || status.code == CLO_NOMEM);
        T_CHECK(n < 5000);
    }
    printf("# %zu allocations made to fail\n", n - 1);
    T_CHECK(n > 30);
}

static void training_lowers_the_loss(void)
{
    CLO_AUTO(fixture) f = {NULL, NULL, NULL};
    T_OK(fixture_new(true, &f));
    T_OK(clo_program_run(f.program, NULL));
    float first = loss_of(&f);
    for (int i = 0; i < 50; i++) {
        T_OK(clo_program_run(f.program, NULL));
        clo_sgd_step(clo_store_values(f.store), clo_store_momentum(f.store),
                     clo_store_gradients(f.store), clo_store_size(f.store), 0.1f, 0.5f);
    }
    T_CHECK(loss_of(&f) < 0.5f * first);
}

typedef struct {
    size_t calls;
    bool in_order;
} seen;

static void note(void *arg, size_t index)
{
    seen *s = arg;
    s->in_order = s->in_order && index == s->calls;
    s->calls++;
}

static void buckets_are_told_in_order_and_once(void)
{
    CLO_AUTO(fixture) f = {NULL, NULL, NULL};
    seen s = {0, true};
    clo_run_hooks hooks = {note, &s};
    T_OK(fixture_new(true, &f));
    T_OK(clo_program_run(f.program, &hooks));
    T_INT(s.calls, clo_program_bucket_count(f.program));
    T_CHECK(s.in_order && s.calls >= 2);
}

/* When a bucket is told, its gradients are final: they must equal those after the run. */
typedef struct {
    fixture *f;
    float *copy;
} snapshot;

static void take_snapshot(void *arg, size_t index)
{
    snapshot *s = arg;
    clo_bucket b = clo_program_bucket(s->f->program, index);
    memcpy(s->copy + b.offset, clo_store_gradients(s->f->store) + b.offset,
           b.count * sizeof(float));
}

static void a_told_bucket_is_complete(void)
{
    CLO_AUTO(fixture) f = {NULL, NULL, NULL};
    T_OK(fixture_new(true, &f));
    float *copy = clo_alloc_array(clo_store_size(f.store), sizeof *copy);
    snapshot s = {&f, copy};
    clo_run_hooks hooks = {take_snapshot, &s};
    T_OK(clo_program_run(f.program, &hooks));
    int differs = memcmp(copy, clo_store_gradients(f.store), clo_store_size(f.store) * 4);
    clo_free(copy);
    T_INT(differs, 0);
}

static void gradients_are_written_and_not_accumulated(void)
{
    CLO_AUTO(fixture) f = {NULL, NULL, NULL};
    T_OK(fixture_new(true, &f));
    T_OK(clo_program_run(f.program, NULL));
    const float *gradient =
        clo_store_gradients(f.store) + clo_store_find(f.store, "fc.bias")->offset;
    float first = gradient[0];
    T_OK(clo_program_run(f.program, NULL));
    T_CHECK(first != 0.0f && gradient[0] == first);
}

static void thread_counts_agree(void)
{
    CLO_AUTO(fixture) f = {NULL, NULL, NULL};
    CLO_AUTO_PTR(clo_program) two = NULL;
    T_OK(fixture_new(true, &f));
    T_OK(clo_program_run(f.program, NULL));
    const float *bias = clo_store_gradients(f.store) + clo_store_find(f.store, "conv.bias")->offset;
    float one = loss_of(&f), gradient = bias[5];
    clo_program_options options = {.batch = BATCH, .threads = 2, .training = true};
    T_OK(clo_program_compile(f.graph, f.store, &options, &two));
    net_feed(two, BATCH);
    T_OK(clo_program_run(two, NULL));
    T_NEAR(*(const float *)clo_program_output(two, "loss").data, one, 1e-6);
    T_NEAR(bias[5], gradient, 1e-6);
}

static void programs_of_other_batches_share_a_store(void)
{
    CLO_AUTO(fixture) f = {NULL, NULL, NULL};
    CLO_AUTO_PTR(clo_program) single = NULL;
    T_OK(fixture_new(false, &f));
    T_OK(net_compile(f.graph, f.store, 1, false, &single));
    net_feed(single, 1);
    T_OK(clo_program_run(f.program, NULL));
    T_OK(clo_program_run(single, NULL));
    const float *a = clo_program_output(f.program, "logits").data;
    const float *b = clo_program_output(single, "logits").data;
    for (int i = 0; i < 4; i++) {
        T_NEAR(a[i], b[i], 1e-6);
    }
    T_INT(clo_program_output(single, "logits").shape.dim[0], 1);
}

static void a_bad_label_stops_the_run(void)
{
    CLO_AUTO(fixture) f = {NULL, NULL, NULL};
    char text[768];
    T_OK(fixture_new(true, &f));
    ((int32_t *)clo_program_input(f.program, "y").data)[5] = 4;
    clo_status status = clo_program_run(f.program, NULL);
    clo_status_text(status, text, sizeof text);
    T_CODE(status, CLO_INVALID);
    T_CHECK(strstr(text, "label 4 of sample 5, expected 0 to 3") != NULL);
}

static void nan_in_the_input_reaches_the_loss(void)
{
    CLO_AUTO(fixture) f = {NULL, NULL, NULL};
    T_OK(fixture_new(true, &f));
    clo_store_values(f.store)[clo_store_find(f.store, "fc.bias")->offset] = NAN;
    T_OK(clo_program_run(f.program, NULL));
    T_CHECK(isnan(loss_of(&f)));
    T_CHECK(!clo_tensor_all_finite(clo_store_gradients(f.store), clo_store_size(f.store), NULL));
}

static void wrong_options_are_refused(void)
{
    CLO_AUTO(fixture) f = {NULL, NULL, NULL};
    static const clo_program_options wrong[] = {
        {.batch = 0, .threads = 1},      {.batch = -1, .threads = 1},
        {.batch = 1, .threads = 0},      {.batch = 1, .threads = -3},
        {.batch = 1, .threads = 100000}, {.batch = 1ll << 50, .threads = 1},
    };
    T_OK(fixture_new(true, &f));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        clo_program *program = NULL;
        T_CODE(clo_program_compile(f.graph, f.store, &wrong[i], &program), CLO_INVALID);
        T_CHECK(program == NULL);
    }
}

static clo_status other_graph(const char *name, int64_t width, clo_graph **out_graph)
{
    CLO_AUTO_PTR(clo_graph) graph = NULL;
    CLO_TRY(clo_graph_new(&graph));
    clo_value x = clo_graph_input(graph, "x", CLO_F32, CLO_SHAPE(CLO_DIM_BATCH, width));
    clo_value w = clo_graph_param(graph, name, CLO_SHAPE(2, width), CLO_INIT_ZERO);
    clo_graph_output(graph, "y", clo_graph_gemm(graph, x, w, CLO_NO_VALUE));
    *out_graph = CLO_TAKE(graph);
    return CLO_STATUS_OK;
}

static void a_store_of_another_graph_is_refused(void)
{
    CLO_AUTO(fixture) f = {NULL, NULL, NULL};
    CLO_AUTO_PTR(clo_graph) unknown = NULL;
    CLO_AUTO_PTR(clo_graph) reshaped = NULL;
    clo_program_options options = {.batch = 1, .threads = 1};
    clo_program *program = NULL;
    T_OK(fixture_new(true, &f));
    T_OK(other_graph("nobody", 3, &unknown));
    T_OK(other_graph("fc.weight", 3, &reshaped));
    T_CODE(clo_program_compile(unknown, f.store, &options, &program), CLO_INVALID);
    T_CODE(clo_program_compile(reshaped, f.store, &options, &program), CLO_INVALID);
    options.training = true; /* not differentiated */
    T_CODE(clo_program_compile(unknown, f.store, &options, &program), CLO_INVALID);
}

static void a_graph_without_parameters_has_no_store(void)
{
    CLO_AUTO_PTR(clo_graph) graph = NULL;
    clo_store *store = NULL;
    T_OK(clo_graph_new(&graph));
    T_CODE(clo_store_new(graph, &store), CLO_INVALID);
}

static void unknown_names_have_no_data(void)
{
    CLO_AUTO(fixture) f = {NULL, NULL, NULL};
    T_OK(fixture_new(true, &f));
    T_CHECK(clo_program_input(f.program, "fc.bias").data == NULL);
    T_CHECK(clo_program_output(f.program, "x").data == NULL);
}

static void initial_values_have_pytorchs_distribution(void)
{
    CLO_AUTO(fixture) f = {NULL, NULL, NULL};
    T_OK(fixture_new(true, &f));
    const clo_param *w = clo_store_find(f.store, "fc.weight");
    const float *values = clo_store_values(f.store) + w->offset;
    double sum = 0, squares = 0, bound = 1.0 / 12.0, largest = 0; /* 1 / sqrt(144) */
    for (size_t i = 0; i < w->count; i++) {
        sum += (double)values[i];
        squares += (double)values[i] * (double)values[i];
        largest = fmax(largest, fabs((double)values[i]));
    }
    double n = (double)w->count;
    T_CHECK(largest <= bound && largest > 0.95 * bound);
    T_NEAR(sum / n, 0.0, 4 * bound / sqrt(3 * n));
    T_NEAR(squares / n, bound * bound / 3, 0.2 * bound * bound / 3);
}

static void a_seed_gives_the_same_start_and_another_another(void)
{
    CLO_AUTO(fixture) f = {NULL, NULL, NULL};
    T_OK(fixture_new(true, &f));
    float *values = clo_store_values(f.store);
    float kept = values[7];
    clo_store_momentum(f.store)[0] = 1.0f;
    clo_store_initialize(f.store, 12);
    T_CHECK(values[7] != kept);
    clo_store_initialize(f.store, 11);
    T_CHECK(values[7] == kept && clo_store_momentum(f.store)[0] == 0.0f);
    const clo_param *a = clo_store_find(f.store, "conv.weight");
    const clo_param *b = clo_store_find(f.store, "conv.bias");
    T_CHECK(values[a->offset] != values[b->offset]); /* own streams, equal distribution */
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(a_step_allocates_nothing),
        T(every_failed_allocation_is_a_clean_refusal),
        T(training_lowers_the_loss),
        T(buckets_are_told_in_order_and_once),
        T(a_told_bucket_is_complete),
        T(gradients_are_written_and_not_accumulated),
        T(thread_counts_agree),
        T(programs_of_other_batches_share_a_store),
        T(a_bad_label_stops_the_run),
        T(nan_in_the_input_reaches_the_loss),
        T(wrong_options_are_refused),
        T(a_store_of_another_graph_is_refused),
        T(a_graph_without_parameters_has_no_store),
        T(unknown_names_have_no_data),
        T(initial_values_have_pytorchs_distribution),
        T(a_seed_gives_the_same_start_and_another_another),
    };
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
