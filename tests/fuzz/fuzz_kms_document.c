/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents: the first byte chooses the kind, the rest is the payload. What is accepted must be
 * written again and accepted with the same meaning.
 */
#include <stdlib.h>
#include <string.h>

#include "document.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const clo_document *const kinds[] = {&clo_policy_document, &clo_manifest_document,
                                            &clo_approval_document, &clo_roster_document};

static void check_round_trip(const clo_document *kind, const void *document, void *copy)
{
    CLO_AUTO(clo_buf) text = CLO_BUF_INIT;
    clo_json_writer writer = clo_json_writer_of(&text);
    clo_fields_write(kind->fields, document, &writer, NULL);
    if (!clo_ok(clo_buf_check(&text)) ||
        !clo_ok(clo_document_parse(kind, clo_buf_span(&text), copy)) ||
        memcmp(document, copy, kind->size) != 0) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    if (!clo_ok(clo_crypto_init())) {
        abort(); /* a second call does nothing */
    }
    if (size == 0) {
        return 0;
    }
    const clo_document *kind = kinds[data[0] % (sizeof kinds / sizeof *kinds)];
    void *document = clo_arena_alloc(&arena, kind->size);
    void *copy = clo_arena_alloc(&arena, kind->size);
    if (clo_ok(clo_document_parse(kind, CLO_SPAN(data + 1, size - 1), document))) {
        check_round_trip(kind, document, copy);
    }
    return 0;
}
