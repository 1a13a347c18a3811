/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running: the calls in order, with a pause after each stretch that completes a bucket.
 *
 *     calls     0 1 2 3 4 5 6 | 7 8 9 | 10 11 12
 *     buckets               0       1          2     told as soon as the stretch has run
 */
#include "program.h"

static clo_status run_stretch(const clo_program *program, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        const clo_call *call = &program->calls[i];
        CLO_TRY_CTX(call->kernel.run(&call->kernel), "call %zu '%s'", i, call->node.op->name);
    }
    return CLO_STATUS_OK;
}

clo_status clo_program_run(clo_program *program, const clo_run_hooks *hooks)
{
    clo_backend_set_threads(program->options.threads);
    size_t done = 0;
    for (size_t i = 0; i < program->bucket_count; i++) {
        size_t ready = program->buckets[i].ready;
        CLO_TRY(run_stretch(program, done, ready));
        done = ready;
        if (hooks != NULL && hooks->bucket_ready != NULL) {
            hooks->bucket_ready(hooks->arg, i);
        }
    }
    return run_stretch(program, done, program->call_count);
}

/* ---------------------------------------------------------------- text ------------------------ */

static void put_tensor(const clo_program *program, clo_value value, const clo_layout *layout,
                       clo_buf *out)
{
    char shape[96], form[64];
    const clo_value_info *info = clo_program_value(program, value);
    const clo_buffer *buffer = &program->buffers[program->places[value].buffer];
    clo_shape_text(&info->shape, shape, sizeof shape);
    clo_layout_text(layout, form, sizeof form);
    clo_put_format(out, " %%%d%s%s %s %s", value, info->name[0] == '\0' ? "" : ":", info->name,
                   shape, form);
    if (buffer->fixed != NULL) {
        clo_put_str(out, " @store");
    } else {
        clo_put_format(out, " @%zu", buffer->offset);
    }
}

static void put_call(const clo_program *program, size_t index, clo_buf *out)
{
    const clo_call *call = &program->calls[index];
    char title[64];
    clo_node_title(&call->node, title, sizeof title);
    bool own = call->kernel.primitive == NULL;
    clo_put_format(out, "%3zu %s [%s]", index, title, own ? "own" : call->kernel.detail);
    for (int i = 0; i < call->node.in_count; i++) {
        if (call->kernel.in_layout[i] != NULL) {
            put_tensor(program, call->node.in[i], call->kernel.in_layout[i], out);
        }
    }
    clo_put_str(out, " ->");
    for (int i = 0; i < call->node.out_count; i++) {
        if (call->kernel.out_layout[i] != NULL) {
            put_tensor(program, call->node.out[i], call->kernel.out_layout[i], out);
        }
    }
    clo_put_str(out, "\n");
}

clo_status clo_program_describe(const clo_program *program, clo_buf *out)
{
    for (size_t i = 0; i < program->call_count; i++) {
        put_call(program, i, out);
    }
    for (size_t i = 0; i < program->bucket_count; i++) {
        const clo_ready_bucket *bucket = &program->buckets[i];
        clo_put_format(out, "bucket %zu: %zu floats at %zu, ready after call %zu\n", i,
                       bucket->range.count, bucket->range.offset, bucket->ready);
    }
    clo_put_format(out, "arena: %zu bytes\n", program->arena_bytes);
    return clo_buf_check(out);
}
