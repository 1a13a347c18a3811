/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_BROKER_STORE_SQLITE_H
#define CLO_BROKER_STORE_SQLITE_H

/*
 * The only door to SQLite: a table of prepared statements, run one at a time.
 *
 * Invariants:
 *   - All SQL stands in store_sqlite.c; nothing builds a statement from text.
 *   - A commit has reached the disk when it returns (rollback journal, synchronous = EXTRA).
 *   - Values that come back are outside bytes: whoever reads them checks them.
 *
 * Ownership: spans in a row are valid inside the callback. Threads: one at a time.
 */
#include "cloister/base.h"

typedef struct clo_sql clo_sql;

typedef enum {
    CLO_SQL_META_GET,
    CLO_SQL_META_PUT,
    CLO_SQL_RECORD_GET,
    CLO_SQL_RECORD_PUT,
    CLO_SQL_RECORD_LIST,
    CLO_SQL_RECORD_ALL,
    CLO_SQL_AUDIT_ADD,
    CLO_SQL_AUDIT_LAST,
    CLO_SQL_AUDIT_FROM,
    CLO_SQL_AUDIT_OWNER,
    CLO_SQL_COUNT
} clo_sql_statement;

/* One parameter or column. */
typedef struct {
    bool is_bytes;
    int64_t number;
    clo_span bytes;
} clo_sql_value;

#define CLO_SQL_NUMBER(value) ((clo_sql_value){false, (int64_t)(value), {NULL, 0}})
#define CLO_SQL_BYTES(span)   ((clo_sql_value){true, 0, (span)})
#define CLO_SQL_COLUMNS       4

typedef clo_status (*clo_sql_row_fn)(void *arg, const clo_sql_value *columns);

/* Makes the file (0600) and its tables in a transaction that the caller goes on with and commits,
 * so that a store is whole or empty. CLO_EXISTS when there is a file that is not empty. */
clo_status clo_sql_create(const char *path, clo_sql **out_sql);
clo_status clo_sql_open(const char *path, bool read_only, clo_sql **out_sql);
void clo_sql_close(clo_sql *sql);
CLO_DEFINE_AUTO_PTR(clo_sql, clo_sql_close);

clo_status clo_sql_begin(clo_sql *sql);
clo_status clo_sql_commit(clo_sql *sql);
void clo_sql_rollback(clo_sql *sql); /* nothing to roll back is fine */

/* Binds the arguments, steps to the end and calls `row` (may be NULL) for each row, which must not
 * run the same statement. */
clo_status clo_sql_run(clo_sql *sql, clo_sql_statement statement, const clo_sql_value *args,
                       size_t arg_count, clo_sql_row_fn row, void *arg);

#endif
