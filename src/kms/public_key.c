/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Public keys as documents and records hold them: plain bytes that can be copied and compared, so
 * that a document needs no cleanup. The SPKI is the key's identity; two encodings are two keys.
 */
#include <string.h>

#include "cloister/kms.h"

clo_status clo_public_key_of(const clo_key *key, clo_public_key *out_public)
{
    clo_span spki = clo_key_spki(key);
    CLO_CHECK(spki.size > 0 && spki.size <= CLO_SPKI_MAX, CLO_INVALID,
              "public key has %zu bytes, expected at most %d", spki.size, CLO_SPKI_MAX);
    *out_public = (clo_public_key){.size = spki.size};
    memcpy(out_public->spki, spki.data, spki.size);
    return CLO_STATUS_OK;
}

clo_status clo_public_key_load(const clo_public_key *public_key, clo_key **out_key)
{
    CLO_CHECK(public_key->size > 0 && public_key->size <= CLO_SPKI_MAX, CLO_INVALID,
              "public key is not set");
    return clo_key_parse_spki(CLO_SPAN(public_key->spki, public_key->size), out_key);
}

bool clo_public_key_equal(const clo_public_key *a, const clo_public_key *b)
{
    return a->size == b->size && a->size > 0 && a->size <= CLO_SPKI_MAX &&
           memcmp(a->spki, b->spki, a->size) == 0;
}

clo_status clo_public_key_id(const clo_public_key *public_key, uint8_t out_id[32])
{
    CLO_CHECK(public_key->size > 0 && public_key->size <= CLO_SPKI_MAX, CLO_INVALID,
              "public key is not set");
    return clo_sha256(CLO_SPAN(public_key->spki, public_key->size), out_id);
}
