/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The harness of test.h. Its own failures (no folder, no fixture) end the program with code 2: they
 * say nothing about the code under test.
 */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATHS = 4, PATH = 1024, TEXT = 2048, FOLDERS = 256 };

static struct {
    bool failed;
    bool skipped;
    char text[TEXT];
} running;

static char root_folder[PATH];
static pid_t root_owner;

_Noreturn static void give_up(const char *what, const char *why)
{
    printf("Bail out! %s: %s\n", what, why);
    exit(2);
}

static void give_up_if(clo_status status, const char *what)
{
    if (!clo_ok(status)) {
        char text[TEXT];
        clo_status_text(status, text, sizeof text);
        give_up(what, text);
    }
}

/* A forked child that exits must not remove its parent's files. */
static void remove_root_folder(void)
{
    if (getpid() == root_owner) {
        (void)clo_dir_remove_tree(root_folder);
    }
}

static bool is_chosen(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strstr(name, argv[i]) != NULL) {
            return true;
        }
    }
    return argc <= 1;
}

static void say_result(size_t number, const char *name)
{
    if (running.failed) {
        printf("not ok %zu - %s\n# %s\n", number, name, running.text);
    } else if (running.skipped) {
        printf("ok %zu - %s # SKIP %s\n", number, name, running.text);
    } else {
        printf("ok %zu - %s\n", number, name);
    }
    fflush(stdout);
}

static const char *below_source(const char *middle, const char *relative)
{
    static char paths[PATHS][PATH];
    static unsigned next;
    char *path = paths[next++ % PATHS];
    snprintf(path, PATH, "%s/%s%s", CLO_SOURCE_DIR, middle, relative);
    return path;
}

int clo_test_main(int argc, char **argv, const clo_test *tests, size_t count)
{
    size_t chosen = 0;
    for (size_t i = 0; i < count; i++) {
        chosen += is_chosen(tests[i].name, argc, argv);
    }
    printf("TAP version 13\n1..%zu\n", chosen);
    fflush(stdout);
    size_t number = 0;
    size_t failed = 0;
    for (size_t i = 0; i < count; i++) {
        if (is_chosen(tests[i].name, argc, argv)) {
            memset(&running, 0, sizeof running);
            tests[i].run();
            say_result(++number, tests[i].name);
            failed += running.failed;
        }
    }
    return failed == 0 ? 0 : 1;
}

void clo_test_fail(const char *file, int line, const char *format, ...)
{
    if (running.failed) { /* the first failure is the one that explains */
        return;
    }
    running.failed = true;
    int at = snprintf(running.text, sizeof running.text, "%s:%d: ", file, line);
    va_list args;
    va_start(args, format);
    vsnprintf(running.text + at, sizeof running.text - (size_t)at, format, args);
    va_end(args);
}

void clo_test_skip(const char *format, ...)
{
    running.skipped = true;
    va_list args;
    va_start(args, format);
    if (!running.failed) {
        vsnprintf(running.text, sizeof running.text, format, args);
    }
    va_end(args);
}

const char *clo_test_source(const char *relative)
{
    return below_source("", relative);
}

const char *clo_test_shared(const char *relative)
{
    const char *path = below_source("../shared/", relative);
    return clo_file_exists(path) ? path : NULL;
}

const char *clo_test_folder(void)
{
    static char folders[FOLDERS][PATH + 16];
    static unsigned used;
    if (root_owner == 0) {
        give_up_if(clo_dir_make_temp("/tmp/cloister-test-", root_folder, sizeof root_folder),
                   "a temporary folder");
        root_owner = getpid();
        atexit(remove_root_folder);
    }
    if (used == FOLDERS) {
        give_up("a temporary folder", "too many");
    }
    char *folder = folders[used];
    snprintf(folder, sizeof folders[used], "%s/%u", root_folder, used);
    used++;
    give_up_if(clo_dir_make(folder, 0700), "a temporary folder");
    return folder;
}

void clo_test_read(const char *path, clo_buf *out)
{
    give_up_if(clo_file_read(path, SIZE_MAX, out), "a fixture");
}
