/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sealed store (store.h draws the form of a value). The store's key is
 *
 *     HKDF-SHA256(root key, salt = the store's salt, info = "cloister broker store v1")
 *
 * The salt, the format's version and the root's kind are the only values in clear.
 */
#include "store.h"

#include <string.h>

#include "root.h"

#define STORE_FILE    "broker.db"
#define STORE_VERSION 2
#define STORE_LABEL   "cloister broker store v1"
#define RECORD_LABEL  "cloister record v1"
#define SEALED_HEAD   (CLO_AEAD_NONCE + CLO_AEAD_TAG)

struct clo_store {
    clo_sql *sql;
    clo_aead *aead;
};

/* ---- opening */

static clo_status derive(const clo_broker_root *root, bool make, const uint8_t *salt,
                         clo_aead **out_aead)
{
    CLO_AUTO(clo_secret) root_key = CLO_SECRET_INIT;
    CLO_AUTO(clo_secret) key = CLO_SECRET_INIT;
    CLO_TRY(clo_root_load(root, make, salt, &root_key));
    CLO_TRY(clo_secret_alloc(&key, CLO_AEAD_KEY));
    CLO_TRY(clo_hkdf_sha256(clo_secret_span(&root_key), CLO_SPAN(salt, CLO_ROOT_SALT_SIZE),
                            clo_span_of_str(STORE_LABEL), key.data, key.size));
    return clo_aead_new(&key, out_aead);
}

static clo_status put_meta(clo_sql *sql, const char *name, clo_span value)
{
    clo_sql_value args[] = {CLO_SQL_BYTES(clo_span_of_str(name)), CLO_SQL_BYTES(value)};
    return clo_sql_run(sql, CLO_SQL_META_PUT, args, 2, NULL, NULL);
}

static clo_status copy_column(void *arg, const clo_sql_value *columns)
{
    clo_buf *out = arg;
    clo_put_span(out, columns[0].bytes);
    return clo_buf_check(out);
}

static clo_status get_meta(clo_sql *sql, const char *name, clo_buf *out)
{
    clo_sql_value args[] = {CLO_SQL_BYTES(clo_span_of_str(name))};
    CLO_TRY(clo_sql_run(sql, CLO_SQL_META_GET, args, 1, copy_column, out));
    CLO_CHECK(out->size > 0, CLO_FORMAT, "the broker's store has no '%s'", name);
    return CLO_STATUS_OK;
}

static clo_status write_meta(clo_sql *sql, const char *kind, const uint8_t *salt)
{
    const uint8_t version = STORE_VERSION;
    CLO_TRY(put_meta(sql, "version", CLO_SPAN(&version, 1)));
    CLO_TRY(put_meta(sql, "root", clo_span_of_str(kind)));
    return put_meta(sql, "salt", CLO_SPAN(salt, CLO_ROOT_SALT_SIZE));
}

clo_status clo_store_create(const char *folder, const clo_broker_root *root, clo_store **out_store)
{
    char path[1024];
    uint8_t salt[CLO_ROOT_SALT_SIZE];
    CLO_AUTO_PTR(clo_store) store = clo_alloc(sizeof *store);
    CLO_CHECK(store != NULL, CLO_NOMEM, "no memory for the broker's store");
    CLO_TRY(clo_dir_make(folder, 0700));
    CLO_TRY(clo_path_join(path, sizeof path, folder, STORE_FILE));
    CLO_TRY(clo_sql_create(path, &store->sql));
    CLO_TRY(clo_random_salt(salt));
    CLO_TRY(derive(root, true, salt, &store->aead));
    CLO_TRY(write_meta(store->sql, root->kind, salt));
    *out_store = CLO_TAKE(store);
    return CLO_STATUS_OK;
}

static clo_status check_meta(clo_sql *sql, const clo_broker_root *root, uint8_t *out_salt)
{
    CLO_AUTO(clo_buf) version = CLO_BUF_LIMIT(8);
    CLO_AUTO(clo_buf) kind = CLO_BUF_LIMIT(64);
    CLO_AUTO(clo_buf) salt = CLO_BUF_LIMIT(CLO_ROOT_SALT_SIZE);
    CLO_TRY(get_meta(sql, "version", &version));
    CLO_CHECK(version.size == 1 && version.data[0] == STORE_VERSION, CLO_UNSUPPORTED,
              "the broker's store has another version than %d", STORE_VERSION);
    CLO_TRY(get_meta(sql, "root", &kind));
    CLO_CHECK(root->kind != NULL && clo_span_equals_str(clo_buf_span(&kind), root->kind),
              CLO_INVALID, "the broker's store has a root key of kind '%.*s', not '%s'",
              (int)kind.size, (const char *)kind.data, root->kind == NULL ? "" : root->kind);
    CLO_TRY(get_meta(sql, "salt", &salt));
    CLO_CHECK(salt.size == CLO_ROOT_SALT_SIZE, CLO_FORMAT, "the store's salt has %zu bytes",
              salt.size);
    memcpy(out_salt, salt.data, salt.size);
    return CLO_STATUS_OK;
}

/* Every store has an identity, so a root key that does not open it is the wrong one. */
static clo_status check_root(clo_store *store)
{
    CLO_AUTO(clo_secret) identity = CLO_SECRET_INIT;
    CLO_TRY_CTX(clo_store_get_secret(store, CLO_RECORD_IDENTITY, CLO_SPAN_EMPTY, &identity),
                "the root key does not open the broker's store");
    return CLO_STATUS_OK;
}

clo_status clo_store_open(const char *folder, const clo_broker_root *root, clo_store **out_store)
{
    char path[1024];
    uint8_t salt[CLO_ROOT_SALT_SIZE];
    CLO_AUTO_PTR(clo_store) store = clo_alloc(sizeof *store);
    CLO_CHECK(store != NULL, CLO_NOMEM, "no memory for the broker's store");
    CLO_TRY(clo_path_join(path, sizeof path, folder, STORE_FILE));
    CLO_TRY(clo_sql_open(path, false, &store->sql));
    CLO_TRY(check_meta(store->sql, root, salt));
    CLO_TRY(derive(root, false, salt, &store->aead));
    CLO_TRY(check_root(store));
    *out_store = CLO_TAKE(store);
    return CLO_STATUS_OK;
}

void clo_store_close(clo_store *store)
{
    if (store == NULL) {
        return;
    }
    clo_sql_close(store->sql);
    clo_aead_free(store->aead);
    clo_free(store);
}

clo_status clo_store_begin(clo_store *store)
{
    return clo_sql_begin(store->sql);
}

clo_status clo_store_commit(clo_store *store)
{
    return clo_sql_commit(store->sql);
}

void clo_store_rollback(clo_store *store)
{
    clo_sql_rollback(store->sql);
}

clo_sql *clo_store_sql(clo_store *store)
{
    return store->sql;
}

/* ---- sealing */

static clo_status put_associated(clo_record_kind kind, clo_span id, clo_span parent, clo_buf *out)
{
    clo_put_str(out, RECORD_LABEL);
    clo_put_u8(out, (uint8_t)kind);
    clo_put_var(out, id);
    clo_put_var(out, parent);
    return clo_buf_check(out);
}

clo_status clo_store_put(clo_store *store, clo_record_kind kind, clo_span id, clo_span parent,
                         clo_span value)
{
    CLO_AUTO(clo_buf) associated = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) sealed = CLO_BUF_INIT;
    CLO_TRY(put_associated(kind, id, parent, &associated));
    uint8_t *out = clo_buf_grow(&sealed, SEALED_HEAD + value.size);
    CLO_TRY(clo_buf_check(&sealed));
    CLO_TRY(clo_random_reseed());
    CLO_TRY(clo_random_bytes(out, CLO_AEAD_NONCE));
    CLO_TRY(clo_aead_seal(store->aead, out, clo_buf_span(&associated), value, out + SEALED_HEAD,
                          out + CLO_AEAD_NONCE));
    clo_sql_value args[] = {CLO_SQL_NUMBER(kind), CLO_SQL_BYTES(id), CLO_SQL_BYTES(parent),
                            CLO_SQL_BYTES(clo_buf_span(&sealed))};
    return clo_sql_run(store->sql, CLO_SQL_RECORD_PUT, args, 4, NULL, NULL);
}

