/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Communication buckets: the gradient span is cut, in its own order, into ranges of about
 * bucket_bytes, and for each the number of calls is found after which it is complete. Ready times
 * never fall from one bucket to the next, so that ranks agree on the order of their messages.
 */
#include "program.h"

static const size_t default_bytes = (size_t)1 << 20;

/* Calls that must have run for the gradient of `param`; 0 when nothing computes it. */
static size_t finished_after(const clo_program *program, const clo_param *param)
{
    const void *address = clo_store_gradients(program->store) + param->offset;
    size_t after = 0;
    for (size_t i = 0; i < program->call_count; i++) {
        const clo_call *call = &program->calls[i];
        for (int j = 0; j < call->node.out_count; j++) {
            int buffer = program->places[call->node.out[j]].buffer;
            bool made = call->kernel.out_layout[j] != NULL && buffer != CLO_NO_BUFFER;
            after = made && program->buffers[buffer].fixed == address ? i + 1 : after;
        }
    }
    return after;
}

static void cut(clo_program *program, size_t limit)
{
    size_t params = clo_store_param_count(program->store);
    size_t start = 0, ready = 0;
    for (size_t i = 0; i < params; i++) {
        const clo_param *param = clo_store_param(program->store, i);
        size_t after = finished_after(program, param);
        ready = after > ready ? after : ready;
        size_t end = i + 1 < params ? clo_store_param(program->store, i + 1)->offset
                                    : clo_store_size(program->store);
        if ((end - start) * sizeof(float) >= limit || i + 1 == params) {
            program->buckets[program->bucket_count++] =
                (clo_ready_bucket){{start, end - start}, ready};
            start = end;
        }
    }
}

clo_status clo_pass_buckets(clo_program *program)
{
    if (!program->options.training) {
        return CLO_STATUS_OK;
    }
    size_t params = clo_store_param_count(program->store);
    program->buckets = clo_alloc_array(params, sizeof *program->buckets);
    CLO_CHECK(program->buckets != NULL, CLO_NOMEM, "out of memory for buckets");
    size_t limit = program->options.bucket_bytes;
    cut(program, limit == 0 ? default_bytes : limit);
    return CLO_STATUS_OK;
}
