/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cloister attest quote | verify | explain: evidence as files.
 */
#include "commands.h"

#include <stdio.h>

/* ---------------------------------------------------------------- quote ----------------------- */

const cli_option cmd_quote_options[] = {
    {"maker", CLI_TEXT, offsetof(cmd_quote_settings, maker), "NAME:CONFIG",
     "what makes it (the simulator's default socket)"},
    {"data", CLI_TEXT, offsetof(cmd_quote_settings, data), "HEX", "at most 64 bytes to bind"},
    {"output", CLI_TEXT, offsetof(cmd_quote_settings, output), "FILE", "standard output if absent"},
    CLI_OPTIONS_END};

static void keep_line(void *arg, size_t process, clo_stream stream, clo_span line)
{
    (void)process;
    if (stream == CLO_STREAM_OUT) {
        clo_put_span(arg, line);
        clo_put_u8(arg, '\n');
    }
}

clo_status cmd_quote(const cli_command *command, const void *settings,
                     const cli_arguments *arguments)
{
    const cmd_quote_settings *s = settings;
    char maker[256];
    (void)command;
    (void)arguments;
    CLO_TRY(cli_tee_maker(s->maker, maker, sizeof maker));
    const char *words[] = {"quote", "--maker", maker, s->data ? "--data" : NULL, s->data, NULL};
    CLO_AUTO(clo_buf) file = CLO_BUF_LIMIT(1u << 20);
    CLO_TRY(cli_tee_run(NULL, words, keep_line, &file, clo_deadline_in(30000)));
    CLO_TRY(clo_buf_check(&file));
    return cli_write_file(s->output, clo_buf_span(&file));
}

/* ---------------------------------------------------------------- verify, explain ------------- */

const cli_option cmd_verify_options[] = {
    {"collateral", CLI_TEXT, offsetof(cmd_verify_settings, collateral), "FILE",
     "the vendor's documents, for a raw quote"},
    {"at", CLI_TEXT, offsetof(cmd_verify_settings, at), "TIME",
     "verify as of 2026-11-20T09:00:00Z"},
    {"policy", CLI_TEXT, offsetof(cmd_verify_settings, policy), "FILE",
     "appraise with these conditions (JSON)"},
    {cli_simulator_root_option, CLI_TEXT, offsetof(cmd_verify_settings, simulator_root), "PEM",
     cli_simulator_root_help},
    {"json", CLI_FLAG, offsetof(cmd_verify_settings, json), NULL, "machine-readable verdict"},
    CLI_OPTIONS_END};

static clo_status read_evidence(const char *path, const cmd_verify_settings *s,
                                clo_evidence *evidence)
{
    CLO_AUTO(clo_buf) file = CLO_BUF_LIMIT(1u << 20);
    CLO_TRY(clo_file_read(path, 1u << 20, &file));
    CLO_TRY_CTX(clo_evidence_parse(clo_buf_span(&file), evidence), "evidence '%s'", path);
    if (s->collateral) {
        clo_buf_clear(&evidence->collateral);
        CLO_TRY(clo_file_read(s->collateral, CLO_COLLATERAL_MAX, &evidence->collateral));
    }
    return CLO_STATUS_OK;
}

static clo_status appraise(const char *path, int64_t at, clo_verdict *verdict)
{
    CLO_AUTO(clo_buf) file = CLO_BUF_INIT;
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    const clo_json *root = NULL;
    clo_appraisal appraisal;
    CLO_TRY(clo_file_read(path, CLO_DOCUMENT_MAX, &file));
    CLO_TRY_CTX(clo_json_parse(clo_buf_span(&file), &arena, &root), "policy '%s'", path);
    CLO_TRY_CTX(clo_appraisal_parse(root, &appraisal), "policy '%s'", path);
    clo_appraise(&appraisal, at, verdict);
    return CLO_STATUS_OK;
}

static clo_status make_verdict(const char *path, const cmd_verify_settings *s, clo_verdict *verdict)
{
    CLO_AUTO(clo_evidence) evidence = CLO_EVIDENCE_INIT;
    CLO_TRY(read_evidence(path, s, &evidence));
    clo_verify_request request = {
        .quote = clo_buf_span(&evidence.quote),
        .collateral = clo_buf_span(&evidence.collateral),
        .at = clo_clock_utc(),
        .anchors = {CLO_ANCHOR_INTEL_SGX},
        .anchor_count = 1,
    };
    if (s->at) {
        CLO_TRY_CTX(clo_time_parse(clo_span_of_str(s->at), &request.at), "option '--at'");
    }
    if (s->simulator_root) {
        CLO_TRY(cli_simulator_anchor(s->simulator_root, &request.anchors[request.anchor_count++]));
    }
    CLO_TRY(clo_evidence_verify(&request, verdict));
    return s->policy ? appraise(s->policy, request.at, verdict) : CLO_STATUS_OK;
}

static clo_status show_verdict(const clo_verdict *verdict, bool json, bool table)
{
    CLO_AUTO(clo_buf) text = CLO_BUF_LIMIT(1u << 20);
    if (json) {
        clo_json_writer writer = clo_json_writer_of(&text);
        clo_verdict_json(verdict, &writer, NULL);
        cli_print_json(&text);
    } else if (table) {
        CLO_TRY(clo_verdict_explain(verdict, &text));
        CLO_TRY(cli_write_file(NULL, clo_buf_span(&text)));
    } else if (verdict->accepted) {
        printf("accepted: %s, TCB %s\n", clo_tee_name(verdict->claims.tee),
               clo_tcb_name(verdict->claims.tcb));
    }
    return clo_verdict_status(verdict);
}

static clo_status verify(const void *settings, const cli_arguments *arguments, bool table)
{
    const cmd_verify_settings *s = settings;
    clo_verdict *verdict = clo_alloc(sizeof *verdict);
    CLO_CHECK(verdict, CLO_NOMEM, "no memory for a verdict");
    clo_status status = make_verdict(arguments->positional.item[0], s, verdict);
    if (clo_ok(status)) {
        status = show_verdict(verdict, s->json, table);
    }
    clo_free(verdict);
    return status;
}

clo_status cmd_verify(const cli_command *command, const void *settings,
                      const cli_arguments *arguments)
{
    (void)command;
    return verify(settings, arguments, false);
}

clo_status cmd_explain(const cli_command *command, const void *settings,
                       const cli_arguments *arguments)
{
    (void)command;
    return verify(settings, arguments, true);
}
