/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which values share a buffer. First every value gets its own; then
 *
 *     alias      Flatten's output is its input's memory under another shape: the call goes away
 *     in place   an operator that may overwrite an input takes over its buffer, when this call is
 *                the last to read it and nobody outside sees it
 *
 * Lifetimes are counted in calls and belong to buffers, so that an alias still being read keeps the
 * memory of the value it came from.
 */
#include <string.h>

#include "program.h"

static size_t room_for_buffers(const clo_program *program)
{
    return program->graph->value_count + program->call_count; /* each call may need scratch */
}

static float *of_store(const clo_program *program, const char *name, float *span)
{
    const clo_param *param = clo_store_find(program->store, name);
    CLO_ASSERT(param != NULL); /* compile has compared store and graph */
    return span + param->offset;
}

/* The store's memory for a parameter or the gradient of one, else NULL. */
static void *fixed_address(const clo_program *program, clo_value value)
{
    const clo_graph *graph = program->graph;
    if (graph->values[value].kind == CLO_VALUE_PARAM) {
        return of_store(program, graph->values[value].name, clo_store_values(program->store));
    }
    for (size_t i = 0; i < graph->value_count; i++) {
        if (graph->values[i].kind == CLO_VALUE_PARAM && graph->values[i].gradient == value) {
            return of_store(program, graph->values[i].name, clo_store_gradients(program->store));
        }
    }
    return NULL;
}

static clo_status give_buffers(clo_program *program)
{
    program->buffer_capacity = room_for_buffers(program);
    program->buffers = clo_alloc_array(program->buffer_capacity, sizeof *program->buffers);
    CLO_CHECK(program->buffers != NULL, CLO_NOMEM, "out of memory for a memory plan");
    for (size_t i = 0; i < program->graph->value_count; i++) {
        clo_place *place = &program->places[i];
        if (place->layout == NULL) {
            continue;
        }
        place->buffer = (int)program->buffer_count;
        program->buffers[program->buffer_count++] =
            (clo_buffer){.fixed = fixed_address(program, (clo_value)i),
                         .bytes = clo_layout_bytes(place->layout),
                         .kept = place->kept,
                         .used = true};
    }
    return CLO_STATUS_OK;
}

/* Moves every value in buffer `from` to buffer `to`. */
static void merge(clo_program *program, int from, int to)
{
    for (size_t i = 0; i < program->graph->value_count; i++) {
        if (program->places[i].buffer == from) {
            program->places[i].buffer = to;
        }
    }
    program->buffers[from].used = false;
}

static void drop_aliases(clo_program *program)
{
    size_t kept = 0;
    for (size_t i = 0; i < program->call_count; i++) {
        clo_call *call = &program->calls[i];
        clo_place *out = &program->places[call->node.out[0]];
        if (call->node.op->alias && !out->kept) {
            merge(program, out->buffer, program->places[call->node.in[0]].buffer);
            clo_backend_release(&call->kernel);
            continue;
        }
        program->calls[kept++] = *call;
    }
    program->call_count = kept;
}

static void touch(clo_program *program, int buffer, size_t call)
{
    clo_buffer *b = &program->buffers[buffer];
    b->first = call < b->first ? call : b->first;
    b->last = call > b->last ? call : b->last;
}

static void measure_lifetimes(clo_program *program)
{
    for (size_t i = 0; i < program->buffer_count; i++) {
        clo_buffer *b = &program->buffers[i];
        b->first = b->kept ? 0 : SIZE_MAX;
        b->last = b->kept ? program->call_count : 0;
    }
    for (size_t i = 0; i < program->call_count; i++) {
        const clo_call *call = &program->calls[i];
        for (int j = 0; j < call->node.in_count; j++) {
            if (call->kernel.in_layout[j] != NULL) {
                touch(program, program->places[call->node.in[j]].buffer, i);
            }
        }
        for (int j = 0; j < call->node.out_count; j++) {
            if (call->kernel.out_layout[j] != NULL) {
                touch(program, program->places[call->node.out[j]].buffer, i);
            }
        }
    }
}

static bool reads_twice(const clo_program *program, const clo_call *call, int buffer)
{
    int readers = 0;
    for (int i = 0; i < call->node.in_count; i++) {
        bool read = call->kernel.in_layout[i] != NULL;
        readers += read && program->places[call->node.in[i]].buffer == buffer ? 1 : 0;
    }
    return readers > 1;
}

static void take_over(clo_program *program, size_t index)
{
    const clo_call *call = &program->calls[index];
    int which = call->node.op->overwrites;
    if (which < 0) {
        return;
    }
    int from = program->places[call->node.out[0]].buffer;
    int to = program->places[call->node.in[which]].buffer;
    clo_buffer *out = &program->buffers[from], *in = &program->buffers[to];
    bool free_to_take = !in->kept && in->last == index && !reads_twice(program, call, to);
    if (free_to_take && !out->kept && in->bytes == out->bytes) {
        in->last = out->last;
        merge(program, from, to);
    }
}

clo_status clo_pass_inplace(clo_program *program)
{
    CLO_TRY(give_buffers(program));
    drop_aliases(program);
    measure_lifetimes(program);
    for (size_t i = 0; i < program->call_count; i++) {
        take_over(program, i);
    }
    return CLO_STATUS_OK;
}
