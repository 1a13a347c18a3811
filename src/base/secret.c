/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for keys: mapped apart from the heap, locked where the limit allows, left out of core
 * dumps, zero in a forked child, wiped when given back.
 *
 * The limit on locked memory may be as low as 64 KiB, and a broker holds hundreds of keys of 32
 * bytes; so small secrets share pages:
 *
 *     page (4096 bytes)   | cell 0 | cell 1 | ... | cell 63 |      a cell is 64 bytes
 *     used (one u64)        bit 0    bit 1          bit 63         1: taken
 *
 * A secret takes neighbouring cells, so two secrets never share a cache line. Secrets above half a
 * page get a mapping of their own. Book-keeping stands on the ordinary heap, so that an overrun of
 * a key cannot reach it. A free cell is always zero.
 *
 * Threads: the list of pages is guarded by one lock; a secret itself belongs to its owner.
 */
#include "cloister/base.h"

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096, CELL = 64, CELLS = PAGE / CELL, SHARED_MAX = PAGE / 2, SECRET_MAX = 16 << 20 };

typedef struct slab slab;

struct slab {
    slab *next;
    uint8_t *page;
    uint64_t used;
};

static pthread_mutex_t slabs_lock = PTHREAD_MUTEX_INITIALIZER;
static slab *slabs;

/* NULL when the system gives no memory. Locking and the two advices are best effort: a process
 * inside a TEE may not be allowed any of them, and its memory is protected anyway. */
static uint8_t *pages_map(size_t size)
{
    if (clo_mem_should_fail()) {
        return NULL;
    }
    void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) {
        return NULL;
    }
    (void)mlock(pages, size);
    (void)madvise(pages, size, MADV_DONTDUMP);
    (void)madvise(pages, size, MADV_WIPEONFORK);
    return pages;
}

static size_t round_up(size_t size, size_t unit)
{
    return (size + unit - 1) / unit * unit;
}

static uint64_t cells_mask(size_t count)
{
    return ((uint64_t)1 << count) - 1; /* count is at most CELLS / 2 */
}

/* Takes `count` neighbouring cells of the page; NULL when there are none. */
static uint8_t *slab_take(slab *s, size_t count)
{
    for (size_t first = 0; first + count <= CELLS; first++) {
        uint64_t mask = cells_mask(count) << first;
        if ((s->used & mask) == 0) {
            s->used |= mask;
            return s->page + first * CELL;
        }
    }
    return NULL;
}

static slab *slab_new(void)
{
    slab *s = clo_alloc(sizeof *s);
    if (s == NULL) {
        return NULL;
    }
    s->page = pages_map(PAGE);
    if (s->page == NULL) {
        clo_free(s);
        return NULL;
    }
    s->next = slabs;
    slabs = s;
    return s;
}

static uint8_t *shared_take(size_t size)
{
    size_t count = round_up(size, CELL) / CELL;
    for (slab *s = slabs; s != NULL; s = s->next) {
        uint8_t *cells = slab_take(s, count);
        if (cells != NULL) {
            return cells;
        }
    }
    slab *fresh = slab_new();
    return fresh == NULL ? NULL : slab_take(fresh, count);
}

/* Gives the cells back, and the page when it is empty. */
static void shared_give(uint8_t *cells, size_t size)
{
    slab **link = &slabs;
    while (*link != NULL && (cells < (*link)->page || cells >= (*link)->page + PAGE)) {
        link = &(*link)->next;
    }
    slab *s = *link;
    CLO_ASSERT(s != NULL);
    uint64_t mask = cells_mask(round_up(size, CELL) / CELL) << ((size_t)(cells - s->page) / CELL);
    CLO_ASSERT((s->used & mask) == mask);
    s->used &= ~mask;
    if (s->used == 0) {
        *link = s->next;
        munmap(s->page, PAGE);
        clo_free(s);
    }
}

clo_status clo_secret_alloc(clo_secret *out_secret, size_t size)
{
    CLO_CHECK(size > 0 && size <= SECRET_MAX, CLO_INVALID,
              "a secret of %zu bytes: expected 1 to %d", size, (int)SECRET_MAX);
    uint8_t *data;
    if (size <= SHARED_MAX) {
        pthread_mutex_lock(&slabs_lock);
        data = shared_take(size);
        pthread_mutex_unlock(&slabs_lock);
    } else {
        data = pages_map(round_up(size, PAGE));
    }
    CLO_CHECK(data != NULL, CLO_NOMEM, "out of memory for a secret of %zu bytes", size);
    *out_secret = (clo_secret){data, size};
    return CLO_STATUS_OK;
}

clo_status clo_secret_copy(clo_span from, clo_secret *out_secret)
{
    CLO_TRY(clo_secret_alloc(out_secret, from.size));
    memcpy(out_secret->data, from.data, from.size);
    return CLO_STATUS_OK;
}

void clo_secret_clear(clo_secret *secret)
{
    if (secret->data != NULL) {
        clo_wipe(secret->data, secret->size);
        if (secret->size <= SHARED_MAX) {
            pthread_mutex_lock(&slabs_lock);
            shared_give(secret->data, secret->size);
            pthread_mutex_unlock(&slabs_lock);
        } else {
            munmap(secret->data, round_up(secret->size, PAGE));
        }
    }
    *secret = CLO_SECRET_INIT;
}
