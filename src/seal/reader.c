/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random access to a sealed file. Opening reads the header and derives the cut into chunks from the
 * file's size; unlocking proves that size with the last chunk; from then on the descriptor and the
 * cut are kept, and a file that has become shorter fails its next read.
 *
 *     opened --check_digest (the index)--> opened --unlock (commitment, last chunk)--> readable
 *
 * Invariants: the header's bytes are read once and are the ones that the key is asked for; plain
 * bytes stand in `plain` only after their tag held, and reach the caller from there.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "chunk.h"
#include "cloister/seal.h"

static const uint64_t no_chunk = UINT64_MAX;

struct clo_seal_reader {
    int fd;
    char path[1024];
    clo_buf header; /* its exact bytes; `fields` borrows from it */
    clo_seal_header fields;
    uint8_t commit[CLO_SEAL_COMMIT];
    uint64_t body; /* where chunk 0 starts */
    clo_seal_shape shape;
    clo_aead *aead; /* NULL until unlocked */
    clo_buf sealed, plain;
    uint64_t at; /* the chunk that stands in `plain` */
};

void clo_seal_reader_free(clo_seal_reader *reader)
{
    if (reader != NULL) {
        if (reader->fd >= 0) {
            close(reader->fd);
        }
        clo_aead_free(reader->aead);
        clo_buf_release(&reader->header);
        clo_buf_release(&reader->sealed);
        clo_buf_release(&reader->plain);
        clo_free(reader);
    }
}

static clo_status open_file(clo_seal_reader *reader, const char *path, uint64_t *out_size)
{
    struct stat info;
    int length = snprintf(reader->path, sizeof reader->path, "%s", path);
    CLO_CHECK(length > 0 && (size_t)length < sizeof reader->path, CLO_INVALID,
              "a path of %d bytes, expected 1 to %zu", length, sizeof reader->path - 1);
    reader->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (reader->fd < 0) {
        return CLO_ERRNO("open '%s'", path);
    }
    if (fstat(reader->fd, &info) != 0) {
        return CLO_ERRNO("stat '%s'", path);
    }
    CLO_CHECK(S_ISREG(info.st_mode), CLO_FORMAT, "'%s' is no regular file", path);
    *out_size = (uint64_t)info.st_size;
    return CLO_STATUS_OK;
}

static clo_status read_header(clo_seal_reader *reader, uint64_t file_size)
{
    size_t count = file_size < CLO_SEAL_HEADER_MAX ? (size_t)file_size : CLO_SEAL_HEADER_MAX;
    size_t size;
    uint8_t *bytes = clo_buf_grow(&reader->header, count);
    CLO_TRY(clo_buf_check(&reader->header));
    CLO_TRY(clo_fd_pread_all(reader->fd, bytes, count, 0));
    CLO_TRY(clo_seal_header_parse(clo_buf_span(&reader->header), &reader->fields, &size));
    reader->header.size = size;
    reader->body = size + CLO_SEAL_COMMIT;
    CLO_CHECK(file_size >= reader->body, CLO_FORMAT, "the file ends inside its commitment");
    CLO_TRY(clo_fd_pread_all(reader->fd, reader->commit, CLO_SEAL_COMMIT, size));
    return clo_seal_shape_of(file_size - reader->body, reader->fields.log2_chunk, &reader->shape);
}

static clo_status make_buffers(clo_seal_reader *reader)
{
    size_t most = reader->shape.chunks == 1 ? reader->shape.last : reader->shape.chunk;
    CLO_TRY(clo_buf_reserve(&reader->plain, most));
    return clo_buf_reserve(&reader->sealed, most + CLO_SEAL_TAG);
}

clo_status clo_seal_reader_open(const char *path, clo_seal_reader **out_reader)
{
    uint64_t size;
    CLO_AUTO_PTR(clo_seal_reader) reader = clo_alloc(sizeof *reader);
    CLO_CHECK(reader != NULL, CLO_NOMEM, "no memory to open '%s'", path);
    reader->fd = -1;
    reader->at = no_chunk;
    CLO_TRY(open_file(reader, path, &size));
    CLO_TRY_CTX(read_header(reader, size), "sealed file '%s'", path);
    CLO_TRY(make_buffers(reader));
    *out_reader = CLO_TAKE(reader);
    return CLO_STATUS_OK;
}

const clo_seal_header *clo_seal_reader_header(const clo_seal_reader *reader)
{
    return &reader->fields;
}

clo_span clo_seal_reader_header_bytes(const clo_seal_reader *reader)
{
    return clo_buf_span(&reader->header);
}

static size_t plain_size_of(const clo_seal_reader *reader, uint64_t index)
{
    return index + 1 == reader->shape.chunks ? reader->shape.last : reader->shape.chunk;
}

static uint64_t offset_of(const clo_seal_reader *reader, uint64_t index)
{
    return reader->body + index * (reader->shape.chunk + CLO_SEAL_TAG);
}

