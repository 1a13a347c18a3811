/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker as a whole: making a store, pinning owners in it, serving it, checking its log.
 *
 * The identity key (Ed25519) is made here and never leaves the store. Connections use a P-256 key
 * made for each run, whose certificate the identity issues: so a peer that has pinned the identity
 * knows the connection, and the identity signs nothing that a peer chooses.
 */
#include "broker_state.h"

#include <string.h>

#define CERT_LIFETIME_S (366LL * 24 * 3600)
#define CERT_BACKDATE_S 300

/* ---- init */

static clo_status put_identity(clo_store *store)
{
    CLO_AUTO_PTR(clo_key) identity = NULL;
    CLO_AUTO(clo_secret) pem = CLO_SECRET_INIT;
    CLO_TRY(clo_random_reseed());
    CLO_TRY(clo_key_generate(CLO_KEY_ED25519, &identity));
    CLO_TRY(clo_key_write_private_pem(identity, &pem));
    CLO_TRY(clo_store_put(store, CLO_RECORD_IDENTITY, CLO_SPAN_EMPTY, CLO_SPAN_EMPTY,
                          clo_secret_span(&pem)));
    clo_audit_entry entry = {.kind = "init"};
    return clo_audit_add(store, &entry);
}

clo_status clo_broker_init(const char *folder, const clo_broker_root *root)
{
    CLO_AUTO_PTR(clo_store) store = NULL;
    CLO_TRY(clo_store_create(folder, root, &store));
    CLO_TRY(put_identity(store)); /* closing the store rolls back */
    return clo_store_commit(store);
}

/* ---- owners */

static clo_status check_owner_name(const char *name)
{
    size_t size = strlen(name);
    CLO_CHECK(size > 0 && size < CLO_NAME_MAX, CLO_INVALID,
              "an owner's name has %zu bytes, expected 1 to %d", size, CLO_NAME_MAX - 1);
    for (size_t i = 0; i < size; i++) {
        CLO_CHECK(name[i] >= ' ' && name[i] <= '~', CLO_INVALID,
                  "an owner's name is printable ASCII, byte %zu is not", i);
    }
    return CLO_STATUS_OK;
}

static clo_status check_owner_key(const clo_public_key *owner)
{
    CLO_AUTO_PTR(clo_key) key = NULL;
    CLO_TRY(clo_public_key_load(owner, &key));
    CLO_CHECK(clo_key_get_kind(key) == CLO_KEY_ED25519, CLO_INVALID,
              "an owner's key is of another kind than Ed25519: pin the one that signs");
    return CLO_STATUS_OK;
}

/* The head is compared first: a log that was tampered with is not to be sealed anew. */
static clo_status pin(clo_store *store, const clo_owner_record *owner)
{
    clo_owner_record before;
    CLO_TRY(clo_audit_check_head(store));
    clo_status status = clo_owner_record_get(store, owner->id, &before);
    CLO_CHECK(!clo_ok(status), CLO_EXISTS, "this owner is pinned already, as '%s'", before.name);
    if (status.code != CLO_NOTFOUND) {
        return status;
    }
    CLO_TRY(clo_owner_record_put(store, owner));
    clo_audit_entry entry = {
        .kind = "owner", .owner = owner->id, .who = "operator", .reason = owner->name};
    return clo_audit_add(store, &entry);
}

clo_status clo_broker_add_owner(const char *folder, const clo_broker_root *root,
                                const clo_public_key *owner, const char *name)
{
    CLO_AUTO_PTR(clo_store) store = NULL;
    clo_owner_record record = {.pinned = clo_clock_utc()};
    CLO_TRY(check_owner_name(name));
    CLO_TRY(check_owner_key(owner));
    CLO_TRY(clo_public_key_id(owner, record.id));
    memcpy(record.name, name, strlen(name));
    CLO_TRY(clo_store_open(folder, root, &store));
    CLO_TRY(clo_store_begin(store));
    CLO_TRY(pin(store, &record)); /* closing the store rolls back */
    return clo_store_commit(store);
}

/* ---- serve */

static void close_broker(clo_broker *broker)
{
    clo_store_close(broker->store);
    clo_cert_free(broker->tls_cert);
    clo_key_free(broker->tls_key);
    clo_key_free(broker->identity);
    clo_mutex_free(broker->maker_lock);
    clo_mutex_free(broker->gate_lock);
    clo_mutex_free(broker->lock);
}

static clo_status load_identity(clo_broker *broker)
{
    CLO_AUTO(clo_secret) pem = CLO_SECRET_INIT;
    CLO_TRY(clo_store_get_secret(broker->store, CLO_RECORD_IDENTITY, CLO_SPAN_EMPTY, &pem));
    CLO_TRY(clo_key_parse_private_pem(clo_secret_span(&pem), &broker->identity));
    return clo_public_key_of(broker->identity, &broker->identity_public);
}

static clo_status make_tls(clo_broker *broker)
{
    int64_t now = clo_clock_utc();
    CLO_TRY(clo_random_reseed());
    CLO_TRY(clo_key_generate(CLO_KEY_P256, &broker->tls_key));
    clo_cert_request request = {
        .subject_cn = CLO_BROKER_TLS_CN,
        .issuer_cn = "cloister broker",
        .subject_key = broker->tls_key,
        .issuer_key = broker->identity,
        .not_before = now - CERT_BACKDATE_S,
        .not_after = now + CERT_LIFETIME_S,
        .tls_usages = true,
    };
    return clo_cert_make(&request, &broker->tls_cert);
}

/* In a transaction: an owner may be pinned between the log's end and its sealed head. */
static clo_status read_store(clo_broker *broker)
{
    CLO_TRY(clo_store_begin(broker->store));
    clo_status status = clo_audit_check_head(broker->store);
    if (clo_ok(status)) {
        status = clo_admission_prepare(broker);
    }
    clo_store_rollback(broker->store); /* nothing was written */
    clo_admission_settle(broker, clo_ok(status));
    return status;
}

static clo_status open_broker(const clo_broker_options *options, clo_broker *broker)
{
    CLO_CHECK(options->maker != NULL && options->stop != NULL, CLO_INVALID,
              "a broker needs a maker of evidence and a way to stop");
    broker->maker = options->maker;
    broker->insecure_flags =
        options->insecure_flags | CLO_INSECURE_ROOT_OPERATOR | CLO_INSECURE_NO_ANCHOR;
    CLO_TRY(clo_mutex_new(&broker->lock));
    CLO_TRY(clo_mutex_new(&broker->gate_lock));
    CLO_TRY(clo_mutex_new(&broker->maker_lock));
    CLO_TRY(clo_store_open(options->folder, &options->root, &broker->store));
    CLO_TRY(read_store(broker));
    CLO_TRY(load_identity(broker));
    return make_tls(broker);
}

clo_status clo_broker_serve(const clo_broker_options *options)
{
    clo_broker broker = {.store = NULL};
    clo_status status = open_broker(options, &broker);
    if (clo_ok(status)) {
        status = clo_serve(&broker, options);
    }
    close_broker(&broker);
    return status;
}

/* ---- audit */

clo_status clo_broker_audit(const char *folder, clo_buf *out_lines, uint8_t out_head[32])
{
    CLO_AUTO_PTR(clo_sql) sql = NULL;
    char path[1024];
    CLO_TRY(clo_path_join(path, sizeof path, folder, "broker.db"));
    CLO_TRY(clo_sql_open(path, true, &sql));
    return clo_audit_verify(sql, out_lines, out_head);
}
