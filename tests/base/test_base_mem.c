/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Allocation, overflow, wiping, secrets and arenas.
 */
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

static bool is_zero(const void *memory, size_t size)
{
    const uint8_t *bytes = memory;
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

static void memory_comes_zeroed_and_size_zero_is_valid(void)
{
    uint8_t *memory = clo_alloc(1000);
    T_CHECK(memory != NULL && is_zero(memory, 1000));
    clo_free(memory);
    memory = clo_alloc(0);
    T_CHECK(memory != NULL);
    clo_free(memory);
    clo_free(NULL);
}

static void sizes_that_overflow_are_refused(void)
{
    size_t out = 7;
    T_CHECK(clo_size_mul(3, 5, &out) && out == 15);
    T_CHECK(clo_size_mul(SIZE_MAX, 1, &out) && out == SIZE_MAX);
    out = 7;
    T_CHECK(!clo_size_mul(SIZE_MAX, 2, &out) && out == 7);
    T_CHECK(!clo_size_mul(SIZE_MAX / 2 + 1, 2, &out) && out == 7);
    T_CHECK(clo_size_add(SIZE_MAX, 0, &out) && out == SIZE_MAX);
    out = 7;
    T_CHECK(!clo_size_add(SIZE_MAX, 1, &out) && out == 7);
    T_CHECK(clo_alloc_array(SIZE_MAX / 2, 3) == NULL);
    T_CHECK(clo_realloc_array(NULL, 0, SIZE_MAX / 2, 3) == NULL);
}

static void aligned_memory_is_aligned_and_zeroed(void)
{
    static const size_t sizes[] = {0, 1, 63, 4097, (size_t)5 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        void *memory = clo_alloc_aligned(sizes[i]);
        T_CHECK(memory != NULL && (uintptr_t)memory % 64 == 0 && is_zero(memory, sizes[i]));
        clo_free(memory);
    }
}

static void growing_keeps_the_contents_and_zeroes_the_rest(void)
{
    uint32_t *numbers = clo_alloc_array(3, sizeof *numbers);
    T_CHECK(numbers != NULL);
    memcpy(numbers, (uint32_t[]){1, 2, 3}, 12);
    numbers = clo_realloc_array(numbers, 3, 100, sizeof *numbers);
    T_CHECK(numbers != NULL && numbers[0] == 1 && numbers[2] == 3 && is_zero(numbers + 3, 388));
    numbers = clo_realloc_array(numbers, 100, 2, sizeof *numbers);
    T_CHECK(numbers != NULL && numbers[1] == 2);
    T_CHECK(clo_realloc_array(numbers, 2, SIZE_MAX, sizeof *numbers) == NULL);
    T_INT(numbers[1], 2);
    clo_free(numbers);
}

static void text_is_copied_up_to_its_cap(void)
{
    char *copy = clo_strdup("abc");
    T_STR(copy, "abc");
    clo_free(copy);
    char *large = clo_alloc(((size_t)1 << 20) + 2);
    T_CHECK(large != NULL);
    memset(large, 'a', (size_t)1 << 20);
    copy = clo_strdup(large);
    T_CHECK(copy != NULL && strlen(copy) == (size_t)1 << 20);
    clo_free(copy);
    large[(size_t)1 << 20] = 'a';
    T_CHECK(clo_strdup(large) == NULL);
    clo_free(large);
}

static void wiping_zeroes_and_takes_null_with_size_zero(void)
{
    char text[] = "secret";
    clo_wipe(text, sizeof text);
    T_CHECK(is_zero(text, sizeof text));
    clo_wipe(NULL, 0);
}

static void constant_time_compare_sees_every_bit(void)
{
    uint8_t a[33] = {0};
    uint8_t b[33] = {0};
    T_CHECK(clo_equal_ct(a, b, sizeof a));
    T_CHECK(clo_equal_ct(NULL, NULL, 0));
    for (size_t bit = 0; bit < sizeof a * 8; bit++) {
        b[bit / 8] = (uint8_t)(1U << bit % 8);
        T_CHECK(!clo_equal_ct(a, b, sizeof a));
        b[bit / 8] = 0;
    }
}

static void secrets_are_zeroed_copied_and_cleared(void)
{
    CLO_AUTO(clo_secret) a = CLO_SECRET_INIT;
    CLO_AUTO(clo_secret) b = CLO_SECRET_INIT;
    T_OK(clo_secret_alloc(&a, 32));
    T_CHECK(a.size == 32 && is_zero(a.data, 32) && (uintptr_t)a.data % 64 == 0);
    memset(a.data, 0x5a, 32);
    T_OK(clo_secret_copy(clo_secret_span(&a), &b));
    T_CHECK(b.data != a.data && clo_equal_ct(a.data, b.data, 32));
    clo_secret_clear(&b);
    T_CHECK(b.data == NULL && b.size == 0);
    clo_secret_clear(&b);
}

static void secret_of_a_wrong_size_is_refused(void)
{
    clo_secret s = CLO_SECRET_INIT;
    T_CODE(clo_secret_alloc(&s, 0), CLO_INVALID);
    T_CODE(clo_secret_alloc(&s, ((size_t)16 << 20) + 1), CLO_INVALID);
    T_CODE(clo_secret_copy(CLO_SPAN_EMPTY, &s), CLO_INVALID);
    T_CHECK(s.data == NULL);
}

/* Takes and clears secrets of many sizes in a fixed disorder; each must stay what it was filled
 * with, and every new one must be zero although its cells were used before. */
static void hundreds_of_secrets_never_touch_each_other(void)
{
    enum { COUNT = 300, ROUNDS = 3000 };

    static clo_secret secrets[COUNT];
    uint32_t state = 1;
    for (int round = 0; round < ROUNDS; round++) {
        state = state * 1664525 + 1013904223;
        clo_secret *s = &secrets[(state >> 8) % COUNT];
        if (s->data != NULL) {
            for (size_t i = 0; i < s->size; i++) {
                T_INT(s->data[i], (uint8_t)(s - secrets));
            }
            clo_secret_clear(s);
            continue;
        }
        size_t size = 1 + (state >> 4) % ((state >> 20) % 8 == 0 ? 9000 : 100);
        T_OK(clo_secret_alloc(s, size));
        T_CHECK(is_zero(s->data, size));
        memset(s->data, (uint8_t)(s - secrets), size);
    }
    for (int i = 0; i < COUNT; i++) {
        clo_secret_clear(&secrets[i]);
    }
}

static void small_secrets_share_pages(void)
{
    enum { COUNT = 64 };

    clo_secret secrets[COUNT] = {{0}};
    uintptr_t low = UINTPTR_MAX;
    uintptr_t high = 0;
    for (int i = 0; i < COUNT; i++) {
        T_OK(clo_secret_alloc(&secrets[i], 32));
        uintptr_t at = (uintptr_t)secrets[i].data;
        low = at < low ? at : low;
        high = at > high ? at : high;
    }
    T_INT(high - low, 4096 - 64);
    for (int i = 0; i < COUNT; i++) {
        clo_secret_clear(&secrets[i]);
    }
}

static void forked_child_sees_zeros(void)
{
    CLO_AUTO(clo_secret) s = CLO_SECRET_INIT;
    CLO_AUTO(clo_secret) large = CLO_SECRET_INIT;
    T_OK(clo_secret_alloc(&s, 32));
    T_OK(clo_secret_alloc(&large, 5000));
    memset(s.data, 1, 32);
    memset(large.data, 1, 5000);
    pid_t child = fork();
    if (child == 0) {
        _exit(is_zero(s.data, 32) && is_zero(large.data, 5000) ? 0 : 1);
    }
    int status;
    T_CHECK(child > 0 && waitpid(child, &status, 0) == child);
    T_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    T_INT(s.data[31], 1);
}

/* Fills it with 1, 2, 3 ... 250, 1, 2 ...; and whether it holds that. */
static void fill(clo_buf *buf, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        clo_put_u8(buf, (uint8_t)(i % 250 + 1));
    }
}

