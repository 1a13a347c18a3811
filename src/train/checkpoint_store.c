/* SPDX-License-Identifier: Apache-2.0 */
/* The last two checkpoints as sealed files: see checkpoint_store.h. */
#include "checkpoint_store.h"

#include <stdio.h>
#include <string.h>

enum { KEPT = 2, KEY_TIMEOUT_MS = 10 * 1000, FILE_PATH = 1100 };

static void path_of(const clo_checkpoint_store *store, uint64_t generation, char *out_path)
{
    snprintf(out_path, FILE_PATH, "%s/checkpoint-%u.sealed", store->folder,
             (unsigned)(generation % KEPT));
}

/* ---------------------------------------------------------------- the next key ---------------- */

static clo_status get_next_key(clo_checkpoint_store *store)
{
    clo_seal_header header;
    CLO_TRY(clo_seal_header_init(&header));
    memcpy(header.data_set_id, store->manifest->digest, sizeof header.data_set_id);
    clo_slot_job_key_id(store->session, header.key_id);
    header.key_version = 1;
    header.part = 0;
    header.parts = 1;
    clo_buf_clear(&store->next_header);
    CLO_TRY(clo_seal_header_write(&header, &store->next_header));
    CLO_TRY(clo_buf_check(&store->next_header));
    clo_span bytes = clo_buf_span(&store->next_header);
    clo_status status = clo_slot_file_keys(store->session, &bytes, 1,
                                           clo_deadline_in(KEY_TIMEOUT_MS), &store->next_key);
    if (!clo_ok(status)) {
        clo_buf_clear(&store->next_header);
    }
    return status;
}

static void forget_next_key(clo_checkpoint_store *store)
{
    clo_secret_clear(&store->next_key);
    clo_buf_clear(&store->next_header);
}

/* A broker that is away now may be back by the next checkpoint. */
static void try_next_key(clo_checkpoint_store *store)
{
    clo_status status = get_next_key(store);
    if (!clo_ok(status)) {
        char text[512];
        clo_status_text(status, text, sizeof text);
        clo_log(CLO_LOG_WARN, "train", "no key for the next checkpoint yet: %s", text);
    }
}

clo_status clo_checkpoint_store_open(clo_slot_session *session, const clo_manifest *manifest,
                                     const char *folder, clo_checkpoint_store *out_store)
{
    CLO_CHECK(strlen(folder) < sizeof out_store->folder, CLO_LIMIT, "path '%.64s...' is too long",
              folder);
    clo_checkpoint_store store = CLO_CHECKPOINT_STORE_INIT;
    store.session = session;
    store.manifest = manifest;
    snprintf(store.folder, sizeof store.folder, "%s", folder);
    *out_store = store;
    return CLO_STATUS_OK;
}

clo_status clo_checkpoint_store_prepare(clo_checkpoint_store *store)
{
    CLO_TRY(clo_dir_make(store->folder, 0700));
    CLO_TRY_CTX(get_next_key(store), "asking for the key of the first checkpoint");
    return CLO_STATUS_OK;
}

void clo_checkpoint_store_cleanup(clo_checkpoint_store *store)
{
    clo_secret_clear(&store->next_key);
    clo_buf_release(&store->next_header);
}

/* ---------------------------------------------------------------- loading --------------------- */

static clo_status read_plain(clo_seal_reader *reader, clo_buf *out_plain)
{
    uint64_t size = clo_seal_reader_size(reader);
    CLO_CHECK(size <= CLO_CHECKPOINT_MAX, CLO_LIMIT, "%llu bytes, expected at most %zu",
              (unsigned long long)size, CLO_CHECKPOINT_MAX);
    uint8_t *bytes = clo_buf_grow(out_plain, (size_t)size);
    CLO_TRY(clo_buf_check(out_plain));
    return clo_seal_reader_read(reader, 0, bytes, (size_t)size);
}

