/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_MODEL_ARCHITECTURE_H
#define CLO_MODEL_ARCHITECTURE_H

/*
 * The rows of the architecture table, one file each (arch_*.c). A build function speaks only the
 * public builder of tensor.h; weight names follow the network's PyTorch form.
 */
#include "cloister/model.h"

clo_status clo_build_mnist_cnn(clo_graph *graph);

#endif
