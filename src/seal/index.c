/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index of a data set: which files belong to it, by id and digest. A DSSE envelope of the
 * owner's over
 *
 *     {"data_set_id": hex, "data_set": name, "version": n, "key_id": hex,
 *      "files": [{"name": name, "file_id": hex, "size": n, "digest": hex}, ...]}
 *
 * Invariants: names and file ids occur once; a name stays inside the folder of the index; an
 * unknown member is an error. What is signed here would be accepted by open.
 */
#include <string.h>

#include "cloister/seal.h"
#include "name.h"

enum { NAME_PIECES = CLO_INDEX_NAME_MAX };

static const char *const index_names[] = {"data_set_id", "data_set", "version",
                                          "key_id",      "files",    NULL};
static const char *const row_names[] = {"name", "file_id", "size", "digest", NULL};

static bool name_ok(const char *name, size_t pieces)
{
    clo_span span = CLO_SPAN(name, strnlen(name, CLO_INDEX_NAME_MAX));
    return clo_seal_name_ok(span, CLO_INDEX_NAME_MAX, pieces);
}

/* No earlier row has the name or the file id of row `at`. */
static clo_status check_distinct(const clo_index *index, size_t at, clo_code code)
{
    const clo_index_row *row = &index->rows[at];
    for (size_t i = 0; i < at; i++) {
        CLO_CHECK(strcmp(index->rows[i].name, row->name) != 0, code, "file '%s' is listed twice",
                  row->name);
        CLO_CHECK(memcmp(index->rows[i].file_id, row->file_id, sizeof row->file_id) != 0, code,
                  "files '%s' and '%s' have one id", index->rows[i].name, row->name);
    }
    return CLO_STATUS_OK;
}

static clo_status check_index(const clo_index *index, clo_code code)
{
    CLO_CHECK(name_ok(index->data_set, 1), code, "the data set has no usable name");
    CLO_CHECK(index->row_count >= 1 && index->row_count <= CLO_INDEX_ROW_MAX, code,
              "%zu files, expected 1 to %d", index->row_count, CLO_INDEX_ROW_MAX);
    for (size_t i = 0; i < index->row_count; i++) {
        CLO_CHECK(name_ok(index->rows[i].name, NAME_PIECES), code, "file %zu has no usable name",
                  i);
        CLO_TRY(check_distinct(index, i, code));
    }
    return CLO_STATUS_OK;
}

static void put_row(clo_json_writer *w, const clo_index_row *row)
{
    clo_json_begin_object(w, NULL);
    clo_json_put_str(w, "name", row->name);
    clo_json_put_hex(w, "file_id", CLO_SPAN_OF(row->file_id));
    clo_json_put_u64(w, "size", row->size);
    clo_json_put_hex(w, "digest", CLO_SPAN_OF(row->digest));
    clo_json_end_object(w);
}

static clo_status write_payload(const clo_index *index, clo_buf *out)
{
    clo_json_writer w = clo_json_writer_of(out);
    clo_json_begin_object(&w, NULL);
    clo_json_put_hex(&w, "data_set_id", CLO_SPAN_OF(index->data_set_id));
    clo_json_put_str(&w, "data_set", index->data_set);
    clo_json_put_u64(&w, "version", index->version);
    clo_json_put_hex(&w, "key_id", CLO_SPAN_OF(index->key_id));
    clo_json_begin_array(&w, "files");
    for (size_t i = 0; i < index->row_count; i++) {
        put_row(&w, &index->rows[i]);
    }
    clo_json_end_array(&w);
    clo_json_end_object(&w);
    return clo_buf_check(out);
}

clo_status clo_index_sign(const clo_index *index, const clo_key *owner, clo_buf *out_envelope,
                          uint8_t out_digest[32])
{
    CLO_AUTO(clo_buf) payload = CLO_BUF_LIMIT(CLO_INDEX_FILE_MAX / 2);
    CLO_TRY_CTX(check_index(index, CLO_INVALID), "index");
    CLO_TRY(write_payload(index, &payload));
    CLO_TRY(clo_dsse_sign(owner, CLO_INDEX_TYPE, clo_buf_span(&payload), out_envelope));
    return clo_sha256(clo_buf_span(&payload), out_digest);
}

static clo_status parse_row(const clo_json *object, clo_index_row *out_row)
{
    clo_span name;
    CLO_CHECK(object->type == CLO_JSON_OBJECT, CLO_FORMAT, "a file is no object");
    CLO_TRY(clo_json_only(object, row_names));
    CLO_TRY(clo_json_str(object, "name", &name));
    CLO_TRY(clo_seal_name_take(name, "a file's name", sizeof out_row->name, NAME_PIECES,
                               out_row->name));
    CLO_TRY(clo_json_hex(object, "file_id", out_row->file_id, sizeof out_row->file_id));
    CLO_TRY(clo_json_u64(object, "size", INT64_MAX, &out_row->size));
    return clo_json_hex(object, "digest", out_row->digest, sizeof out_row->digest);
}

static clo_status parse_rows(const clo_json *files, clo_arena *arena, clo_index *index)
{
    CLO_CHECK(files->count <= CLO_INDEX_ROW_MAX, CLO_LIMIT, "%u files, at most %d", files->count,
              CLO_INDEX_ROW_MAX);
    index->row_count = files->count;
    index->rows = clo_arena_array(arena, files->count, sizeof *index->rows);
    CLO_CHECK(index->rows != NULL, CLO_NOMEM, "no memory for %u files", files->count);
    clo_index_row *row = index->rows;
    for (const clo_json *file = files->child; file != NULL; file = file->next) {
        CLO_TRY(parse_row(file, row++));
    }
    return CLO_STATUS_OK;
}

static clo_status parse_payload(clo_span payload, clo_arena *arena, clo_index *index)
{
    CLO_AUTO(clo_arena) tree = CLO_ARENA_INIT;
    const clo_json *root;
    const clo_json *files;
    clo_span data_set;
    CLO_TRY(clo_json_parse(payload, &tree, &root));
    CLO_TRY(clo_json_only(root, index_names));
    CLO_TRY(clo_json_hex(root, "data_set_id", index->data_set_id, sizeof index->data_set_id));
    CLO_TRY(clo_json_str(root, "data_set", &data_set));
    CLO_TRY(clo_seal_name_take(data_set, "the data set's name", sizeof index->data_set, 1,
                               index->data_set));
    CLO_TRY(clo_json_u64(root, "version", UINT64_MAX, &index->version));
    CLO_TRY(clo_json_hex(root, "key_id", index->key_id, sizeof index->key_id));
    CLO_TRY(clo_json_member(root, "files", CLO_JSON_ARRAY, &files));
    CLO_TRY(parse_rows(files, arena, index));
    return check_index(index, CLO_FORMAT);
}

clo_status clo_index_open(clo_span envelope, const clo_key *owner, clo_arena *arena,
                          clo_index *out_index)
{
    CLO_AUTO(clo_buf) payload = CLO_BUF_LIMIT(CLO_INDEX_FILE_MAX);
    clo_index index = {.version = 0};
    CLO_CHECK(envelope.size <= CLO_INDEX_FILE_MAX, CLO_LIMIT, "the index has %zu bytes, at most %d",
              envelope.size, CLO_INDEX_FILE_MAX);
    CLO_TRY_CTX(clo_dsse_open(envelope, CLO_INDEX_TYPE, owner, &payload), "index");
    CLO_TRY_CTX(parse_payload(clo_buf_span(&payload), arena, &index), "index");
    CLO_TRY(clo_sha256(clo_buf_span(&payload), index.digest));
    *out_index = index;
    return CLO_STATUS_OK;
}
