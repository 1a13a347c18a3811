/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of sealed files: against digests of files made by another program from the description
 * (record_vectors.py), at sizes around chunk boundaries, read back in every way.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "chunk.h"
#include "seal_rig.h"

static void ramp(uint8_t *out, uint8_t first, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        out[i] = (uint8_t)(first + i);
    }
}

static clo_seal_header fixed_header(void)
{
    clo_seal_header header = {.part = 2, .parts = 5, .key_version = 7, .log2_chunk = RIG_LOG2};
    ramp(header.file_id, 1, sizeof header.file_id);
    ramp(header.data_set_id, 2, sizeof header.data_set_id);
    ramp(header.key_id, 3, sizeof header.key_id);
    ramp(header.salt, 4, sizeof header.salt);
    header.policy = clo_span_of_str("{\"policy\":1}");
    return header;
}

static void files_equal_those_of_another_program(void)
{
    static const struct {
        size_t plain, sealed;
        const char *file, *digest;
    } vectors[] = {
        {0, 167, "bbd43993b27c67086224671e602730c2b4c3ea932dd944a8e62ee41e154a5637",
         "16a51e6715e1ba1df16c63a7ea3f6174ea4f12d902a549c9d7d42e54ad7eb872"},
        {1, 168, "d021d1ec0858a50092fad8d7867d22e8b30f61d952f933b86de83f5fb3a4168c",
         "cba4f67909cbf016c7f2964541ad2e5698cfd51f48f283c8e5b43209e5fc45e0"},
        {4096, 4263, "e6f709d9c4b0b9173acc51b8e243f69a2b0feb882cb1799518142ddd29d348a4",
         "f1f9beace47f464e4d947954845818e0cfaa774d645c1074451d3b62ee6c7c1b"},
        {9000, 9199, "5419a32026a143f7ed928d5038312f5eee36b109f7324d70a06dca33b9ca3e72",
         "4b7ee7dcee6b617d87c7fb064dac9df929eade0f049dc4412df67ae4727c5dbe"},
    };

    const char *path = rig_path(clo_test_folder(), "f");
    clo_seal_header header = fixed_header();
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        CLO_AUTO(clo_buf) plain = CLO_BUF_INIT;
        CLO_AUTO(clo_buf) sealed = CLO_BUF_INIT;
        uint8_t digest[32], expected[32];
        rig_plain(&plain, vectors[i].plain);
        T_OK(rig_seal_header(path, &header, clo_buf_span(&plain), 777, digest));
        T_OK(clo_hex_decode(clo_span_of_str(vectors[i].digest), expected, 32));
        T_CHECK(memcmp(digest, expected, 32) == 0);
        T_OK(clo_file_read(path, 1 << 20, &sealed));
        T_INT(sealed.size, vectors[i].sealed);
        T_OK(clo_sha256(clo_buf_span(&sealed), digest));
        T_OK(clo_hex_decode(clo_span_of_str(vectors[i].file), expected, 32));
        T_CHECK(memcmp(digest, expected, 32) == 0);
    }
}

static void every_size_around_a_boundary_comes_back(void)
{
    static const size_t sizes[] = {0,    1,    15,   16,   17,   4079, 4080,  4081,  4095,
                                   4096, 4097, 8191, 8192, 8193, 8208, 12287, 12288, 12289};
    static const size_t steps[] = {1, 4095, 4096, 4097, 100000};
    const char *path = rig_path(clo_test_folder(), "f");
    clo_seal_header header;
    T_OK(clo_seal_header_init(&header));
    header.log2_chunk = RIG_LOG2;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (size_t k = i % 2; k < sizeof steps / sizeof *steps; k += 2) {
            CLO_AUTO(clo_buf) plain = CLO_BUF_INIT;
            CLO_AUTO(clo_buf) back = CLO_BUF_INIT;
            rig_plain(&plain, sizes[i]);
            T_OK(rig_seal_header(path, &header, clo_buf_span(&plain), steps[k], NULL));
            T_OK(rig_read(path, &back));
            T_INT(back.size, sizes[i]);
            T_CHECK(clo_span_equal(clo_buf_span(&plain), clo_buf_span(&back)));
        }
    }
}

