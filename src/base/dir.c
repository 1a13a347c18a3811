/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Folders. Removing a tree goes through descriptors (openat, unlinkat) and never follows a symbolic
 * link, so that a link planted in a temporary folder cannot lead the removal elsewhere.
 */
#include "cloister/base.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_LIMIT = 1024, TREE_DEPTH = 64 };

/* One level; an existing folder is fine, an existing file is not. */
static clo_status make_one(const char *path, unsigned mode)
{
    if (mkdir(path, mode) == 0) {
        return CLO_STATUS_OK;
    }
    int error = errno;
    struct stat info;
    if (error == EEXIST && stat(path, &info) == 0 && S_ISDIR(info.st_mode)) {
        return CLO_STATUS_OK;
    }
    errno = error;
    return CLO_ERRNO("make folder '%s'", path);
}

static bool is_self_or_parent(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static clo_status empty_folder(int fd, int depth);

/* Removes one entry of the folder `fd`. */
static clo_status remove_entry(int fd, const char *name, int depth)
{
    if (unlinkat(fd, name, 0) == 0 || errno == ENOENT) {
        return CLO_STATUS_OK;
    }
    if (errno != EISDIR) {
        return CLO_ERRNO("remove '%s'", name);
    }
    int below = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (below < 0) {
        return CLO_ERRNO("open '%s'", name);
    }
    CLO_TRY_CTX(empty_folder(below, depth - 1), "in '%s'", name);
    if (unlinkat(fd, name, AT_REMOVEDIR) != 0) {
        return CLO_ERRNO("remove folder '%s'", name);
    }
    return CLO_STATUS_OK;
}

/* Removes everything in the folder, and closes `fd`. */
static clo_status empty_folder(int fd, int depth)
{
    DIR *folder = fdopendir(fd);
    if (folder == NULL) {
        clo_status status = CLO_ERRNO("list a folder");
        close(fd);
        return status;
    }
    clo_status status = CLO_STATUS_OK;
    struct dirent *entry;
    if (depth == 0) {
        status = clo_status_make(CLO_LIMIT, __FILE__, __LINE__, __func__,
                                 "more than %d folders inside each other", TREE_DEPTH);
    }
    while (clo_ok(status) && (entry = readdir(folder)) != NULL) {
        if (!is_self_or_parent(entry->d_name)) {
            status = remove_entry(fd, entry->d_name, depth);
        }
    }
    closedir(folder);
    return status;
}

clo_status clo_dir_make(const char *path, unsigned mode)
{
    char part[PATH_LIMIT];
    size_t length = strlen(path);
    CLO_CHECK(length > 0 && length < sizeof part, CLO_INVALID,
              "a path of %zu bytes, expected 1 to %d", length, PATH_LIMIT - 1);
    for (size_t i = 1; i < length; i++) {
        if (path[i] == '/') {
            memcpy(part, path, i);
            part[i] = '\0';
            CLO_TRY(make_one(part, mode | 0700)); /* a parent must let its maker in */
        }
    }
    return make_one(path, mode);
}

clo_status clo_dir_remove_tree(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        return CLO_STATUS_OK;
    }
    if (fd < 0) {
        return CLO_ERRNO("open '%s'", path);
    }
    CLO_TRY_CTX(empty_folder(fd, TREE_DEPTH), "removing '%s'", path);
    if (rmdir(path) != 0) {
        return CLO_ERRNO("remove '%s'", path);
    }
    return CLO_STATUS_OK;
}

clo_status clo_dir_make_temp(const char *prefix, char *out_path, size_t size)
{
    char path[PATH_LIMIT];
    int length = snprintf(path, sizeof path, "%sXXXXXX", prefix);
    CLO_CHECK(length > 0 && (size_t)length < sizeof path && (size_t)length < size, CLO_LIMIT,
              "path '%.64s...' is too long", prefix);
    if (mkdtemp(path) == NULL) {
        return CLO_ERRNO("make folder '%s'", path);
    }
    snprintf(out_path, size, "%s", path);
    return CLO_STATUS_OK;
}
