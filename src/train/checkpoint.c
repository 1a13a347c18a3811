/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plain form of a checkpoint, version 1; sealing is the job's. Integers are big-endian, numbers
 * of the model little-endian float32 as they lie in memory, doubles their 64 bits.
 *
 *     "cloister checkpoint 1\n"
 *     manifest[32] | generation u64 | previous[32]
 *     epoch u64 | batch u64 | step u64 | batch size u64 | seed u64 | identical u8 | chain[32]
 *     parameters u32, each: name var | dimensions u8 | size u64 ...
 *     results u64, each: epoch u64 | accuracy u64 | loss u64 | seconds u64 | rate u64
 *     elements u64 | values | momentum
 *
 * Invariant: reading changes nothing unless all of it is well formed and fits the state's store.
 */
#include <string.h>

#include "cloister/train.h"

static const char MAGIC[] = "cloister checkpoint 1\n";

enum { MAGIC_SIZE = sizeof MAGIC - 1, NAME_LIMIT = 256 };

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "floats are written as they lie");

/* What stands before the tables. */
typedef struct {
    uint8_t manifest[32], previous[32], chain[32];
    uint64_t generation, epoch, batch, step, batch_size, seed;
    bool identical;
} position;

/* ---------------------------------------------------------------- writing --------------------- */

static void put_double(clo_buf *out, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    clo_put_u64be(out, bits);
}

static void put_position(clo_buf *out, const clo_train_state *state, const uint8_t manifest[32])
{
    clo_put_bytes(out, MAGIC, MAGIC_SIZE);
    clo_put_bytes(out, manifest, 32);
    clo_put_u64be(out, state->generation);
    clo_put_bytes(out, state->previous, 32);
    clo_put_u64be(out, state->epoch);
    clo_put_u64be(out, state->batch);
    clo_put_u64be(out, state->step);
    clo_put_u64be(out, state->batch_size);
    clo_put_u64be(out, state->seed);
    clo_put_u8(out, state->parameters_identical ? 1 : 0);
    clo_put_bytes(out, state->parameter_chain, 32);
}

static void put_layout(clo_buf *out, const clo_store *store)
{
    clo_put_u32be(out, (uint32_t)clo_store_param_count(store));
    for (size_t i = 0; i < clo_store_param_count(store); i++) {
        const clo_param *param = clo_store_param(store, i);
        clo_put_var(out, clo_span_of_str(param->name));
        clo_put_u8(out, (uint8_t)param->shape.rank);
        for (int k = 0; k < param->shape.rank; k++) {
            clo_put_u64be(out, (uint64_t)param->shape.dim[k]);
        }
    }
}

static void put_results(clo_buf *out, const clo_train_state *state)
{
    clo_put_u64be(out, state->epoch - 1);
    for (uint64_t i = 0; i + 1 < state->epoch; i++) {
        const clo_epoch_result *result = &state->results[i];
        clo_put_u64be(out, result->epoch);
        put_double(out, result->test_accuracy);
        put_double(out, result->test_loss);
        put_double(out, result->seconds);
        put_double(out, result->samples_per_second);
    }
}

clo_status clo_checkpoint_write(const clo_train_state *state, const uint8_t manifest[32],
                                clo_buf *out)
{
    size_t bytes = clo_store_size(state->store) * sizeof(float);
    put_position(out, state, manifest);
    put_layout(out, state->store);
    put_results(out, state);
    /* The buf doubles as it grows: once with the spans, at their exact size. */
    CLO_TRY(clo_buf_reserve(out, sizeof(uint64_t) + 2 * bytes));
    clo_put_u64be(out, clo_store_size(state->store));
    clo_put_bytes(out, clo_store_values(state->store), bytes);
    clo_put_bytes(out, clo_store_momentum(state->store), bytes);
    return clo_buf_check(out);
}

/* ---------------------------------------------------------------- reading --------------------- */

