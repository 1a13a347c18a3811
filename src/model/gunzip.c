/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gzip (RFC 1952) to plain bytes, and the only file that knows zlib. All members of a file are
 * unpacked, as gunzip does; checksums and lengths are zlib's to check, trailing bytes that are no
 * member are refused.
 */
/* zlib then takes its input as const. */
#define ZLIB_CONST
#include <zlib.h>

#include "cloister/model.h"

enum { CHUNK = 16 << 10, GZIP_ONLY = 16 };

static void *take(void *opaque, unsigned count, unsigned size)
{
    (void)opaque;
    return clo_alloc_array(count, size);
}

static void give(void *opaque, void *memory)
{
    (void)opaque;
    clo_free(memory);
}

/* The converter for zlib's codes, the only one. */
static clo_status status_from_zlib(int code, const z_stream *z)
{
    CLO_CHECK(code != Z_MEM_ERROR, CLO_NOMEM, "out of memory for unpacking");
    CLO_CHECK(code == Z_OK || code == Z_STREAM_END, CLO_FORMAT, "gzip data is damaged at byte %lu",
              z->total_in);
    return CLO_STATUS_OK;
}

/* Unpacks until the input is used up after a whole member. */
static clo_status unpack(z_stream *z, clo_buf *out)
{
    uint8_t chunk[CHUNK];
    int code;
    do {
        z->next_out = chunk;
        z->avail_out = CHUNK;
        code = inflate(z, Z_NO_FLUSH);
        CLO_TRY(status_from_zlib(code, z));
        clo_put_bytes(out, chunk, CHUNK - z->avail_out);
        CLO_TRY(clo_buf_check(out));
        if (code == Z_STREAM_END && z->avail_in > 0) {
            CLO_TRY(status_from_zlib(inflateReset(z), z));
        }
    } while (code != Z_STREAM_END || z->avail_in > 0);
    return CLO_STATUS_OK;
}

clo_status clo_gunzip(clo_span file, clo_buf *out)
{
    CLO_CHECK(file.size > 0, CLO_FORMAT, "gzip data is empty");
    CLO_CHECK(file.size <= UINT32_MAX, CLO_LIMIT, "gzip data of %zu bytes", file.size);
    z_stream z = {
        .zalloc = take, .zfree = give, .next_in = file.data, .avail_in = (unsigned)file.size};
    CLO_TRY(status_from_zlib(inflateInit2(&z, MAX_WBITS + GZIP_ONLY), &z));
    clo_status status = unpack(&z, out);
    (void)inflateEnd(&z); /* cannot fail on an initialised stream */
    return status;
}
