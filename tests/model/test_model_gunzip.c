/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gzip: members as gzip(1) makes them, and everything that is not one.
 */
#include "test.h"

#include <string.h>

#include "cloister/model.h"

static size_t allocations;
static size_t fail_at = SIZE_MAX;

bool clo_mem_should_fail(void)
{
    return allocations++ == fail_at;
}

/* printf 'cloister' | gzip -n */
static const uint8_t packed[] = {0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03,
                                 0x4b, 0xce, 0xc9, 0xcf, 0x2c, 0x2e, 0x49, 0x2d, 0x02, 0x00,
                                 0x1f, 0xb6, 0x23, 0x96, 0x08, 0x00, 0x00, 0x00};

static void unpacks_one_member(void)
{
    CLO_AUTO(clo_buf) out = CLO_BUF_INIT;
    T_OK(clo_gunzip(CLO_SPAN_OF(packed), &out));
    T_CHECK(clo_span_equals_str(clo_buf_span(&out), "cloister"));
}

static void unpacks_members_in_a_row(void)
{
    CLO_AUTO(clo_buf) two = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) out = CLO_BUF_INIT;
    clo_put_bytes(&two, packed, sizeof packed);
    clo_put_bytes(&two, packed, sizeof packed);
    T_OK(clo_gunzip(clo_buf_span(&two), &out));
    T_CHECK(clo_span_equals_str(clo_buf_span(&out), "cloistercloister"));
}

static void refuses_every_truncation(void)
{
    for (size_t size = 0; size < sizeof packed; size++) {
        CLO_AUTO(clo_buf) out = CLO_BUF_INIT;
        T_CODE(clo_gunzip(CLO_SPAN(packed, size), &out), CLO_FORMAT);
    }
}

/* Some bits mean nothing (time, padding of the last deflate byte): those may pass, unchanged. */
static void a_flipped_bit_never_gives_other_content(void)
{
    size_t passed = 0;
    for (size_t bit = 0; bit < sizeof packed * 8; bit++) {
        CLO_AUTO(clo_buf) out = CLO_BUF_INIT;
        uint8_t copy[sizeof packed];
        memcpy(copy, packed, sizeof copy);
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        clo_status status = clo_gunzip(CLO_SPAN_OF(copy), &out);
        bool same = clo_ok(status) && clo_span_equals_str(clo_buf_span(&out), "cloister");
        T_CHECK(status.code == CLO_FORMAT || same);
        passed += same ? 1 : 0;
    }
    T_CHECK(passed < 80);
}

static void refuses_bytes_behind_the_last_member(void)
{
    CLO_AUTO(clo_buf) file = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) out = CLO_BUF_INIT;
    clo_put_bytes(&file, packed, sizeof packed);
    clo_put_str(&file, "more");
    T_CODE(clo_gunzip(clo_buf_span(&file), &out), CLO_FORMAT);
}

static void refuses_more_than_the_buffer_may_hold(void)
{
    CLO_AUTO(clo_buf) exact = CLO_BUF_LIMIT(8);
    CLO_AUTO(clo_buf) small = CLO_BUF_LIMIT(7);
    T_OK(clo_gunzip(CLO_SPAN_OF(packed), &exact));
    T_CODE(clo_gunzip(CLO_SPAN_OF(packed), &small), CLO_LIMIT);
}

static void refuses_what_is_no_gzip(void)
{
    CLO_AUTO(clo_buf) out = CLO_BUF_INIT;
    T_CODE(clo_gunzip(clo_span_of_str("PK\3\4 not gzip"), &out), CLO_FORMAT);
    T_CODE(clo_gunzip(CLO_SPAN_EMPTY, &out), CLO_FORMAT);
}

static void short_memory_is_a_clean_refusal(void)
{
    clo_status status = clo_status_make(CLO_NOMEM, __FILE__, __LINE__, __func__, "start");
    for (size_t n = 0; !clo_ok(status); n++) {
        CLO_AUTO(clo_buf) out = CLO_BUF_INIT;
        allocations = 0;
        fail_at = n;
        status = clo_gunzip(CLO_SPAN_OF(packed), &out);
        fail_at = SIZE_MAX;
        T_CHECK(clo_ok(status) || status.code == CLO_NOMEM);
        T_CHECK(n < 100);
    }
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(unpacks_one_member),
        T(unpacks_members_in_a_row),
        T(refuses_every_truncation),
        T(a_flipped_bit_never_gives_other_content),
        T(refuses_bytes_behind_the_last_member),
        T(refuses_more_than_the_buffer_may_hold),
        T(refuses_what_is_no_gzip),
        T(short_memory_is_a_clean_refusal),
    };
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
