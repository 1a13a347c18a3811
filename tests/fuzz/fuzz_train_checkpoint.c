/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checkpoints, as they come out of a sealed file. The manifest's digest is taken from the input, so
 * that it matches wherever it can and the rest is reached.
 */
#include <string.h>

#include "cloister/train.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RESULTS = 3, MANIFEST_AT = 22 };

static clo_status start(clo_store **out_store)
{
    CLO_TRY(clo_crypto_init());
    CLO_AUTO_PTR(clo_graph) graph = NULL;
    CLO_TRY(clo_graph_new(&graph));
    (void)clo_graph_param(graph, "w", CLO_SHAPE(2, 3), CLO_INIT_ZERO);
    (void)clo_graph_param(graph, "b", CLO_SHAPE(2), CLO_INIT_ZERO);
    return clo_store_new(graph, out_store);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static clo_store *store;
    clo_epoch_result results[RESULTS];
    uint8_t manifest[32] = {0};
    clo_train_state state = {.results = results, .result_capacity = RESULTS, .batch_size = 64};
    if (store == NULL && !clo_ok(start(&store))) {
        return 0;
    }
    if (size >= MANIFEST_AT + sizeof manifest) {
        memcpy(manifest, data + MANIFEST_AT, sizeof manifest);
    }
    state.store = store;
    if (clo_ok(clo_checkpoint_read(CLO_SPAN(data, size), manifest, &state))) {
        CLO_AUTO(clo_buf) again = CLO_BUF_INIT;
        CLO_ASSERT(clo_ok(clo_checkpoint_write(&state, manifest, &again)));
        CLO_ASSERT(clo_checkpoint_generation(clo_buf_span(&again)) == state.generation);
    }
    return 0;
}
