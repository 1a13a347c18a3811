/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_CLI_TEE_PROCESS_H
#define CLO_CLI_TEE_PROCESS_H

/*
 * cloister-tee as a child process of a command: started with arguments only, heard through its
 * events and its log.
 */
#include "cloister/launch.h"

/* "NAME:CONFIG": `given`, or the build's default. */
clo_status cli_tee_maker(const char *given, char *out_maker, size_t size);

/* The environment to start it with: nothing, except that variables which change what code is loaded
 * are handed on, so that the role itself refuses them by name instead of being run beside them. */
clo_status cli_tee_environment(clo_arena *arena, const char *const **out_environment);

/* The status of a group of cloister-tee processes: CLO_OK, or the code that the first failed one's
 * exit code stands for; it has told the reason itself. */
clo_status cli_tee_group_run(clo_process **processes, size_t count,
                             const clo_process_group_options *options, clo_deadline deadline);

/* Runs one cloister-tee to its end; `line` gets what it prints, its standard error goes to ours. */
clo_status cli_tee_run(const char *tee, const char *const *words, clo_line_fn line, void *arg,
                       clo_deadline deadline);

/* Parses an event line. NULL (and no error) for a line that is no event. Lives in `arena`. */
const clo_json *cli_tee_event(clo_span line, clo_arena *arena, clo_span *out_name);

#endif
