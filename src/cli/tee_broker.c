/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key broker's commands inside the TEE.
 */
#include "cloister/broker.h"
#include "people.h"
#include "tee_commands.h"

#include <string.h>

#define ROOT_OPTION                                                                                \
    {                                                                                              \
        "root", CLI_TEXT, offsetof(tee_broker_settings, root), "KIND:PATH",                        \
            "what protects the root key: file:PATH or passphrase:PATH"                             \
    }

const cli_option tee_broker_init_options[] = {ROOT_OPTION, CLI_OPTIONS_END};

const cli_option tee_broker_owner_options[] = {ROOT_OPTION,
                                               {"name", CLI_TEXT,
                                                offsetof(tee_broker_settings, name), "NAME",
                                                "what the audit log calls the owner"},
                                               CLI_OPTIONS_END};

const cli_option tee_broker_serve_options[] = {
    ROOT_OPTION,
    {"slots", CLI_TEXT, offsetof(tee_broker_settings, slots), "HOST:PORT",
     "where slots connect (127.0.0.1:7443)"},
    {"owners", CLI_TEXT, offsetof(tee_broker_settings, owners), "HOST:PORT",
     "where owners connect (127.0.0.1:7444)"},
    {"maker", CLI_TEXT, offsetof(tee_broker_settings, maker), "NAME:CONFIG",
     "what makes this process's evidence"},
    CLI_OPTIONS_END};

void tee_broker_defaults(void *settings)
{
    tee_broker_settings *s = settings;
    s->slots = "127.0.0.1:7443";
    s->owners = "127.0.0.1:7444";
}

static clo_status parse_root(const char *text, char kind[16], clo_broker_root *out_root)
{
    CLO_CHECK(text, CLO_INVALID, "--root is missing: file:PATH or passphrase:PATH");
    const char *colon = strchr(text, ':');
    CLO_CHECK(colon && colon - text < 16 && colon[1], CLO_INVALID,
              "--root is '%s', expected KIND:PATH", text);
    memset(kind, 0, 16);
    memcpy(kind, text, (size_t)(colon - text));
    *out_root = (clo_broker_root){.kind = kind, .path = colon + 1};
    return CLO_STATUS_OK;
}

clo_status tee_broker_init(const cli_command *command, const void *settings,
                           const cli_arguments *arguments)
{
    const tee_broker_settings *s = settings;
    char kind[16];
    clo_broker_root root;
    (void)command;
    CLO_TRY(parse_root(s->root, kind, &root));
    CLO_TRY(clo_broker_init(arguments->positional.item[0], &root));
    cli_event event;
    clo_json_put_str(cli_event_begin(&event, "made"), "folder", arguments->positional.item[0]);
    cli_event_end(&event);
    return CLO_STATUS_OK;
}

clo_status tee_broker_owner(const cli_command *command, const void *settings,
                            const cli_arguments *arguments)
{
    const tee_broker_settings *s = settings;
    char kind[16];
    clo_broker_root root;
    clo_public_key owner;
    (void)command;
    CLO_CHECK(s->name, CLO_INVALID, "--name is missing: what the audit log calls the owner");
    CLO_TRY(parse_root(s->root, kind, &root));
    CLO_TRY(cli_read_public(arguments->positional.item[1], &owner));
    CLO_TRY(clo_broker_add_owner(arguments->positional.item[0], &root, &owner, s->name));
    cli_event event;
    clo_json_put_str(cli_event_begin(&event, "pinned"), "owner", s->name);
    cli_event_end(&event);
    return CLO_STATUS_OK;
}

static void tell_ready(void *arg, const char *slots, const char *owners,
                       const clo_public_key *identity)
{
    cli_event event;
    clo_json_writer *w = cli_event_begin(&event, "ready");
    (void)arg;
    clo_json_put_str(w, "slots", slots);
    clo_json_put_str(w, "owners", owners);
    clo_json_put_base64(w, "identity", CLO_SPAN(identity->spki, identity->size));
    cli_event_end(&event);
}

clo_status tee_broker_serve(const cli_command *command, const void *settings,
                            const cli_arguments *arguments)
{
    const tee_broker_settings *s = settings;
    char kind[16];
    (void)command;
    CLO_CHECK(s->maker, CLO_INVALID, "--maker is missing");
    CLO_AUTO_PTR(clo_maker) maker = NULL;
    CLO_TRY(clo_maker_open(cli_makers, s->maker, &maker));
    clo_broker_options options = {
        .folder = arguments->positional.item[0],
        .slot_address = s->slots,
        .owner_address = s->owners,
        .maker = maker,
        .insecure_flags = cli_maker_flags(maker),
        .stop = &cli_stop,
        .ready = tell_ready,
    };
    CLO_TRY(parse_root(s->root, kind, &options.root));
    clo_log(CLO_LOG_WARN, "start", "insecure_root_operator: who can read '%s' can read every key",
            options.root.path);
    clo_log(CLO_LOG_WARN, "start",
            "insecure_no_anchor: an older copy of the store put back is not noticed");
    return clo_broker_serve(&options);
}
