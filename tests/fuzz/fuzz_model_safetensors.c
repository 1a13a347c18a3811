/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The safetensors reader on any bytes. What it lists must lie inside the file and cover it.
 */
#include "cloister/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    clo_safetensor *tensors;
    size_t count, covered = 0;
    clo_status status = clo_safetensors_list(CLO_SPAN(data, size), &arena, &tensors, &count);
    if (!clo_ok(status)) {
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        const uint8_t *at = tensors[i].data.data;
        CLO_ASSERT(at >= data && tensors[i].data.size <= (size_t)(data + size - at));
        covered += tensors[i].data.size;
    }
    CLO_ASSERT(covered < size);
    return 0;
}