static void any_range_can_be_read(void)
{
    CLO_AUTO(clo_buf) plain = CLO_BUF_INIT;
    CLO_AUTO_PTR(clo_seal_reader) reader = NULL;
    const char *path = rig_path(clo_test_folder(), "f");
    clo_seal_header header;
    static uint8_t out[20000];
    const size_t size = 3 * RIG_CHUNK + 100;
    rig_plain(&plain, size);
    T_OK(rig_seal(path, clo_buf_span(&plain), &header, NULL));
    T_OK(rig_open(path, &reader));
    T_INT(clo_seal_reader_size(reader), size);
    uint64_t state = 1;
    for (int i = 0; i < 2000; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        size_t offset = (size_t)(state >> 33) % (size + 1);
        size_t count = (size_t)(state >> 13 & 0xffff) % (size - offset + 1);
        T_OK(clo_seal_reader_read(reader, offset, out, count));
        T_CHECK(memcmp(out, plain.data + offset, count) == 0);
    }
    T_OK(clo_seal_reader_read(reader, size, out, 0));
    T_CODE(clo_seal_reader_read(reader, size, out, 1), CLO_INVALID);
    T_CODE(clo_seal_reader_read(reader, 0, out, size + 1), CLO_INVALID);
    T_CODE(clo_seal_reader_read(reader, UINT64_MAX, out, 2), CLO_INVALID);
}

static void headers_are_written_back_as_they_were(void)
{
    CLO_AUTO(clo_buf) first = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) again = CLO_BUF_INIT;
    clo_seal_header header = fixed_header();
    clo_seal_header parsed;
    size_t size;
    T_OK(clo_seal_header_write(&header, &first));
    clo_put_str(&first, "what follows");
    T_OK(clo_seal_header_parse(clo_buf_span(&first), &parsed, &size));
    T_INT(size, first.size - 12);
    T_INT(parsed.part, 2);
    T_INT(parsed.parts, 5);
    T_INT(parsed.key_version, 7);
    T_CHECK(clo_span_equal(parsed.policy, header.policy));
    T_OK(clo_seal_header_write(&parsed, &again));
    T_CHECK(clo_span_equal(clo_buf_span(&again), CLO_SPAN(first.data, size)));
}

static void headers_of_two_files_share_neither_id_nor_salt(void)
{
    clo_seal_header a, b;
    T_OK(clo_seal_header_init(&a));
    T_OK(clo_seal_header_init(&b));
    T_CHECK(memcmp(a.file_id, b.file_id, 16) != 0);
    T_CHECK(memcmp(a.salt, b.salt, 32) != 0);
    T_INT(a.log2_chunk, CLO_SEAL_LOG2_CHUNK);
    T_INT(a.parts, 1);
}

static void refuses_headers_outside_their_limits(void)
{
    static const struct {
        size_t at;
        uint8_t value;
        clo_code code;
    } cases[] = {
        {0, 0x88, CLO_FORMAT},   {7, 'M', CLO_FORMAT},    {8, 1, CLO_UNSUPPORTED},
        {9, 2, CLO_UNSUPPORTED}, {9, 0, CLO_UNSUPPORTED}, {70, 11, CLO_FORMAT},
        {70, 25, CLO_FORMAT},    {70, 0, CLO_FORMAT},     {45, 5, CLO_FORMAT},
        {49, 2, CLO_FORMAT},     {49, 0, CLO_FORMAT},     {103, 1, CLO_FORMAT},
        {104, 2, CLO_FORMAT},    {106, 13, CLO_FORMAT},
    };

    CLO_AUTO(clo_buf) bytes = CLO_BUF_INIT;
    clo_seal_header header = fixed_header();
    clo_seal_header parsed;
    size_t size;
    T_OK(clo_seal_header_write(&header, &bytes));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t before = bytes.data[cases[i].at];
        bytes.data[cases[i].at] = cases[i].value;
        T_CODE(clo_seal_header_parse(clo_buf_span(&bytes), &parsed, &size), cases[i].code);
        bytes.data[cases[i].at] = before;
    }
    for (size_t i = 0; i < bytes.size; i++) {
        T_CODE(clo_seal_header_parse(CLO_SPAN(bytes.data, i), &parsed, &size), CLO_FORMAT);
    }
    T_OK(clo_seal_header_parse(clo_buf_span(&bytes), &parsed, &size));
}

