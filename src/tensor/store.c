/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parameters, gradients and momentum: three spans cut by one table.
 *
 *     values      | fc2.weight | fc2.bias | fc1.weight | ... | conv1.bias |
 *     gradients   | ... the same cut ...                                  |
 *     momentum    | ... the same cut ...                                  |
 *
 * The order is that in which the backward pass finishes the gradients, so that a bucket of them is
 * one contiguous range; a graph that is not differentiated gets the reverse of declaration, which
 * is the same for a chain of layers. Each parameter starts on a 64-byte boundary; the gaps are zero
 * and stay so.
 */
#include "store.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN = 16 }; /* elements */

/* Sets the initial values' streams apart from other users of the generator: "init". */
static const uint64_t init_stream = 0x696e697400000000u;

typedef struct {
    clo_value value;
    size_t finished; /* node that makes the gradient; beyond all nodes when there is none */
    uint64_t number; /* as declared */
} candidate;

static int by_finish(const void *left, const void *right)
{
    const candidate *a = left, *b = right;
    if (a->finished != b->finished) {
        return a->finished < b->finished ? -1 : 1;
    }
    return a->value < b->value ? -1 : 1;
}

static int by_reverse(const void *left, const void *right)
{
    const candidate *a = left, *b = right;
    return a->value > b->value ? -1 : 1;
}

static size_t collect(const clo_graph *graph, candidate *out)
{
    size_t count = 0;
    for (size_t i = 0; i < graph->value_count; i++) {
        const clo_value_info *info = &graph->values[i];
        if (info->kind != CLO_VALUE_PARAM) {
            continue;
        }
        size_t finished =
            info->gradient == CLO_NO_VALUE ? SIZE_MAX : clo_graph_producer(graph, info->gradient);
        out[count] = (candidate){(clo_value)i, finished, count};
        count++;
    }
    qsort(out, count, sizeof *out, graph->differentiated ? by_finish : by_reverse);
    return count;
}

static clo_status cut(clo_store *store, const clo_graph *graph, const candidate *order,
                      size_t count)
{
    store->params = clo_arena_array(&store->arena, count, sizeof *store->params);
    store->inits = clo_arena_array(&store->arena, count, sizeof *store->inits);
    CLO_CHECK(store->params != NULL && store->inits != NULL, CLO_NOMEM,
              "out of memory for a layout table of %zu parameters", count);
    for (size_t i = 0; i < count; i++) {
        const clo_value_info *info = &graph->values[order[i].value];
        clo_param *param = &store->params[i];
        param->shape = info->shape;
        param->offset = store->size;
        param->name = clo_arena_str(&store->arena, clo_span_of_str(info->name));
        CLO_CHECK(param->name != NULL, CLO_NOMEM, "out of memory for a name");
        bool fits = clo_shape_count(&info->shape, &param->count) &&
                    clo_size_add(store->size, param->count, &store->size) &&
                    clo_size_add(store->size, ALIGN - 1, &store->size);
        CLO_CHECK(fits, CLO_LIMIT, "parameter '%s' is too large", info->name);
        store->size -= store->size % ALIGN;
        store->inits[i] = (clo_store_init){info->init, init_stream | order[i].number};
        store->count++;
    }
    return CLO_STATUS_OK;
}

static clo_status span_new(size_t count, float **out_span)
{
    size_t bytes;
    CLO_CHECK(clo_size_mul(count, sizeof **out_span, &bytes), CLO_LIMIT, "too many parameters");
    *out_span = clo_alloc_aligned(bytes);
    CLO_CHECK(*out_span != NULL, CLO_NOMEM, "out of memory for %zu parameters", count);
    return CLO_STATUS_OK;
}

static clo_status store_fill(clo_store *store, const clo_graph *graph, candidate *order)
{
    size_t count = collect(graph, order);
    CLO_CHECK(count > 0, CLO_INVALID, "the graph has no parameters");
    CLO_TRY(cut(store, graph, order, count));
    CLO_TRY(span_new(store->size, &store->values));
    CLO_TRY(span_new(store->size, &store->gradients));
    return span_new(store->size, &store->momentum);
}

clo_status clo_store_new(const clo_graph *graph, clo_store **out_store)
{
    CLO_TRY(clo_graph_check(graph));
    candidate *order = clo_alloc_array(graph->value_count + 1, sizeof *order);
    CLO_AUTO_PTR(clo_store) store = clo_alloc(sizeof *store);
    clo_status status = CLO_STATUS_OK;
    if (order == NULL || store == NULL) {
        status = clo_status_make(CLO_NOMEM, __FILE__, __LINE__, __func__,
                                 "out of memory for a parameter store");
    } else {
        status = store_fill(store, graph, order);
    }
    clo_free(order);
    CLO_TRY(status);
    *out_store = CLO_TAKE(store);
    return CLO_STATUS_OK;
}

/* A trained model may be as secret as its data, and gradients tell of the last batch. */
static void span_free(float *span, size_t count)
{
    if (span != NULL) {
        clo_wipe(span, count * sizeof *span);
    }
    clo_free(span);
}

void clo_store_free(clo_store *store)
{
    if (store == NULL) {
        return;
    }
    span_free(store->values, store->size);
    span_free(store->gradients, store->size);
    span_free(store->momentum, store->size);
    clo_arena_release(&store->arena);
    clo_free(store);
}

size_t clo_store_param_count(const clo_store *store)
{
    return store->count;
}

const clo_param *clo_store_param(const clo_store *store, size_t index)
{
    return index < store->count ? &store->params[index] : NULL;
}

const clo_param *clo_store_find(const clo_store *store, const char *name)
{
    for (size_t i = 0; i < store->count; i++) {
        if (strcmp(store->params[i].name, name) == 0) {
            return &store->params[i];
        }
    }
    return NULL;
}

size_t clo_store_size(const clo_store *store)
{
    return store->size;
}

float *clo_store_values(clo_store *store)
{
    return store->values;
}

float *clo_store_gradients(clo_store *store)
{
    return store->gradients;
}

float *clo_store_momentum(clo_store *store)
{
    return store->momentum;
}

static void initialize_uniform(float *values, size_t count, const clo_store_init *init,
                               uint64_t seed)
{
    double bound = 1.0 / sqrt((double)init->init.fan_in);
    for (size_t i = 0; i < count; i++) {
        double unit = (double)(clo_random_u32(seed, init->stream, i) >> 8) * 0x1p-24;
        values[i] = (float)((2.0 * unit - 1.0) * bound);
    }
}

void clo_store_initialize(clo_store *store, uint64_t seed)
{
    memset(store->values, 0, store->size * sizeof *store->values);
    memset(store->momentum, 0, store->size * sizeof *store->momentum);
    for (size_t i = 0; i < store->count; i++) {
        const clo_param *param = &store->params[i];
        if (store->inits[i].init.kind == CLO_INIT_UNIFORM_KIND) {
            initialize_uniform(store->values + param->offset, param->count, &store->inits[i], seed);
        }
    }
}
