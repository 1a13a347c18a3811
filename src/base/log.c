/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way to the sink. The sink is set once before threads start, so reading it takes no lock.
 */
#include "cloister/base.h"

#include <stdio.h>

#include "chars.h"

enum { LINE = 1024 };

static struct {
    clo_log_sink sink;
    void *arg;
    clo_log_level ceiling;
} target;

void clo_log_set_sink(clo_log_sink sink, void *arg, clo_log_level ceiling)
{
    target.sink = sink;
    target.arg = arg;
    target.ceiling = ceiling;
}

void clo_log(clo_log_level level, const char *module, const char *format, ...)
{
    if (target.sink == NULL || level > target.ceiling) {
        return;
    }
    char line[LINE];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (length < 0) {
        return;
    }
    clo_chars_blank_controls(line);
    target.sink(level, module, line, target.arg);
}
