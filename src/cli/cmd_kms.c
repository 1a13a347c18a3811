/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cloister kms init | owner | serve | trust | key | revoke | audit | audit-store: the key broker,
 * from both sides.
 */
#include "cloister/broker.h"
#include "commands.h"

#include <stdio.h>
#include <string.h>

/* ---------------------------------------------------------------- init, owner, serve ---------- */

#define ROOT_OPTION                                                                                \
    {                                                                                              \
        "root", CLI_TEXT, offsetof(cmd_broker_settings, root), "KIND:PATH",                        \
            "what protects the root key: file:PATH or passphrase:PATH"                             \
    }

const cli_option cmd_kms_init_options[] = {ROOT_OPTION, CLI_OPTIONS_END};

const cli_option cmd_kms_owner_options[] = {
    ROOT_OPTION,
    {"name", CLI_TEXT, offsetof(cmd_broker_settings, name), "NAME",
     "what the audit log calls the owner (the file's name)"},
    CLI_OPTIONS_END};

const cli_option cmd_kms_serve_options[] = {
    ROOT_OPTION,
    {"slots", CLI_TEXT, offsetof(cmd_broker_settings, slots), "HOST:PORT",
     "where slots connect (127.0.0.1:7443)"},
    {"owners", CLI_TEXT, offsetof(cmd_broker_settings, owners), "HOST:PORT",
     "where owners connect (127.0.0.1:7444)"},
    {"maker", CLI_TEXT, offsetof(cmd_broker_settings, maker), "NAME:CONFIG",
     "what makes the broker's evidence (the simulator's default socket)"},
    {"json", CLI_FLAG, offsetof(cmd_broker_settings, json), NULL, "print events as they come"},
    CLI_OPTIONS_END};

void cmd_kms_defaults(void *settings)
{
    cmd_broker_settings *s = settings;
    s->slots = "127.0.0.1:7443";
    s->owners = "127.0.0.1:7444";
}

static void show_broker_event(void *arg, size_t process, clo_stream stream, clo_span line)
{
    const cmd_broker_settings *s = arg;
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    clo_span name, slots, owners;
    (void)process;
    (void)stream;
    const clo_json *event = cli_tee_event(line, &arena, &name);
    if (s->json || !event) {
        printf("%.*s\n", (int)line.size, (const char *)line.data);
    } else if (clo_span_equals_str(name, "ready") && clo_ok(clo_json_str(event, "slots", &slots)) &&
               clo_ok(clo_json_str(event, "owners", &owners))) {
        printf("key broker: slots at %.*s, owners at %.*s\n", (int)slots.size,
               (const char *)slots.data, (int)owners.size, (const char *)owners.data);
    }
    (void)fflush(stdout);
}

clo_status cmd_kms_init(const cli_command *command, const void *settings,
                        const cli_arguments *arguments)
{
    const cmd_broker_settings *s = settings;
    (void)command;
    CLO_CHECK(s->root, CLO_INVALID, "--root is missing: file:PATH or passphrase:PATH");
    const char *words[] = {"broker", "init",  arguments->positional.item[0],
                           "--root", s->root, NULL};
    cmd_broker_settings quiet = *s;
    return cli_tee_run(NULL, words, show_broker_event, &quiet, clo_deadline_in(30000));
}

/* "folder/owner.pub" is the owner "owner.pub". */
static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

clo_status cmd_kms_owner(const cli_command *command, const void *settings,
                         const cli_arguments *arguments)
{
    const cmd_broker_settings *s = settings;
    const char *const *item = arguments->positional.item;
    (void)command;
    CLO_CHECK(s->root, CLO_INVALID, "--root is missing: file:PATH or passphrase:PATH");
    const char *name = s->name ? s->name : file_name(item[1]);
    const char *words[] = {"broker", "owner",  item[0], item[1], "--root",
                           s->root,  "--name", name,    NULL};
    cmd_broker_settings quiet = *s;
    CLO_TRY(cli_tee_run(NULL, words, show_broker_event, &quiet, clo_deadline_in(30000)));
    printf("pinned: '%s' may command its own records in this key broker\n", name);
    return CLO_STATUS_OK;
}

