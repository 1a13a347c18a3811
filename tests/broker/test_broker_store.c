/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store: sealed under the root key, whole transactions, and nothing believed that was touched.
 */
#include "broker_rig.h"

#include <sys/stat.h>

#define ID(text) clo_span_of_str(text)

static void put_root(const char *path, const char *text, unsigned mode)
{
    rig_must(clo_file_write(path, mode, clo_span_of_str(text)), "root file");
}

static void opens_with_its_root_key_only(void)
{
    char folder[600];
    char root_path[700];
    char other_path[700];
    clo_store *store = rig_store(folder);
    clo_store_close(store);
    snprintf(root_path, sizeof root_path, "%s.root", folder);
    snprintf(other_path, sizeof other_path, "%s.other", folder);
    put_root(other_path, "0123456789abcdef0123456789abcdef", 0600);
    clo_broker_root right = {"file", root_path};
    clo_broker_root wrong = {"file", other_path};
    clo_broker_root kind = {"passphrase", root_path};
    clo_broker_root unknown = {"hsm", root_path};
    T_CODE(clo_store_open(folder, &wrong, &store), CLO_CRYPTO);
    T_CODE(clo_store_open(folder, &kind, &store), CLO_INVALID);
    T_CODE(clo_store_open(folder, &unknown, &store), CLO_INVALID);
    T_CODE(clo_store_open("/nonexistent", &right, &store), CLO_NOTFOUND);
    T_OK(clo_store_open(folder, &right, &store));
    clo_store_close(store);
    T_CODE(clo_broker_init(folder, &right), CLO_EXISTS);
}

static void opens_with_its_passphrase_only(void)
{
    char folder[600];
    char path[700];
    clo_store *store = NULL;
    T_OK(clo_dir_make_temp(clo_test_folder(), folder, sizeof folder));
    snprintf(path, sizeof path, "%s.pass", folder);
    clo_broker_root root = {"passphrase", path};
    put_root(path, "short\n", 0600);
    T_CODE(clo_broker_init(folder, &root), CLO_INVALID);
    put_root(path, "correct horse battery\n", 0600);
    T_OK(clo_broker_init(folder, &root));
    put_root(path, "correct horse battery", 0600); /* the line end does not count */
    T_OK(clo_store_open(folder, &root, &store));
    clo_store_close(store);
    put_root(path, "correct horse batterz", 0600);
    T_CODE(clo_store_open(folder, &root, &store), CLO_CRYPTO);
    put_root(path, "correct horse battery", 0644);
    T_CODE(clo_store_open(folder, &root, &store), CLO_POLICY);
}

static void keeps_its_files_private(void)
{
    char folder[600];
    char path[700];
    struct stat info;
    clo_store *store = rig_store(folder);
    clo_store_close(store);
    snprintf(path, sizeof path, "%s/broker.db", folder);
    T_CHECK(stat(path, &info) == 0 && (info.st_mode & 0777) == 0600);
    T_CHECK(stat(folder, &info) == 0 && (info.st_mode & 0777) == 0700);
    snprintf(path, sizeof path, "%s.root", folder);
    T_CHECK(stat(path, &info) == 0 && (info.st_mode & 0777) == 0600);
}

static void gives_back_what_was_put(void)
{
    char folder[600];
    CLO_AUTO_PTR(clo_store) store = rig_store(folder);
    CLO_AUTO(clo_buf) value = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) entries = CLO_BUF_INIT;
    CLO_AUTO(clo_secret) secret = CLO_SECRET_INIT;
    clo_span parent = ID("p");
    T_OK(clo_store_put(store, CLO_RECORD_SLOT, ID("a"), parent, ID("one")));
    T_OK(clo_store_put(store, CLO_RECORD_SLOT, ID("b"), parent, ID("two")));
    T_OK(clo_store_put(store, CLO_RECORD_SLOT, ID("c"), ID("q"), ID("three")));
    T_OK(clo_store_put(store, CLO_RECORD_SLOT, ID("a"), parent, ID("uno")));
    T_OK(clo_store_get(store, CLO_RECORD_SLOT, ID("a"), &value));
    T_CHECK(clo_span_equals_str(clo_buf_span(&value), "uno"));
    T_OK(clo_store_get_secret(store, CLO_RECORD_SLOT, ID("b"), &secret));
    T_CHECK(clo_span_equals_str(clo_secret_span(&secret), "two"));
    T_CODE(clo_store_get(store, CLO_RECORD_KEY, ID("a"), &value), CLO_NOTFOUND);
    T_CODE(clo_store_get(store, CLO_RECORD_SLOT, ID("d"), &value), CLO_NOTFOUND);
    T_OK(clo_store_list(store, CLO_RECORD_SLOT, &parent, &entries));
    T_INT(entries.size, 4 * 4 + 1 + 3 + 1 + 3);
    clo_buf_clear(&entries);
    T_OK(clo_store_list(store, CLO_RECORD_SLOT, NULL, &entries));
    T_INT(entries.size, 6 * 4 + 1 + 3 + 1 + 3 + 1 + 5);
}

