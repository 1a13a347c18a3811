/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Published vectors: FIPS 180-2, RFC 4231, RFC 5869, RFC 7914, the GCM specification, RFC 8032,
 * RFC 6979 (as signatures to verify), RFC 9180's test vectors. Each has a twin that must fail.
 */
#include "fixture.h"

static void sha2_matches_fips_180(void)
{
    uint8_t digest[64];
    T_OK(clo_sha256(CLO_SPAN("abc", 3), digest));
    T_CHECK(
        fixture_is(digest, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
    T_OK(clo_sha256(CLO_SPAN_EMPTY, digest));
    T_CHECK(
        fixture_is(digest, 32, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
    T_OK(clo_sha384(CLO_SPAN("abc", 3), digest));
    T_CHECK(fixture_is(digest, 48,
                       "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
                       "8086072ba1e7cc2358baeca134c825a7"));
    T_OK(clo_sha512(CLO_SPAN("abc", 3), digest));
    T_CHECK(fixture_is(digest, 64,
                       "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                       "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"));
}

static void an_incremental_hash_equals_the_whole_and_starts_anew(void)
{
    CLO_AUTO_PTR(clo_hash) hash = NULL;
    uint8_t whole[32], parts[32];
    T_OK(clo_hash_new(&hash));
    for (int round = 0; round < 2; round++) {
        T_OK(clo_hash_update(hash, CLO_SPAN("con", 3)));
        T_OK(clo_hash_update(hash, CLO_SPAN_EMPTY));
        T_OK(clo_hash_update(hash, CLO_SPAN("fidential", 9)));
        T_OK(clo_hash_final(hash, parts));
        T_OK(clo_sha256(clo_span_of_str("confidential"), whole));
        T_CHECK(memcmp(whole, parts, 32) == 0);
    }
}

static void hmac_matches_rfc_4231(void)
{
    uint8_t mac[32], other[32];
    clo_span message = clo_span_of_str("what do ya want for nothing?");
    T_OK(clo_hmac_sha256(clo_span_of_str("Jefe"), message, mac));
    T_CHECK(
        fixture_is(mac, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"));
    T_OK(clo_hmac_sha256(CLO_SPAN_EMPTY, CLO_SPAN_EMPTY, other));
    T_CHECK(
        fixture_is(other, 32, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"));
}

typedef struct {
    const char *key, *salt, *info, *out;
} hkdf_vector;

static const hkdf_vector hkdf_vectors[] = {
    {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c",
     "f0f1f2f3f4f5f6f7f8f9",
     "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"},
    {"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d"
     "2e2f303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f",
     "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d"
     "8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
     "b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdd"
     "dedfe0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
     "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e59"
     "0e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"},
    {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
     "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"},
};

static void hkdf_matches_rfc_5869(void)
{
    for (size_t i = 0; i < sizeof hkdf_vectors / sizeof *hkdf_vectors; i++) {
        const hkdf_vector *v = &hkdf_vectors[i];
        CLO_AUTO(clo_buf) key = fixture_hex(v->key);
        CLO_AUTO(clo_buf) salt = fixture_hex(v->salt);
        CLO_AUTO(clo_buf) info = fixture_hex(v->info);
        uint8_t out[82];
        size_t size = strlen(v->out) / 2;
        T_OK(clo_hkdf_sha256(clo_buf_span(&key), clo_buf_span(&salt), clo_buf_span(&info), out,
                             size));
        T_CHECK(fixture_is(out, size, v->out));
    }
}

static void hkdf_refuses_more_than_255_blocks(void)
{
    static uint8_t out[255 * 32 + 1];
    clo_span key = clo_span_of_str("key");
    T_OK(clo_hkdf_sha256(key, CLO_SPAN_EMPTY, CLO_SPAN_EMPTY, out, 255 * 32));
    T_CODE(clo_hkdf_sha256(key, CLO_SPAN_EMPTY, CLO_SPAN_EMPTY, out, 255 * 32 + 1), CLO_CRYPTO);
}

/* RFC 5869 has no SHA-512 vector: T(1) = HMAC-SHA512(key, info || 0x01) is computed apart. */
static void hkdf_expand_sha512_is_one_hmac_block(void)
{
    uint8_t key[64], out[64], expected[64];
    memset(key, 0x17, sizeof key);
    size_t size = 0;
    T_CHECK(EVP_Q_mac(NULL, "HMAC", NULL, "SHA512", NULL, key, sizeof key,
                      (const uint8_t *)"info\x01", 5, expected, sizeof expected, &size) != NULL);
    T_OK(clo_hkdf_expand_sha512(CLO_SPAN_OF(key), clo_span_of_str("info"), out, sizeof out));
    T_CHECK(memcmp(out, expected, 64) == 0);
    T_OK(clo_hkdf_expand_sha512(CLO_SPAN_OF(key), clo_span_of_str("other"), out, sizeof out));
    T_CHECK(memcmp(out, expected, 64) != 0);
}

static void scrypt_matches_rfc_7914(void)
{
    uint8_t out[64];
    T_OK(clo_scrypt_run(CLO_SPAN_EMPTY, CLO_SPAN_EMPTY, (clo_scrypt_cost){16, 1, 1}, out, 64));
    T_CHECK(fixture_is(out, 64,
                       "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442"
                       "fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906"));
    T_OK(clo_scrypt_run(clo_span_of_str("password"), clo_span_of_str("NaCl"),
                        (clo_scrypt_cost){1024, 8, 16}, out, 64));
    T_CHECK(fixture_is(out, 64,
                       "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"
                       "2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640"));
}

static void scrypt_of_another_passphrase_or_salt_differs(void)
{
    uint8_t a[32], b[32], c[32], again[32];
    clo_span salt = clo_span_of_str("salt");
    T_OK(clo_scrypt(clo_span_of_str("one"), salt, a));
    T_OK(clo_scrypt(clo_span_of_str("two"), salt, b));
    T_OK(clo_scrypt(clo_span_of_str("one"), clo_span_of_str("tlas"), c));
    T_OK(clo_scrypt_run(clo_span_of_str("one"), salt, (clo_scrypt_cost){32768, 8, 1}, again, 32));
    T_CHECK(memcmp(a, b, 32) != 0 && memcmp(a, c, 32) != 0 && memcmp(a, again, 32) == 0);
}

typedef struct {
    const char *key, *nonce, *plain, *associated, *cipher, *tag;
} gcm_vector;

#define ZERO_KEY "0000000000000000000000000000000000000000000000000000000000000000"
#define ZERO_IV  "000000000000000000000000"
#define CASE_KEY "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"
#define CASE_IV  "cafebabefacedbaddecaf888"
#define CASE_TEXT                                                                                  \
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"                             \
    "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
#define CASE_CIPHER                                                                                \
    "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"                             \
    "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"

/* Test cases 13, 14, 15 and 16 of the GCM specification. */
static const gcm_vector gcm_vectors[] = {
    {ZERO_KEY, ZERO_IV, "", "", "", "530f8afbc74536b9a963b4f1c4cb738b"},
    {ZERO_KEY, ZERO_IV, "00000000000000000000000000000000", "", "cea7403d4d606b6e074ec5d3baf39d18",
     "d0d1c8a799996bf0265b98b5d48ab919"},
    {CASE_KEY, CASE_IV, CASE_TEXT "1aafd255", "", CASE_CIPHER "898015ad",
     "b094dac5d93471bdec1a502270e3cc6c"},
    {CASE_KEY, CASE_IV, CASE_TEXT, "feedfacedeadbeeffeedfacedeadbeefabaddad2", CASE_CIPHER,
     "76fc6ece0f4e1768cddf8853bb2d551b"},
};

static clo_aead *aead_of(const char *key_hex)
{
    CLO_AUTO(clo_buf) bytes = fixture_hex(key_hex);
    CLO_AUTO(clo_secret) key = CLO_SECRET_INIT;
    clo_aead *aead = NULL;
    fixture_must(clo_secret_copy(clo_buf_span(&bytes), &key), "key");
    fixture_must(clo_aead_new(&key, &aead), "aead");
    return aead;
}

static void gcm_matches_its_specification_both_ways(void)
{
    for (size_t i = 0; i < sizeof gcm_vectors / sizeof *gcm_vectors; i++) {
        const gcm_vector *v = &gcm_vectors[i];
        CLO_AUTO_PTR(clo_aead) aead = aead_of(v->key);
        CLO_AUTO(clo_buf) nonce = fixture_hex(v->nonce);
        CLO_AUTO(clo_buf) plain = fixture_hex(v->plain);
        CLO_AUTO(clo_buf) associated = fixture_hex(v->associated);
        uint8_t out[64], tag[16];
        T_OK(clo_aead_seal(aead, nonce.data, clo_buf_span(&associated), clo_buf_span(&plain), out,
                           tag));
        T_CHECK(fixture_is(out, plain.size, v->cipher));
        T_CHECK(fixture_is(tag, 16, v->tag));
        T_OK(clo_aead_open(aead, nonce.data, clo_buf_span(&associated), CLO_SPAN(out, plain.size),
                           tag, out));
        T_CHECK(clo_span_equal(CLO_SPAN(out, plain.size), clo_buf_span(&plain)));
    }
}

static void gcm_refuses_every_flipped_bit_and_wipes(void)
{
    CLO_AUTO_PTR(clo_aead) aead = aead_of(CASE_KEY);
    uint8_t box[12 + 5 + 20 + 16]; /* nonce, associated data, cipher text, tag */
    memset(box, 0x5a, sizeof box);
    clo_span associated = CLO_SPAN(box + 12, 5);
    uint8_t out[20], zero[20] = {0};
    T_OK(clo_aead_seal(aead, box, associated, CLO_SPAN(box + 17, 20), box + 17, box + 37));
    for (size_t bit = 0; bit < 8 * sizeof box; bit++) {
        box[bit / 8] ^= (uint8_t)(1u << bit % 8);
        memset(out, 0xee, sizeof out);
        T_CODE(clo_aead_open(aead, box, associated, CLO_SPAN(box + 17, 20), box + 37, out),
               CLO_CRYPTO);
        T_CHECK(memcmp(out, zero, sizeof out) == 0);
        box[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    T_OK(clo_aead_open(aead, box, associated, CLO_SPAN(box + 17, 20), box + 37, out));
}

static void an_aead_key_of_another_size_is_refused(void)
{
    CLO_AUTO(clo_secret) key = CLO_SECRET_INIT;
    clo_aead *aead = NULL;
    T_OK(clo_secret_copy(CLO_SPAN("0123456789abcdef", 16), &key));
    T_CODE(clo_aead_new(&key, &aead), CLO_INVALID);
    T_CHECK(aead == NULL);
}

typedef struct {
    const char *seed, *public_key, *message, *signature;
} ed25519_vector;

/* RFC 8032 section 7.1, tests 1 to 3. */
static const ed25519_vector ed25519_vectors[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e3970"
     "1cf9b46bd25bf5f0595bbe24655141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613"
     "d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760"
     "984dc6594a7c15e9716ed28dc027beceea1ec40a"},
};

static void ed25519_matches_rfc_8032(void)
{
    for (size_t i = 0; i < sizeof ed25519_vectors / sizeof *ed25519_vectors; i++) {
        const ed25519_vector *v = &ed25519_vectors[i];
        CLO_AUTO_PTR(clo_key) key = fixture_private(CLO_KEY_ED25519, v->seed);
        CLO_AUTO(clo_buf) message = fixture_hex(v->message);
        CLO_AUTO(clo_buf) signature = CLO_BUF_INIT;
        clo_span raw = clo_key_raw_public(key);
        T_CHECK(fixture_is(raw.data, raw.size, v->public_key));
        T_OK(clo_key_sign(key, clo_buf_span(&message), &signature));
        T_CHECK(fixture_is(signature.data, signature.size, v->signature));
        T_OK(clo_key_verify(key, clo_buf_span(&message), clo_buf_span(&signature)));
        signature.data[40] ^= 1;
        T_CODE(clo_key_verify(key, clo_buf_span(&message), clo_buf_span(&signature)), CLO_CRYPTO);
    }
}

static void raw_p256_verifies_the_signature_of_rfc_6979(void)
{
    CLO_AUTO(clo_buf)
    xy = fixture_hex("60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
                     "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299");
    CLO_AUTO(clo_buf)
    rs = fixture_hex("efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
                     "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8");
    CLO_AUTO_PTR(clo_key) key = NULL;
    T_OK(clo_key_from_p256_raw(xy.data, &key));
    T_OK(clo_key_verify_raw(key, clo_span_of_str("sample"), rs.data));
    T_CODE(clo_key_verify_raw(key, clo_span_of_str("Sample"), rs.data), CLO_CRYPTO);
    for (size_t i = 0; i < 64; i++) {
        rs.data[i] ^= 0x10;
        T_CODE(clo_key_verify_raw(key, clo_span_of_str("sample"), rs.data), CLO_CRYPTO);
        rs.data[i] ^= 0x10;
    }
}

/* RFC 9180's test-vectors.json: mode 0, KEM 0x0020, KDF 0x0001, AEAD 0x0002, sequence number 0. */
#define HPKE_INFO  "4f6465206f6e2061204772656369616e2055726e"
#define HPKE_SKR   "497b4502664cfea5d5af0b39934dac72242a74f8480451e1aee7d6a53320333d"
#define HPKE_SKE   "179d4b53b6365c45b600c4163b61d95cbc2f4d9e36f1695558dce265ab8bab11"
#define HPKE_ENC   "6c93e09869df3402d7bf231bf540fadd35cd56be14f97178f0954db94b7fc256"
#define HPKE_PLAIN "4265617574792069732074727574682c20747275746820626561757479"
#define HPKE_CIPHER                                                                                \
    "e5d84cd531cfb583096e7cfa9641bd3079cf3a91cda813c52deb5f512be99319"                             \
    "80a41de125a925cdad859d5b7a"

static void hpke_sealing_matches_rfc_9180(void)
{
    CLO_AUTO_PTR(clo_key) recipient = fixture_private(CLO_KEY_X25519, HPKE_SKR);
    CLO_AUTO_PTR(clo_key) ephemeral = fixture_private(CLO_KEY_X25519, HPKE_SKE);
    CLO_AUTO(clo_buf) info = fixture_hex(HPKE_INFO);
    CLO_AUTO(clo_buf) plain = fixture_hex(HPKE_PLAIN);
    CLO_AUTO(clo_buf) cipher = CLO_BUF_INIT;
    clo_span enc = clo_key_raw_public(ephemeral);
    T_CHECK(fixture_is(enc.data, enc.size, HPKE_ENC));
    T_OK(clo_hpke_seal_with(ephemeral, recipient, clo_buf_span(&info), clo_span_of_str("Count-0"),
                            clo_buf_span(&plain), &cipher));
    T_CHECK(fixture_is(cipher.data, cipher.size, HPKE_CIPHER));
}

static void hpke_opening_matches_rfc_9180_and_refuses_changes(void)
{
    CLO_AUTO_PTR(clo_key) recipient = fixture_private(CLO_KEY_X25519, HPKE_SKR);
    CLO_AUTO(clo_buf) info = fixture_hex(HPKE_INFO);
    CLO_AUTO(clo_buf) enc = fixture_hex(HPKE_ENC);
    CLO_AUTO(clo_buf) cipher = fixture_hex(HPKE_CIPHER);
    CLO_AUTO(clo_secret) plain = CLO_SECRET_INIT;
    clo_span count = clo_span_of_str("Count-0"), in = clo_buf_span(&cipher);
    T_OK(clo_hpke_open(recipient, enc.data, clo_buf_span(&info), count, in, &plain));
    T_CHECK(fixture_is(plain.data, plain.size, HPKE_PLAIN));
    clo_secret none = CLO_SECRET_INIT;
    T_CODE(clo_hpke_open(recipient, enc.data, CLO_SPAN_EMPTY, count, in, &none), CLO_CRYPTO);
    T_CODE(clo_hpke_open(recipient, enc.data, clo_buf_span(&info), clo_span_of_str("Count-1"), in,
                         &none),
           CLO_CRYPTO);
    T_CODE(clo_hpke_open(recipient, enc.data, clo_buf_span(&info), count, CLO_SPAN(in.data, 15),
                         &none),
           CLO_FORMAT);
    cipher.data[3] ^= 4;
    T_CODE(clo_hpke_open(recipient, enc.data, clo_buf_span(&info), count, in, &none), CLO_CRYPTO);
    T_CHECK(none.data == NULL);
}

static void hpke_round_trips_any_size_to_the_right_key_only(void)
{
    CLO_AUTO_PTR(clo_key) recipient = fixture_key(CLO_KEY_X25519);
    CLO_AUTO_PTR(clo_key) other = fixture_key(CLO_KEY_X25519);
    uint8_t enc[32], text[200];
    memset(text, 'm', sizeof text);
    for (size_t size = 1; size <= sizeof text; size += 40) {
        CLO_AUTO(clo_buf) cipher = CLO_BUF_INIT;
        CLO_AUTO(clo_secret) plain = CLO_SECRET_INIT;
        T_OK(clo_hpke_seal(recipient, clo_span_of_str("i"), clo_span_of_str("a"),
                           CLO_SPAN(text, size), enc, &cipher));
        T_OK(clo_hpke_open(recipient, enc, clo_span_of_str("i"), clo_span_of_str("a"),
                           clo_buf_span(&cipher), &plain));
        T_CHECK(clo_span_equal(clo_secret_span(&plain), CLO_SPAN(text, size)));
        clo_secret none = CLO_SECRET_INIT;
        T_CODE(clo_hpke_open(other, enc, clo_span_of_str("i"), clo_span_of_str("a"),
                             clo_buf_span(&cipher), &none),
               CLO_CRYPTO);
    }
}

static void hpke_refuses_a_point_of_small_order_and_other_kinds_of_key(void)
{
    CLO_AUTO_PTR(clo_key) recipient = fixture_key(CLO_KEY_X25519);
    CLO_AUTO_PTR(clo_key) signer = fixture_key(CLO_KEY_ED25519);
    CLO_AUTO(clo_buf) cipher = CLO_BUF_INIT;
    uint8_t zero[32] = {0}, enc[32], box[32] = {0};
    clo_secret none = CLO_SECRET_INIT;
    clo_span text = clo_span_of_str("text");
    T_CODE(clo_hpke_open(recipient, zero, CLO_SPAN_EMPTY, CLO_SPAN_EMPTY, CLO_SPAN_OF(box), &none),
           CLO_CRYPTO);
    T_CODE(clo_hpke_seal(signer, CLO_SPAN_EMPTY, CLO_SPAN_EMPTY, text, enc, &cipher), CLO_INVALID);
    T_CODE(clo_hpke_seal(recipient, text, text, CLO_SPAN_EMPTY, enc, &cipher), CLO_INVALID);
    T_INT(cipher.size, 0);
}

static void random_bytes_and_salts_do_not_repeat(void)
{
    uint8_t a[32], b[32], salt_a[32], salt_b[32];
    T_OK(clo_random_bytes(a, sizeof a));
    T_OK(clo_random_reseed());
    T_OK(clo_random_bytes(b, sizeof b));
    T_OK(clo_random_salt(salt_a));
    T_OK(clo_random_salt(salt_b));
    T_CHECK(memcmp(a, b, 32) != 0 && memcmp(salt_a, salt_b, 32) != 0);
    T_OK(clo_random_bytes(NULL, 0));
}

static void a_second_initialisation_does_nothing(void)
{
    const clo_crypto_state *before = clo_crypto();
    T_OK(clo_crypto_init());
    T_CHECK(clo_crypto() == before);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(sha2_matches_fips_180),
        T(an_incremental_hash_equals_the_whole_and_starts_anew),
        T(hmac_matches_rfc_4231),
        T(hkdf_matches_rfc_5869),
        T(hkdf_refuses_more_than_255_blocks),
        T(hkdf_expand_sha512_is_one_hmac_block),
        T(scrypt_matches_rfc_7914),
        T(scrypt_of_another_passphrase_or_salt_differs),
        T(gcm_matches_its_specification_both_ways),
        T(gcm_refuses_every_flipped_bit_and_wipes),
        T(an_aead_key_of_another_size_is_refused),
        T(ed25519_matches_rfc_8032),
        T(raw_p256_verifies_the_signature_of_rfc_6979),
        T(hpke_sealing_matches_rfc_9180),
        T(hpke_opening_matches_rfc_9180_and_refuses_changes),
        T(hpke_round_trips_any_size_to_the_right_key_only),
        T(hpke_refuses_a_point_of_small_order_and_other_kinds_of_key),
        T(random_bytes_and_salts_do_not_repeat),
        T(a_second_initialisation_does_nothing),
    };
    fixture_must(clo_crypto_init(), "clo_crypto_init");
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
