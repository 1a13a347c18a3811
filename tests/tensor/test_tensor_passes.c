/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each pass before and after, on a small network; and the memory plan's one promise, that buffers
 * which are alive together do not overlap.
 */
#include "test.h"

#include <stdio.h>
#include <string.h>

#include "net.h"
#include "program.h"

enum { BATCH = 8 };

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
    return net_compile(f->graph, f->store, BATCH, training, &f->program);
}

static clo_status fuse(bool training, clo_buf *before, clo_buf *after)
{
    CLO_AUTO_PTR(clo_graph) graph = NULL;
    clo_program program = {.graph = NULL};
    CLO_TRY(net_new(&graph));
    CLO_TRY(clo_graph_bind(graph, BATCH, training, &program.graph));
    clo_status status = clo_graph_describe(program.graph, before);
    if (clo_ok(status)) {
        status = clo_pass_fuse(&program);
    }
    if (clo_ok(status)) {
        status = clo_graph_describe(program.graph, after);
    }
    clo_graph_free(program.graph);
    return status;
}

static void fusion_in_training(void)
{
    CLO_AUTO(clo_buf) before = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) after = CLO_BUF_INIT;
    T_OK(fuse(true, &before, &after));
    T_STR(clo_buf_str(&before), "%6 = Conv(%0:x, %2:conv.weight, %3:conv.bias) [8, 16, 6, 6]\n"
                                "%7 = Relu(%6) [8, 16, 6, 6]\n"
                                "%8, %9 = MaxPool(%7) [8, 16, 3, 3]\n"
                                "%10 = Flatten(%8) [8, 144]\n"
                                "%11 = Gemm(%10, %4:fc.weight, %5:fc.bias) [8, 4]\n"
                                "%12 = SoftmaxCrossEntropyLoss(%11, %1:y) []\n"
                                "%14 = SoftmaxCrossEntropyLossGrad(%13:1, %11, %1:y) [8, 4]\n"
                                "%15 = Gemm(%14, %10) [4, 144]\n"
                                "%16 = SumRows(%14) [4]\n"
                                "%17 = Gemm(%14, %4:fc.weight) [8, 144]\n"
                                "%18 = FlattenGrad(%17) [8, 16, 3, 3]\n"
                                "%19 = MaxPoolGrad(%18, %9) [8, 16, 6, 6]\n"
                                "%20 = ReluGrad(%19, %7) [8, 16, 6, 6]\n"
                                "%21, %22 = ConvGradWeight(%20, %0:x) [16, 1, 3, 3]\n"
                                "output logits = %11\n"
                                "output loss = %12\n");
    T_STR(clo_buf_str(&after), "%7 = Conv+Relu(%0:x, %2:conv.weight, %3:conv.bias) [8, 16, 6, 6]\n"
                               "%8, %9 = MaxPool(%7) [8, 16, 3, 3]\n"
                               "%10 = Flatten(%8) [8, 144]\n"
                               "%11 = Gemm(%10, %4:fc.weight, %5:fc.bias) [8, 4]\n"
                               "%12, %14 = SoftmaxCrossEntropyLossBoth(%11, %1:y) []\n"
                               "%15 = Gemm(%14, %10) [4, 144]\n"
                               "%16 = SumRows(%14) [4]\n"
                               "%17 = Gemm(%14, %4:fc.weight) [8, 144]\n"
                               "%18 = FlattenGrad(%17) [8, 16, 3, 3]\n"
                               "%19 = ReluGrad(%18, %8) [8, 16, 3, 3]\n"
                               "%20 = MaxPoolGrad(%19, %9) [8, 16, 6, 6]\n"
                               "%21, %22 = ConvGradWeight(%20, %0:x) [16, 1, 3, 3]\n"
                               "output logits = %11\n"
                               "output loss = %12\n");
}

static void fusion_in_inference(void)
{
    CLO_AUTO(clo_buf) before = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) after = CLO_BUF_INIT;
    T_OK(fuse(false, &before, &after));
    T_CHECK(strstr(clo_buf_str(&before), "Grad") == NULL);
    T_STR(clo_buf_str(&after), "%7 = Conv+Relu(%0:x, %2:conv.weight, %3:conv.bias) [8, 16, 6, 6]\n"
                               "%8, %9 = MaxPool(%7) [8, 16, 3, 3]\n"
                               "%10 = Flatten(%8) [8, 144]\n"
                               "%11 = Gemm(%10, %4:fc.weight, %5:fc.bias) [8, 4]\n"
                               "%12 = SoftmaxCrossEntropyLoss(%11, %1:y) []\n"
                               "output logits = %11\n"
                               "output loss = %12\n");
}

