/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The measurement of a running process: its executable, and every file mapped into it, as the
 * kernel tells in /proc/PID/maps (proc(5)):
 *
 *     7f00-7f10 r-xp 00002000 fe:00 1234    /usr/lib/libc.so.6       device, inode, path
 *     7f10-7f20 rw-p 00000000 00:00 0       [heap]                   inode 0: no file
 *
 * The number of a process can be given to another one when it ends. A pidfd is taken first and must
 * still stand for a living process at the end: then the number meant that process all the while.
 * That the process did not become another program meanwhile (execve) is seen from its executable,
 * which must be the same file before and after.
 *
 * Invariants: a mapping whose file is gone or replaced is refused, never skipped. What has no file
 * (anonymous memory, [vdso], devices) does not count.
 */
#include "sim_measure.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { MAX_MAPS = 8 << 20, MAX_LINE_PATH = PATH_MAX + 64 };

typedef struct {
    unsigned long start;
    dev_t device;
    ino_t inode;
    const char *path; /* "" when there is none */
} mapping;

/* Shared memory without a name is shown as a deleted file of these names, on a file system that no
 * one can put files on. */
static const char *const nameless[] = {"/dev/zero (deleted)", "/anon_hugepage (deleted)"};

/* One line, without its newline. */
static clo_status parse_line(const char *line, mapping *out_mapping)
{
    unsigned major_number, minor_number;
    unsigned long inode;
    int path_at = 0;
    int fields = sscanf(line, "%lx-%*x %*4s %*x %x:%x %lu %n", &out_mapping->start, &major_number,
                        &minor_number, &inode, &path_at);
    CLO_CHECK(fields == 4 && path_at > 0, CLO_FORMAT, "a line of the memory map is not understood");
    out_mapping->device = makedev(major_number, minor_number);
    out_mapping->inode = inode;
    out_mapping->path = line + path_at;
    return CLO_STATUS_OK;
}

static bool is_nameless(const mapping *map)
{
    for (size_t i = 0; i < sizeof nameless / sizeof *nameless; i++) {
        if (major(map->device) == 0 && strcmp(map->path, nameless[i]) == 0) {
            return true;
        }
    }
    return map->inode == 0 || map->path[0] != '/';
}

/* The next line, its newline replaced by NUL; NULL at the end. */
static char *next_line(char **cursor)
{
    char *line = *cursor;
    if (*line == '\0') {
        return NULL;
    }
    char *end = strchr(line, '\n');
    *cursor = end == NULL ? line + strlen(line) : end + 1;
    if (end != NULL) {
        *end = '\0';
    }
    return line;
}

static clo_status read_maps(int pid, clo_buf *out_text, char **out_cursor)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/maps", pid);
    CLO_TRY(clo_file_read(path, MAX_MAPS, out_text));
    CLO_CHECK(clo_buf_str(out_text) != NULL, CLO_NOMEM, "out of memory reading '%s'", path);
    *out_cursor = (char *)out_text->data;
    return CLO_STATUS_OK;
}

/* How the kernel names the file mapped at `address` of this process. */
static clo_status find_own_mapping(const void *address, dev_t *out_device, ino_t *out_inode)
{
    CLO_AUTO(clo_buf) text = CLO_BUF_INIT;
    char *cursor;
    CLO_TRY(read_maps(getpid(), &text, &cursor));
    for (char *line = next_line(&cursor); line != NULL; line = next_line(&cursor)) {
        mapping map;
        CLO_TRY(parse_line(line, &map));
        if (map.start == (unsigned long)address) {
            *out_device = map.device;
            *out_inode = map.inode;
            return CLO_STATUS_OK;
        }
    }
    CLO_FAIL(CLO_BUG, "a mapping of our own is not in the memory map");
}

/* Stacked file systems (overlayfs, btrfs) tell one device and inode to stat and another one in a
 * memory map. So when stat's differ, the opened file is mapped here, and the maps are compared. */
static clo_status check_same_by_map(int fd, const mapping *map)
{
    void *address = mmap(NULL, 1, PROT_READ, MAP_PRIVATE, fd, 0);
    if (address == MAP_FAILED) {
        return CLO_ERRNO("map '%s'", map->path);
    }
    dev_t device = 0;
    ino_t inode = 0;
    clo_status status = find_own_mapping(address, &device, &inode);
    munmap(address, 1);
    CLO_TRY(status);
    CLO_CHECK(device == map->device && inode == map->inode, CLO_ATTEST,
              "the mapped file '%s' was replaced", map->path);
    return CLO_STATUS_OK;
}

