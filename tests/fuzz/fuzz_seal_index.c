/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index on any payload, signed here by its owner so that the parser is reached, and as an
 * envelope of any bytes, which nobody signed. An index that opens is signed again to the same rows.
 */
#include <string.h>

#include "cloister/seal.h"

static clo_key *owner;

static void check_again(const clo_index *index)
{
    CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    clo_index again;
    uint8_t digest[32];
    CLO_ASSERT(clo_ok(clo_index_sign(index, owner, &envelope, digest)));
    CLO_ASSERT(clo_ok(clo_index_open(clo_buf_span(&envelope), owner, &arena, &again)));
    CLO_ASSERT(again.row_count == index->row_count && again.version == index->version);
    CLO_ASSERT(memcmp(again.digest, digest, sizeof digest) == 0);
    for (size_t i = 0; i < again.row_count; i++) {
        CLO_ASSERT(strcmp(again.rows[i].name, index->rows[i].name) == 0);
        CLO_ASSERT(again.rows[i].size == index->rows[i].size);
        CLO_ASSERT(clo_index_find(&again, index->rows[i].name) == &again.rows[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    clo_index index;
    if (owner == NULL) {
        CLO_ASSERT(clo_ok(clo_crypto_init()));
        CLO_ASSERT(clo_ok(clo_key_generate(CLO_KEY_ED25519, &owner)));
    }
    CLO_ASSERT(!clo_ok(clo_index_open(CLO_SPAN(data, size), owner, &arena, &index)));
    CLO_ASSERT(clo_ok(clo_dsse_sign(owner, CLO_INDEX_TYPE, CLO_SPAN(data, size), &envelope)));
    if (clo_ok(clo_index_open(clo_buf_span(&envelope), owner, &arena, &index))) {
        check_again(&index);
    }
    return 0;
}
