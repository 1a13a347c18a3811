/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verification of a quote with collateral, both from a stranger:
 *
 *     quote size u16 | quote | collateral
 *
 * First under Intel's root, where nothing that a fuzzer can make is accepted; then under the root
 * that the evidence itself brings, which leads on behind the question of trust. What the verdict
 * says must be printable and well-formed JSON.
 */
#include "cloister/attest.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void tell(const clo_verdict *verdict)
{
    CLO_AUTO(clo_buf) table = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) json = CLO_BUF_INIT;
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    const clo_json *root = NULL;
    CLO_ASSERT(clo_ok(clo_verdict_explain(verdict, &table)));
    clo_json_writer writer = clo_json_writer_of(&json);
    clo_verdict_json(verdict, &writer, NULL);
    CLO_ASSERT(clo_ok(clo_json_parse(clo_buf_span(&json), &arena, &root)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    static clo_verdict verdict;
    ready = ready || clo_ok(clo_crypto_init());
    clo_reader r = clo_reader_of(CLO_SPAN(data, size));
    clo_verify_request request = {
        .at = 1790000000, .anchors = {CLO_ANCHOR_INTEL_SGX}, .anchor_count = 1};
    request.quote = clo_read_span(&r, clo_read_u16be(&r));
    request.collateral = clo_read_span(&r, clo_reader_left(&r));
    CLO_ASSERT(clo_ok(clo_evidence_verify(&request, &verdict)));
    CLO_ASSERT(!verdict.accepted && !clo_ok(clo_verdict_status(&verdict)));
    tell(&verdict);
    if (verdict.failed == CLO_RULE_UNTRUSTED_ROOT) {
        memcpy(request.anchors[0].spki_sha256, verdict.claims.root_id, 32);
        CLO_ASSERT(clo_ok(clo_evidence_verify(&request, &verdict)));
        tell(&verdict);
    }
    return 0;
}
