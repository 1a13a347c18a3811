/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SQLite behind the store (sqlite.org/c3ref). Three tables:
 *
 *     meta    name -> value in clear: the format's version, root kind and salt
 *     record  (kind, id) -> parent, value sealed under the root key
 *     audit   seq -> owner, entry (JSON text), head of the hash chain
 *
 * A rollback journal with synchronous = EXTRA: when a commit returns, the file and the removal of
 * the journal are on the disk, so a crash leaves the whole transaction or nothing of it.
 * secure_delete overwrites what is replaced; values are sealed besides.
 */
#include "store_sqlite.h"

#include <sqlite3.h>
#include <sys/stat.h>

#define BUSY_MS   5000
#define VALUE_MAX (4 << 20)

static const char schema[] =
    "CREATE TABLE meta(name BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE record(kind INTEGER NOT NULL, id BLOB NOT NULL, parent BLOB NOT NULL,"
    " value BLOB NOT NULL, PRIMARY KEY(kind, id)) WITHOUT ROWID;"
    "CREATE INDEX record_parent ON record(kind, parent);"
    "CREATE TABLE audit(seq INTEGER PRIMARY KEY, owner BLOB NOT NULL, entry BLOB NOT NULL,"
    " head BLOB NOT NULL);"
    "CREATE INDEX audit_owner ON audit(owner, seq);";

static const char settings[] = "PRAGMA journal_mode = DELETE;"
                               "PRAGMA synchronous = EXTRA;"
                               "PRAGMA secure_delete = ON;"
                               "PRAGMA temp_store = MEMORY;"
                               "PRAGMA trusted_schema = OFF;"
                               "PRAGMA cell_size_check = ON;";

static const char *const statements[CLO_SQL_COUNT] = {
    [CLO_SQL_META_GET] = "SELECT value FROM meta WHERE name = ?1",
    [CLO_SQL_META_PUT] = "INSERT INTO meta(name, value) VALUES(?1, ?2)",
    [CLO_SQL_RECORD_GET] = "SELECT id, parent, value FROM record WHERE kind = ?1 AND id = ?2",
    [CLO_SQL_RECORD_PUT] =
        "INSERT OR REPLACE INTO record(kind, id, parent, value) VALUES(?1, ?2, ?3, ?4)",
    [CLO_SQL_RECORD_LIST] =
        "SELECT id, parent, value FROM record WHERE kind = ?1 AND parent = ?2 ORDER BY id",
    [CLO_SQL_RECORD_ALL] = "SELECT id, parent, value FROM record WHERE kind = ?1 ORDER BY id",
    [CLO_SQL_AUDIT_ADD] = "INSERT INTO audit(seq, owner, entry, head) VALUES(?1, ?2, ?3, ?4)",
    [CLO_SQL_AUDIT_LAST] = "SELECT seq, owner, entry, head FROM audit ORDER BY seq DESC LIMIT 1",
    [CLO_SQL_AUDIT_FROM] = "SELECT seq, owner, entry, head FROM audit WHERE seq >= ?1 ORDER BY seq"
                           " LIMIT ?2",
    [CLO_SQL_AUDIT_OWNER] = "SELECT seq, owner, entry, head FROM audit WHERE owner = ?3 AND"
                            " seq >= ?1 ORDER BY seq LIMIT ?2",
};

struct clo_sql {
    sqlite3 *db;
    sqlite3_stmt *prepared[CLO_SQL_COUNT];
    bool in_transaction;
};

static const struct {
    int foreign;
    clo_code code;
} codes[] = {
    {SQLITE_NOMEM, CLO_NOMEM},    {SQLITE_BUSY, CLO_TIMEOUT},  {SQLITE_LOCKED, CLO_TIMEOUT},
    {SQLITE_CORRUPT, CLO_FORMAT}, {SQLITE_NOTADB, CLO_FORMAT}, {SQLITE_TOOBIG, CLO_LIMIT},
    {SQLITE_CONSTRAINT, CLO_BUG}, {SQLITE_MISUSE, CLO_BUG},    {SQLITE_RANGE, CLO_BUG},
};

/* The converter for SQLite's codes, the only one. */
static clo_status from_sqlite(int result, const char *doing)
{
    clo_code code = CLO_IO;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        code = (result & 0xff) == codes[i].foreign ? codes[i].code : code;
    }
    CLO_FAIL(code, "%s the broker's store: %s", doing, sqlite3_errstr(result));
}

static clo_status run_text(clo_sql *sql, const char *text, const char *doing)
{
    int result = sqlite3_exec(sql->db, text, NULL, NULL, NULL);
    return result == SQLITE_OK ? CLO_STATUS_OK : from_sqlite(result, doing);
}

static clo_status prepare_all(clo_sql *sql)
{
    for (int i = 0; i < CLO_SQL_COUNT; i++) {
        int result = sqlite3_prepare_v3(sql->db, statements[i], -1, SQLITE_PREPARE_PERSISTENT,
                                        &sql->prepared[i], NULL);
        if (result != SQLITE_OK) {
            return from_sqlite(result, "preparing");
        }
    }
    return CLO_STATUS_OK;
}

