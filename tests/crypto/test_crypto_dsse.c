/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Envelopes: the encoding and the signature published in the specification's protocol.md, and every
 * way an envelope can be wrong.
 */
#include "fixture.h"

#define TYPE "application/vnd.cloister.test+json"

static void pae_is_the_published_one(void)
{
    CLO_AUTO(clo_buf) pae = CLO_BUF_INIT;
    clo_dsse_put_pae(&pae, "http://example.com/HelloWorld", clo_span_of_str("hello world"));
    T_CHECK(clo_span_equals_str(clo_buf_span(&pae),
                                "DSSEv1 29 http://example.com/HelloWorld 11 hello world"));
    clo_buf_clear(&pae);
    clo_dsse_put_pae(&pae, "", CLO_SPAN_EMPTY);
    T_CHECK(clo_span_equals_str(clo_buf_span(&pae), "DSSEv1 0  0 "));
}

/* The example's ECDSA P-256 key and signature (raw r || s), over the encoding above. */
static void the_published_signature_holds_over_our_pae(void)
{
    CLO_AUTO(clo_buf)
    xy = fixture_hex("67cd390f77aa359cb08c2235f652270493a9ed832b0abcc01f70954c0390d238"
                     "0c782bd54e269125a44f4433aff1432ce94e12bca73aa67ac80cea12608ddf74");
    CLO_AUTO(clo_buf)
    rs = fixture_hex("03726ab101ad56c2763b6c6aac8e487275e2a79193a09dc5f859d9f8ef3c4a3b"
                     "51eab0c06a369b64a7222537d4887a893dc200ae21060074d57825235b624864");
    CLO_AUTO_PTR(clo_key) key = NULL;
    CLO_AUTO(clo_buf) pae = CLO_BUF_INIT;
    clo_dsse_put_pae(&pae, "http://example.com/HelloWorld", clo_span_of_str("hello world"));
    T_OK(clo_key_from_p256_raw(xy.data, &key));
    T_OK(clo_key_verify_raw(key, clo_buf_span(&pae), rs.data));
    T_CODE(clo_key_verify_raw(key, clo_span_of_str("hello world"), rs.data), CLO_CRYPTO);
}

static void an_envelope_round_trips_for_both_kinds_of_key(void)
{
    static const clo_key_kind kinds[] = {CLO_KEY_ED25519, CLO_KEY_P256};
    for (size_t i = 0; i < 2; i++) {
        CLO_AUTO_PTR(clo_key) key = fixture_key(kinds[i]);
        CLO_AUTO_PTR(clo_key) public_key = NULL;
        CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
        CLO_AUTO(clo_buf) payload = CLO_BUF_INIT;
        T_OK(clo_key_parse_spki(clo_key_spki(key), &public_key));
        T_OK(clo_dsse_sign(key, TYPE, clo_span_of_str("{\"a\":1}"), &envelope));
        T_OK(clo_dsse_open(clo_buf_span(&envelope), TYPE, public_key, &payload));
        T_CHECK(clo_span_equals_str(clo_buf_span(&payload), "{\"a\":1}"));
    }
}

static void another_key_or_type_is_refused_and_gives_no_payload(void)
{
    CLO_AUTO_PTR(clo_key) key = fixture_key(CLO_KEY_ED25519);
    CLO_AUTO_PTR(clo_key) other = fixture_key(CLO_KEY_ED25519);
    CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) payload = CLO_BUF_INIT;
    T_OK(clo_dsse_sign(key, TYPE, clo_span_of_str("data"), &envelope));
    T_CODE(clo_dsse_open(clo_buf_span(&envelope), TYPE, other, &payload), CLO_CRYPTO);
    T_CODE(clo_dsse_open(clo_buf_span(&envelope), TYPE "x", key, &payload), CLO_FORMAT);
    T_INT(payload.size, 0);
    T_OK(clo_dsse_peek(clo_buf_span(&envelope), TYPE, &payload));
    T_CHECK(clo_span_equals_str(clo_buf_span(&payload), "data"));
    clo_buf_clear(&payload);
    T_CODE(clo_dsse_peek(clo_buf_span(&envelope), "", &payload), CLO_FORMAT);
}

static void no_changed_byte_is_accepted_with_another_payload(void)
{
    CLO_AUTO_PTR(clo_key) key = fixture_key(CLO_KEY_P256);
    CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
    T_OK(clo_dsse_sign(key, TYPE, clo_span_of_str("payload"), &envelope));
    size_t accepted = 0;
    for (size_t i = 0; i < envelope.size; i++) {
        CLO_AUTO(clo_buf) payload = CLO_BUF_INIT;
        envelope.data[i] ^= 1;
        clo_status status = clo_dsse_open(clo_buf_span(&envelope), TYPE, key, &payload);
        envelope.data[i] ^= 1;
        T_CHECK(!clo_ok(status) || clo_span_equals_str(clo_buf_span(&payload), "payload"));
        accepted += clo_ok(status);
    }
    /* Only the key id and the name of that member are not covered: they are hints. */
    T_INT(accepted, 64 + strlen("keyid"));
}

