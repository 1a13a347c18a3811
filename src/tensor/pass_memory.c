/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory plan: every buffer that is not the store's gets an offset in one arena, such that two
 * buffers overlap only if their lifetimes do not. Largest first, each at the lowest offset that is
 * free for its whole life (Pisarchyk and Lee, Efficient Memory Management for Deep Neural Net
 * Inference, 2020: greedy by size).
 */
#include <stdlib.h>

#include "program.h"

enum { ALIGN = 64 };

typedef struct {
    size_t bytes;
    size_t index;
} order_entry;

static int by_size(const void *left, const void *right)
{
    const order_entry *a = left, *b = right;
    if (a->bytes != b->bytes) {
        return a->bytes > b->bytes ? -1 : 1;
    }
    return a->index < b->index ? -1 : 1;
}

/* A kernel's scratch lives during its call. */
static void add_scratch(clo_program *program)
{
    for (size_t i = 0; i < program->call_count; i++) {
        clo_call *call = &program->calls[i];
        if (call->kernel.scratch_bytes == 0) {
            continue;
        }
        CLO_ASSERT(program->buffer_count < program->buffer_capacity);
        call->scratch = (int)program->buffer_count;
        program->buffers[program->buffer_count++] =
            (clo_buffer){.bytes = call->kernel.scratch_bytes, .first = i, .last = i, .used = true};
    }
}

static bool needs_place(const clo_buffer *buffer)
{
    return buffer->used && buffer->fixed == NULL && buffer->first <= buffer->last;
}

/* The first buffer placed before `entry` that is in the way of `buffer` at `offset`. */
static const clo_buffer *in_the_way(const clo_program *program, const order_entry *placed,
                                    size_t count, const clo_buffer *buffer, size_t offset)
{
    for (size_t i = 0; i < count; i++) {
        const clo_buffer *other = &program->buffers[placed[i].index];
        bool alive = other->first <= buffer->last && buffer->first <= other->last;
        if (alive && other->offset < offset + buffer->bytes &&
            offset < other->offset + other->bytes) {
            return other;
        }
    }
    return NULL;
}

static size_t align_up(size_t value)
{
    return (value + ALIGN - 1) / ALIGN * ALIGN;
}

/* Moves up past whatever is in the way until nothing is. */
static void place(clo_program *program, const order_entry *order, size_t at)
{
    clo_buffer *buffer = &program->buffers[order[at].index];
    size_t offset = 0;
    const clo_buffer *other;
    while ((other = in_the_way(program, order, at, buffer, offset)) != NULL) {
        offset = align_up(other->offset + other->bytes);
    }
    buffer->offset = offset;
    size_t end = align_up(offset + buffer->bytes);
    program->arena_bytes = end > program->arena_bytes ? end : program->arena_bytes;
}

clo_status clo_pass_memory(clo_program *program)
{
    add_scratch(program);
    order_entry *order = clo_alloc_array(program->buffer_count, sizeof *order);
    CLO_CHECK(order != NULL, CLO_NOMEM, "out of memory for a memory plan");
    size_t count = 0;
    for (size_t i = 0; i < program->buffer_count; i++) {
        if (needs_place(&program->buffers[i])) {
            order[count++] = (order_entry){program->buffers[i].bytes, i};
        }
    }
    qsort(order, count, sizeof *order, by_size);
    for (size_t i = 0; i < count; i++) {
        place(program, order, i);
    }
    clo_free(order);
    return CLO_STATUS_OK;
}
