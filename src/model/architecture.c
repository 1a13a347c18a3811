/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of built-in architectures.
 */
#include "architecture.h"

#include <string.h>

static const clo_architecture architectures[] = {
    {.name = "mnist-cnn",
     .summary = "two convolutions, two linear layers; 431,080 parameters; 28x28 grey images",
     .channels = 1,
     .height = 28,
     .width = 28,
     .classes = 10,
     .build = clo_build_mnist_cnn},
};

size_t clo_architecture_count(void)
{
    return sizeof architectures / sizeof *architectures;
}

const clo_architecture *clo_architecture_get(size_t index)
{
    return index < clo_architecture_count() ? &architectures[index] : NULL;
}

const clo_architecture *clo_architecture_find(const char *name)
{
    for (size_t i = 0; i < clo_architecture_count(); i++) {
        if (strcmp(architectures[i].name, name) == 0) {
            return &architectures[i];
        }
    }
    return NULL;
}
