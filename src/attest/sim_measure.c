/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Digests of whole files, and the measurement made of them (drawn in sim_measure.h).
 *
 * Invariants: a file that changes while it is read is refused. A digest is remembered only for a
 * file that was last changed a while before, because two changes inside one tick of the file
 * system's clock look the same.
 */
#include "sim_measure.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char label[] = "cloister simulator measurement v1";

enum { DIGEST = 32, READ_STEP = 64 << 10, CACHE_ENTRIES = 512, MAX_OTHERS = 1024, SETTLED_S = 2 };

static const int64_t max_file = (int64_t)2 << 30;

typedef struct {
    uint64_t device, inode;
    int64_t size;
    struct timespec modified, changed;
} identity;

typedef struct {
    identity file;
    uint8_t digest[DIGEST];
} entry;

static identity identity_of(const struct stat *info)
{
    identity file;
    memset(&file, 0, sizeof file); /* compared as bytes */
    file.device = info->st_dev;
    file.inode = info->st_ino;
    file.size = info->st_size;
    file.modified = info->st_mtim;
    file.changed = info->st_ctim;
    return file;
}

static bool same_identity(const identity *a, const identity *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

static clo_status identify(int fd, const char *name, identity *out_file)
{
    struct stat info;
    if (fstat(fd, &info) != 0) {
        return CLO_ERRNO("stat '%s'", name);
    }
    CLO_CHECK(S_ISREG(info.st_mode), CLO_ATTEST, "'%s' is no regular file", name);
    CLO_CHECK(info.st_size <= max_file, CLO_LIMIT, "'%s' has %lld bytes, at most %lld are measured",
              name, (long long)info.st_size, (long long)max_file);
    *out_file = identity_of(&info);
    return CLO_STATUS_OK;
}

static bool cache_find(const clo_sim_cache *cache, const identity *file, uint8_t out_digest[DIGEST])
{
    size_t count = cache->entries.size / sizeof(entry);
    for (size_t i = 0; i < count; i++) {
        entry known;
        memcpy(&known, cache->entries.data + i * sizeof known, sizeof known);
        if (same_identity(&known.file, file)) {
            memcpy(out_digest, known.digest, DIGEST);
            return true;
        }
    }
    return false;
}

static void cache_put(clo_sim_cache *cache, const identity *file, const uint8_t digest[DIGEST])
{
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0 || now.tv_sec - file->changed.tv_sec < SETTLED_S) {
        return;
    }
    if (cache->entries.size >= CACHE_ENTRIES * sizeof(entry)) {
        clo_buf_clear(&cache->entries);
    }
    entry known = {.file = *file};
    memcpy(known.digest, digest, DIGEST);
    clo_put_bytes(&cache->entries, &known, sizeof known);
}

static clo_status hash_contents(int fd, const char *name, int64_t size, uint8_t out_digest[DIGEST])
{
    CLO_AUTO_PTR(clo_hash) hash = NULL;
    CLO_AUTO(clo_buf) piece = CLO_BUF_INIT;
    CLO_TRY(clo_hash_new(&hash));
    uint8_t *bytes = clo_buf_grow(&piece, READ_STEP);
    CLO_TRY(clo_buf_check(&piece));
    for (int64_t at = 0; at < size;) {
        size_t count = size - at < READ_STEP ? (size_t)(size - at) : (size_t)READ_STEP;
        CLO_TRY_CTX(clo_fd_pread_all(fd, bytes, count, (uint64_t)at), "reading '%s'", name);
        CLO_TRY(clo_hash_update(hash, CLO_SPAN(bytes, count)));
        at += (int64_t)count;
    }
    return clo_hash_final(hash, out_digest);
}

static clo_status digest_file(clo_sim_cache *cache, int fd, const char *name,
                              uint8_t out_digest[DIGEST])
{
    identity before, after;
    CLO_TRY(identify(fd, name, &before));
    if (cache_find(cache, &before, out_digest)) {
        return CLO_STATUS_OK;
    }
    CLO_TRY(hash_contents(fd, name, before.size, out_digest));
    CLO_TRY(identify(fd, name, &after));
    CLO_CHECK(same_identity(&before, &after), CLO_ATTEST, "'%s' changed while it was measured",
              name);
    cache_put(cache, &before, out_digest);
    return CLO_STATUS_OK;
}

static int compare_digests(const void *a, const void *b)
{
    return memcmp(a, b, DIGEST);
}

/* Sorted, each digest once, without the program's own; gives how many are left in front. */
static size_t distinct(uint8_t *digests, size_t count, const uint8_t program[DIGEST])
{
    if (count == 0) {
        return 0;
    }
    qsort(digests, count, DIGEST, compare_digests);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *digest = digests + i * DIGEST;
        bool again = kept > 0 && memcmp(digest, digests + (kept - 1) * DIGEST, DIGEST) == 0;
        if (!again && memcmp(digest, program, DIGEST) != 0) {
            memmove(digests + kept++ * DIGEST, digest, DIGEST);
        }
    }
    return kept;
}

void clo_sim_fd_cleanup(clo_sim_fd *fd)
{
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

void clo_sim_cache_cleanup(clo_sim_cache *cache)
{
    clo_buf_release(&cache->entries);
}

void clo_sim_parts_cleanup(clo_sim_parts *parts)
{
    clo_buf_release(&parts->others);
}

clo_status clo_sim_parts_program(clo_sim_parts *parts, int fd, const char *name)
{
    return digest_file(parts->cache, fd, name, parts->program);
}

clo_status clo_sim_parts_add(clo_sim_parts *parts, int fd, const char *name)
{
    CLO_CHECK(parts->others.size < (size_t)MAX_OTHERS * DIGEST, CLO_LIMIT,
              "more than %d files are mapped", MAX_OTHERS);
    uint8_t digest[DIGEST];
    CLO_TRY(digest_file(parts->cache, fd, name, digest));
    clo_put_span(&parts->others, CLO_SPAN_OF(digest));
    return clo_buf_check(&parts->others);
}

clo_status clo_sim_parts_add_path(clo_sim_parts *parts, const char *path)
{
    CLO_AUTO(clo_sim_fd) fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return CLO_ERRNO("open '%s'", path);
    }
    return clo_sim_parts_add(parts, fd, path);
}

clo_status clo_sim_parts_finish(clo_sim_parts *parts, uint8_t out_measurement[32])
{
    size_t count = distinct(parts->others.data, parts->others.size / DIGEST, parts->program);
    CLO_AUTO(clo_buf) input = CLO_BUF_INIT;
    clo_put_bytes(&input, label, sizeof label); /* with its NUL */
    clo_put_span(&input, CLO_SPAN_OF(parts->program));
    clo_put_u32be(&input, (uint32_t)count);
    clo_put_bytes(&input, parts->others.data, count * DIGEST);
    CLO_TRY(clo_buf_check(&input));
    return clo_sha256(clo_buf_span(&input), out_measurement);
}