static void refuses_to_write_headers_it_would_not_read(void)
{
    static uint8_t large[CLO_SEAL_POLICY_MAX + 1];
    CLO_AUTO(clo_buf) bytes = CLO_BUF_INIT;
    clo_seal_header header = fixed_header();
    header.policy = CLO_SPAN_OF(large);
    T_CODE(clo_seal_header_write(&header, &bytes), CLO_INVALID);
    header.policy.size--;
    T_OK(clo_seal_header_write(&header, &bytes));
    T_CHECK(bytes.size <= CLO_SEAL_HEADER_MAX);
    header.log2_chunk = 25;
    T_CODE(clo_seal_header_write(&header, &bytes), CLO_INVALID);
    header.log2_chunk = 11;
    T_CODE(clo_seal_header_write(&header, &bytes), CLO_INVALID);
    header.log2_chunk = 12;
    header.parts = 2;
    T_CODE(clo_seal_header_write(&header, &bytes), CLO_INVALID);
}

static void the_largest_policy_travels(void)
{
    static uint8_t large[CLO_SEAL_POLICY_MAX];
    CLO_AUTO_PTR(clo_seal_reader) reader = NULL;
    const char *path = rig_path(clo_test_folder(), "f");
    clo_seal_header header = fixed_header();
    memset(large, 'p', sizeof large);
    header.policy = CLO_SPAN_OF(large);
    T_OK(rig_seal_header(path, &header, clo_span_of_str("x"), 1, NULL));
    T_OK(rig_open(path, &reader));
    T_CHECK(clo_span_equal(clo_seal_reader_header(reader)->policy, CLO_SPAN_OF(large)));
    uint8_t byte;
    T_OK(clo_seal_reader_read(reader, 0, &byte, 1));
    T_INT(byte, 'x');
}

static void another_header_has_another_key(void)
{
    CLO_AUTO(clo_secret) data_key = CLO_SECRET_INIT;
    CLO_AUTO(clo_secret) one = CLO_SECRET_INIT;
    CLO_AUTO(clo_secret) two = CLO_SECRET_INIT;
    CLO_AUTO(clo_buf) strict = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) lax = CLO_BUF_INIT;
    clo_seal_header header = fixed_header();
    T_OK(rig_data_key(0, &data_key));
    T_OK(clo_seal_header_write(&header, &strict));
    header.policy = clo_span_of_str("{\"policy\":2}");
    T_OK(clo_seal_header_write(&header, &lax));
    T_OK(clo_seal_file_key(&data_key, clo_buf_span(&strict), &one));
    T_OK(clo_seal_file_key(&data_key, clo_buf_span(&lax), &two));
    T_CHECK(!clo_equal_ct(one.data, two.data, 32));
    clo_put_u8(&lax, 0);
    CLO_AUTO(clo_secret) three = CLO_SECRET_INIT;
    T_CODE(clo_seal_file_key(&data_key, clo_buf_span(&lax), &three), CLO_FORMAT);
}

