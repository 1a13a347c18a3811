/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_SEAL_RIG_H
#define CLO_SEAL_RIG_H

/*
 * What the tests of this room share: plain text of any size, a data key, and sealing, altering and
 * opening whole files. Everything is static so that each test program has its own.
 */
#include <stdio.h>
#include <string.h>

#include "cloister/seal.h"
#include "test.h"

enum { RIG_LOG2 = 12, RIG_CHUNK = 1 << RIG_LOG2, RIG_TAG = 16, RIG_COMMIT = 32 };

__attribute__((unused)) static const char *rig_path(const char *folder, const char *name)
{
    static char paths[8][1024];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

__attribute__((unused)) static void rig_plain(clo_buf *out, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        clo_put_u8(out, (uint8_t)(i * 7 + 1));
    }
}

__attribute__((unused)) static clo_status rig_data_key(uint8_t first, clo_secret *out_key)
{
    CLO_TRY(clo_secret_alloc(out_key, 32));
    for (size_t i = 0; i < 32; i++) {
        out_key->data[i] = (uint8_t)(first + i);
    }
    return CLO_STATUS_OK;
}

/* Seals `plain` at `path` under `header`, in pieces of `step` bytes. */
__attribute__((unused)) static clo_status rig_seal_header(const char *path,
                                                          const clo_seal_header *header,
                                                          clo_span plain, size_t step,
                                                          uint8_t out_digest[32])
{
    CLO_AUTO(clo_secret) data_key = CLO_SECRET_INIT;
    CLO_AUTO(clo_secret) file_key = CLO_SECRET_INIT;
    CLO_AUTO(clo_buf) bytes = CLO_BUF_INIT;
    CLO_AUTO_PTR(clo_seal_writer) writer = NULL;
    CLO_TRY(rig_data_key(0, &data_key));
    CLO_TRY(clo_seal_header_write(header, &bytes));
    CLO_TRY(clo_seal_file_key(&data_key, clo_buf_span(&bytes), &file_key));
    CLO_TRY(clo_seal_writer_new(path, clo_buf_span(&bytes), &file_key, &writer));
    for (size_t at = 0; at < plain.size; at += step) {
        size_t count = plain.size - at < step ? plain.size - at : step;
        CLO_TRY(clo_seal_writer_write(writer, CLO_SPAN(plain.data + at, count)));
    }
    return clo_seal_writer_finish(writer, out_digest);
}

__attribute__((unused)) static clo_status
rig_seal(const char *path, clo_span plain, clo_seal_header *out_header, uint8_t out_digest[32])
{
    CLO_TRY(clo_seal_header_init(out_header));
    out_header->log2_chunk = RIG_LOG2;
    memset(out_header->data_set_id, 0xd5, sizeof out_header->data_set_id);
    memset(out_header->key_id, 0x4e, sizeof out_header->key_id);
    return rig_seal_header(path, out_header, plain, 1000, out_digest);
}

/* Gives the key a broker would: derived from the header that stands in the file. */
__attribute__((unused)) static clo_status rig_unlock(clo_seal_reader *reader, uint8_t first)
{
    CLO_AUTO(clo_secret) data_key = CLO_SECRET_INIT;
    CLO_AUTO(clo_secret) file_key = CLO_SECRET_INIT;
    CLO_TRY(rig_data_key(first, &data_key));
    CLO_TRY(clo_seal_file_key(&data_key, clo_seal_reader_header_bytes(reader), &file_key));
    return clo_seal_reader_unlock(reader, &file_key);
}

__attribute__((unused)) static clo_status rig_open(const char *path, clo_seal_reader **out_reader)
{
    CLO_AUTO_PTR(clo_seal_reader) reader = NULL;
    CLO_TRY(clo_seal_reader_open(path, &reader));
    CLO_TRY(rig_unlock(reader, 0));
    *out_reader = CLO_TAKE(reader);
    return CLO_STATUS_OK;
}

/* Opens the file and reads all of it. */
__attribute__((unused)) static clo_status rig_read(const char *path, clo_buf *out)
{
    CLO_AUTO_PTR(clo_seal_reader) reader = NULL;
    CLO_TRY(rig_open(path, &reader));
    size_t size = (size_t)clo_seal_reader_size(reader);
    uint8_t *at = clo_buf_grow(out, size);
    CLO_TRY(clo_buf_check(out));
    return clo_seal_reader_read(reader, 0, at, size);
}

#endif