/* A value somebody else reads must stay: no fusion. */
static void a_value_with_two_readers_is_not_fused(void)
{
    CLO_AUTO_PTR(clo_graph) graph = NULL;
    CLO_AUTO(clo_buf) text = CLO_BUF_INIT;
    clo_program program = {.graph = NULL};
    T_OK(clo_graph_new(&graph));
    clo_value x = clo_graph_input(graph, "x", CLO_F32, CLO_SHAPE(CLO_DIM_BATCH, 3));
    clo_value w = clo_graph_param(graph, "w", CLO_SHAPE(3, 3), CLO_INIT_ZERO);
    clo_value y = clo_graph_gemm(graph, x, w, CLO_NO_VALUE);
    clo_graph_output(graph, "before", y);
    clo_graph_output(graph, "after", clo_graph_relu(graph, y));
    T_OK(clo_graph_bind(graph, 2, false, &program.graph));
    clo_status status = clo_pass_fuse(&program);
    (void)clo_graph_describe(program.graph, &text);
    clo_graph_free(program.graph);
    T_OK(status);
    T_CHECK(strstr(clo_buf_str(&text), "Relu(%2)") != NULL);
    T_CHECK(strstr(clo_buf_str(&text), "Gemm+Relu") == NULL);
}

static size_t count_calls(const clo_program *program, const char *op)
{
    size_t count = 0;
    for (size_t i = 0; i < program->call_count; i++) {
        count += clo_node_is(&program->calls[i].node, op) ? 1 : 0;
    }
    return count;
}

/* Between convolution, pooling and their gradients no reorder may stand: only at parameters, at
 * Flatten and FlattenGrad, and at the kept gradient. */
static void reorders_stand_only_at_edges(void)
{
    CLO_AUTO(fixture) f = {NULL, NULL, NULL};
    T_OK(fixture_new(true, &f));
    T_CHECK(count_calls(f.program, "Identity") <= 4);
    for (size_t i = 0; i < f.program->call_count; i++) {
        const clo_call *call = &f.program->calls[i];
        if (!clo_node_is(&call->node, "Identity")) {
            continue;
        }
        T_CHECK(!clo_layout_equal(call->kernel.in_layout[0], call->kernel.out_layout[0]));
        const clo_call *maker = clo_program_maker(f.program, call->node.in[0]);
        bool edge = maker == NULL || clo_node_is(&maker->node, "MaxPool") ||
                    clo_node_is(&maker->node, "ConvGradWeight");
        T_CHECK(edge);
    }
}

static void a_kernel_gets_the_layouts_it_wants(void)
{
    CLO_AUTO(fixture) f = {NULL, NULL, NULL};
    T_OK(fixture_new(true, &f));
    for (size_t i = 0; i < f.program->call_count; i++) {
        const clo_call *call = &f.program->calls[i];
        for (int j = 0; j < call->node.in_count; j++) {
            if (call->kernel.in_layout[j] == NULL) {
                continue;
            }
            const clo_layout *lies = f.program->places[call->node.in[j]].layout;
            T_CHECK(clo_layout_equal(lies, call->kernel.in_layout[j]));
        }
    }
}

static void flatten_costs_no_call(void)
{
    CLO_AUTO(fixture) f = {NULL, NULL, NULL};
    T_OK(fixture_new(true, &f));
    T_INT(count_calls(f.program, "Flatten"), 0);
    T_INT(count_calls(f.program, "FlattenGrad"), 0);
}

static void relu_grad_overwrites_its_input(void)
{
    CLO_AUTO(fixture) f = {NULL, NULL, NULL};
    T_OK(fixture_new(true, &f));
    T_INT(count_calls(f.program, "ReluGrad"), 1);
    for (size_t i = 0; i < f.program->call_count; i++) {
        const clo_call *call = &f.program->calls[i];
        if (clo_node_is(&call->node, "ReluGrad")) {
            T_CHECK(call->kernel.in[0] == call->kernel.out[0]);
            T_CHECK(call->kernel.in[1] != call->kernel.out[0]);
        }
    }
}

/* An operand still needed later must not be overwritten: add(x', relu(x')) with x' computed. */
static void a_value_still_needed_is_not_overwritten(void)
{
    CLO_AUTO_PTR(clo_graph) graph = NULL;
    CLO_AUTO_PTR(clo_store) store = NULL;
    CLO_AUTO_PTR(clo_program) program = NULL;
    T_OK(clo_graph_new(&graph));
    clo_value p = clo_graph_param(graph, "p", CLO_SHAPE(4), CLO_INIT_UNIFORM(1));
    clo_value y = clo_graph_node(graph, "Identity", &p, 1, NULL, 0);
    clo_value z = clo_graph_relu(graph, y);
    clo_value in[] = {y, z};
    clo_graph_output(graph, "sum", clo_graph_node(graph, "Add", in, 2, NULL, 0));
    T_OK(clo_store_new(graph, &store));
    clo_store_initialize(store, 1);
    T_OK(net_compile(graph, store, 1, false, &program));
    T_OK(clo_program_run(program, NULL));
    const float *sum = clo_program_output(program, "sum").data;
    for (int i = 0; i < 4; i++) {
        float x = clo_store_values(store)[i];
        T_NEAR(sum[i], x > 0 ? 2 * x : x, 1e-7);
    }
}

