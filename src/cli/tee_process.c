/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See tee_process.h.
 */
#include "tee_process.h"

#include "people.h"

#include <stdio.h>

clo_status cli_tee_maker(const char *given, char *out_maker, size_t size)
{
    if (!given) {
        return cli_default_maker(out_maker, size);
    }
    int got = snprintf(out_maker, size, "%s", given);
    CLO_CHECK(got >= 0 && (size_t)got < size, CLO_LIMIT, "--maker is longer than %zu", size - 1);
    return CLO_STATUS_OK;
}

clo_status cli_tee_run(const char *tee, const char *const *words,
                       void (*line)(void *arg, size_t process, clo_stream stream, clo_span line),
                       void *arg, clo_deadline deadline)
{
    char path[1024];
    CLO_TRY(cli_tee_path(tee, path, sizeof path));
    clo_process_options options = {.program = path, .arguments = words, .capture_out = true};
    CLO_AUTO_PTR(clo_process) process = NULL;
    CLO_TRY(clo_process_start(&options, &process));
    clo_process_group_options group = {.line = line, .stop = &cli_stop, .arg = arg};
    return clo_process_group_run(&process, 1, &group, deadline);
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
