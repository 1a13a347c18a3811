/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The measurement a program will have, from its file: the program, the interpreter its ELF header
 * names (elf(5), PT_INTERP), and the libraries that this interpreter lists for it:
 *
 *     ld.so --list PROGRAM     linux-vdso.so.1 (0x7ffd...)                  not a file
 *                              libc.so.6 => /lib/.../libc.so.6 (0x7f...)
 *                              /lib64/ld-linux-x86-64.so.2 (0x7f...)
 *
 * Listing maps the libraries but runs none of their code. The interpreter itself is run, so it must
 * be one of the system's own, not any path that a file names.
 */
#include "sim_measure.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_SEGMENTS = 256, MAX_LIST = 256 << 10, LIST_MS = 10000, INTERPRETER_SIZE = 64 };

static const char *const interpreters[] = {"/lib64/ld-linux-x86-64.so.2",
                                           "/lib/ld-linux-aarch64.so.1"};

static const char not_a_file[] = "linux-vdso.so.";

typedef struct {
    uint64_t at; /* where the table of segments starts */
    uint16_t count;
} segment_table;

static clo_status read_elf_header(int fd, const char *program, segment_table *out_table)
{
    uint8_t bytes[sizeof(Elf64_Ehdr)];
    CLO_TRY(clo_fd_pread_all(fd, bytes, sizeof bytes, 0));
    CLO_CHECK(memcmp(bytes, ELFMAG, SELFMAG) == 0 && bytes[EI_CLASS] == ELFCLASS64 &&
                  bytes[EI_DATA] == ELFDATA2LSB,
              CLO_FORMAT, "'%s' is no 64-bit little-endian ELF program", program);
    clo_reader r = clo_reader_of(CLO_SPAN_OF(bytes));
    clo_read_span(&r, offsetof(Elf64_Ehdr, e_phoff));
    out_table->at = clo_read_u64le(&r);
    clo_read_span(&r, offsetof(Elf64_Ehdr, e_phentsize) - offsetof(Elf64_Ehdr, e_shoff));
    uint16_t size = clo_read_u16le(&r);
    out_table->count = clo_read_u16le(&r);
    CLO_TRY(clo_reader_check(&r, "the ELF header"));
    CLO_CHECK(size == sizeof(Elf64_Phdr) && out_table->count <= MAX_SEGMENTS &&
                  out_table->at <= INT32_MAX,
              CLO_FORMAT, "'%s': its table of segments is not understood", program);
    return CLO_STATUS_OK;
}

static clo_status match_interpreter(int fd, uint64_t offset, uint64_t size, const char **out_path)
{
    char text[INTERPRETER_SIZE] = "";
    CLO_CHECK(size > 0 && size < sizeof text && offset <= INT32_MAX, CLO_UNSUPPORTED,
              "the interpreter's name has %llu bytes", (unsigned long long)size);
    CLO_TRY(clo_fd_pread_all(fd, text, size, offset));
    for (size_t i = 0; i < sizeof interpreters / sizeof *interpreters; i++) {
        if (strcmp(text, interpreters[i]) == 0) {
            *out_path = interpreters[i];
            return CLO_STATUS_OK;
        }
    }
    CLO_FAIL(CLO_UNSUPPORTED, "the interpreter '%s' is none of the system's", text);
}

/* NULL when the program is linked statically. */
static clo_status find_interpreter(int fd, const char *program, const char **out_path)
{
    segment_table table = {0};
    *out_path = NULL;
    CLO_TRY(read_elf_header(fd, program, &table));
    for (uint64_t i = 0; i < table.count; i++) {
        uint8_t bytes[sizeof(Elf64_Phdr)];
        CLO_TRY(clo_fd_pread_all(fd, bytes, sizeof bytes, table.at + i * sizeof bytes));
        clo_reader r = clo_reader_of(CLO_SPAN_OF(bytes));
        uint32_t type = clo_read_u32le(&r);
        clo_read_u32le(&r); /* flags */
        uint64_t offset = clo_read_u64le(&r);
        clo_read_span(&r, 16); /* addresses */
        uint64_t size = clo_read_u64le(&r);
        if (type == PT_INTERP) {
            return match_interpreter(fd, offset, size, out_path);
        }
    }
    return CLO_STATUS_OK;
}

/* Starts `interpreter --list program` with an empty environment, its output going to `output`. */
static clo_status start_listing(const char *interpreter, const char *program, int output,
                                pid_t *out_pid)
{
    char list[] = "--list";
    char name[INTERPRETER_SIZE];
    char path[PATH_MAX];
    snprintf(name, sizeof name, "%s", interpreter);
    snprintf(path, sizeof path, "%s", program);
    char *const arguments[] = {name, list, path, NULL};
    char *const environment[] = {NULL};
    posix_spawn_file_actions_t actions;
    int error = posix_spawn_file_actions_init(&actions);
    if (error == 0) {
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
        posix_spawn_file_actions_adddup2(&actions, output, 1);
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
        error = posix_spawn(out_pid, interpreter, &actions, NULL, arguments, environment);
        posix_spawn_file_actions_destroy(&actions);
    }
    errno = error;
    return error == 0 ? CLO_STATUS_OK : CLO_ERRNO("start '%s'", interpreter);
}

