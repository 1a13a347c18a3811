/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IDX headers: see idx.h. The declared counts are compared with the file's size before anything is
 * allocated, so a lying header costs nothing.
 */
#include "idx.h"

#include "cloister/data.h"

static const struct {
    const char *name;
    uint32_t magic;
    size_t header_size;
} kinds[] = {
    [CLO_IDX_IMAGES] = {"images", 0x00000803, 16},
    [CLO_IDX_LABELS] = {"labels", 0x00000801, 8},
};

const char *clo_idx_kind_name(clo_idx_kind kind)
{
    return kinds[kind].name;
}

static clo_status check_sides(const char *name, size_t height, size_t width)
{
    CLO_CHECK(height > 0 && width > 0, CLO_FORMAT, "idx %s: height or width is zero", name);
    CLO_CHECK(height <= CLO_DATASET_SIDE_MAX && width <= CLO_DATASET_SIDE_MAX, CLO_LIMIT,
              "idx %s: %zu x %zu, expected at most %d a side", name, height, width,
              CLO_DATASET_SIDE_MAX);
    return CLO_STATUS_OK;
}

/* 2^32 records of 4096 x 4096 bytes cannot overflow 64 bits. */
static clo_status check_size(const char *name, const clo_idx_header *header, uint64_t file_size)
{
    uint64_t body = (uint64_t)header->count * header->height * header->width;
    CLO_CHECK(file_size == header->header_size + body, CLO_FORMAT,
              "idx %s: %zu records of %zu x %zu take %llu bytes, expected a file of that size and "
              "found %llu",
              name, header->count, header->height, header->width,
              (unsigned long long)(header->header_size + body), (unsigned long long)file_size);
    CLO_CHECK(body <= CLO_DATASET_BYTES_MAX, CLO_LIMIT,
              "idx %s: %llu bytes of records, expected at most %zu", name, (unsigned long long)body,
              CLO_DATASET_BYTES_MAX);
    return CLO_STATUS_OK;
}

clo_status clo_idx_header_parse(clo_idx_kind kind, clo_span head, uint64_t file_size,
                                clo_idx_header *out_header)
{
    const char *name = kinds[kind].name;
    clo_reader r = clo_reader_of(head);
    uint32_t magic = clo_read_u32be(&r);
    clo_idx_header header = {.header_size = kinds[kind].header_size, .height = 1, .width = 1};
    header.count = clo_read_u32be(&r);
    if (kind == CLO_IDX_IMAGES) {
        header.height = clo_read_u32be(&r);
        header.width = clo_read_u32be(&r);
    }
    CLO_CHECK(magic == kinds[kind].magic, CLO_FORMAT,
              "idx %s: magic number is 0x%08x, expected 0x%08x", name, magic, kinds[kind].magic);
    CLO_CHECK(!r.failed, CLO_FORMAT, "idx %s: header is %zu bytes, expected %zu", name, head.size,
              header.header_size);
    CLO_TRY(check_sides(name, header.height, header.width));
    CLO_TRY(check_size(name, &header, file_size));
    *out_header = header;
    return CLO_STATUS_OK;
}
