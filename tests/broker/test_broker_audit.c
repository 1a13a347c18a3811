/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit log: a chain that shows where it was changed, and a sealed head that shows when it was
 * made longer or shorter without the root key.
 */
#include "broker_rig.h"

static const uint8_t owner_a[32] = {0xa1};
static const uint8_t owner_b[32] = {0xb1, 0xb2, 0xb3, 0xb4};

static void add(clo_store *store, const uint8_t *owner, const char *reason)
{
    clo_audit_entry entry = {.kind = "test", .owner = owner, .reason = reason, .who = "trainer 1"};
    rig_must(clo_store_begin(store), "begin");
    rig_must(clo_audit_add(store, &entry), "entry");
    rig_must(clo_store_commit(store), "commit");
}

static clo_store *make_log(char folder[600])
{
    clo_store *store = rig_store(folder);
    add(store, owner_a, "first reason");
    add(store, owner_b, "second reason");
    add(store, owner_a, "third reason");
    return store;
}

static size_t count_lines(const clo_buf *lines)
{
    size_t count = 0;
    for (size_t i = 0; i < lines->size; i++) {
        count += lines->data[i] == '\n';
    }
    return count;
}

static void checks_a_whole_chain(void)
{
    char folder[600];
    uint8_t head[32];
    uint8_t again[32];
    CLO_AUTO(clo_buf) lines = CLO_BUF_INIT;
    CLO_AUTO_PTR(clo_store) store = make_log(folder);
    T_OK(clo_broker_audit(folder, &lines, head)); /* while it is open */
    T_INT(count_lines(&lines), 4);
    T_CHECK(memmem(lines.data, lines.size, "third reason", 12) != NULL);
    T_OK(clo_audit_check_head(store));
    add(store, NULL, "fourth");
    clo_buf_clear(&lines);
    T_OK(clo_broker_audit(folder, &lines, again));
    T_INT(count_lines(&lines), 5);
    T_CHECK(memcmp(head, again, 32) != 0);
}

static void shows_an_owner_its_own_entries(void)
{
    char folder[600];
    uint8_t head[32];
    uint64_t next;
    CLO_AUTO(clo_buf) lines = CLO_BUF_INIT;
    CLO_AUTO_PTR(clo_store) store = make_log(folder);
    T_OK(clo_audit_lines(store, owner_a, 0, 1 << 20, &lines, &next, head));
    T_INT(count_lines(&lines), 2);
    T_INT(next, 0);
    T_CHECK(memmem(lines.data, lines.size, "second", 6) == NULL);
    clo_buf_clear(&lines);
    T_OK(clo_audit_lines(store, owner_a, 0, 250, &lines, &next, head)); /* one entry a page */
    T_INT(count_lines(&lines), 1);
    T_INT(next, 4);
    T_OK(clo_audit_lines(store, owner_a, next, 500, &lines, &next, head));
    T_INT(count_lines(&lines), 2);
    T_INT(next, 0);
}

/* Patches the file of a closed store. */
static void patch(const char *folder, const char *from, const char *to)
{
    char path[700];
    CLO_AUTO(clo_buf) file = CLO_BUF_INIT;
    snprintf(path, sizeof path, "%s/broker.db", folder);
    clo_test_read(path, &file);
    size_t found = 0;
    for (size_t at = 0; at + strlen(from) <= file.size; at++) {
        if (memcmp(file.data + at, from, strlen(from)) == 0) {
            memcpy(file.data + at, to, strlen(to));
            found++;
        }
    }
    if (found == 0) {
        abort();
    }
    rig_must(clo_file_write(path, 0600, clo_buf_span(&file)), "patch");
}

static void names_the_entry_that_was_changed(void)
{
    char folder[600];
    char text[512];
    uint8_t head[32];
    CLO_AUTO(clo_buf) lines = CLO_BUF_INIT;
    clo_store_close(make_log(folder));
    patch(folder, "second reason", "another reasn");
    clo_status status = clo_broker_audit(folder, &lines, head);
    T_INT(status.code, CLO_CRYPTO);
    clo_status_text(status, text, sizeof text);
    T_CHECK(strstr(text, "entry 3") != NULL);
    patch(folder, "another reasn", "second reason");
    T_OK(clo_broker_audit(folder, &lines, head));
}

static void names_the_entry_whose_owner_was_changed(void)
{
    char folder[600];
    uint8_t head[32];
    CLO_AUTO(clo_buf) lines = CLO_BUF_INIT;
    clo_store_close(make_log(folder));
    patch(folder, "\xb1\xb2\xb3\xb4", "\xb1\xb2\xb3\xb5");
    T_CHECK(!clo_ok(clo_broker_audit(folder, &lines, head)));
}

/* Whoever can write the file can write hashes, but not the sealed head. */
static void refuses_to_serve_a_log_that_was_extended_without_the_root_key(void)
{
    char folder[600];
    char root_path[700];
    clo_store *store = make_log(folder);
    const uint8_t fake_head[32] = {1};
    T_OK(clo_audit_check_head(store));
    clo_sql_value args[] = {CLO_SQL_NUMBER(5), CLO_SQL_BYTES(CLO_SPAN_OF(owner_a)),
                            CLO_SQL_BYTES(clo_span_of_str("{}")),
                            CLO_SQL_BYTES(CLO_SPAN_OF(fake_head))};
    T_OK(clo_sql_run(clo_store_sql(store), CLO_SQL_AUDIT_ADD, args, 4, NULL, NULL));
    T_CODE(clo_audit_check_head(store), CLO_CRYPTO);
    clo_store_close(store);
    snprintf(root_path, sizeof root_path, "%s.root", folder);
    volatile bool stop = true;
    clo_maker *maker = rig_maker(rig_broker_program);
    clo_broker_options options = {
        .folder = folder,
        .root = {"file", root_path},
        .slot_address = "127.0.0.1:0",
        .owner_address = "127.0.0.1:0",
        .maker = maker,
        .stop = &stop,
    };
    clo_status status = clo_broker_serve(&options);
    clo_maker_close(maker);
    T_INT(status.code, CLO_CRYPTO);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(checks_a_whole_chain),
        T(shows_an_owner_its_own_entries),
        T(names_the_entry_that_was_changed),
        T(names_the_entry_whose_owner_was_changed),
        T(refuses_to_serve_a_log_that_was_extended_without_the_root_key),
    };
    rig_must(clo_crypto_init(), "crypto");
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
