/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit log (audit.h draws the chain).
 */
#include "audit.h"

#include <string.h>

#define LABEL     "cloister audit v1"
#define PAGE_ROWS 4096

/* What is known of the chain's end while it is read or extended. */
typedef struct {
    uint64_t seq;
    uint8_t head[32];
} chain_end;

static clo_status next_head(const chain_end *end, clo_span owner, clo_span entry, uint8_t out[32])
{
    CLO_AUTO_PTR(clo_hash) hash = NULL;
    CLO_AUTO(clo_buf) number = CLO_BUF_LIMIT(8);
    clo_put_u64be(&number, end->seq + 1);
    CLO_TRY(clo_buf_check(&number));
    CLO_TRY(clo_hash_new(&hash));
    CLO_TRY(clo_hash_update(hash, clo_span_of_str(LABEL)));
    CLO_TRY(clo_hash_update(hash, CLO_SPAN_OF(end->head)));
    CLO_TRY(clo_hash_update(hash, clo_buf_span(&number)));
    CLO_TRY(clo_hash_update(hash, owner));
    CLO_TRY(clo_hash_update(hash, entry));
    return clo_hash_final(hash, out);
}

static clo_status read_end(void *arg, const clo_sql_value *columns)
{
    chain_end *end = arg;
    CLO_CHECK(!columns[0].is_bytes && columns[3].bytes.size == sizeof end->head, CLO_FORMAT,
              "audit log's last row is malformed");
    end->seq = (uint64_t)columns[0].number;
    memcpy(end->head, columns[3].bytes.data, sizeof end->head);
    return CLO_STATUS_OK;
}

static clo_status get_end(clo_sql *sql, chain_end *out_end)
{
    *out_end = (chain_end){.seq = 0};
    return clo_sql_run(sql, CLO_SQL_AUDIT_LAST, NULL, 0, read_end, out_end);
}

/* ---- adding */

static void put_hex(clo_json_writer *w, const char *name, const uint8_t *bytes, size_t size)
{
    if (bytes != NULL) {
        clo_json_put_hex(w, name, CLO_SPAN(bytes, size));
    }
}

static void put_text(clo_json_writer *w, const char *name, const char *text)
{
    if (text != NULL) {
        clo_json_put_str(w, name, text);
    }
}

static void write_entry(const clo_audit_entry *entry, uint64_t seq, clo_buf *out)
{
    clo_json_writer w = clo_json_writer_of(out);
    clo_json_begin_object(&w, NULL);
    clo_json_put_u64(&w, "seq", seq);
    clo_json_put_time(&w, "time", clo_clock_utc());
    clo_json_put_str(&w, "kind", entry->kind);
    put_text(&w, "who", entry->who);
    put_hex(&w, "owner", entry->owner, 32);
    put_hex(&w, "key", entry->key_id, 16);
    put_hex(&w, "job", entry->manifest, 32);
    put_hex(&w, "evidence", entry->evidence, 32);
    put_hex(&w, "request", entry->request, 32);
    put_text(&w, "reason", entry->reason);
    clo_json_end_object(&w);
}

static clo_status seal_head(clo_store *store, const chain_end *end)
{
    CLO_AUTO(clo_buf) value = CLO_BUF_LIMIT(64);
    clo_put_u64be(&value, end->seq);
    clo_put_bytes(&value, end->head, sizeof end->head);
    CLO_TRY(clo_buf_check(&value));
    return clo_store_put(store, CLO_RECORD_AUDIT_HEAD, CLO_SPAN_EMPTY, CLO_SPAN_EMPTY,
                         clo_buf_span(&value));
}

clo_status clo_audit_add(clo_store *store, const clo_audit_entry *entry)
{
    static const uint8_t nobody[32];
    CLO_AUTO(clo_buf) text = CLO_BUF_INIT;
    chain_end end;
    clo_sql *sql = clo_store_sql(store);
    clo_span owner = CLO_SPAN(entry->owner != NULL ? entry->owner : nobody, 32);
    CLO_TRY(get_end(sql, &end));
    write_entry(entry, end.seq + 1, &text);
    CLO_TRY(clo_buf_check(&text));
    chain_end next = {.seq = end.seq + 1};
    CLO_TRY(next_head(&end, owner, clo_buf_span(&text), next.head));
    clo_sql_value args[] = {CLO_SQL_NUMBER(next.seq), CLO_SQL_BYTES(owner),
                            CLO_SQL_BYTES(clo_buf_span(&text)),
                            CLO_SQL_BYTES(CLO_SPAN_OF(next.head))};
    CLO_TRY(clo_sql_run(sql, CLO_SQL_AUDIT_ADD, args, 4, NULL, NULL));
    return seal_head(store, &next);
}