static void an_unfinished_file_never_appears(void)
{
    CLO_AUTO(clo_secret) key = CLO_SECRET_INIT;
    CLO_AUTO(clo_buf) bytes = CLO_BUF_INIT;
    const char *path = rig_path(clo_test_folder(), "f");
    clo_seal_header header = fixed_header();
    clo_seal_writer *writer;
    T_OK(rig_data_key(9, &key));
    T_OK(clo_seal_header_write(&header, &bytes));
    T_OK(clo_seal_writer_new(path, clo_buf_span(&bytes), &key, &writer));
    T_OK(clo_seal_writer_write(writer, clo_buf_span(&bytes)));
    T_CHECK(!clo_file_exists(path));
    clo_seal_writer_free(writer);
    T_CHECK(!clo_file_exists(path));
    T_OK(clo_seal_writer_new(path, clo_buf_span(&bytes), &key, &writer));
    T_OK(clo_seal_writer_finish(writer, NULL));
    clo_status late = clo_seal_writer_write(writer, clo_buf_span(&bytes));
    clo_status twice = clo_seal_writer_finish(writer, NULL);
    clo_seal_writer_free(writer);
    T_INT(late.code, CLO_INVALID);
    T_INT(twice.code, CLO_INVALID);
    struct stat info;
    T_INT(stat(path, &info), 0);
    T_INT(info.st_mode & 0777, 0600);
}

static void refuses_keys_and_headers_of_a_wrong_size(void)
{
    CLO_AUTO(clo_secret) shorter = CLO_SECRET_INIT;
    CLO_AUTO(clo_secret) key = CLO_SECRET_INIT;
    CLO_AUTO(clo_buf) bytes = CLO_BUF_INIT;
    const char *path = rig_path(clo_test_folder(), "f");
    clo_seal_header header = fixed_header();
    clo_seal_writer *writer;
    T_OK(clo_secret_alloc(&shorter, 16));
    T_OK(rig_data_key(9, &key));
    T_OK(clo_seal_header_write(&header, &bytes));
    T_CODE(clo_seal_writer_new(path, clo_buf_span(&bytes), &shorter, &writer), CLO_INVALID);
    clo_put_u8(&bytes, 0);
    T_CODE(clo_seal_writer_new(path, clo_buf_span(&bytes), &key, &writer), CLO_INVALID);
    T_CHECK(!clo_file_exists(path));
}

static void cuts_follow_from_the_size_alone(void)
{
    clo_seal_shape shape;
    T_CODE(clo_seal_shape_of(0, 12, &shape), CLO_FORMAT);
    T_CODE(clo_seal_shape_of(15, 12, &shape), CLO_FORMAT);
    T_OK(clo_seal_shape_of(16, 12, &shape));
    T_INT(shape.chunks, 1);
    T_INT(shape.size, 0);
    T_OK(clo_seal_shape_of(4112, 12, &shape));
    T_INT(shape.chunks, 1);
    T_INT(shape.size, 4096);
    for (uint64_t extra = 1; extra <= 16; extra++) {
        T_CODE(clo_seal_shape_of(4112 + extra, 12, &shape), CLO_FORMAT);
    }
    T_OK(clo_seal_shape_of(4112 + 17, 12, &shape));
    T_INT(shape.chunks, 2);
    T_INT(shape.last, 1);
    const uint64_t most = (uint64_t)4112 << 32;
    T_OK(clo_seal_shape_of(most, 12, &shape));
    T_CHECK(shape.chunks == (uint64_t)1 << 32 && shape.size == (uint64_t)1 << 44);
    T_CODE(clo_seal_shape_of(most + 17, 12, &shape), CLO_FORMAT);
    T_CODE(clo_seal_shape_of(UINT64_MAX, 24, &shape), CLO_FORMAT);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(files_equal_those_of_another_program),
        T(every_size_around_a_boundary_comes_back),
        T(any_range_can_be_read),
        T(headers_are_written_back_as_they_were),
        T(headers_of_two_files_share_neither_id_nor_salt),
        T(refuses_headers_outside_their_limits),
        T(refuses_to_write_headers_it_would_not_read),
        T(the_largest_policy_travels),
        T(another_header_has_another_key),
        T(an_unfinished_file_never_appears),
        T(refuses_keys_and_headers_of_a_wrong_size),
        T(cuts_follow_from_the_size_alone),
    };
    clo_status ready = clo_crypto_init();
    return clo_ok(ready) ? clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests) : 1;
}
