/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole files, atomic replacement, full transfers.
 *
 * Atomic replacement:   mkostemp beside the target -> write -> fchmod, fsync -> rename -> fsync of
 * the folder. After a crash at any point the name holds the old or the new bytes, whole.
 */
#include "cloister/base.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_STEP = 16 << 10 };

/* read that does not give up at a signal. */
static ssize_t read_some(int fd, void *out, size_t size)
{
    ssize_t count;
    do {
        count = read(fd, out, size);
    } while (count < 0 && errno == EINTR);
    return count;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Appends up to `want` bytes of the file; 0 in *out_count at its end. */
static clo_status read_step(int fd, const char *path, size_t want, clo_buf *out, size_t *out_count)
{
    uint8_t *at = clo_buf_grow(out, want);
    CLO_TRY(clo_buf_check(out));
    ssize_t count = read_some(fd, at, want);
    out->size -= want - (count < 0 ? 0 : (size_t)count);
    if (count < 0) {
        return CLO_ERRNO("read '%s'", path);
    }
    *out_count = (size_t)count;
    return CLO_STATUS_OK;
}

/* At the cap: the file must end here. */
static clo_status expect_end(int fd, const char *path, size_t cap)
{
    uint8_t probe;
    ssize_t count = read_some(fd, &probe, 1);
    if (count < 0) {
        return CLO_ERRNO("read '%s'", path);
    }
    CLO_CHECK(count == 0, CLO_LIMIT, "'%s' has more than %zu bytes", path, cap);
    return CLO_STATUS_OK;
}

static clo_status read_file(int fd, const char *path, size_t cap, clo_buf *out)
{
    struct stat info;
    if (fstat(fd, &info) != 0) {
        return CLO_ERRNO("stat '%s'", path);
    }
    CLO_CHECK(S_ISREG(info.st_mode), CLO_INVALID, "'%s' is no regular file", path);
    size_t got = 0;
    size_t count = 0;
    do { /* the size is a hint: files of /proc say 0 */
        size_t hint = (uint64_t)info.st_size > got ? (size_t)info.st_size - got : READ_STEP;
        size_t want = smaller(hint, cap - got);
        if (want == 0) {
            return expect_end(fd, path, cap);
        }
        CLO_TRY(read_step(fd, path, want, out, &count));
        got += count;
    } while (count > 0);
    return CLO_STATUS_OK;
}

/* After a rename the name itself must reach the disk. Some file systems cannot sync a folder. */
static clo_status sync_folder_of(const char *path)
{
    char folder[1024];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash == NULL) {
        snprintf(folder, sizeof folder, ".");
    } else {
        slash[slash == folder ? 1 : 0] = '\0';
    }
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return CLO_ERRNO("open '%s'", folder);
    }
    int error = fsync(fd) == 0 ? 0 : errno;
    close(fd);
    if (error != 0 && error != EINVAL && error != EOPNOTSUPP) {
        errno = error;
        return CLO_ERRNO("sync '%s'", folder);
    }
    return CLO_STATUS_OK;
}

