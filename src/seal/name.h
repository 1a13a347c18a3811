/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_SEAL_NAME_H
#define CLO_SEAL_NAME_H

/*
 * Names in signed documents that become parts of paths and messages: letters, digits and . _ - in
 * pieces with single slashes between them. A piece of dots alone is none, so a name never leaves
 * the folder that it is joined to.
 */
#include "cloister/seal.h"

/* True when `name` is such a name, of at most `pieces` pieces and less than `size` bytes. */
bool clo_seal_name_ok(clo_span name, size_t size, size_t pieces);

/* Copies a name that is ok into `out_text` of `size` bytes; CLO_FORMAT naming `what` otherwise. */
clo_status clo_seal_name_take(clo_span name, const char *what, size_t size, size_t pieces,
                              char *out_text);

#endif
