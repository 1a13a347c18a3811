/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only file that calls the C library's allocator, so that a test can make any allocation fail
 * and so that sizes are checked in one place.
 *
 * Invariants: returned memory is zeroed; size 0 gives a valid pointer; a moved block is wiped where
 * it stood.
 */
#include "cloister/base.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { ALIGNMENT = 64, STRDUP_LIMIT = 1 << 20 };

static const size_t huge_page = (size_t)2 << 20;

void *clo_alloc(size_t size)
{
    if (clo_mem_should_fail()) {
        return NULL;
    }
    return calloc(1, size == 0 ? 1 : size);
}

void *clo_alloc_array(size_t count, size_t size)
{
    size_t total;
    if (!clo_size_mul(count, size, &total)) {
        return NULL;
    }
    return clo_alloc(total);
}

void *clo_alloc_aligned(size_t size)
{
    bool huge = size >= 2 * huge_page;
    void *memory = NULL;
    if (clo_mem_should_fail() ||
        posix_memalign(&memory, huge ? huge_page : ALIGNMENT, size == 0 ? 1 : size) != 0) {
        return NULL;
    }
    if (huge) { /* advice only: the kernel may have none to give */
        (void)madvise(memory, size - size % huge_page, MADV_HUGEPAGE);
    }
    memset(memory, 0, size);
    return memory;
}

void *clo_realloc_array(void *memory, size_t old_count, size_t count, size_t size)
{
    void *grown = clo_alloc_array(count, size);
    if (grown == NULL || memory == NULL) {
        return grown;
    }
    size_t old_size;
    CLO_ASSERT(clo_size_mul(old_count, size, &old_size));
    memcpy(grown, memory, old_count < count ? old_size : count * size);
    clo_wipe(memory, old_size);
    free(memory);
    return grown;
}

void clo_free(void *memory)
{
    free(memory);
}

char *clo_strdup(const char *text)
{
    size_t length = strnlen(text, STRDUP_LIMIT + 1);
    if (length > STRDUP_LIMIT) {
        return NULL;
    }
    char *copy = clo_alloc(length + 1);
    if (copy != NULL) {
        memcpy(copy, text, length);
    }
    return copy;
}

bool clo_size_mul(size_t a, size_t b, size_t *out)
{
    size_t product;
    if (__builtin_mul_overflow(a, b, &product)) {
        return false;
    }
    *out = product;
    return true;
}

bool clo_size_add(size_t a, size_t b, size_t *out)
{
    size_t sum;
    if (__builtin_add_overflow(a, b, &sum)) {
        return false;
    }
    *out = sum;
    return true;
}

void clo_wipe(void *memory, size_t size)
{
    if (size > 0) {
        explicit_bzero(memory, size);
    }
}

bool clo_equal_ct(const void *a, const void *b, size_t size)
{
    const volatile uint8_t *x = a;
    const volatile uint8_t *y = b;
    uint8_t difference = 0;
    for (size_t i = 0; i < size; i++) {
        difference |= x[i] ^ y[i];
    }
    return difference == 0;
}