clo_status cmd_kms_serve(const cli_command *command, const void *settings,
                         const cli_arguments *arguments)
{
    const cmd_broker_settings *s = settings;
    char maker[256];
    (void)command;
    CLO_CHECK(s->root, CLO_INVALID, "--root is missing: file:PATH or passphrase:PATH");
    CLO_TRY(cli_tee_maker(s->maker, maker, sizeof maker));
    const char *words[] = {"broker",  "serve",    arguments->positional.item[0],
                           "--root",  s->root,    "--slots",
                           s->slots,  "--owners", s->owners,
                           "--maker", maker,      NULL};
    cmd_broker_settings copy = *s;
    return cli_tee_run(NULL, words, show_broker_event, &copy, clo_deadline_in(INT64_MAX / 4));
}

/* ---------------------------------------------------------------- trust ----------------------- */

const cli_option cmd_kms_trust_options[] = {
    {"owner", CLI_TEXT, offsetof(cmd_trust_settings, owner), "KEY", "the owner's private key file"},
    CLI_CONDITION_OPTIONS(cmd_trust_settings, conditions),
    {"accept", CLI_LIST, offsetof(cmd_trust_settings, accept), "INSECURE",
     "a weakness of the broker to accept: insecure_root_operator, insecure_no_anchor"},
    {"identity", CLI_TEXT, offsetof(cmd_trust_settings, identity), "PUB",
     "the broker's identity key, when known from elsewhere"},
    {"output", CLI_TEXT, offsetof(cmd_trust_settings, output), "FILE",
     "trust file (broker.trust beside the key)"},
    {"json", CLI_FLAG, offsetof(cmd_trust_settings, json), NULL, "machine-readable verdict"},
    CLI_OPTIONS_END};

typedef struct {
    const char *name;
    uint32_t flag;
} weakness_row;

static const weakness_row WEAKNESSES[] = {
    {"insecure_root_operator", CLO_INSECURE_ROOT_OPERATOR},
    {"insecure_no_anchor", CLO_INSECURE_NO_ANCHOR},
};

static clo_status accept_weaknesses(const cli_list *names, uint32_t *flags)
{
    for (size_t i = 0; i < names->count; i++) {
        uint32_t flag = 0;
        for (size_t k = 0; k < sizeof WEAKNESSES / sizeof *WEAKNESSES; k++) {
            flag |= strcmp(names->item[i], WEAKNESSES[k].name) == 0 ? WEAKNESSES[k].flag : 0;
        }
        CLO_CHECK(flag, CLO_INVALID,
                  "--accept '%s' is neither insecure_root_operator nor insecure_no_anchor",
                  names->item[i]);
        *flags |= flag;
    }
    return CLO_STATUS_OK;
}

static void show_trust(const clo_verdict *verdict, const clo_broker_trust *trust, bool json)
{
    CLO_AUTO(clo_buf) text = CLO_BUF_LIMIT(1u << 20);
    clo_json_writer w = clo_json_writer_of(&text);
    if (!json) {
        printf("broker verified: %s evidence, TCB %s; its identity is pinned\n",
               clo_tee_name(verdict->claims.tee), clo_tcb_name(verdict->claims.tcb));
        return;
    }
    clo_json_begin_object(&w, NULL);
    clo_json_put_base64(&w, "identity", CLO_SPAN(trust->identity.spki, trust->identity.size));
    clo_verdict_json(verdict, &w, "verdict");
    clo_json_end_object(&w);
    cli_print_json(&text);
}

static clo_status pin(const cmd_trust_settings *s, const char *address, clo_verdict *verdict)
{
    CLO_AUTO_PTR(clo_key) owner = NULL;
    clo_broker_trust trust = {0};
    clo_public_key expected;
    char path[1024];
    CLO_TRY(clo_key_read_private_file(s->owner, &owner));
    CLO_TRY(cli_trust_path(s->output, s->owner, path, sizeof path));
    CLO_TRY(
        cli_conditions_build(&s->conditions, &trust.appraisal, trust.anchors, &trust.anchor_count));
    trust.insecure_accepted = s->conditions.simulator_root ? CLO_INSECURE_SIMULATOR : 0;
    CLO_TRY(accept_weaknesses(&s->accept, &trust.insecure_accepted));
    if (s->identity) {
        CLO_TRY(cli_read_public(s->identity, &expected));
    }
    CLO_TRY_CTX(clo_owner_trust(address, owner, s->identity ? &expected : NULL,
                                cli_owner_deadline(), &trust, verdict),
                "verifying the broker at %s", address);
    CLO_TRY(clo_broker_trust_write(path, &trust));
    show_trust(verdict, &trust, s->json);
    return CLO_STATUS_OK;
}

