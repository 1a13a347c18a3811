/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See tee_process.h.
 */
#include "tee_process.h"

#include "people.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

clo_status cli_tee_maker(const char *given, char *out_maker, size_t size)
{
    if (!given) {
        return cli_default_maker(out_maker, size);
    }
    int got = snprintf(out_maker, size, "%s", given);
    CLO_CHECK(got >= 0 && (size_t)got < size, CLO_LIMIT, "--maker is longer than %zu", size - 1);
    return CLO_STATUS_OK;
}

/* SSL_CERT_* is not among them: many machines set it for other programs, and we read no system
 * trust store. */
static const char *const HANDED_ON[] = {"LD_", "OPENSSL_", "GLIBC_TUNABLES="};

static bool is_handed_on(const char *variable)
{
    for (size_t i = 0; i < sizeof HANDED_ON / sizeof *HANDED_ON; i++) {
        if (strncmp(variable, HANDED_ON[i], strlen(HANDED_ON[i])) == 0) {
            return true;
        }
    }
    return false;
}

clo_status cli_tee_environment(clo_arena *arena, const char *const **out_environment)
{
    size_t count = 0, kept = 0;
    while (environ[count]) {
        count++;
    }
    const char **list = clo_arena_array(arena, count + 1, sizeof *list);
    CLO_CHECK(list, CLO_NOMEM, "no memory for an environment");
    for (size_t i = 0; i < count; i++) {
        if (is_handed_on(environ[i])) {
            list[kept++] = environ[i];
        }
    }
    *out_environment = list;
    return CLO_STATUS_OK;
}

typedef struct {
    const clo_process_group_options *options;
    int code;
} group_end;

static void pass_line(void *arg, size_t process, clo_stream stream, clo_span line)
{
    const clo_process_group_options *options = ((group_end *)arg)->options;
    options->line(options->arg, process, stream, line);
}

static void note_code(void *arg, size_t process, int exit_code)
{
    group_end *end = arg;
    (void)process;
    end->code = end->code ? end->code : exit_code;
}

clo_status cli_tee_group_run(clo_process **processes, size_t count,
                             const clo_process_group_options *options, clo_deadline deadline)
{
    group_end end = {options, 0};
    clo_process_group_options group = *options;
    group.line = pass_line;
    group.ended = note_code;
    group.arg = &end;
    clo_status status = clo_process_group_run(processes, count, &group, deadline);
    CLO_CHECK(status.code != CLO_DENIED, cli_code_of_exit(end.code),
              "cloister-tee ended with code %d", end.code);
    return status;
}

clo_status cli_tee_run(const char *tee, const char *const *words, clo_line_fn line, void *arg,
                       clo_deadline deadline)
{
    char path[1024];
    CLO_TRY(cli_tee_path(tee, path, sizeof path));
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    clo_process_options options = {.program = path, .arguments = words, .capture_out = true};
    CLO_TRY(cli_tee_environment(&arena, &options.environment));
    CLO_AUTO_PTR(clo_process) process = NULL;
    CLO_TRY(clo_process_start(&options, &process));
    clo_process_group_options group = {.line = line, .stop = &cli_stop, .arg = arg};
    return cli_tee_group_run(&process, 1, &group, deadline);
}

const clo_json *cli_tee_event(clo_span line, clo_arena *arena, clo_span *out_name)
{
    const clo_json *event = NULL;
    if (line.size == 0 || line.data[0] != '{' || !clo_ok(clo_json_parse(line, arena, &event)) ||
        !clo_ok(clo_json_str(event, "event", out_name))) {
        return NULL;
    }
    return event;
}
