/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the manifest's word to samples in memory:
 *
 *     manifest row (owner, key id, index digest, split)
 *       -> index file: owner's signature, digest as the manifest pins it
 *       -> rows "<split>/images", "<split>/labels" -> <folder>/<name>.sealed
 *       -> header as the row says -> digest over all tags -> file keys -> unlock -> size
 *
 * The path is the host's hint; everything else is checked before a key is asked for.
 */
#include <stdio.h>
#include <string.h>

#include "cloister/train.h"

enum { KEYS_TIMEOUT_MS = 30 * 1000 };

/* What an IDX split consists of, in the order in which clo_dataset_read_idx takes it. */
static const char *const parts[] = {"images", "labels"};

enum { PARTS = sizeof parts / sizeof *parts };

static clo_status open_index(const clo_manifest_data *data, const char *path, clo_arena *arena,
                             clo_index *out_index)
{
    CLO_AUTO(clo_buf) file = CLO_BUF_INIT;
    CLO_AUTO_PTR(clo_key) owner = NULL;
    CLO_TRY(clo_file_read(path, CLO_INDEX_FILE_MAX, &file));
    CLO_TRY(clo_public_key_load(&data->owner, &owner));
    CLO_TRY(clo_index_open(clo_buf_span(&file), owner, arena, out_index));
    CLO_CHECK(memcmp(out_index->digest, data->index, sizeof data->index) == 0, CLO_POLICY,
              "index is not the one that the manifest pins for '%s'", data->use);
    CLO_CHECK(memcmp(out_index->key_id, data->key_id, sizeof data->key_id) == 0, CLO_POLICY,
              "index names another key than the manifest for '%s'", data->use);
    return CLO_STATUS_OK;
}

/* "a/b" of the path "a/b/index.dsse"; "." when there is no folder in it. */
static void folder_of(const char *path, char *out_folder, size_t size)
{
    const char *slash = strrchr(path, '/');
    int length = slash != NULL ? (int)(slash - path) : 0;
    snprintf(out_folder, size, "%.*s", length, path);
    if (length == 0) {
        snprintf(out_folder, size, slash != NULL ? "/" : ".");
    }
}

/* The two files of a split; `readers` are the caller's to free also after a failure. */
static clo_status open_parts(const clo_index *index, const char *split, const char *folder,
                             const clo_index_row **out_rows, clo_seal_reader **readers)
{
    for (int i = 0; i < PARTS; i++) {
        char name[2 * CLO_NAME_MAX];
        snprintf(name, sizeof name, "%s/%s", split, parts[i]);
        out_rows[i] = clo_index_find(index, name);
        CLO_CHECK(out_rows[i] != NULL, CLO_NOTFOUND, "index of '%s' has no file '%s'",
                  index->data_set, name);
        CLO_TRY(clo_index_open_file(index, out_rows[i], folder, &readers[i]));
    }
    return CLO_STATUS_OK;
}

static clo_status unlock_parts(clo_slot_session *session, const clo_index_row *const *rows,
                               clo_seal_reader *const *readers, clo_secret *keys)
{
    clo_span headers[PARTS];
    for (int i = 0; i < PARTS; i++) {
        headers[i] = clo_seal_reader_header_bytes(readers[i]);
    }
    CLO_TRY_CTX(clo_slot_file_keys(session, headers, PARTS, clo_deadline_in(KEYS_TIMEOUT_MS), keys),
                "asking for the file keys");
    for (int i = 0; i < PARTS; i++) {
        CLO_TRY_CTX(clo_seal_reader_unlock(readers[i], &keys[i]), "unlocking '%s'", rows[i]->name);
        CLO_CHECK(clo_seal_reader_size(readers[i]) == rows[i]->size, CLO_POLICY,
                  "'%s' has %llu bytes, the index says %llu", rows[i]->name,
                  (unsigned long long)clo_seal_reader_size(readers[i]),
                  (unsigned long long)rows[i]->size);
    }
    return CLO_STATUS_OK;
}

static clo_status read_parts(clo_slot_session *session, const clo_index_row *const *rows,
                             clo_seal_reader *const *readers, int classes,
                             clo_dataset **out_dataset)
{
    clo_secret keys[PARTS] = {CLO_SECRET_INIT, CLO_SECRET_INIT};
    clo_status status = unlock_parts(session, rows, readers, keys);
    for (int i = 0; i < PARTS; i++) {
        clo_secret_clear(&keys[i]);
    }
    CLO_TRY(status);
    return clo_dataset_read_idx(readers[0], readers[1], classes, out_dataset);
}

static clo_status open_split(clo_slot_session *session, const clo_index *index, const char *split,
                             const char *folder, int classes, clo_dataset **out_dataset)
{
    const clo_index_row *rows[PARTS];
    clo_seal_reader *readers[PARTS] = {NULL, NULL};
    clo_status status = open_parts(index, split, folder, rows, readers);
    if (clo_ok(status)) {
        status = read_parts(session, rows, readers, classes, out_dataset);
    }
    for (int i = 0; i < PARTS; i++) {
        clo_seal_reader_free(readers[i]);
    }
    return status;
}

clo_status clo_train_open_data(clo_slot_session *session, const clo_manifest *manifest,
                               const char *use, const char *index_path, int classes,
                               clo_dataset **out_dataset)
{
    const clo_manifest_data *data = clo_manifest_find_data(manifest, use);
    CLO_CHECK(data != NULL, CLO_NOTFOUND, "manifest of job '%s' names no '%s' data", manifest->job,
              use);
    const char *path = index_path != NULL ? index_path : data->location;
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    clo_index index;
    char folder[1024];
    CLO_CHECK(strlen(path) < sizeof folder, CLO_LIMIT, "path '%.64s...' is too long", path);
    CLO_TRY_CTX(open_index(data, path, &arena, &index), "opening the index '%s'", path);
    folder_of(path, folder, sizeof folder);
    CLO_TRY_CTX(open_split(session, &index, data->split, folder, classes, out_dataset),
                "opening the %s data", use);
    return CLO_STATUS_OK;
}
