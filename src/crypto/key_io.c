/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys as PEM and files: PKCS#8 (RFC 5958) for private ones, SubjectPublicKeyInfo for public ones.
 * Writing uses the fixed encodings of key.c's rows; reading private keys takes any PKCS#8 of our
 * kinds, because people bring keys made by other programs. Private text and DER stand in secret
 * memory only; OpenSSL's own copy of the key lies on its heap (SECURITY.md).
 *
 * A private file is read through one descriptor, so that the file whose mode was checked is the
 * file that is read.
 */
#include "crypto_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/core_names.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX      8192
#define PRIVATE_LABEL "PRIVATE KEY"
#define PUBLIC_LABEL  "PUBLIC KEY"

/* A text of exactly one block. */
static clo_status read_only_block(clo_span pem, const char *label, clo_buf *out_der)
{
    CLO_CHECK(pem.size <= FILE_MAX, CLO_LIMIT, "key text has %zu bytes, at most %d", pem.size,
              FILE_MAX);
    clo_reader reader = clo_reader_of(clo_text_trim(pem));
    clo_status status = clo_pem_read(&reader, label, FILE_MAX, out_der);
    CLO_CHECK(status.code != CLO_EOF, CLO_FORMAT, "key text is empty");
    CLO_TRY(status);
    return clo_reader_finish(&reader, "key text");
}

clo_status clo_key_parse_public_pem(clo_span pem, clo_key **out_key)
{
    CLO_AUTO(clo_buf) der = CLO_BUF_LIMIT(FILE_MAX);
    CLO_TRY(read_only_block(pem, PUBLIC_LABEL, &der));
    return clo_key_parse_spki(clo_buf_span(&der), out_key);
}

static EVP_PKEY *pkey_of_pkcs8(clo_span der)
{
    const uint8_t *at = der.data;
    PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, (long)der.size);
    if (info == NULL) {
        return NULL;
    }
    bool whole = at == der.data + der.size;
    EVP_PKEY *pkey = whole ? EVP_PKCS82PKEY_ex(info, clo_crypto()->lib, NULL) : NULL;
    PKCS8_PRIV_KEY_INFO_free(info);
    return pkey;
}

/* A P-256 file names its public key apart from the private one, and OpenSSL believes it. */
static bool is_pair(EVP_PKEY *pkey)
{
    CLO_AUTO_PTR(EVP_PKEY_CTX)
    context = EVP_PKEY_CTX_new_from_pkey(clo_crypto()->lib, pkey, NULL);
    return !EVP_PKEY_is_a(pkey, "EC") || (context != NULL && EVP_PKEY_pairwise_check(context) == 1);
}

clo_status clo_key_parse_private_pem(clo_span pem, clo_key **out_key)
{
    CLO_AUTO(clo_buf) der = CLO_BUF_SECRET(FILE_MAX);
    CLO_TRY(read_only_block(pem, PRIVATE_LABEL, &der));
    EVP_PKEY *pkey = pkey_of_pkcs8(clo_buf_span(&der));
    CLO_TRY(CLO_OPENSSL(pkey != NULL, CLO_FORMAT, "reading a private key"));
    CLO_AUTO_PTR(clo_key) key = NULL;
    CLO_TRY(clo_key_from_pkey(pkey, true, &key));
    CLO_TRY(CLO_OPENSSL(is_pair(key->pkey), CLO_CRYPTO,
                        "private and public key do not belong together"));
    *out_key = CLO_TAKE(key);
    return CLO_STATUS_OK;
}

clo_status clo_key_write_public_pem(const clo_key *key, clo_buf *out)
{
    clo_pem_put(out, PUBLIC_LABEL, clo_key_spki(key));
    return clo_buf_check(out);
}

static bool raw_private_of(const clo_key *key, uint8_t out[32])
{
    if (key->kind == CLO_KEY_P256) {
        CLO_AUTO_PTR(BIGNUM) scalar = NULL;
        return EVP_PKEY_get_bn_param(key->pkey, OSSL_PKEY_PARAM_PRIV_KEY, &scalar) == 1 &&
               BN_bn2binpad(scalar, out, 32) == 32;
    }
    size_t size = 32;
    return EVP_PKEY_get_raw_private_key(key->pkey, out, &size) == 1 && size == 32;
}