static bool is_filled(const clo_buf *buf, size_t size)
{
    for (size_t i = 0; i < buf->size; i++) {
        if (buf->data[i] != i % 250 + 1) {
            return false;
        }
    }
    return buf->size == size;
}

static void secret_buffer_keeps_what_it_takes_while_it_grows(void)
{
    CLO_AUTO(clo_buf) buf = CLO_BUF_SECRET(100000);
    for (int round = 0; round < 3; round++) {
        fill(&buf, 100000);
        T_OK(clo_buf_check(&buf));
        T_CHECK(is_filled(&buf, 100000));
        T_CHECK(clo_buf_str(&buf) != NULL && is_filled(&buf, 100000));
        clo_put_u8(&buf, 1);
        T_CODE(clo_buf_check(&buf), CLO_LIMIT);
        clo_buf_release(&buf);
        T_CHECK(buf.data == NULL && buf.size == 0 && buf.secret && buf.limit == 100000);
    }
    T_OK(clo_buf_reserve(&buf, 10));
    T_CHECK(buf.size == 0 && is_zero(buf.data, 10));
    fill(&buf, 10);
    clo_buf_clear(&buf);
    T_CHECK(buf.size == 0 && buf.secret && buf.data != NULL);
}

static void secret_buffer_gives_its_memory_back_wiped(void)
{
    CLO_AUTO(clo_secret) neighbour = CLO_SECRET_INIT; /* keeps the page mapped */
    clo_buf buf = CLO_BUF_SECRET(0);
    T_OK(clo_secret_alloc(&neighbour, 32));
    fill(&buf, 64);
    const uint8_t *small = buf.data;
    T_CHECK((uintptr_t)small / 4096 == (uintptr_t)neighbour.data / 4096);
    clo_put_u8(&buf, 1);
    T_CHECK(buf.data != small && is_zero(small, 64));
    const uint8_t *grown = buf.data;
    clo_buf_release(&buf);
    T_CHECK(is_zero(grown, 128));
}

