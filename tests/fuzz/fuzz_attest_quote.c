/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A quote of version 3, its certificate chain, and the SGX extension of a certificate: what a peer
 * controls before any signature is checked.
 */
#include "pck_cert.h"
#include "quote_v3.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_extension(clo_span value)
{
    clo_pck_extensions extensions;
    (void)clo_pck_extensions_parse(value, &extensions);
}

static void read_chain(clo_span pem)
{
    CLO_AUTO(clo_pck_chain) chain = CLO_PCK_CHAIN_INIT;
    clo_span value;
    if (!clo_ok(clo_pck_chain_parse(pem, &chain))) {
        return;
    }
    (void)clo_pck_chain_check(&chain);
    if (clo_ok(clo_cert_extension(chain.leaf, CLO_SGX_EXTENSION_OID, &value))) {
        read_extension(value);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    ready = ready || clo_ok(clo_crypto_init());
    clo_span input = CLO_SPAN(data, size);
    clo_quote_v3 quote;
    if (clo_ok(clo_quote_v3_parse(input, &quote))) {
        /* A quote that parsed lies inside its bytes, whatever sizes it declared. */
        CLO_ASSERT(quote.size <= size && quote.cert.size <= quote.size);
        read_chain(quote.cert);
    }
    read_extension(input);
    return 0;
}