/* ---- touched values */

typedef struct {
    uint8_t bytes[256];
    size_t size;
} copied;

static clo_status copy_value(void *arg, const clo_sql_value *columns)
{
    copied *out = arg;
    out->size = columns[2].bytes.size;
    memcpy(out->bytes, columns[2].bytes.data, out->size);
    return CLO_STATUS_OK;
}

static void raw_get(clo_store *store, int kind, clo_span id, copied *out)
{
    clo_sql_value args[] = {CLO_SQL_NUMBER(kind), CLO_SQL_BYTES(id)};
    rig_must(clo_sql_run(clo_store_sql(store), CLO_SQL_RECORD_GET, args, 2, copy_value, out),
             "raw value");
}

static clo_status raw_put(clo_store *store, int kind, clo_span id, clo_span parent, copied *value)
{
    clo_sql_value args[] = {CLO_SQL_NUMBER(kind), CLO_SQL_BYTES(id), CLO_SQL_BYTES(parent),
                            CLO_SQL_BYTES(CLO_SPAN(value->bytes, value->size))};
    return clo_sql_run(clo_store_sql(store), CLO_SQL_RECORD_PUT, args, 4, NULL, NULL);
}

static void refuses_every_flipped_byte_of_a_value(void)
{
    char folder[600];
    CLO_AUTO_PTR(clo_store) store = rig_store(folder);
    copied value = {.size = 0};
    T_OK(clo_store_put(store, CLO_RECORD_DATA_KEY, ID("k"), ID("p"), ID("a data key")));
    raw_get(store, CLO_RECORD_DATA_KEY, ID("k"), &value);
    T_INT(value.size, 28 + 10);
    for (size_t i = 0; i < value.size; i++) {
        CLO_AUTO(clo_buf) out = CLO_BUF_INIT;
        value.bytes[i] ^= 0x80;
        T_OK(raw_put(store, CLO_RECORD_DATA_KEY, ID("k"), ID("p"), &value));
        T_CODE(clo_store_get(store, CLO_RECORD_DATA_KEY, ID("k"), &out), CLO_CRYPTO);
        value.bytes[i] ^= 0x80;
    }
    value.size = 28;
    CLO_AUTO(clo_buf) out = CLO_BUF_INIT;
    T_OK(raw_put(store, CLO_RECORD_DATA_KEY, ID("k"), ID("p"), &value));
    T_CODE(clo_store_get(store, CLO_RECORD_DATA_KEY, ID("k"), &out), CLO_FORMAT);
}

static void refuses_a_value_moved_to_another_record(void)
{
    char folder[600];
    CLO_AUTO_PTR(clo_store) store = rig_store(folder);
    CLO_AUTO(clo_buf) out = CLO_BUF_INIT;
    copied value = {.size = 0};
    clo_span other = ID("q");
    T_OK(clo_store_put(store, CLO_RECORD_KEY, ID("k"), ID("p"), ID("value")));
    raw_get(store, CLO_RECORD_KEY, ID("k"), &value);
    T_OK(raw_put(store, CLO_RECORD_KEY, ID("other"), ID("p"), &value));
    T_CODE(clo_store_get(store, CLO_RECORD_KEY, ID("other"), &out), CLO_CRYPTO);
    T_OK(raw_put(store, CLO_RECORD_OWNER, ID("k"), ID("p"), &value));
    T_CODE(clo_store_get(store, CLO_RECORD_OWNER, ID("k"), &out), CLO_CRYPTO);
    T_OK(raw_put(store, CLO_RECORD_KEY, ID("k"), other, &value));
    T_CODE(clo_store_get(store, CLO_RECORD_KEY, ID("k"), &out), CLO_CRYPTO);
    T_CODE(clo_store_list(store, CLO_RECORD_KEY, &other, &out), CLO_CRYPTO);
}

static void never_writes_a_secret_in_clear(void)
{
    char folder[600];
    char path[700];
    CLO_AUTO(clo_buf) file = CLO_BUF_INIT;
    clo_store *store = rig_store(folder);
    T_OK(clo_store_put(store, CLO_RECORD_DATA_KEY, ID("k"), ID("p"), ID("plain secret bytes")));
    clo_store_close(store);
    snprintf(path, sizeof path, "%s/broker.db", folder);
    clo_test_read(path, &file);
    T_CHECK(memmem(file.data, file.size, "plain secret bytes", 18) == NULL);
    T_CHECK(memmem(file.data, file.size, "PRIVATE KEY", 11) == NULL);
}

