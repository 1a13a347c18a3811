/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_TEST_PROCESS_RIG_H
#define CLO_TEST_PROCESS_RIG_H

/*
 * Children for the tests of launch: shell scripts of one line, and a look at this process's own
 * descriptors, which every call must leave as it found them.
 */
#include "cloister/launch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define RIG_PATIENCE_MS 10000

/* Starts `sh -c script`. */
static inline clo_status rig_start(const char *script, bool capture_out, bool capture_err,
                                   clo_process **out_process)
{
    const char *words[] = {"-c", script, NULL};
    clo_process_options options = {.program = "/bin/sh",
                                   .arguments = words,
                                   .capture_out = capture_out,
                                   .capture_err = capture_err};
    return clo_process_start(&options, out_process);
}

/* Everything a captured stream gives until its end. CLO_TIMEOUT when the end does not come. */
static inline clo_status rig_read_all(int fd, clo_buf *out)
{
    clo_deadline deadline = clo_deadline_in(RIG_PATIENCE_MS);
    for (;;) {
        uint8_t bytes[4096];
        ssize_t got = read(fd, bytes, sizeof bytes);
        if (got == 0) {
            return CLO_STATUS_OK;
        }
        if (got > 0) {
            clo_put_bytes(out, bytes, (size_t)got);
            CLO_TRY(clo_buf_check(out));
        } else if (errno != EAGAIN) {
            return CLO_ERRNO("reading a child's stream");
        } else {
            CLO_TRY(clo_fd_wait(fd, POLLIN, deadline));
        }
    }
}

static inline int rig_open_descriptors(void)
{
    int count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (folder && readdir(folder)) {
        count++;
    }
    if (folder) {
        closedir(folder);
    }
    return count;
}

/* True when no process, not even a dead one, has this number any more. */
static inline bool rig_is_gone(int pid)
{
    return kill(pid, 0) != 0 && errno == ESRCH;
}

#endif