static void every_truncation_is_refused(void)
{
    CLO_AUTO_PTR(clo_key) key = fixture_key(CLO_KEY_ED25519);
    CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) payload = CLO_BUF_INIT;
    T_OK(clo_dsse_sign(key, TYPE, clo_span_of_str("payload"), &envelope));
    for (size_t size = 0; size < envelope.size; size++) {
        T_CODE(clo_dsse_open(CLO_SPAN(envelope.data, size), TYPE, key, &payload), CLO_FORMAT);
    }
    T_INT(payload.size, 0);
}

typedef struct {
    const char *text;
    clo_code code;
} bad_envelope;

static const bad_envelope bad_envelopes[] = {
    {"[]", CLO_FORMAT},
    {"{}", CLO_FORMAT},
    {"{\"payloadType\":\"t\",\"payload\":\"\"}", CLO_FORMAT},
    {"{\"payloadType\":\"t\",\"payload\":\"\",\"signatures\":{}}", CLO_FORMAT},
    {"{\"payloadType\":\"t\",\"payload\":\"\",\"signatures\":[]}", CLO_CRYPTO},
    {"{\"payloadType\":\"t\",\"payload\":\"\",\"signatures\":[1]}", CLO_FORMAT},
    {"{\"payloadType\":\"t\",\"payload\":\"\",\"signatures\":[{}]}", CLO_FORMAT},
    {"{\"payloadType\":\"t\",\"payload\":\"\",\"signatures\":[{\"sig\":\"\"}]}", CLO_CRYPTO},
    {"{\"payloadType\":\"t\",\"payload\":\"*\",\"signatures\":[{\"sig\":\"AA==\"}]}", CLO_FORMAT},
    {"{\"payloadType\":\"t\",\"payloadType\":\"t\",\"payload\":\"\",\"signatures\":[]}",
     CLO_FORMAT},
};

static void malformed_and_unsigned_envelopes_are_refused(void)
{
    CLO_AUTO_PTR(clo_key) key = fixture_key(CLO_KEY_ED25519);
    for (size_t i = 0; i < sizeof bad_envelopes / sizeof *bad_envelopes; i++) {
        CLO_AUTO(clo_buf) payload = CLO_BUF_INIT;
        clo_span text = clo_span_of_str(bad_envelopes[i].text);
        T_CODE(clo_dsse_open(text, "t", key, &payload), bad_envelopes[i].code);
        T_INT(payload.size, 0);
    }
}

/* The envelope of `key` with signatures by `count` other keys before its own. */
static void put_crowded(const clo_key *key, size_t count, clo_buf *out)
{
    CLO_AUTO(clo_buf) pae = CLO_BUF_INIT;
    clo_dsse_put_pae(&pae, "t", clo_span_of_str("p"));
    clo_put_str(out, "{\"payloadType\":\"t\",\"payload\":\"cA==\",\"signatures\":[");
    for (size_t i = 0; i <= count; i++) {
        CLO_AUTO_PTR(clo_key) other = fixture_key(CLO_KEY_ED25519);
        CLO_AUTO(clo_buf) signature = CLO_BUF_INIT;
        const clo_key *signer = i == count ? key : other;
        fixture_must(clo_key_sign(signer, clo_buf_span(&pae), &signature), "signing");
        clo_put_str(out, i == 0 ? "{\"sig\":\"" : ",{\"sig\":\"");
        clo_put_base64(out, clo_buf_span(&signature));
        clo_put_str(out, "\"}");
    }
    clo_put_str(out, "]}");
}

static void the_right_signature_is_found_among_others_up_to_the_cap(void)
{
    CLO_AUTO_PTR(clo_key) key = fixture_key(CLO_KEY_P256);
    CLO_AUTO(clo_buf) fits = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) over = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) payload = CLO_BUF_INIT;
    put_crowded(key, 15, &fits);
    put_crowded(key, 16, &over);
    T_OK(clo_dsse_open(clo_buf_span(&fits), "t", key, &payload));
    T_CODE(clo_dsse_open(clo_buf_span(&over), "t", key, &payload), CLO_LIMIT);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(pae_is_the_published_one),
        T(the_published_signature_holds_over_our_pae),
        T(an_envelope_round_trips_for_both_kinds_of_key),
        T(another_key_or_type_is_refused_and_gives_no_payload),
        T(no_changed_byte_is_accepted_with_another_payload),
        T(every_truncation_is_refused),
        T(malformed_and_unsigned_envelopes_are_refused),
        T(the_right_signature_is_found_among_others_up_to_the_cap),
    };
    fixture_must(clo_crypto_init(), "clo_crypto_init");
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