/* Opens what a row holds. `out` takes sealed.size - SEALED_HEAD bytes. */
static clo_status open_value(clo_store *store, clo_record_kind kind, const clo_sql_value *columns,
                             uint8_t *out)
{
    CLO_AUTO(clo_buf) associated = CLO_BUF_INIT;
    clo_span sealed = columns[2].bytes;
    CLO_TRY(put_associated(kind, columns[0].bytes, columns[1].bytes, &associated));
    CLO_TRY_CTX(clo_aead_open(store->aead, sealed.data, clo_buf_span(&associated),
                              CLO_SPAN(sealed.data + SEALED_HEAD, sealed.size - SEALED_HEAD),
                              sealed.data + CLO_AEAD_NONCE, out),
                "record of kind %d in the broker's store", (int)kind);
    return CLO_STATUS_OK;
}

static clo_status check_size(clo_record_kind kind, const clo_sql_value *columns)
{
    CLO_CHECK(columns[2].is_bytes && columns[2].bytes.size > SEALED_HEAD, CLO_FORMAT,
              "record of kind %d in the broker's store is too short", (int)kind);
    return CLO_STATUS_OK;
}

/* ---- reading */

typedef struct {
    clo_store *store;
    clo_record_kind kind;
    clo_buf *buf;
    clo_secret *secret;
    bool found;
} reading;