static void secret_buffer_stops_at_the_size_of_secrets(void)
{
    clo_buf buf = CLO_BUF_SECRET((size_t)64 << 20);
    clo_buf plain = CLO_BUF_LIMIT((size_t)64 << 20);
    T_OK(clo_buf_reserve(&buf, (size_t)16 << 20));
    clo_buf_release(&buf);
    T_CODE(clo_buf_reserve(&buf, ((size_t)16 << 20) + 1), CLO_NOMEM);
    T_OK(clo_buf_reserve(&plain, ((size_t)16 << 20) + 1)); /* the control */
    clo_buf_release(&buf);
    clo_buf_release(&plain);
}

/* Only secret memory is zero in a forked child: this tells that a buffer stands in it. */
static void forked_child_sees_zeros_in_secret_buffers_only(void)
{
    CLO_AUTO(clo_buf) small = CLO_BUF_SECRET(0);
    CLO_AUTO(clo_buf) large = CLO_BUF_SECRET(0);
    CLO_AUTO(clo_buf) plain = CLO_BUF_INIT;
    fill(&small, 40);
    fill(&large, 5000);
    fill(&plain, 40);
    pid_t child = fork();
    if (child == 0) {
        _exit(is_zero(small.data, 40) && is_zero(large.data, 5000) && is_filled(&plain, 40) ? 0
                                                                                            : 1);
    }
    int status;
    T_CHECK(child > 0 && waitpid(child, &status, 0) == child);
    T_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    T_CHECK(is_filled(&small, 40) && is_filled(&large, 5000));
}

static void arena_memory_is_zeroed_aligned_and_apart(void)
{
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    uint8_t *before = NULL;
    for (size_t size = 0; size < 3000; size += 7) {
        uint8_t *memory = clo_arena_alloc(&arena, size);
        T_CHECK(memory != NULL && (uintptr_t)memory % 16 == 0 && is_zero(memory, size));
        memset(memory, 0xff, size);
        T_CHECK(memory != before);
        before = memory;
    }
    uint8_t *large = clo_arena_alloc(&arena, (size_t)3 << 20);
    T_CHECK(large != NULL && is_zero(large, (size_t)3 << 20));
}

static void arena_stops_at_its_limit(void)
{
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    arena.limit = 100;
    T_CHECK(clo_arena_alloc(&arena, 90) != NULL);
    T_CHECK(clo_arena_alloc(&arena, 16) == NULL);
    T_CHECK(clo_arena_alloc(&arena, SIZE_MAX) == NULL);
    T_CHECK(clo_arena_array(&arena, SIZE_MAX, 2) == NULL);
    clo_arena_release(&arena);
    T_CHECK(clo_arena_array(&arena, 9, 10) != NULL);
}

static void arena_copies_text_with_a_terminator(void)
{
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    T_STR(clo_arena_str(&arena, CLO_SPAN("abcdef", 3)), "abc");
    T_STR(clo_arena_str(&arena, CLO_SPAN_EMPTY), "");
    T_CHECK(clo_arena_str(&arena, CLO_SPAN("a", SIZE_MAX)) == NULL);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(memory_comes_zeroed_and_size_zero_is_valid),
        T(sizes_that_overflow_are_refused),
        T(aligned_memory_is_aligned_and_zeroed),
        T(growing_keeps_the_contents_and_zeroes_the_rest),
        T(text_is_copied_up_to_its_cap),
        T(wiping_zeroes_and_takes_null_with_size_zero),
        T(constant_time_compare_sees_every_bit),
        T(secrets_are_zeroed_copied_and_cleared),
        T(secret_of_a_wrong_size_is_refused),
        T(hundreds_of_secrets_never_touch_each_other),
        T(small_secrets_share_pages),
        T(forked_child_sees_zeros),
        T(secret_buffer_keeps_what_it_takes_while_it_grows),
        T(secret_buffer_gives_its_memory_back_wiped),
        T(secret_buffer_stops_at_the_size_of_secrets),
        T(forked_child_sees_zeros_in_secret_buffers_only),
        T(arena_memory_is_zeroed_aligned_and_apart),
        T(arena_stops_at_its_limit),
        T(arena_copies_text_with_a_terminator),
    };
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
