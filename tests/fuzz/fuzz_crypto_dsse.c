/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Envelopes from outside: nothing that the fuzzer invents opens with a key it does not have, and a
 * refused envelope gives no payload.
 */
#include <stdlib.h>

#include "cloister/crypto.h"

#define TYPE "application/vnd.cloister.test+json"

static clo_key *key;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    if (!clo_ok(clo_crypto_init()) || !clo_ok(clo_key_generate(CLO_KEY_ED25519, &key))) {
        abort();
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLO_AUTO(clo_buf) payload = CLO_BUF_INIT;
    clo_span in = CLO_SPAN(data, size);
    if (clo_ok(clo_dsse_open(in, TYPE, key, &payload)) || payload.size != 0) {
        abort();
    }
    (void)clo_dsse_peek(in, TYPE, &payload);
    return 0;
}