clo_status clo_audit_check_head(clo_store *store)
{
    CLO_AUTO(clo_buf) value = CLO_BUF_LIMIT(64);
    chain_end end;
    uint8_t sealed[32];
    CLO_TRY(get_end(clo_store_sql(store), &end));
    CLO_TRY_CTX(clo_store_get(store, CLO_RECORD_AUDIT_HEAD, CLO_SPAN_EMPTY, &value),
                "head of the audit log");
    clo_reader r = clo_reader_of(clo_buf_span(&value));
    uint64_t seq = clo_read_u64be(&r);
    clo_read_copy(&r, sealed, sizeof sealed);
    CLO_TRY(clo_reader_finish(&r, "the head of the audit log"));
    CLO_CHECK(seq == end.seq && memcmp(sealed, end.head, sizeof sealed) == 0, CLO_CRYPTO,
              "audit log ends at entry %llu, but its sealed head is of entry %llu",
              (unsigned long long)end.seq, (unsigned long long)seq);
    return CLO_STATUS_OK;
}

/* ---- reading */

typedef struct {
    clo_buf *lines;
    size_t limit;
    uint64_t next; /* the first row that did not fit */
    uint64_t last; /* the last row seen */
    uint32_t rows;
    chain_end end; /* of the chain as checked so far; verification only */
} paging;

static clo_status page_row(void *arg, const clo_sql_value *columns)
{
    paging *page = arg;
    uint64_t seq = (uint64_t)columns[0].number;
    page->rows++;
    page->last = seq;
    if (page->next != 0 || page->lines->size + columns[2].bytes.size + 1 > page->limit) {
        page->next = page->next != 0 ? page->next : seq;
        return CLO_STATUS_OK;
    }
    clo_put_span(page->lines, columns[2].bytes);
    clo_put_u8(page->lines, '\n');
    return clo_buf_check(page->lines);
}

clo_status clo_audit_lines(clo_store *store, const uint8_t owner[32], uint64_t first, size_t limit,
                           clo_buf *out_lines, uint64_t *out_next, uint8_t out_head[32])
{
    paging page = {.lines = out_lines, .limit = limit};
    chain_end end;
    clo_sql *sql = clo_store_sql(store);
    clo_sql_value args[] = {CLO_SQL_NUMBER(first > INT64_MAX ? INT64_MAX : first),
                            CLO_SQL_NUMBER(PAGE_ROWS), CLO_SQL_BYTES(CLO_SPAN(owner, 32))};
    CLO_TRY(clo_sql_run(sql, CLO_SQL_AUDIT_OWNER, args, 3, page_row, &page));
    CLO_TRY(get_end(sql, &end));
    bool full = page.next == 0 && page.rows == PAGE_ROWS;
    *out_next = full ? page.last + 1 : page.next;
    memcpy(out_head, end.head, sizeof end.head);
    return CLO_STATUS_OK;
}

static clo_status verify_row(void *arg, const clo_sql_value *columns)
{
    paging *page = arg;
    uint8_t head[32];
    unsigned long long expected = page->end.seq + 1;
    page->rows++;
    CLO_CHECK(!columns[0].is_bytes && (unsigned long long)columns[0].number == expected, CLO_CRYPTO,
              "audit log breaks at entry %llu: it is missing", expected);
    CLO_CHECK(columns[1].bytes.size == 32, CLO_CRYPTO,
              "audit log breaks at entry %llu: its owner is malformed", expected);
    CLO_TRY(next_head(&page->end, columns[1].bytes, columns[2].bytes, head));
    CLO_CHECK(clo_span_equal(columns[3].bytes, CLO_SPAN_OF(head)), CLO_CRYPTO,
              "audit log breaks at entry %llu: its hash does not fit", expected);
    page->end.seq++;
    memcpy(page->end.head, head, sizeof head);
    clo_put_span(page->lines, columns[2].bytes);
    clo_put_u8(page->lines, '\n');
    return clo_buf_check(page->lines);
}

clo_status clo_audit_verify(clo_sql *sql, clo_buf *out_lines, uint8_t out_head[32])
{
    paging page = {.lines = out_lines};
    do {
        page.rows = 0;
        clo_sql_value args[] = {CLO_SQL_NUMBER(page.end.seq + 1), CLO_SQL_NUMBER(PAGE_ROWS)};
        CLO_TRY(clo_sql_run(sql, CLO_SQL_AUDIT_FROM, args, 2, verify_row, &page));
    } while (page.rows == PAGE_ROWS);
    memcpy(out_head, page.end.head, sizeof page.end.head);
    return CLO_STATUS_OK;
}