/* The size was fixed when the file was opened, so an end before that is an attack or a fault. */
static clo_status read_exactly(const clo_seal_reader *reader, void *out, size_t size,
                               uint64_t offset)
{
    clo_status status = clo_fd_pread_all(reader->fd, out, size, offset);
    CLO_CHECK(status.code != CLO_FORMAT, CLO_CRYPTO, "the file became shorter");
    return status;
}

static clo_status hash_tags(const clo_seal_reader *reader, uint8_t out_digest[32])
{
    CLO_AUTO_PTR(clo_hash) hash = NULL;
    uint8_t tag[CLO_SEAL_TAG];
    CLO_TRY(clo_hash_new(&hash));
    CLO_TRY(clo_hash_update(hash, clo_buf_span(&reader->header)));
    for (uint64_t i = 0; i < reader->shape.chunks; i++) {
        CLO_TRY(
            read_exactly(reader, tag, sizeof tag, offset_of(reader, i) + plain_size_of(reader, i)));
        CLO_TRY(clo_hash_update(hash, CLO_SPAN_OF(tag)));
    }
    return clo_hash_final(hash, out_digest);
}

clo_status clo_seal_reader_check_digest(clo_seal_reader *reader, const uint8_t digest[32])
{
    uint8_t actual[CLO_SHA256_SIZE];
    CLO_TRY_CTX(hash_tags(reader, actual), "sealed file '%s'", reader->path);
    CLO_CHECK(clo_equal_ct(actual, digest, sizeof actual), CLO_CRYPTO,
              "sealed file '%s' is not the one that the index names", reader->path);
    return CLO_STATUS_OK;
}

/* Brings chunk `index` into `plain`. */
static clo_status load(clo_seal_reader *reader, uint64_t index)
{
    if (reader->at == index) {
        return CLO_STATUS_OK;
    }
    size_t size = plain_size_of(reader, index);
    reader->at = no_chunk;
    clo_buf_clear(&reader->sealed);
    clo_buf_clear(&reader->plain);
    uint8_t *sealed = clo_buf_grow(&reader->sealed, size + CLO_SEAL_TAG);
    uint8_t *plain = clo_buf_grow(&reader->plain, size);
    CLO_TRY(clo_buf_check(&reader->sealed));
    CLO_TRY(clo_buf_check(&reader->plain));
    CLO_TRY(read_exactly(reader, sealed, size + CLO_SEAL_TAG, offset_of(reader, index)));
    CLO_TRY(clo_seal_chunk_open(reader->aead, index, index + 1 == reader->shape.chunks,
                                clo_buf_span(&reader->sealed), plain));
    reader->at = index;
    return CLO_STATUS_OK;
}

static clo_status unlock(clo_seal_reader *reader, const clo_secret *file_key)
{
    CLO_TRY(clo_seal_keys_check(file_key, clo_buf_span(&reader->header), reader->commit,
                                &reader->aead));
    clo_status status = load(reader, reader->shape.chunks - 1);
    if (!clo_ok(status)) { /* nothing can be read from a file whose length is not proved */
        clo_aead_free(CLO_TAKE(reader->aead));
    }
    return status;
}

clo_status clo_seal_reader_unlock(clo_seal_reader *reader, const clo_secret *file_key)
{
    CLO_CHECK(reader->aead == NULL, CLO_INVALID, "sealed file '%s' is unlocked already",
              reader->path);
    CLO_TRY_CTX(unlock(reader, file_key), "sealed file '%s'", reader->path);
    return CLO_STATUS_OK;
}

uint64_t clo_seal_reader_size(const clo_seal_reader *reader)
{
    return reader->shape.size;
}

static clo_status read_chunks(clo_seal_reader *reader, uint64_t offset, uint8_t *out, size_t size)
{
    while (size > 0) {
        uint64_t index = offset / reader->shape.chunk;
        size_t from = (size_t)(offset % reader->shape.chunk);
        CLO_TRY(load(reader, index));
        size_t room = reader->plain.size - from;
        size_t count = size < room ? size : room;
        memcpy(out, reader->plain.data + from, count);
        out += count;
        offset += count;
        size -= count;
    }
    return CLO_STATUS_OK;
}

clo_status clo_seal_reader_read(clo_seal_reader *reader, uint64_t offset, void *out, size_t size)
{
    CLO_CHECK(reader->aead != NULL, CLO_INVALID, "sealed file '%s' is not unlocked", reader->path);
    CLO_CHECK(offset <= reader->shape.size && size <= reader->shape.size - offset, CLO_INVALID,
              "%zu bytes from %llu of sealed file '%s', which has %llu", size,
              (unsigned long long)offset, reader->path, (unsigned long long)reader->shape.size);
    clo_status status = read_chunks(reader, offset, out, size);
    if (!clo_ok(status)) {
        clo_wipe(out, size);
    }
    CLO_TRY_CTX(status, "sealed file '%s'", reader->path);
    return CLO_STATUS_OK;
}
