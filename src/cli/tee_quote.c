/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Evidence over a person's own data. The purpose is user-data, always: such a quote can never pass
 * for a channel's.
 */
#include "program.h"
#include "tee_commands.h"

const cli_option tee_quote_options[] = {
    {"maker", CLI_TEXT, offsetof(tee_quote_settings, maker), "NAME:CONFIG", "what makes it"},
    {"data", CLI_TEXT, offsetof(tee_quote_settings, data), "HEX", "at most 64 bytes to bind"},
    CLI_OPTIONS_END};

clo_status tee_quote(const cli_command *command, const void *settings,
                     const cli_arguments *arguments)
{
    const tee_quote_settings *s = settings;
    (void)command;
    (void)arguments;
    CLO_CHECK(s->maker, CLO_INVALID, "--maker is missing");
    CLO_AUTO(clo_buf) data = CLO_BUF_LIMIT(64);
    if (s->data) {
        CLO_TRY_CTX(clo_hex_append(clo_span_of_str(s->data), 64, &data), "option '--data'");
    }
    CLO_AUTO_PTR(clo_maker) maker = NULL;
    CLO_TRY(clo_maker_open(cli_makers, s->maker, &maker));
    (void)cli_maker_flags(maker);
    CLO_AUTO(clo_evidence) evidence = CLO_EVIDENCE_INIT;
    CLO_TRY(clo_maker_quote(maker, CLO_PURPOSE_USER_DATA, clo_buf_span(&data),
                            clo_deadline_in(10000), &evidence));
    CLO_AUTO(clo_buf) file = CLO_BUF_INIT;
    CLO_TRY(clo_evidence_write(&evidence, &file));
    return cli_write_file(NULL, clo_buf_span(&file));
}