static clo_status open_file(clo_checkpoint_store *store, const char *path, clo_buf *out_plain)
{
    CLO_AUTO_PTR(clo_seal_reader) reader = NULL;
    CLO_TRY(clo_seal_reader_open(path, &reader));
    const clo_seal_header *header = clo_seal_reader_header(reader);
    CLO_CHECK(memcmp(header->data_set_id, store->manifest->digest, sizeof header->data_set_id) == 0,
              CLO_INVALID, "belongs to another job: use another folder");
    clo_span bytes = clo_seal_reader_header_bytes(reader);
    CLO_AUTO(clo_secret) key = CLO_SECRET_INIT;
    CLO_TRY(clo_slot_file_keys(store->session, &bytes, 1, clo_deadline_in(KEY_TIMEOUT_MS), &key));
    CLO_TRY(clo_seal_reader_unlock(reader, &key));
    return read_plain(reader, out_plain);
}

static bool is_damage(clo_status status)
{
    return status.code == CLO_CRYPTO || status.code == CLO_FORMAT || status.code == CLO_LIMIT;
}

static void warn_of(const char *path, clo_status status)
{
    char text[512];
    clo_status_text(status, text, sizeof text);
    clo_log(CLO_LOG_WARN, "train", "checkpoint '%s' is passed over: %s", path, text);
}

/* Takes one of the files into `newest` if it is there and newer. */
static clo_status consider(clo_checkpoint_store *store, const char *path, clo_buf *newest)
{
    if (!clo_file_exists(path)) {
        return CLO_STATUS_OK;
    }
    CLO_AUTO(clo_buf) plain = CLO_BUF_LIMIT(CLO_CHECKPOINT_MAX);
    CLO_TRY_CTX(open_file(store, path, &plain), "opening '%s'", path);
    if (clo_checkpoint_generation(clo_buf_span(&plain)) >
        clo_checkpoint_generation(clo_buf_span(newest))) {
        clo_buf older = *newest;
        *newest = plain;
        plain = older;
    }
    return CLO_STATUS_OK;
}

clo_status clo_checkpoint_store_load(clo_checkpoint_store *store, clo_buf *out_plain)
{
    clo_saved_status damage = {.code = CLO_OK};
    CLO_AUTO(clo_buf) newest = CLO_BUF_LIMIT(CLO_CHECKPOINT_MAX);
    for (uint64_t i = 0; i < KEPT; i++) {
        char path[FILE_PATH];
        path_of(store, i, path);
        clo_status status = consider(store, path, &newest);
        if (is_damage(status)) {
            warn_of(path, status);
            clo_status_save(status, &damage);
            continue;
        }
        CLO_TRY(status);
    }
    if (newest.size == 0 && damage.code != CLO_OK) {
        return clo_status_restore(&damage);
    }
    clo_put_span(out_plain, clo_buf_span(&newest));
    return clo_buf_check(out_plain);
}

/* ---------------------------------------------------------------- saving ---------------------- */

static clo_status write_file(clo_checkpoint_store *store, const char *path, clo_span plain)
{
    CLO_AUTO_PTR(clo_seal_writer) writer = NULL;
    CLO_TRY(
        clo_seal_writer_new(path, clo_buf_span(&store->next_header), &store->next_key, &writer));
    CLO_TRY(clo_seal_writer_write(writer, plain));
    return clo_seal_writer_finish(writer, NULL);
}

clo_status clo_checkpoint_store_save(clo_checkpoint_store *store, clo_train_state *state)
{
    char path[FILE_PATH];
    path_of(store, state->generation, path);
    CLO_AUTO(clo_buf) plain = CLO_BUF_LIMIT(CLO_CHECKPOINT_MAX);
    CLO_TRY(clo_checkpoint_write(state, store->manifest->digest, &plain));
    if (store->next_header.size == 0) {
        CLO_TRY(get_next_key(store));
    }
    clo_status status = write_file(store, path, clo_buf_span(&plain));
    /* A file key is for one file: also one that failed half-way. */
    forget_next_key(store);
    CLO_TRY_CTX(status, "writing '%s'", path);
    CLO_TRY(clo_sha256(clo_buf_span(&plain), state->previous));
    try_next_key(store);
    return CLO_STATUS_OK;
}