clo_status cmd_kms_trust(const cli_command *command, const void *settings,
                         const cli_arguments *arguments)
{
    const cmd_trust_settings *s = settings;
    (void)command;
    CLO_CHECK(s->owner, CLO_INVALID, "--owner is missing: the owner's private key file");
    clo_verdict *verdict = clo_alloc(sizeof *verdict);
    CLO_CHECK(verdict, CLO_NOMEM, "no memory for a verdict");
    clo_status status = pin(s, arguments->positional.item[0], verdict);
    clo_free(verdict);
    return status;
}

/* ---------------------------------------------------------------- owner's keys, audit --------- */

#define JSON_OPTION                                                                                \
    {                                                                                              \
        "json", CLI_FLAG, offsetof(cmd_owner_settings, json), NULL, "machine-readable"             \
    }

const cli_option cmd_kms_key_options[] = {CLI_OWNER_OPTIONS(cmd_owner_settings, owner), JSON_OPTION,
                                          CLI_OPTIONS_END};

clo_status cmd_kms_key(const cli_command *command, const void *settings,
                       const cli_arguments *arguments)
{
    const cmd_owner_settings *s = settings;
    const char *name = arguments->positional.item[0];
    CLO_AUTO(cli_owner) owner = CLI_OWNER_INIT;
    uint8_t id[16];
    char hex[33];
    (void)command;
    CLO_TRY(cli_owner_connect(&s->owner, &owner));
    CLO_TRY(clo_owner_make_key(owner.session, name, cli_owner_deadline(), id));
    clo_hex_encode(CLO_SPAN_OF(id), hex);
    printf(s->json ? "{\"key\":\"%s\"}\n" : "%s\n", hex);
    return CLO_STATUS_OK;
}

const cli_option cmd_kms_revoke_options[] = {CLI_OWNER_OPTIONS(cmd_owner_settings, owner),
                                             CLI_OPTIONS_END};

clo_status cmd_kms_revoke(const cli_command *command, const void *settings,
                          const cli_arguments *arguments)
{
    const cmd_owner_settings *s = settings;
    CLO_AUTO(cli_owner) owner = CLI_OWNER_INIT;
    uint8_t id[16];
    (void)command;
    CLO_TRY_CTX(clo_hex_decode(clo_span_of_str(arguments->positional.item[0]), id, sizeof id),
                "key id");
    CLO_TRY(cli_owner_connect(&s->owner, &owner));
    CLO_TRY(clo_owner_revoke(owner.session, id, cli_owner_deadline()));
    printf("revoked: no more file keys of it are released; those released cannot be recalled\n");
    return CLO_STATUS_OK;
}

static clo_status show_log(const clo_buf *lines, const uint8_t head[32])
{
    char hex[65];
    CLO_TRY(cli_write_file(NULL, clo_buf_span(lines)));
    clo_hex_encode(CLO_SPAN(head, 32), hex);
    printf("{\"head\":\"%s\"}\n", hex);
    return CLO_STATUS_OK;
}

const cli_option cmd_kms_audit_options[] = {
    CLI_OWNER_OPTIONS(cmd_owner_settings, owner),
    {"first", CLI_NUMBER, offsetof(cmd_owner_settings, first), "N", "first entry (0)"},
    CLI_OPTIONS_END};

clo_status cmd_kms_audit(const cli_command *command, const void *settings,
                         const cli_arguments *arguments)
{
    const cmd_owner_settings *s = settings;
    CLO_AUTO(cli_owner) owner = CLI_OWNER_INIT;
    CLO_AUTO(clo_buf) lines = CLO_BUF_INIT;
    uint8_t head[32];
    (void)command;
    (void)arguments;
    CLO_TRY(cli_owner_connect(&s->owner, &owner));
    CLO_TRY(clo_owner_audit(owner.session, s->first, cli_owner_deadline(), &lines, head));
    return show_log(&lines, head);
}

const cli_option cmd_kms_audit_store_options[] = {CLI_OPTIONS_END};

/* Reads the log where it lies, which takes no key: hashes alone make its chain. */
clo_status cmd_kms_audit_store(const cli_command *command, const void *settings,
                               const cli_arguments *arguments)
{
    CLO_AUTO(clo_buf) lines = CLO_BUF_INIT;
    uint8_t head[32];
    (void)command;
    (void)settings;
    CLO_TRY(clo_broker_audit(arguments->positional.item[0], &lines, head));
    return show_log(&lines, head);
}