clo_status clo_file_read(const char *path, size_t limit, clo_buf *out)
{
    CLO_TRY(clo_buf_check(out));
    /* O_NONBLOCK: opening a FIFO must not wait for a writer that never comes. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return CLO_ERRNO("open '%s'", path);
    }
    size_t before = out->size;
    size_t room = (out->limit == 0 ? CLO_BUF_DEFAULT_LIMIT : out->limit) - before;
    clo_status status = read_file(fd, path, smaller(limit, room), out);
    close(fd);
    if (!clo_ok(status)) {
        out->size = before;
    }
    return status;
}

clo_status clo_file_write(const char *path, unsigned mode, clo_span bytes)
{
    CLO_AUTO(clo_atomic_file) file = CLO_ATOMIC_FILE_INIT;
    CLO_TRY(clo_atomic_begin(path, mode, &file));
    CLO_TRY_CTX(clo_fd_write_all(file.fd, bytes), "writing '%s'", path);
    return clo_atomic_commit(&file);
}

bool clo_file_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

clo_status clo_path_join(char *out_path, size_t size, const char *folder, const char *name)
{
    size_t length = strlen(folder);
    const char *slash = length == 0 || folder[length - 1] == '/' ? "" : "/";
    size_t needed = length + strlen(slash) + strlen(name) + 1;
    CLO_CHECK(needed <= size, CLO_LIMIT, "path '%.64s...' has %zu bytes, expected at most %zu",
              folder, needed - 1, size - 1);
    snprintf(out_path, size, "%s%s%s", folder, slash, name);
    return CLO_STATUS_OK;
}

clo_status clo_atomic_begin(const char *path, unsigned mode, clo_atomic_file *out_file)
{
    clo_atomic_file file = {.fd = -1, .mode = mode};
    size_t length = strlen(path);
    CLO_CHECK(length > 0 && length < sizeof file.path, CLO_INVALID,
              "a path of %zu bytes, expected 1 to %zu", length, sizeof file.path - 1);
    snprintf(file.path, sizeof file.path, "%s", path);
    snprintf(file.temp, sizeof file.temp, "%s.tmp-XXXXXX", path);
    file.fd = mkostemp(file.temp, O_CLOEXEC);
    if (file.fd < 0) {
        return CLO_ERRNO("create a file beside '%s'", path);
    }
    *out_file = file;
    return CLO_STATUS_OK;
}

clo_status clo_atomic_commit(clo_atomic_file *file)
{
    CLO_ASSERT(file->fd >= 0 && file->temp[0] != '\0');
    if (fchmod(file->fd, file->mode & 07777) != 0 || fsync(file->fd) != 0) {
        return CLO_ERRNO("sync '%s'", file->temp);
    }
    int fd = file->fd;
    file->fd = -1;
    if (close(fd) != 0) {
        return CLO_ERRNO("close '%s'", file->temp);
    }
    if (rename(file->temp, file->path) != 0) {
        return CLO_ERRNO("rename '%s' to '%s'", file->temp, file->path);
    }
    file->temp[0] = '\0';
    return sync_folder_of(file->path);
}

void clo_atomic_abort(clo_atomic_file *file)
{
    if (file->temp[0] == '\0') {
        return;
    }
    if (file->fd >= 0) {
        close(file->fd);
        file->fd = -1;
    }
    unlink(file->temp);
    file->temp[0] = '\0';
}

clo_status clo_fd_write_all(int fd, clo_span bytes)
{
    while (bytes.size > 0) {
        ssize_t count = write(fd, bytes.data, bytes.size);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return CLO_ERRNO("write");
        }
        CLO_CHECK(count > 0, CLO_IO, "write: no byte was taken");
        bytes = CLO_SPAN(bytes.data + count, bytes.size - (size_t)count);
    }
    return CLO_STATUS_OK;
}

clo_status clo_fd_pread_all(int fd, void *out, size_t size, uint64_t offset)
{
    CLO_CHECK(offset <= INT64_MAX && size <= INT64_MAX - offset, CLO_INVALID,
              "a read at byte %llu, beyond any file", (unsigned long long)offset);
    uint8_t *at = out;
    size_t left = size;
    while (left > 0) {
        ssize_t count = pread(fd, at, left, (off_t)(offset + (size - left)));
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return CLO_ERRNO("read at byte %llu", (unsigned long long)offset);
        }
        CLO_CHECK(count > 0, CLO_FORMAT, "the file ends at byte %llu, expected %zu bytes from %llu",
                  (unsigned long long)(offset + (size - left)), size, (unsigned long long)offset);
        at += count;
        left -= (size_t)count;
    }
    return CLO_STATUS_OK;
}

clo_status clo_fd_wait(int fd, short events, clo_deadline deadline)
{
    for (;;) {
        int left = clo_deadline_left_ms(deadline);
        CLO_CHECK(left > 0, CLO_TIMEOUT, "the deadline passed");
        struct pollfd entry = {.fd = fd, .events = events};
        int ready = poll(&entry, 1, left);
        if (ready < 0 && errno != EINTR) {
            return CLO_ERRNO("poll");
        }
        if (ready > 0) {
            CLO_CHECK((entry.revents & POLLNVAL) == 0, CLO_BUG, "descriptor %d is not open", fd);
            return CLO_STATUS_OK;
        }
    }
}