static clo_status open_file(const char *path, bool read_only, clo_sql *sql)
{
    int flags = (read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE) | SQLITE_OPEN_FULLMUTEX |
                SQLITE_OPEN_PRIVATECACHE;
    int result = sqlite3_open_v2(path, &sql->db, flags, NULL);
    if (result != SQLITE_OK) {
        return from_sqlite(result, "opening");
    }
    sqlite3_busy_timeout(sql->db, BUSY_MS);
    sqlite3_limit(sql->db, SQLITE_LIMIT_LENGTH, VALUE_MAX);
    sqlite3_db_config(sql->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(sql->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sqlite3_db_config(sql->db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
    return read_only ? CLO_STATUS_OK : run_text(sql, settings, "configuring");
}

clo_status clo_sql_open(const char *path, bool read_only, clo_sql **out_sql)
{
    CLO_CHECK(clo_file_exists(path), CLO_NOTFOUND, "there is no broker's store at '%s'", path);
    CLO_AUTO_PTR(clo_sql) sql = clo_alloc(sizeof *sql);
    CLO_CHECK(sql != NULL, CLO_NOMEM, "no memory for the broker's store");
    CLO_TRY_CTX(open_file(path, read_only, sql), "'%s'", path);
    CLO_TRY_CTX(prepare_all(sql), "'%s'", path);
    *out_sql = CLO_TAKE(sql);
    return CLO_STATUS_OK;
}

/* A making that was interrupted left an empty file, which is as good as none. */
static bool holds_something(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && info.st_size > 0;
}

clo_status clo_sql_create(const char *path, clo_sql **out_sql)
{
    CLO_CHECK(!holds_something(path), CLO_EXISTS, "there is a broker's store at '%s' already",
              path);
    CLO_AUTO_PTR(clo_sql) sql = clo_alloc(sizeof *sql);
    CLO_CHECK(sql != NULL, CLO_NOMEM, "no memory for the broker's store");
    /* An empty file is an empty database; made by us, so that its mode is ours. */
    CLO_TRY(clo_file_write(path, 0600, CLO_SPAN_EMPTY));
    CLO_TRY_CTX(open_file(path, false, sql), "'%s'", path);
    CLO_TRY_CTX(clo_sql_begin(sql), "'%s'", path);
    CLO_TRY_CTX(run_text(sql, schema, "making"), "'%s'", path);
    CLO_TRY_CTX(prepare_all(sql), "'%s'", path);
    *out_sql = CLO_TAKE(sql);
    return CLO_STATUS_OK;
}

void clo_sql_close(clo_sql *sql)
{
    if (sql == NULL) {
        return;
    }
    clo_sql_rollback(sql);
    for (int i = 0; i < CLO_SQL_COUNT; i++) {
        sqlite3_finalize(sql->prepared[i]);
    }
    sqlite3_close(sql->db);
    clo_free(sql);
}

clo_status clo_sql_begin(clo_sql *sql)
{
    CLO_ASSERT(!sql->in_transaction);
    CLO_TRY(run_text(sql, "BEGIN IMMEDIATE", "beginning a transaction in"));
    sql->in_transaction = true;
    return CLO_STATUS_OK;
}

clo_status clo_sql_commit(clo_sql *sql)
{
    CLO_ASSERT(sql->in_transaction);
    CLO_TRY(run_text(sql, "COMMIT", "committing to"));
    sql->in_transaction = false;
    return CLO_STATUS_OK;
}

void clo_sql_rollback(clo_sql *sql)
{
    if (sql->in_transaction) {
        (void)sqlite3_exec(sql->db, "ROLLBACK", NULL, NULL, NULL);
        sql->in_transaction = false;
    }
}

static int bind_all(sqlite3_stmt *statement, const clo_sql_value *args, size_t count)
{
    int result = SQLITE_OK;
    for (size_t i = 0; i < count && result == SQLITE_OK; i++) {
        int at = (int)i + 1;
        if (args[i].is_bytes) {
            /* An empty value must not become NULL. */
            const void *bytes = args[i].bytes.size > 0 ? (const void *)args[i].bytes.data : "";
            result = sqlite3_bind_blob64(statement, at, bytes, args[i].bytes.size, SQLITE_STATIC);
        } else {
            result = sqlite3_bind_int64(statement, at, args[i].number);
        }
    }
    return result;
}

static clo_status give_row(sqlite3_stmt *statement, clo_sql_row_fn row, void *arg)
{
    clo_sql_value columns[CLO_SQL_COLUMNS] = {{false, 0, {NULL, 0}}};
    int count = sqlite3_column_count(statement);
    for (int i = 0; i < count && i < CLO_SQL_COLUMNS; i++) {
        if (sqlite3_column_type(statement, i) == SQLITE_INTEGER) {
            columns[i] = CLO_SQL_NUMBER(sqlite3_column_int64(statement, i));
        } else {
            const void *bytes = sqlite3_column_blob(statement, i);
            columns[i] = CLO_SQL_BYTES(CLO_SPAN(bytes, (size_t)sqlite3_column_bytes(statement, i)));
        }
    }
    return row(arg, columns);
}

static clo_status step_all(sqlite3_stmt *statement, clo_sql_row_fn row, void *arg)
{
    for (;;) {
        int result = sqlite3_step(statement);
        if (result == SQLITE_DONE) {
            return CLO_STATUS_OK;
        }
        if (result != SQLITE_ROW) {
            return from_sqlite(result, "using");
        }
        if (row != NULL) {
            CLO_TRY(give_row(statement, row, arg));
        }
    }
}

clo_status clo_sql_run(clo_sql *sql, clo_sql_statement statement, const clo_sql_value *args,
                       size_t arg_count, clo_sql_row_fn row, void *arg)
{
    sqlite3_stmt *prepared = sql->prepared[statement];
    int result = bind_all(prepared, args, arg_count);
    clo_status status =
        result == SQLITE_OK ? step_all(prepared, row, arg) : from_sqlite(result, "using");
    sqlite3_reset(prepared);
    sqlite3_clear_bindings(prepared);
    return status;
}
