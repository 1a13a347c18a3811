/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bump allocation in a list of blocks, newest first:
 *
 *     arena -> block 3 (being filled) -> block 2 -> block 1
 *
 * Blocks double from 4 KiB to 1 MiB; a larger wish gets a block of its own size. An arena may hold
 * the plaintext of a request, so the blocks are wiped when they are released.
 */
#include "cloister/base.h"

#include <string.h>

enum { UNIT = 16, FIRST_BLOCK = 4 << 10, LAST_BLOCK = 1 << 20 };

static const size_t default_limit = (size_t)256 << 20;

struct clo_arena_block {
    clo_arena_block *next;
    size_t size;
    size_t used;
    _Alignas(UNIT) uint8_t data[];
};

static bool block_add(clo_arena *arena, size_t least)
{
    size_t size = FIRST_BLOCK;
    if (arena->blocks != NULL) {
        size = arena->blocks->size < LAST_BLOCK ? arena->blocks->size * 2 : LAST_BLOCK;
    }
    if (size < least) {
        size = least;
    }
    clo_arena_block *block = clo_alloc(sizeof *block + size); /* both are far below overflow */
    if (block == NULL) {
        return false;
    }
    block->size = size;
    block->next = arena->blocks;
    arena->blocks = block;
    return true;
}

void *clo_arena_alloc(clo_arena *arena, size_t size)
{
    size_t limit = arena->limit == 0 ? default_limit : arena->limit;
    size_t rounded;
    if (!clo_size_add(size == 0 ? 1 : size, UNIT - 1, &rounded)) {
        return NULL;
    }
    rounded -= rounded % UNIT;
    if (arena->used > limit || rounded > limit - arena->used) {
        return NULL;
    }
    clo_arena_block *block = arena->blocks;
    if (block == NULL || rounded > block->size - block->used) {
        if (!block_add(arena, rounded)) {
            return NULL;
        }
        block = arena->blocks;
    }
    void *memory = block->data + block->used;
    block->used += rounded;
    arena->used += rounded;
    return memory;
}

void *clo_arena_array(clo_arena *arena, size_t count, size_t size)
{
    size_t total;
    if (!clo_size_mul(count, size, &total)) {
        return NULL;
    }
    return clo_arena_alloc(arena, total);
}

char *clo_arena_str(clo_arena *arena, clo_span text)
{
    size_t size;
    if (!clo_size_add(text.size, 1, &size)) {
        return NULL;
    }
    char *copy = clo_arena_alloc(arena, size);
    if (copy != NULL && text.size > 0) {
        memcpy(copy, text.data, text.size);
    }
    return copy;
}

void clo_arena_release(clo_arena *arena)
{
    while (arena->blocks != NULL) {
        clo_arena_block *block = arena->blocks;
        arena->blocks = block->next;
        clo_wipe(block->data, block->used);
        clo_free(block);
    }
    arena->used = 0;
}