static clo_status read_output(int fd, clo_deadline deadline, clo_buf *out_text)
{
    for (;;) {
        uint8_t piece[4096];
        CLO_TRY(clo_fd_wait(fd, POLLIN, deadline));
        ssize_t count = read(fd, piece, sizeof piece);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return CLO_ERRNO("read the list of libraries");
        }
        if (count == 0) {
            return CLO_STATUS_OK;
        }
        clo_put_bytes(out_text, piece, (size_t)count);
        CLO_TRY(clo_buf_check(out_text));
    }
}

static clo_status read_listing(pid_t pid, int fd, clo_buf *out_text)
{
    clo_deadline deadline = clo_deadline_in(LIST_MS);
    CLO_AUTO(clo_sim_fd) pidfd = pidfd_open(pid, 0);
    if (pidfd < 0) {
        return CLO_ERRNO("open process %d", (int)pid);
    }
    CLO_TRY(read_output(fd, deadline, out_text));
    return clo_fd_wait(pidfd, POLLIN, deadline);
}

static clo_status list_libraries(const char *interpreter, const char *program, clo_buf *out_text)
{
    int ends[2];
    pid_t pid;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return CLO_ERRNO("make a pipe");
    }
    CLO_AUTO(clo_sim_fd) from = ends[0];
    CLO_AUTO(clo_sim_fd) to = ends[1];
    CLO_TRY(start_listing(interpreter, program, to, &pid));
    clo_sim_fd_cleanup(&to);
    clo_status status = read_listing(pid, from, out_text);
    if (!clo_ok(status)) {
        kill(pid, SIGKILL);
    }
    int result = -1;
    while (waitpid(pid, &result, 0) < 0 && errno == EINTR) {
        continue; /* not a wait: it has ended, or is ending by SIGKILL */
    }
    CLO_TRY(status);
    CLO_CHECK(WIFEXITED(result) && WEXITSTATUS(result) == 0, CLO_NOTFOUND,
              "'%s' cannot list the libraries of '%s'", interpreter, program);
    return CLO_STATUS_OK;
}

/* One line of the list, NUL-terminated. */
static clo_status add_library(clo_sim_parts *parts, char *line)
{
    char *name = line + strspn(line, "\t ");
    char *arrow = strstr(name, " => ");
    char *path = arrow == NULL ? name : arrow + 4;
    char *address = strstr(path, " (0x");
    if (address != NULL) {
        *address = '\0';
    }
    if (path[0] == '/') {
        return clo_sim_parts_add_path(parts, path);
    }
    CLO_CHECK(strncmp(name, not_a_file, sizeof not_a_file - 1) == 0, CLO_NOTFOUND,
              "no path is known for '%s'", name);
    return CLO_STATUS_OK;
}

static clo_status add_libraries(clo_sim_parts *parts, const char *interpreter, const char *program)
{
    CLO_AUTO(clo_buf) text = CLO_BUF_LIMIT(MAX_LIST);
    CLO_TRY(list_libraries(interpreter, program, &text));
    CLO_CHECK(clo_buf_str(&text) != NULL, CLO_NOMEM, "out of memory listing libraries");
    char *rest = (char *)text.data;
    for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n")) {
        if (line[0] != '\0') {
            CLO_TRY(add_library(parts, line));
        }
    }
    return clo_sim_parts_add_path(parts, interpreter);
}

static clo_status measure_file(const char *program, uint8_t out_measurement[32])
{
    CLO_AUTO(clo_sim_cache) cache = CLO_SIM_CACHE_INIT;
    CLO_AUTO(clo_sim_parts) parts = CLO_SIM_PARTS_INIT(&cache);
    char path[PATH_MAX]; /* absolute: "--list" takes no options after it */
    CLO_AUTO(clo_sim_fd) fd = -1;
    const char *interpreter;
    if (realpath(program, path) == NULL || (fd = open(path, O_RDONLY | O_CLOEXEC)) < 0) {
        return CLO_ERRNO("open '%s'", program);
    }
    CLO_TRY(clo_sim_parts_program(&parts, fd, path));
    CLO_TRY(find_interpreter(fd, path, &interpreter));
    if (interpreter != NULL) {
        CLO_TRY(add_libraries(&parts, interpreter, path));
    }
    return clo_sim_parts_finish(&parts, out_measurement);
}

clo_status clo_sim_measure_file(const char *program, uint8_t out_measurement[32])
{
    CLO_TRY_CTX(measure_file(program, out_measurement), "measuring '%s'", program);
    return CLO_STATUS_OK;
}
