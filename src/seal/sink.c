/* SPDX-License-Identifier: Apache-2.0 */
/* The writing half of the chunk format; see sink.h. */
#include "sink.h"

#include <string.h>

void clo_seal_sink_cleanup(clo_seal_sink *sink)
{
    clo_aead_free(sink->aead);
    clo_hash_free(sink->tags);
    clo_buf_release(&sink->plain);
    clo_buf_release(&sink->sealed);
    *sink = CLO_SEAL_SINK_INIT;
}

clo_status clo_seal_sink_begin(clo_seal_sink *sink, int fd, clo_span header, uint8_t log2_chunk,
                               const clo_secret *file_key)
{
    uint8_t commit[CLO_SEAL_COMMIT];
    CLO_CHECK(file_key->size == CLO_AEAD_KEY, CLO_INVALID, "a file key has %zu bytes, expected %d",
              file_key->size, CLO_AEAD_KEY);
    sink->fd = fd;
    sink->chunk = (size_t)1 << log2_chunk;
    CLO_TRY(clo_buf_reserve(&sink->plain, sink->chunk));
    CLO_TRY(clo_buf_reserve(&sink->sealed, sink->chunk + CLO_SEAL_TAG));
    CLO_TRY(clo_hash_new(&sink->tags));
    CLO_TRY(clo_hash_update(sink->tags, header));
    CLO_TRY(clo_seal_keys_derive(file_key, header, &sink->aead, commit));
    CLO_TRY(clo_fd_write_all(fd, header));
    return clo_fd_write_all(fd, CLO_SPAN_OF(commit));
}

static clo_status put_chunk(clo_seal_sink *sink, bool last)
{
    clo_buf_clear(&sink->sealed);
    uint8_t *out = clo_buf_grow(&sink->sealed, sink->plain.size + CLO_SEAL_TAG);
    CLO_TRY(clo_buf_check(&sink->sealed));
    CLO_TRY(clo_seal_chunk_seal(sink->aead, sink->index, last, clo_buf_span(&sink->plain), out));
    CLO_TRY(clo_hash_update(sink->tags, CLO_SPAN(out + sink->plain.size, CLO_SEAL_TAG)));
    sink->index++;
    clo_wipe(sink->plain.data, sink->plain.size);
    clo_buf_clear(&sink->plain);
    return clo_fd_write_all(sink->fd, clo_buf_span(&sink->sealed));
}

static clo_status take(clo_seal_sink *sink, clo_span plain)
{
    while (plain.size > 0) {
        if (sink->plain.size == sink->chunk) {
            CLO_TRY(put_chunk(sink, false));
        }
        size_t room = sink->chunk - sink->plain.size;
        size_t count = plain.size < room ? plain.size : room;
        clo_put_bytes(&sink->plain, plain.data, count);
        CLO_TRY(clo_buf_check(&sink->plain));
        plain = CLO_SPAN(plain.data + count, plain.size - count);
    }
    return CLO_STATUS_OK;
}

clo_status clo_seal_sink_write(clo_seal_sink *sink, clo_span plain)
{
    CLO_CHECK(!sink->failed && !sink->finished, CLO_INVALID, "this sealed file is %s",
              sink->failed ? "broken" : "finished");
    clo_status status = take(sink, plain);
    sink->failed = !clo_ok(status);
    return status;
}

clo_status clo_seal_sink_finish(clo_seal_sink *sink, uint8_t out_digest[32])
{
    uint8_t digest[CLO_SHA256_SIZE];
    CLO_CHECK(!sink->failed && !sink->finished, CLO_INVALID, "this sealed file is %s",
              sink->failed ? "broken" : "finished");
    sink->finished = true;
    CLO_TRY(put_chunk(sink, true));
    CLO_TRY(clo_hash_final(sink->tags, digest));
    if (out_digest != NULL) {
        memcpy(out_digest, digest, sizeof digest);
    }
    return CLO_STATUS_OK;
}
