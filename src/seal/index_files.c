/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a row of an index to its file: the file at the row's place must have the id, data set, key,
 * size and digest that the owner signed, or it is not opened.
 */
#include <stdio.h>
#include <string.h>

#include "cloister/seal.h"

const clo_index_row *clo_index_find(const clo_index *index, const char *name)
{
    for (size_t i = 0; i < index->row_count; i++) {
        if (strcmp(index->rows[i].name, name) == 0) {
            return &index->rows[i];
        }
    }
    return NULL;
}

clo_status clo_index_file_path(const char *folder, const clo_index_row *row, char *out_path,
                               size_t size)
{
    char name[CLO_INDEX_NAME_MAX + sizeof CLO_INDEX_FILE_SUFFIX];
    snprintf(name, sizeof name, "%s" CLO_INDEX_FILE_SUFFIX, row->name);
    return clo_path_join(out_path, size, folder, name);
}

static clo_status check_file(const clo_index *index, const clo_index_row *row,
                             clo_seal_reader *reader)
{
    const clo_seal_header *header = clo_seal_reader_header(reader);
    CLO_CHECK(memcmp(header->file_id, row->file_id, sizeof row->file_id) == 0, CLO_CRYPTO,
              "another file stands in its place");
    CLO_CHECK(memcmp(header->data_set_id, index->data_set_id, sizeof index->data_set_id) == 0,
              CLO_CRYPTO, "it belongs to another data set");
    CLO_CHECK(memcmp(header->key_id, index->key_id, sizeof index->key_id) == 0, CLO_CRYPTO,
              "it is sealed under another key than the index names");
    CLO_CHECK(clo_seal_reader_size(reader) == row->size, CLO_CRYPTO,
              "it has %llu bytes, the index names %llu",
              (unsigned long long)clo_seal_reader_size(reader), (unsigned long long)row->size);
    return clo_seal_reader_check_digest(reader, row->digest);
}

clo_status clo_index_open_file(const clo_index *index, const clo_index_row *row, const char *folder,
                               clo_seal_reader **out_reader)
{
    CLO_AUTO_PTR(clo_seal_reader) reader = NULL;
    char path[1024];
    CLO_TRY(clo_index_file_path(folder, row, path, sizeof path));
    CLO_TRY_CTX(clo_seal_reader_open(path, &reader), "file '%s' of the index", row->name);
    CLO_TRY_CTX(check_file(index, row, reader), "file '%s' of the index", row->name);
    *out_reader = CLO_TAKE(reader);
    return CLO_STATUS_OK;
}
