/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See train_flags.h.
 */
#include "train_flags.h"

#include <stdio.h>
#include <string.h>

static const cli_option FLAGS[] = {CLI_TRAIN_FLAGS(
                                       struct { clo_train_settings t; }, t),
                                   CLI_OPTIONS_END};

clo_status cli_train_flag_check(const char *name)
{
    const char *names[sizeof FLAGS / sizeof *FLAGS] = {NULL};
    for (size_t i = 0; FLAGS[i].name; i++) {
        names[i] = FLAGS[i].name;
        if (strcmp(FLAGS[i].name, name) == 0) {
            return CLO_STATUS_OK;
        }
    }
    const char *near = clo_nearest(name, names);
    CLO_FAIL(CLO_INVALID, "'%s' is no training flag%s%s", name, near ? "; did you mean " : "",
             near ? near : "");
}

static void print_value(const cli_option *flag, const clo_train_settings *settings, char text[40])
{
    const void *field = (const uint8_t *)settings + flag->offset;
    if (flag->kind == CLI_REAL) {
        (void)snprintf(text, 40, "%g", *(const double *)field);
    } else if (flag->kind == CLI_FLAG) {
        (void)snprintf(text, 40, "%s", *(const bool *)field ? "on" : "off");
    } else {
        (void)snprintf(text, 40, "%llu", (unsigned long long)*(const uint64_t *)field);
    }
}

static bool host_may_set(const clo_manifest *manifest, const char *name)
{
    for (uint32_t i = 0; i < manifest->host_may_set_count; i++) {
        if (strcmp(manifest->host_may_set[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static clo_status match_flag(const cli_option *flag, const clo_train_settings *given,
                             const clo_manifest *manifest, clo_arena *arena, cli_list *out_set)
{
    char mine[40], jobs[40], text[80];
    print_value(flag, given, mine);
    print_value(flag, &manifest->train, jobs);
    if (strcmp(mine, jobs) == 0) {
        return CLO_STATUS_OK;
    }
    CLO_CHECK(host_may_set(manifest, flag->name), CLO_INVALID,
              "--%s is %s here and %s in the signed job, which does not let the host set it",
              flag->name, mine, jobs);
    (void)snprintf(text, sizeof text, "%s=%s", flag->name, mine);
    char *copy = clo_arena_str(arena, clo_span_of_str(text));
    CLO_CHECK(copy, CLO_NOMEM, "no memory for a flag");
    out_set->item[out_set->count++] = copy;
    return CLO_STATUS_OK;
}

clo_status cli_train_flags_match(const cli_command *command, const cli_arguments *arguments,
                                 const clo_train_settings *given, const clo_manifest *manifest,
                                 clo_arena *arena, cli_list *out_set)
{
    for (size_t i = 0; FLAGS[i].name; i++) {
        if (cli_given(command, arguments, FLAGS[i].name)) {
            CLO_TRY(match_flag(&FLAGS[i], given, manifest, arena, out_set));
        }
    }
    return CLO_STATUS_OK;
}

static clo_status parse_flag(const cli_option *flag, const char *value, void *field)
{
    if (flag->kind == CLI_REAL) {
        return clo_parse_double(value, field);
    }
    if (flag->kind == CLI_NUMBER) {
        return clo_parse_u64(value, INT64_MAX, field);
    }
    bool on = strcmp(value, "on") == 0;
    CLO_CHECK(on || strcmp(value, "off") == 0, CLO_INVALID, "'%s' is neither on nor off", value);
    *(bool *)field = on;
    return CLO_STATUS_OK;
}

clo_status cli_train_flag_set(const char *text, clo_manifest *manifest)
{
    const char *equals = strchr(text, '=');
    CLO_CHECK(equals, CLO_INVALID, "'%s' is not NAME=VALUE", text);
    for (size_t i = 0; FLAGS[i].name; i++) {
        size_t size = strlen(FLAGS[i].name);
        if (size == (size_t)(equals - text) && memcmp(FLAGS[i].name, text, size) == 0) {
            CLO_CHECK(host_may_set(manifest, FLAGS[i].name), CLO_INVALID,
                      "the signed job does not let the host set '%s'", FLAGS[i].name);
            return parse_flag(&FLAGS[i], equals + 1, (uint8_t *)&manifest->train + FLAGS[i].offset);
        }
    }
    CLO_FAIL(CLO_INVALID, "'%s' sets no training flag", text);
}
