/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_BROKER_ROOT_H
#define CLO_BROKER_ROOT_H

/*
 * Root keys by kind: a const table, one row a kind. Whoever holds the root key and the store holds
 * every data key, so a kind says what protects it; both kinds there are now leave that to the
 * operator, and the broker says so in its hello (insecure_root_operator).
 *
 * Threads: pure, on files.
 */
#include "cloister/broker.h"

#define CLO_ROOT_SALT_SIZE 32

/* `make`: a root file that does not exist may be made. CLO_POLICY when group or others can read
 * the file. */
clo_status clo_root_load(const clo_broker_root *root, bool make,
                         const uint8_t salt[CLO_ROOT_SALT_SIZE], clo_secret *out_key);

#endif