static double read_double(clo_reader *r)
{
    uint64_t bits = clo_read_u64be(r);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static clo_status read_position(clo_reader *r, const uint8_t manifest[32], position *out_position)
{
    clo_span magic = clo_read_span(r, MAGIC_SIZE);
    CLO_CHECK(clo_span_equal(magic, CLO_SPAN(MAGIC, MAGIC_SIZE)), CLO_FORMAT,
              "checkpoint: does not begin as one of version 1");
    clo_read_copy(r, out_position->manifest, 32);
    out_position->generation = clo_read_u64be(r);
    clo_read_copy(r, out_position->previous, 32);
    out_position->epoch = clo_read_u64be(r);
    out_position->batch = clo_read_u64be(r);
    out_position->step = clo_read_u64be(r);
    out_position->batch_size = clo_read_u64be(r);
    out_position->seed = clo_read_u64be(r);
    uint8_t identical = clo_read_u8(r);
    out_position->identical = identical == 1;
    clo_read_copy(r, out_position->chain, 32);
    CLO_TRY(clo_reader_check(r, "checkpoint"));
    CLO_CHECK(memcmp(out_position->manifest, manifest, 32) == 0, CLO_INVALID,
              "checkpoint: belongs to another job's manifest");
    CLO_CHECK(identical <= 1, CLO_FORMAT, "checkpoint: flag is %u, expected 0 or 1", identical);
    return CLO_STATUS_OK;
}

/* The manifest pins both, unless it lets the host choose them. */
static clo_status check_run(const position *at, const clo_train_state *state)
{
    CLO_CHECK(at->batch_size == state->batch_size, CLO_INVALID,
              "checkpoint: batch size was %llu, is %llu", (unsigned long long)at->batch_size,
              (unsigned long long)state->batch_size);
    CLO_CHECK(at->seed == state->seed, CLO_INVALID, "checkpoint: seed was %llu, is %llu",
              (unsigned long long)at->seed, (unsigned long long)state->seed);
    return CLO_STATUS_OK;
}

static clo_status check_param(clo_reader *r, const clo_param *param)
{
    clo_span name = clo_read_var(r, NAME_LIMIT);
    clo_shape shape = {.rank = clo_read_u8(r)};
    CLO_CHECK(!r->failed && shape.rank <= CLO_MAX_DIMS, CLO_FORMAT,
              "checkpoint: layout of '%s' is malformed", param->name);
    for (int k = 0; k < shape.rank; k++) {
        shape.dim[k] = (int64_t)clo_read_u64be(r);
    }
    CLO_CHECK(clo_span_equals_str(name, param->name) && clo_shape_equal(&shape, &param->shape),
              CLO_INVALID, "checkpoint: parameter '%s' has another name or shape there",
              param->name);
    return CLO_STATUS_OK;
}

static clo_status check_layout(clo_reader *r, const clo_store *store)
{
    uint32_t count = clo_read_u32be(r);
    CLO_CHECK(count == clo_store_param_count(store), CLO_INVALID,
              "checkpoint: %u parameters, expected %zu", count, clo_store_param_count(store));
    for (uint32_t i = 0; i < count; i++) {
        CLO_TRY(check_param(r, clo_store_param(store, i)));
    }
    return CLO_STATUS_OK;
}

/* Results stay in the input until all is known to be good: the cursor is returned to read them. */
static clo_status skip_results(clo_reader *r, const position *at, size_t capacity,
                               clo_reader *out_results)
{
    enum { RESULT_SIZE = 5 * sizeof(uint64_t) };

    uint64_t count = clo_read_u64be(r);
    CLO_CHECK(at->epoch >= 1 && count == at->epoch - 1 && count <= capacity, CLO_FORMAT,
              "checkpoint: %llu finished epochs in epoch %llu, expected one less and at most %zu",
              (unsigned long long)count, (unsigned long long)at->epoch, capacity);
    *out_results = clo_reader_of(clo_read_span(r, (size_t)count * RESULT_SIZE));
    return CLO_STATUS_OK;
}

static void take_results(clo_reader *r, uint64_t count, clo_epoch_result *out_results)
{
    for (uint64_t i = 0; i < count; i++) {
        out_results[i].epoch = clo_read_u64be(r);
        out_results[i].test_accuracy = read_double(r);
        out_results[i].test_loss = read_double(r);
        out_results[i].seconds = read_double(r);
        out_results[i].samples_per_second = read_double(r);
    }
}

static void take_position(const position *at, clo_train_state *state)
{
    state->generation = at->generation;
    state->epoch = at->epoch;
    state->batch = at->batch;
    state->step = at->step;
    state->parameters_identical = at->identical;
    memcpy(state->parameter_chain, at->chain, 32);
}

uint64_t clo_checkpoint_generation(clo_span bytes)
{
    clo_reader r = clo_reader_of(bytes);
    (void)clo_read_span(&r, MAGIC_SIZE + 32);
    return clo_read_u64be(&r);
}

clo_status clo_checkpoint_read(clo_span bytes, const uint8_t manifest[32], clo_train_state *state)
{
    clo_reader r = clo_reader_of(bytes);
    clo_reader results;
    position at;
    size_t size = clo_store_size(state->store) * sizeof(float);
    CLO_TRY(read_position(&r, manifest, &at));
    CLO_TRY(check_run(&at, state));
    CLO_TRY(check_layout(&r, state->store));
    CLO_TRY(skip_results(&r, &at, state->result_capacity, &results));
    uint64_t elements = clo_read_u64be(&r);
    clo_span values = clo_read_span(&r, size);
    clo_span momentum = clo_read_span(&r, size);
    CLO_TRY(clo_reader_finish(&r, "checkpoint"));
    CLO_CHECK(elements == clo_store_size(state->store), CLO_FORMAT,
              "checkpoint: %llu elements, expected %zu", (unsigned long long)elements,
              clo_store_size(state->store));
    CLO_TRY(clo_sha256(bytes, state->previous));
    take_position(&at, state);
    take_results(&results, at.epoch - 1, state->results);
    memcpy(clo_store_values(state->store), values.data, size);
    memcpy(clo_store_momentum(state->store), momentum.data, size);
    return CLO_STATUS_OK;
}
