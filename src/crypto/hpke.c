/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hybrid public key encryption, RFC 9180, base mode, one message: outputs are sealed to an owner
 * who was never online with us. The suite is fixed: DHKEM(X25519, HKDF-SHA256) = 0x0020,
 * HKDF-SHA256 = 0x0001, AES-256-GCM = 0x0002.
 *
 *     dh      = X25519(ephemeral, recipient)
 *     shared  = ExtractAndExpand(dh, enc || recipient public)           (4.1, suite "KEM" || kem)
 *     context = 0x00 || psk_id_hash || info_hash                        (5.1, suite "HPKE" || ids)
 *     secret  = LabeledExtract(shared, "secret", "")
 *     key     = LabeledExpand(secret, "key", context, 32), base_nonce likewise, 12
 *     cipher  = AEAD(key, base_nonce, associated, plain) || tag         sequence number 0 only
 *
 * The file keeps the RFC's names, so that the two can be read side by side.
 */
#include "crypto_internal.h"

#include <string.h>

#define HASH 32

static const uint8_t kem_suite[] = {'K', 'E', 'M', 0x00, 0x20};
static const uint8_t hpke_suite[] = {'H', 'P', 'K', 'E', 0x00, 0x20, 0x00, 0x01, 0x00, 0x02};

typedef struct {
    clo_span suite;
    const char *name;
} suite_label;

static const suite_label eae_prk = {CLO_SPAN_OF(kem_suite), "eae_prk"};
static const suite_label shared_secret = {CLO_SPAN_OF(kem_suite), "shared_secret"};
static const suite_label psk_id_hash = {CLO_SPAN_OF(hpke_suite), "psk_id_hash"};
static const suite_label info_hash = {CLO_SPAN_OF(hpke_suite), "info_hash"};
static const suite_label secret_label = {CLO_SPAN_OF(hpke_suite), "secret"};
static const suite_label key_label = {CLO_SPAN_OF(hpke_suite), "key"};
static const suite_label base_nonce = {CLO_SPAN_OF(hpke_suite), "base_nonce"};

/* LabeledExtract(salt, label, ikm) = Extract(salt, "HPKE-v1" || suite || label || ikm). */
static clo_status labeled_extract(clo_span salt, const suite_label *label, clo_span ikm,
                                  uint8_t out[HASH])
{
    CLO_AUTO(clo_buf) labeled = CLO_BUF_INIT;
    clo_put_str(&labeled, "HPKE-v1");
    clo_put_span(&labeled, label->suite);
    clo_put_str(&labeled, label->name);
    clo_put_span(&labeled, ikm);
    CLO_TRY(clo_buf_check(&labeled));
    return clo_hkdf_run(CLO_HKDF_EXTRACT, clo_crypto()->sha256, clo_buf_span(&labeled), salt,
                        CLO_SPAN_EMPTY, out, HASH);
}

/* LabeledExpand(prk, label, info, L) = Expand(prk, L as u16 || "HPKE-v1" || suite || label ||
 * info, L). */
static clo_status labeled_expand(clo_span prk, const suite_label *label, clo_span info,
                                 uint8_t *out, size_t size)
{
    CLO_AUTO(clo_buf) labeled = CLO_BUF_INIT;
    clo_put_u16be(&labeled, (uint16_t)size);
    clo_put_str(&labeled, "HPKE-v1");
    clo_put_span(&labeled, label->suite);
    clo_put_str(&labeled, label->name);
    clo_put_span(&labeled, info);
    CLO_TRY(clo_buf_check(&labeled));
    return clo_hkdf_run(CLO_HKDF_EXPAND, clo_crypto()->sha256, prk, CLO_SPAN_EMPTY,
                        clo_buf_span(&labeled), out, size);
}

/* OpenSSL refuses a result of zero, which a point of small order would give. */
static clo_status agree(const clo_key *private_key, const clo_key *public_key, clo_secret *out_dh)
{
    CLO_TRY(clo_secret_alloc(out_dh, 32));
    CLO_AUTO_PTR(EVP_PKEY_CTX)
    context = EVP_PKEY_CTX_new_from_pkey(clo_crypto()->lib, private_key->pkey, NULL);
    size_t size = out_dh->size;
    bool done = context != NULL && EVP_PKEY_derive_init(context) == 1 &&
                EVP_PKEY_derive_set_peer(context, public_key->pkey) == 1 &&
                EVP_PKEY_derive(context, out_dh->data, &size) == 1 && size == 32;
    return CLO_OPENSSL(done, CLO_CRYPTO, "key agreement failed");
}

static clo_status extract_and_expand(clo_span dh, clo_span enc, clo_span recipient_public,
                                     clo_secret *out_shared)
{
    uint8_t kem_context[64];
    memcpy(kem_context, enc.data, 32);
    memcpy(kem_context + 32, recipient_public.data, 32);
    CLO_AUTO(clo_secret) prk = CLO_SECRET_INIT;
    CLO_TRY(clo_secret_alloc(&prk, HASH));
    CLO_TRY(labeled_extract(CLO_SPAN_EMPTY, &eae_prk, dh, prk.data));
    CLO_TRY(clo_secret_alloc(out_shared, HASH));
    return labeled_expand(clo_secret_span(&prk), &shared_secret, CLO_SPAN_OF(kem_context),
                          out_shared->data, HASH);
}

