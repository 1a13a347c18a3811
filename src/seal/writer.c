/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sealed file, written once and whole: the chunks go to a temporary file beside the target, which
 * takes the target's name only after the last chunk.
 */
#include <string.h>

#include "cloister/seal.h"
#include "sink.h"

enum { MODE = 0600 };

struct clo_seal_writer {
    clo_atomic_file file;
    clo_seal_sink sink;
};

void clo_seal_writer_free(clo_seal_writer *writer)
{
    if (writer != NULL) {
        clo_seal_sink_cleanup(&writer->sink);
        clo_atomic_abort(&writer->file);
        clo_free(writer);
    }
}

clo_status clo_seal_writer_new(const char *path, clo_span header, const clo_secret *file_key,
                               clo_seal_writer **out_writer)
{
    clo_seal_header fields;
    size_t size;
    CLO_TRY(clo_seal_header_parse(header, &fields, &size));
    CLO_CHECK(size == header.size, CLO_INVALID, "%zu bytes left over after the header",
              header.size - size);
    CLO_AUTO_PTR(clo_seal_writer) writer = clo_alloc(sizeof *writer);
    CLO_CHECK(writer != NULL, CLO_NOMEM, "no memory to seal '%s'", path);
    writer->file = CLO_ATOMIC_FILE_INIT;
    CLO_TRY(clo_atomic_begin(path, MODE, &writer->file));
    CLO_TRY_CTX(
        clo_seal_sink_begin(&writer->sink, writer->file.fd, header, fields.log2_chunk, file_key),
        "sealing '%s'", path);
    *out_writer = CLO_TAKE(writer);
    return CLO_STATUS_OK;
}

clo_status clo_seal_writer_write(clo_seal_writer *writer, clo_span plain)
{
    CLO_TRY_CTX(clo_seal_sink_write(&writer->sink, plain), "sealing '%s'", writer->file.path);
    return CLO_STATUS_OK;
}

clo_status clo_seal_writer_finish(clo_seal_writer *writer, uint8_t out_digest[32])
{
    uint8_t digest[CLO_SHA256_SIZE];
    CLO_TRY_CTX(clo_seal_sink_finish(&writer->sink, digest), "sealing '%s'", writer->file.path);
    CLO_TRY(clo_atomic_commit(&writer->file));
    if (out_digest != NULL) {
        memcpy(out_digest, digest, sizeof digest);
    }
    return CLO_STATUS_OK;
}
