/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compiling: the passes in order, then one arena and every kernel bound to its addresses. What is
 * left of compile time in a program is what describes it.
 */
#include "program.h"

#include <string.h>

#include "store.h"

enum { THREAD_LIMIT = 1024 };

typedef struct {
    const char *name;
    clo_status (*run)(clo_program *program);
} pass;

/* ---------------------------------------------------------------- for lower functions --------- */

const clo_layout *clo_program_layout(const clo_program *program, clo_value value)
{
    return program->places[value].layout;
}

const clo_value_info *clo_program_value(const clo_program *program, clo_value value)
{
    return &program->graph->values[value];
}

clo_status clo_program_plain(clo_program *program, clo_value value, const clo_layout **out_layout)
{
    const clo_value_info *info = clo_program_value(program, value);
    return clo_layout_plain(program->backend, info->dtype, &info->shape, out_layout);
}

const clo_call *clo_program_maker(const clo_program *program, clo_value value)
{
    for (size_t i = 0; i < program->call_count; i++) {
        for (int j = 0; j < program->calls[i].node.out_count; j++) {
            if (program->calls[i].node.out[j] == value) {
                return &program->calls[i];
            }
        }
    }
    return NULL;
}

void *clo_program_address(const clo_program *program, int buffer)
{
    if (buffer == CLO_NO_BUFFER) {
        return NULL;
    }
    const clo_buffer *b = &program->buffers[buffer];
    return b->fixed != NULL ? b->fixed : program->arena + b->offset;
}

/* ---------------------------------------------------------------- compile --------------------- */

/* The store may be another graph's: every parameter must be there in the same shape. */
static clo_status check_store(const clo_graph *graph, const clo_store *store)
{
    for (size_t i = 0; i < graph->value_count; i++) {
        const clo_value_info *info = &graph->values[i];
        if (info->kind != CLO_VALUE_PARAM) {
            continue;
        }
        const clo_param *param = clo_store_find(store, info->name);
        CLO_CHECK(param != NULL, CLO_INVALID, "the store has no parameter '%s'", info->name);
        CLO_CHECK(clo_shape_equal(&param->shape, &info->shape), CLO_INVALID,
                  "parameter '%s' has another shape in the store", info->name);
    }
    return CLO_STATUS_OK;
}

static clo_status check_options(const clo_graph *graph, const clo_program_options *options)
{
    CLO_CHECK(options->batch > 0, CLO_INVALID, "batch is %lld, expected at least 1",
              (long long)options->batch);
    CLO_CHECK(options->threads > 0 && options->threads <= THREAD_LIMIT, CLO_INVALID,
              "threads is %d, expected 1 to %d", options->threads, THREAD_LIMIT);
    CLO_CHECK(!options->training || graph->differentiated, CLO_INVALID,
              "training needs a differentiated graph");
    return CLO_STATUS_OK;
}

static void fill_constants(clo_program *program)
{
    for (size_t i = 0; i < program->graph->value_count; i++) {
        const clo_value_info *info = &program->graph->values[i];
        if (info->kind != CLO_VALUE_CONSTANT) {
            continue;
        }
        float *data = clo_program_address(program, program->places[i].buffer);
        size_t count = clo_layout_bytes(program->places[i].layout) / sizeof *data;
        for (size_t j = 0; j < count; j++) {
            data[j] = info->number;
        }
    }
}

static clo_status bind_calls(clo_program *program)
{
    for (size_t i = 0; i < program->call_count; i++) {
        clo_call *call = &program->calls[i];
        clo_kernel *kernel = &call->kernel;
        for (int j = 0; j < call->node.in_count; j++) {
            kernel->in[j] =
                kernel->in_layout[j] == NULL
                    ? NULL
                    : clo_program_address(program, program->places[call->node.in[j]].buffer);
        }
        for (int j = 0; j < call->node.out_count; j++) {
            kernel->out[j] =
                kernel->out_layout[j] == NULL
                    ? NULL
                    : clo_program_address(program, program->places[call->node.out[j]].buffer);
        }
        kernel->scratch = clo_program_address(program, call->scratch);
        CLO_TRY(clo_backend_bind(program->backend, kernel));
    }
    return CLO_STATUS_OK;
}