/* `out` is a secret buffer. */
static clo_status put_pkcs8(const clo_key *key, clo_buf *out)
{
    const clo_key_row *row = clo_key_row_of(key->kind);
    clo_put_span(out, row->pkcs8_prefix);
    uint8_t *raw = clo_buf_grow(out, 32);
    CLO_TRY(clo_buf_check(out));
    CLO_TRY(CLO_OPENSSL(raw_private_of(key, raw), CLO_CRYPTO, "taking out a private key"));
    if (row->pkcs8_suffix.size != 0) {
        clo_put_span(out, row->pkcs8_suffix);
        clo_put_span(out, clo_key_raw_public(key));
    }
    return clo_buf_check(out);
}

clo_status clo_key_write_private_pem(const clo_key *key, clo_secret *out_pem)
{
    CLO_CHECK(key->has_private, CLO_INVALID, "a public key has no private form");
    CLO_AUTO(clo_buf) der = CLO_BUF_SECRET(FILE_MAX);
    CLO_AUTO(clo_buf) pem = CLO_BUF_SECRET(FILE_MAX);
    CLO_TRY(put_pkcs8(key, &der));
    clo_pem_put(&pem, PRIVATE_LABEL, clo_buf_span(&der));
    CLO_TRY(clo_buf_check(&pem));
    return clo_secret_copy(clo_buf_span(&pem), out_pem);
}

static clo_status read_private(int fd, const char *path, clo_secret *out_pem)
{
    struct stat info;
    CLO_CHECK(fstat(fd, &info) == 0 && S_ISREG(info.st_mode), CLO_INVALID, "'%s' is not a file",
              path);
    CLO_CHECK((info.st_mode & 077) == 0, CLO_INVALID,
              "private key '%s' is open to group or others (mode %03o, expected 600)", path,
              (unsigned)info.st_mode & 0777);
    CLO_CHECK(info.st_size > 0 && info.st_size <= FILE_MAX, CLO_LIMIT,
              "private key '%s' has %lld bytes, expected 1 to %d", path, (long long)info.st_size,
              FILE_MAX);
    CLO_TRY(clo_secret_alloc(out_pem, (size_t)info.st_size));
    return clo_fd_pread_all(fd, out_pem->data, out_pem->size, 0);
}

clo_status clo_key_read_private_file(const char *path, clo_key **out_key)
{
    CLO_AUTO(clo_secret) pem = CLO_SECRET_INIT;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        return CLO_ERRNO("open private key '%s'", path);
    }
    clo_status status = read_private(fd, path, &pem);
    close(fd);
    CLO_TRY(status);
    CLO_TRY_CTX(clo_key_parse_private_pem(clo_secret_span(&pem), out_key), "private key '%s'",
                path);
    return CLO_STATUS_OK;
}

clo_status clo_key_read_public_file(const char *path, clo_key **out_key)
{
    CLO_AUTO(clo_buf) pem = CLO_BUF_LIMIT(FILE_MAX);
    CLO_TRY(clo_file_read(path, FILE_MAX, &pem));
    CLO_TRY_CTX(clo_key_parse_public_pem(clo_buf_span(&pem), out_key), "public key '%s'", path);
    return CLO_STATUS_OK;
}

clo_status clo_key_write_files(const clo_key *key, const char *private_path,
                               const char *public_path)
{
    CLO_AUTO(clo_secret) secret = CLO_SECRET_INIT;
    CLO_TRY(clo_key_write_private_pem(key, &secret));
    CLO_TRY(clo_file_write(private_path, 0600, clo_secret_span(&secret)));
    if (public_path == NULL) {
        return CLO_STATUS_OK;
    }
    CLO_AUTO(clo_buf) pem = CLO_BUF_INIT;
    CLO_TRY(clo_key_write_public_pem(key, &pem));
    return clo_file_write(public_path, 0644, clo_buf_span(&pem));
}