static clo_status add_mapping(clo_sim_parts *parts, int pid, const mapping *map)
{
    char path[MAX_LINE_PATH]; /* through the root of the process, which may be another one */
    int length = snprintf(path, sizeof path, "/proc/%d/root%s", pid, map->path);
    CLO_CHECK(length > 0 && (size_t)length < sizeof path, CLO_LIMIT, "a mapped path is too long");
    CLO_AUTO(clo_sim_fd) fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    CLO_CHECK(fd >= 0 || errno != ENOENT, CLO_ATTEST, "the mapped file '%s' was deleted",
              map->path);
    if (fd < 0) {
        return CLO_ERRNO("open '%s'", path);
    }
    struct stat info;
    if (fstat(fd, &info) != 0) {
        return CLO_ERRNO("stat '%s'", path);
    }
    if (S_ISCHR(info.st_mode)) {
        return CLO_STATUS_OK;
    }
    if (info.st_dev != map->device || info.st_ino != map->inode) {
        CLO_TRY(check_same_by_map(fd, map));
    }
    return clo_sim_parts_add(parts, fd, map->path);
}

static clo_status add_mappings(clo_sim_parts *parts, int pid)
{
    CLO_AUTO(clo_buf) text = CLO_BUF_INIT;
    char *cursor;
    mapping last = {0};
    CLO_TRY(read_maps(pid, &text, &cursor));
    for (char *line = next_line(&cursor); line != NULL; line = next_line(&cursor)) {
        mapping map;
        CLO_TRY(parse_line(line, &map));
        if (is_nameless(&map) || (map.device == last.device && map.inode == last.inode)) {
            continue; /* a file's segments stand one after the other */
        }
        CLO_TRY(add_mapping(parts, pid, &map));
        last = map;
    }
    return CLO_STATUS_OK;
}

static clo_status open_executable(int pid, clo_sim_fd *out_fd, struct stat *out_info)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/exe", pid);
    *out_fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*out_fd < 0) {
        return CLO_ERRNO("open '%s'", path);
    }
    if (fstat(*out_fd, out_info) != 0) {
        return CLO_ERRNO("stat '%s'", path);
    }
    return CLO_STATUS_OK;
}

static clo_status check_unchanged(int pid, int pidfd, const struct stat *before)
{
    CLO_AUTO(clo_sim_fd) fd = -1;
    struct stat after;
    CLO_TRY(open_executable(pid, &fd, &after));
    CLO_CHECK(before->st_dev == after.st_dev && before->st_ino == after.st_ino, CLO_ATTEST,
              "process %d became another program while it was measured", pid);
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};
    CLO_CHECK(poll(&ended, 1, 0) == 0, CLO_ATTEST, "process %d ended while it was measured", pid);
    return CLO_STATUS_OK;
}

clo_status clo_sim_process_measure(clo_sim_cache *cache, int pid, uint8_t out_measurement[32])
{
    CLO_AUTO(clo_sim_fd) pidfd = pidfd_open(pid, 0);
    if (pidfd < 0) {
        return CLO_ERRNO("open process %d", pid);
    }
    CLO_AUTO(clo_sim_parts) parts = CLO_SIM_PARTS_INIT(cache);
    CLO_AUTO(clo_sim_fd) executable = -1;
    struct stat info;
    CLO_TRY(open_executable(pid, &executable, &info));
    CLO_TRY(clo_sim_parts_program(&parts, executable, "the executable"));
    CLO_TRY(add_mappings(&parts, pid));
    CLO_TRY(check_unchanged(pid, pidfd, &info));
    return clo_sim_parts_finish(&parts, out_measurement);
}

clo_status clo_sim_measure_process(int pid, uint8_t out_measurement[32])
{
    CLO_AUTO(clo_sim_cache) cache = CLO_SIM_CACHE_INIT;
    CLO_TRY_CTX(clo_sim_process_measure(&cache, pid, out_measurement), "measuring process %d", pid);
    return CLO_STATUS_OK;
}
