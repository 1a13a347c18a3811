/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_CLI_PROGRAM_H
#define CLO_CLI_PROGRAM_H

/*
 * What both programs share: start-up, the log on standard error, the stop flag, the table of
 * evidence makers, and small readers of files that several commands take.
 *
 * cloister-tee speaks to the command that started it through *events*: one JSON object a line on
 * standard output, {"event":"step", ...}; its log goes to standard error. Events never hold more
 * than what the samples print.
 */
#include "cloister/kms.h"

/* Initialises crypto and the log; level from `verbose`. */
clo_status cli_start(bool verbose);
/* True once SIGTERM or SIGINT came; handlers are installed by cli_start. */
extern volatile bool cli_stop;
/* While this is set such a signal ends the process at once with exit code 5: for waits in which
 * there is nothing to save. */
extern volatile bool cli_stop_at_once;

/* Evidence makers of this build; simulator builds have "sim", release builds do not
 * (makers_simulator.c, makers_release.c). Ended by NULL. */
extern const clo_maker_ops *const cli_makers[];
/* CLO_INSECURE_ bits of a maker, for hellos. */
uint32_t cli_maker_flags(const clo_maker *maker);
/* The maker to use when none was named: the simulator's default socket, or NULL in release builds.
 */
clo_status cli_default_maker(char *out_text, size_t size);

/* Reads and opens a manifest; `out_envelope` keeps the bytes. */
clo_status cli_read_manifest(const char *path, clo_buf *out_envelope, clo_manifest *out_manifest);
/* Writes `bytes` to a file, or to standard output for "-" or NULL. */
clo_status cli_write_file(const char *path, clo_span bytes);

/* One event line: begin, put members with the writer, end. */
typedef struct {
    clo_buf line;
    clo_json_writer writer;
} cli_event;

clo_json_writer *cli_event_begin(cli_event *event, const char *name);
void cli_event_end(cli_event *event);

/* Prints one JSON value and a newline on standard output. */
void cli_print_json(const clo_buf *json);

#endif