/* KeySchedule of mode_base with empty psk and psk_id. */
static clo_status key_schedule(clo_span shared, clo_span info, clo_secret *out_key,
                               uint8_t out_nonce[CLO_AEAD_NONCE])
{
    uint8_t context[1 + 2 * HASH] = {0x00};
    clo_span context_span = CLO_SPAN_OF(context);
    CLO_TRY(labeled_extract(CLO_SPAN_EMPTY, &psk_id_hash, CLO_SPAN_EMPTY, context + 1));
    CLO_TRY(labeled_extract(CLO_SPAN_EMPTY, &info_hash, info, context + 1 + HASH));
    CLO_AUTO(clo_secret) secret = CLO_SECRET_INIT;
    CLO_TRY(clo_secret_alloc(&secret, HASH));
    CLO_TRY(labeled_extract(shared, &secret_label, CLO_SPAN_EMPTY, secret.data));
    CLO_TRY(clo_secret_alloc(out_key, CLO_AEAD_KEY));
    CLO_TRY(labeled_expand(clo_secret_span(&secret), &key_label, context_span, out_key->data,
                           CLO_AEAD_KEY));
    return labeled_expand(clo_secret_span(&secret), &base_nonce, context_span, out_nonce,
                          CLO_AEAD_NONCE);
}

/* Both sides from their half of the agreement to the AEAD. `enc` is the ephemeral public key. */
static clo_status set_up(const clo_key *own, const clo_key *peer, clo_span enc,
                         clo_span recipient_public, clo_span info, clo_aead **out_aead,
                         uint8_t out_nonce[CLO_AEAD_NONCE])
{
    CLO_AUTO(clo_secret) dh = CLO_SECRET_INIT;
    CLO_AUTO(clo_secret) shared = CLO_SECRET_INIT;
    CLO_AUTO(clo_secret) key = CLO_SECRET_INIT;
    CLO_TRY(agree(own, peer, &dh));
    CLO_TRY(extract_and_expand(clo_secret_span(&dh), enc, recipient_public, &shared));
    CLO_TRY(key_schedule(clo_secret_span(&shared), info, &key, out_nonce));
    return clo_aead_new(&key, out_aead);
}

static clo_status check_recipient(const clo_key *recipient)
{
    CLO_CHECK(recipient->kind == CLO_KEY_X25519, CLO_INVALID, "hpke needs an x25519 key");
    return CLO_STATUS_OK;
}

clo_status clo_hpke_seal_with(const clo_key *ephemeral, const clo_key *recipient, clo_span info,
                              clo_span associated, clo_span plain, clo_buf *out_cipher)
{
    CLO_TRY(check_recipient(recipient));
    CLO_CHECK(plain.size > 0, CLO_INVALID, "hpke: nothing to seal");
    CLO_AUTO_PTR(clo_aead) aead = NULL;
    uint8_t nonce[CLO_AEAD_NONCE], tag[CLO_AEAD_TAG];
    CLO_TRY(set_up(ephemeral, recipient, clo_key_raw_public(ephemeral),
                   clo_key_raw_public(recipient), info, &aead, nonce));
    uint8_t *out = clo_buf_grow(out_cipher, plain.size);
    CLO_TRY(clo_buf_check(out_cipher));
    CLO_TRY(clo_aead_seal(aead, nonce, associated, plain, out, tag));
    clo_put_bytes(out_cipher, tag, sizeof tag);
    return clo_buf_check(out_cipher);
}

clo_status clo_hpke_seal(const clo_key *recipient, clo_span info, clo_span associated,
                         clo_span plain, uint8_t out_enc[32], clo_buf *out_cipher)
{
    CLO_AUTO_PTR(clo_key) ephemeral = NULL;
    CLO_TRY(clo_key_generate(CLO_KEY_X25519, &ephemeral));
    CLO_TRY(clo_hpke_seal_with(ephemeral, recipient, info, associated, plain, out_cipher));
    memcpy(out_enc, clo_key_raw_public(ephemeral).data, CLO_HPKE_ENC);
    return CLO_STATUS_OK;
}

clo_status clo_hpke_open(const clo_key *recipient, const uint8_t enc[32], clo_span info,
                         clo_span associated, clo_span cipher, clo_secret *out_plain)
{
    CLO_TRY(check_recipient(recipient));
    CLO_CHECK(recipient->has_private, CLO_INVALID, "opening needs the private key");
    CLO_CHECK(cipher.size > CLO_AEAD_TAG, CLO_FORMAT, "hpke: %zu bytes hold no message",
              cipher.size);
    CLO_AUTO_PTR(clo_key) ephemeral = NULL;
    CLO_TRY(clo_key_from_raw_public(CLO_KEY_X25519, CLO_SPAN(enc, CLO_HPKE_ENC), &ephemeral));
    CLO_AUTO_PTR(clo_aead) aead = NULL;
    uint8_t nonce[CLO_AEAD_NONCE];
    CLO_TRY(set_up(recipient, ephemeral, CLO_SPAN(enc, CLO_HPKE_ENC), clo_key_raw_public(recipient),
                   info, &aead, nonce));
    size_t size = cipher.size - CLO_AEAD_TAG;
    CLO_AUTO(clo_secret) plain = CLO_SECRET_INIT;
    CLO_TRY(clo_secret_alloc(&plain, size));
    CLO_TRY(clo_aead_open(aead, nonce, associated, CLO_SPAN(cipher.data, size), cipher.data + size,
                          plain.data));
    *out_plain = plain;
    plain = CLO_SECRET_INIT;
    return CLO_STATUS_OK;
}