/* ---- transactions */

static void keeps_nothing_of_a_transaction_that_did_not_commit(void)
{
    char folder[600];
    char root_path[700];
    CLO_AUTO(clo_buf) out = CLO_BUF_INIT;
    clo_store *store = rig_store(folder);
    T_OK(clo_store_begin(store));
    T_OK(clo_store_put(store, CLO_RECORD_KEY, ID("k"), ID("p"), ID("half")));
    clo_store_close(store); /* as a crash would */
    snprintf(root_path, sizeof root_path, "%s.root", folder);
    clo_broker_root root = {"file", root_path};
    T_OK(clo_store_open(folder, &root, &store));
    T_CODE(clo_store_get(store, CLO_RECORD_KEY, ID("k"), &out), CLO_NOTFOUND);
    T_OK(clo_store_begin(store));
    T_OK(clo_store_put(store, CLO_RECORD_KEY, ID("k"), ID("p"), ID("whole")));
    T_OK(clo_store_commit(store));
    clo_store_close(store);
    T_OK(clo_store_open(folder, &root, &store));
    T_OK(clo_store_get(store, CLO_RECORD_KEY, ID("k"), &out));
    clo_store_close(store);
}

static void makes_a_store_whole_or_not_at_all(void)
{
    char folder[600];
    char root_path[700];
    clo_store *store = NULL;
    T_OK(clo_dir_make_temp(clo_test_folder(), folder, sizeof folder));
    snprintf(root_path, sizeof root_path, "%s.root", folder);
    clo_broker_root root = {"file", root_path};
    T_OK(clo_store_create(folder, &root, &store));
    clo_store_close(store); /* as a crash would, before the identity was there */
    T_CHECK(!clo_ok(clo_store_open(folder, &root, &store)));
    T_OK(clo_broker_init(folder, &root));
    T_CODE(clo_broker_init(folder, &root), CLO_EXISTS);
    T_OK(clo_store_open(folder, &root, &store));
    clo_store_close(store);
}

/* ---- records */

static void keeps_records_and_counters(void)
{
    char folder[600];
    CLO_AUTO_PTR(clo_store) store = rig_store(folder);
    const uint8_t job[32] = {4};
    clo_key_record key = {.id = {1}, .owner = {2}, .name = "fashion", .version = 3};
    clo_key_record key_back;
    clo_slot_record slot = {.manifest = {4}, .held = true, .lease_until = 77};
    clo_slot_record slot_back;
    uint64_t count = 9;
    slot.row = (clo_roster_row){CLO_ROLE_TRAINER, 0x01020304, 5, {6}, {7}, {8}};
    key.revoked = true;
    T_OK(clo_key_record_put(store, &key));
    T_OK(clo_key_record_get(store, key.id, &key_back));
    T_CHECK(memcmp(&key, &key_back, sizeof key) == 0);
    T_OK(clo_slot_record_put(store, &slot));
    T_OK(clo_slot_record_get(store, job, CLO_ROLE_TRAINER, 0x01020304, &slot_back));
    T_CHECK(slot_back.held && slot_back.lease_until == 77 && slot_back.row.incarnation == 5 &&
            slot_back.row.measurement[0] == 8);
    T_CODE(clo_slot_record_get(store, job, CLO_ROLE_EVALUATOR, 0x01020304, &slot_back),
           CLO_NOTFOUND);
    T_OK(clo_counter_get(store, NULL, key.id, &count));
    T_INT(count, 0);
    T_OK(clo_counter_add(store, NULL, key.id));
    T_OK(clo_counter_add(store, NULL, key.id));
    T_OK(clo_counter_add(store, job, key.id));
    T_OK(clo_counter_get(store, NULL, key.id, &count));
    T_INT(count, 2);
    T_OK(clo_counter_get(store, job, key.id, &count));
    T_INT(count, 1);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(opens_with_its_root_key_only),
        T(opens_with_its_passphrase_only),
        T(keeps_its_files_private),
        T(gives_back_what_was_put),
        T(refuses_every_flipped_byte_of_a_value),
        T(refuses_a_value_moved_to_another_record),
        T(never_writes_a_secret_in_clear),
        T(keeps_nothing_of_a_transaction_that_did_not_commit),
        T(makes_a_store_whole_or_not_at_all),
        T(keeps_records_and_counters),
    };
    rig_must(clo_crypto_init(), "crypto");
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