static clo_status read_into_buf(void *arg, const clo_sql_value *columns)
{
    reading *r = arg;
    CLO_TRY(check_size(r->kind, columns));
    uint8_t *out = clo_buf_grow(r->buf, columns[2].bytes.size - SEALED_HEAD);
    CLO_TRY(clo_buf_check(r->buf));
    r->found = true;
    return open_value(r->store, r->kind, columns, out);
}

static clo_status read_into_secret(void *arg, const clo_sql_value *columns)
{
    reading *r = arg;
    CLO_TRY(check_size(r->kind, columns));
    CLO_AUTO(clo_secret) secret = CLO_SECRET_INIT;
    CLO_TRY(clo_secret_alloc(&secret, columns[2].bytes.size - SEALED_HEAD));
    CLO_TRY(open_value(r->store, r->kind, columns, secret.data));
    *r->secret = secret;
    secret = CLO_SECRET_INIT;
    r->found = true;
    return CLO_STATUS_OK;
}

static clo_status read_into_list(void *arg, const clo_sql_value *columns)
{
    reading *r = arg;
    CLO_TRY(check_size(r->kind, columns));
    size_t size = columns[2].bytes.size - SEALED_HEAD;
    clo_put_var(r->buf, columns[0].bytes);
    clo_put_u32be(r->buf, (uint32_t)size);
    uint8_t *out = clo_buf_grow(r->buf, size);
    CLO_TRY(clo_buf_check(r->buf));
    return open_value(r->store, r->kind, columns, out);
}

static clo_status get_row(reading *r, clo_span id, clo_sql_row_fn row)
{
    clo_sql_value args[] = {CLO_SQL_NUMBER(r->kind), CLO_SQL_BYTES(id)};
    CLO_TRY(clo_sql_run(r->store->sql, CLO_SQL_RECORD_GET, args, 2, row, r));
    CLO_CHECK(r->found, CLO_NOTFOUND, "no record of kind %d in the broker's store", (int)r->kind);
    return CLO_STATUS_OK;
}

clo_status clo_store_get(clo_store *store, clo_record_kind kind, clo_span id, clo_buf *out)
{
    reading r = {.store = store, .kind = kind, .buf = out};
    return get_row(&r, id, read_into_buf);
}

clo_status clo_store_get_secret(clo_store *store, clo_record_kind kind, clo_span id,
                                clo_secret *out_secret)
{
    reading r = {.store = store, .kind = kind, .secret = out_secret};
    return get_row(&r, id, read_into_secret);
}

clo_status clo_store_list(clo_store *store, clo_record_kind kind, const clo_span *parent,
                          clo_buf *out_entries)
{
    reading r = {.store = store, .kind = kind, .buf = out_entries};
    clo_sql_value args[] = {CLO_SQL_NUMBER(kind),
                            CLO_SQL_BYTES(parent != NULL ? *parent : CLO_SPAN_EMPTY)};
    clo_sql_statement statement = parent != NULL ? CLO_SQL_RECORD_LIST : CLO_SQL_RECORD_ALL;
    return clo_sql_run(store->sql, statement, args, parent != NULL ? 2 : 1, read_into_list, &r);
}