static bool in_arena(const clo_buffer *buffer)
{
    return buffer->used && buffer->fixed == NULL && buffer->first <= buffer->last;
}

static bool overlap(const clo_buffer *a, const clo_buffer *b)
{
    bool together = a->first <= b->last && b->first <= a->last;
    return together && a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes;
}

static void live_buffers_do_not_overlap(void)
{
    CLO_AUTO(fixture) f = {NULL, NULL, NULL};
    T_OK(fixture_new(true, &f));
    const clo_program *p = f.program;
    size_t total = 0;
    for (size_t i = 0; i < p->buffer_count; i++) {
        if (!in_arena(&p->buffers[i])) {
            continue;
        }
        total += p->buffers[i].bytes;
        T_INT(p->buffers[i].offset % 64, 0);
        T_CHECK(p->buffers[i].offset + p->buffers[i].bytes <= p->arena_bytes);
        for (size_t j = i + 1; j < p->buffer_count; j++) {
            T_CHECK(!in_arena(&p->buffers[j]) || !overlap(&p->buffers[i], &p->buffers[j]));
        }
    }
    T_CHECK(clo_program_memory(p) < total);
    printf("# arena %zu bytes for %zu bytes of buffers\n", clo_program_memory(p), total);
}

/* The plan must also hold for lifetimes recomputed from the calls alone. */
static void nothing_is_overwritten_before_its_last_reader(void)
{
    CLO_AUTO(fixture) f = {NULL, NULL, NULL};
    T_OK(fixture_new(true, &f));
    const clo_program *p = f.program;
    for (size_t i = 0; i < p->call_count; i++) {
        for (int j = 0; j < p->calls[i].node.in_count; j++) {
            int buffer = p->places[p->calls[i].node.in[j]].buffer;
            bool read = p->calls[i].kernel.in_layout[j] != NULL;
            T_CHECK(!read || (p->buffers[buffer].first <= i && p->buffers[buffer].last >= i));
        }
    }
}

static void buckets_cover_the_gradients_in_order(void)
{
    CLO_AUTO(fixture) f = {NULL, NULL, NULL};
    T_OK(fixture_new(true, &f));
    size_t count = clo_program_bucket_count(f.program), at = 0, ready = 0;
    T_CHECK(count >= 2);
    for (size_t i = 0; i < count; i++) {
        clo_bucket bucket = clo_program_bucket(f.program, i);
        T_INT(bucket.offset, at);
        at += bucket.count;
        T_CHECK(f.program->buckets[i].ready >= ready);
        ready = f.program->buckets[i].ready;
    }
    T_INT(at, clo_store_size(f.store));
    T_CHECK(f.program->buckets[0].ready < f.program->call_count);
    T_INT(clo_program_bucket(f.program, count).count, 0);
}

static void parameters_lie_in_backward_order(void)
{
    CLO_AUTO(fixture) f = {NULL, NULL, NULL};
    static const char *const order[] = {"fc.weight", "fc.bias", "conv.weight", "conv.bias"};
    T_OK(fixture_new(true, &f));
    T_INT(clo_store_param_count(f.store), 4);
    for (size_t i = 0; i < 4; i++) {
        T_STR(clo_store_param(f.store, i)->name, order[i]);
        T_INT(clo_store_param(f.store, i)->offset % 16, 0);
    }
    T_CHECK(clo_store_param(f.store, 4) == NULL && clo_store_find(f.store, "fc") == NULL);
}

static void a_program_describes_its_calls(void)
{
    CLO_AUTO(fixture) f = {NULL, NULL, NULL};
    CLO_AUTO(clo_buf) out = CLO_BUF_INIT;
    T_OK(fixture_new(true, &f));
    T_OK(clo_program_describe(f.program, &out));
    const char *text = clo_buf_str(&out);
    T_CHECK(strstr(text, "Conv+Relu [") != NULL);
    T_CHECK(strstr(text, "SoftmaxCrossEntropyLossBoth [own]") != NULL);
    T_CHECK(strstr(text, "%0:x [8, 1, 8, 8] ab") != NULL);
    T_CHECK(strstr(text, "@store") != NULL && strstr(text, "bucket 1: ") != NULL);
    T_CHECK(strstr(text, "arena: ") != NULL);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(fusion_in_training),
        T(fusion_in_inference),
        T(a_value_with_two_readers_is_not_fused),
        T(reorders_stand_only_at_edges),
        T(a_kernel_gets_the_layouts_it_wants),
        T(flatten_costs_no_call),
        T(relu_grad_overwrites_its_input),
        T(a_value_still_needed_is_not_overwritten),
        T(live_buffers_do_not_overlap),
        T(nothing_is_overwritten_before_its_last_reader),
        T(buckets_cover_the_gradients_in_order),
        T(parameters_lie_in_backward_order),
        T(a_program_describes_its_calls),
    };
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
