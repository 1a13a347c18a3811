/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a root key comes to be: from a file of 32 random bytes, or from a passphrase by scrypt
 * (RFC 7914) with the salt that the store keeps.
 */
#include "root.h"

#include <string.h>
#include <sys/stat.h>

#define ROOT_SIZE      32
#define PASSPHRASE_MIN 8
#define PASSPHRASE_MAX 1024

static clo_status read_private(const char *path, size_t limit, clo_buf *out)
{
    struct stat info;
    CLO_TRY_CTX(clo_file_read(path, limit, out), "reading the root key's file");
    CLO_CHECK(stat(path, &info) == 0, CLO_IO, "cannot look at '%s'", path);
    CLO_CHECK((info.st_mode & 077) == 0, CLO_POLICY,
              "'%s' can be read by group or others, expected mode 0600", path);
    return CLO_STATUS_OK;
}

static clo_status make_file(const char *path)
{
    CLO_AUTO(clo_secret) key = CLO_SECRET_INIT;
    CLO_TRY(clo_secret_alloc(&key, ROOT_SIZE));
    CLO_TRY(clo_random_reseed());
    CLO_TRY(clo_random_bytes(key.data, key.size));
    return clo_file_write(path, 0600, clo_secret_span(&key));
}

static clo_status load_file(const char *path, bool make, const uint8_t *salt, clo_secret *out_key)
{
    CLO_AUTO(clo_buf) file = CLO_BUF_SECRET(ROOT_SIZE);
    (void)salt;
    if (make && !clo_file_exists(path)) {
        CLO_TRY(make_file(path));
    }
    CLO_TRY(read_private(path, ROOT_SIZE, &file));
    CLO_CHECK(file.size == ROOT_SIZE, CLO_FORMAT, "'%s' has %zu bytes, expected %d", path,
              file.size, ROOT_SIZE);
    return clo_secret_copy(clo_buf_span(&file), out_key);
}

static clo_status load_passphrase(const char *path, bool make, const uint8_t *salt,
                                  clo_secret *out_key)
{
    CLO_AUTO(clo_buf) file = CLO_BUF_SECRET(PASSPHRASE_MAX);
    CLO_AUTO(clo_secret) key = CLO_SECRET_INIT;
    (void)make;
    CLO_TRY(read_private(path, PASSPHRASE_MAX, &file));
    clo_span text = clo_buf_span(&file);
    while (text.size > 0 &&
           (text.data[text.size - 1] == '\n' || text.data[text.size - 1] == '\r')) {
        text.size--;
    }
    CLO_CHECK(text.size >= PASSPHRASE_MIN, CLO_INVALID,
              "passphrase in '%s' has %zu characters, expected at least %d", path, text.size,
              PASSPHRASE_MIN);
    CLO_TRY(clo_secret_alloc(&key, ROOT_SIZE));
    CLO_TRY(clo_scrypt(text, CLO_SPAN(salt, CLO_ROOT_SALT_SIZE), key.data));
    *out_key = key;
    key = CLO_SECRET_INIT;
    return CLO_STATUS_OK;
}

static const struct {
    const char *kind;
    clo_status (*load)(const char *path, bool make, const uint8_t *salt, clo_secret *out_key);
} kinds[] = {
    {"file", load_file},
    {"passphrase", load_passphrase},
};

clo_status clo_root_load(const clo_broker_root *root, bool make,
                         const uint8_t salt[CLO_ROOT_SALT_SIZE], clo_secret *out_key)
{
    CLO_CHECK(root->kind != NULL && root->path != NULL, CLO_INVALID,
              "a root key needs a kind and a path");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(kinds[i].kind, root->kind) == 0) {
            return kinds[i].load(root->path, make, salt, out_key);
        }
    }
    CLO_FAIL(CLO_INVALID, "root key kind '%s' is unknown, expected 'file' or 'passphrase'",
             root->kind);
}