/* One allocation for everything a step touches besides the store. */
static clo_status bind_memory(clo_program *program)
{
    program->arena = clo_alloc_aligned(program->arena_bytes);
    CLO_CHECK(program->arena != NULL, CLO_NOMEM, "out of memory for an arena of %zu bytes",
              program->arena_bytes);
    fill_constants(program);
    return bind_calls(program);
}

static const pass passes[] = {
    {"fusing", clo_pass_fuse},
    {"choosing layouts", clo_pass_layout},
    {"sharing memory", clo_pass_inplace},
    {"planning memory", clo_pass_memory},
    {"binding", bind_memory},
    {"cutting buckets", clo_pass_buckets},
};

static clo_status compile(const clo_graph *graph, clo_program *program)
{
    const clo_program_options *options = &program->options;
    CLO_TRY(clo_graph_bind(graph, options->batch, options->training, &program->graph));
    CLO_TRY(clo_backend_new(&program->backend));
    clo_backend_set_threads(options->threads);
    for (size_t i = 0; i < sizeof passes / sizeof *passes; i++) {
        CLO_TRY_CTX(passes[i].run(program), "%s", passes[i].name);
    }
    return CLO_STATUS_OK;
}

clo_status clo_program_compile(const clo_graph *graph, clo_store *store,
                               const clo_program_options *options, clo_program **out_program)
{
    CLO_TRY(clo_graph_check(graph));
    CLO_TRY(check_options(graph, options));
    CLO_TRY(check_store(graph, store));
    CLO_AUTO_PTR(clo_program) program = clo_alloc(sizeof *program);
    CLO_CHECK(program != NULL, CLO_NOMEM, "out of memory for a program");
    program->store = store;
    program->options = *options;
    CLO_TRY_CTX(compile(graph, program), "compiling for batch %lld", (long long)options->batch);
    *out_program = CLO_TAKE(program);
    return CLO_STATUS_OK;
}

void clo_program_free(clo_program *program)
{
    if (program == NULL) {
        return;
    }
    for (size_t i = 0; i < program->call_count; i++) {
        clo_backend_release(&program->calls[i].kernel);
    }
    if (program->arena != NULL) { /* it holds the last batch */
        clo_wipe(program->arena, program->arena_bytes);
    }
    clo_free(program->arena);
    clo_free(program->buckets);
    clo_free(program->buffers);
    clo_free(program->calls);
    clo_free(program->places);
    clo_backend_free(program->backend);
    clo_graph_free(program->graph);
    clo_free(program);
}

/* ---------------------------------------------------------------- access ---------------------- */

static clo_tensor tensor_of(clo_program *program, clo_value value)
{
    const clo_value_info *info = clo_program_value(program, value);
    return (clo_tensor){info->dtype, info->shape,
                        clo_program_address(program, program->places[value].buffer)};
}

clo_tensor clo_program_input(clo_program *program, const char *name)
{
    for (size_t i = 0; i < program->graph->value_count; i++) {
        const clo_value_info *info = &program->graph->values[i];
        if (info->kind == CLO_VALUE_INPUT && strcmp(info->name, name) == 0) {
            return tensor_of(program, (clo_value)i);
        }
    }
    return (clo_tensor){CLO_F32, CLO_SHAPE_SCALAR, NULL};
}

clo_tensor clo_program_output(clo_program *program, const char *name)
{
    for (size_t i = 0; i < program->graph->output_count; i++) {
        if (strcmp(program->graph->outputs[i].name, name) == 0) {
            return tensor_of(program, program->graph->outputs[i].value);
        }
    }
    return (clo_tensor){CLO_F32, CLO_SHAPE_SCALAR, NULL};
}

size_t clo_program_bucket_count(const clo_program *program)
{
    return program->bucket_count;
}

clo_bucket clo_program_bucket(const clo_program *program, size_t index)
{
    return index < program->bucket_count ? program->buckets[index].range : (clo_bucket){0, 0};
}

size_t clo_program_memory(const clo_program *program)
{
    return program->arena_bytes;
}
