/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Start-up and small services of both programs.
 */
#include "program.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

volatile bool cli_stop;
volatile bool cli_stop_at_once;

enum { INTERRUPTED = 5 };

static void on_signal(int number)
{
    (void)number;
    cli_stop = true;
    if (cli_stop_at_once) {
        _exit(INTERRUPTED);
    }
}

static const char *const LEVELS[] = {"error", "warn", "info", "debug"};

static void print_log(clo_log_level level, const char *module, const char *line, void *arg)
{
    char now[21];
    (void)arg;
    clo_time_format(clo_clock_utc(), now);
    (void)fprintf(stderr, "%s %-5s %s: %s\n", now, LEVELS[level], module, line);
}

clo_status cli_start(bool verbose)
{
    /* No core dumps: they would hold keys and data. */
    struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_CORE, &none) != 0) {
        return CLO_ERRNO("switching core dumps off");
    }
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    clo_log_set_sink(print_log, NULL, verbose ? CLO_LOG_DEBUG : CLO_LOG_WARN);
    return clo_crypto_init();
}

clo_status cli_write_file(const char *path, clo_span bytes)
{
    if (path && strcmp(path, "-") != 0) {
        return clo_file_write(path, 0644, bytes);
    }
    CLO_CHECK(fwrite(bytes.data, 1, bytes.size, stdout) == bytes.size && fflush(stdout) == 0,
              CLO_IO, "writing to standard output failed");
    return CLO_STATUS_OK;
}

clo_status cli_read_manifest(const char *path, clo_buf *out_envelope, clo_manifest *out_manifest)
{
    CLO_TRY_CTX(clo_file_read(path, CLO_DOCUMENT_MAX, out_envelope), "reading job '%s'", path);
    CLO_TRY_CTX(clo_manifest_open(clo_buf_span(out_envelope), out_manifest), "job '%s'", path);
    return CLO_STATUS_OK;
}

clo_json_writer *cli_event_begin(cli_event *event, const char *name)
{
    event->line = CLO_BUF_LIMIT(1u << 20);
    event->writer = clo_json_writer_of(&event->line);
    clo_json_begin_object(&event->writer, NULL);
    clo_json_put_str(&event->writer, "event", name);
    return &event->writer;
}

void cli_event_end(cli_event *event)
{
    clo_json_end_object(&event->writer);
    cli_print_json(&event->line);
    clo_buf_release(&event->line);
}

void cli_print_json(const clo_buf *json)
{
    if (clo_ok(clo_buf_check(json))) {
        (void)fwrite(json->data, 1, json->size, stdout);
        (void)fputc('\n', stdout);
        (void)fflush(stdout);
    }
}
