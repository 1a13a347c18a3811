/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cloister open FILE: an output, by its recipient. The job certificate inside must lead to the
 * pinned broker's identity and name the job that the owner approved; its key must have signed the
 * output.
 */
#include "commands.h"

#include <stdio.h>
#include <string.h>

#define OUTPUT_LIMIT (UINT64_C(4) << 30)

const cli_option cmd_open_options[] = {
    {"key", CLI_TEXT, offsetof(cmd_open_settings, key), "KEY", "the recipient's private key"},
    {"trust", CLI_TEXT, offsetof(cmd_open_settings, trust), "FILE",
     "the pinned broker (broker.trust beside the key)"},
    {"job", CLI_TEXT, offsetof(cmd_open_settings, job), "FILE", "the job that made it"},
    {"output", CLI_TEXT, offsetof(cmd_open_settings, output), "FILE", "where the plain file goes"},
    CLI_OPTIONS_END};

static clo_status find_signer(const clo_output_header *header, const cmd_open_settings *s,
                              const clo_manifest *manifest, clo_key **out_signer)
{
    clo_broker_trust trust;
    char path[1024];
    CLO_TRY(cli_trust_path(s->trust, s->key, path, sizeof path));
    CLO_TRY(clo_broker_trust_read(path, &trust));
    CLO_CHECK(clo_equal_ct(header->manifest, manifest->digest, 32), CLO_POLICY,
              "the output was made by another job than '%s'", s->job);
    return cli_job_signer(header->certificates, &trust.identity, manifest, out_signer);
}

static clo_status open_output(const cmd_open_settings *s, clo_span file,
                              const clo_manifest *manifest)
{
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    CLO_AUTO(clo_buf) plain = CLO_BUF_LIMIT(OUTPUT_LIMIT);
    CLO_AUTO_PTR(clo_key) recipient = NULL;
    CLO_AUTO_PTR(clo_key) signer = NULL;
    clo_output_header header;
    CLO_TRY(clo_key_read_private_file(s->key, &recipient));
    CLO_TRY(clo_output_peek(file, &arena, &header));
    CLO_TRY(find_signer(&header, s, manifest, &signer));
    CLO_TRY(clo_output_open(file, signer, recipient, &plain));
    CLO_TRY(clo_file_write(s->output, 0600, clo_buf_span(&plain)));
    printf("%s (%s, %zu bytes), signed by an attested slot of job '%s': %s\n", header.what,
           header.format, plain.size, manifest->job, s->output);
    return CLO_STATUS_OK;
}

clo_status cmd_open(const cli_command *command, const void *settings,
                    const cli_arguments *arguments)
{
    const cmd_open_settings *s = settings;
    const char *path = arguments->positional.item[0];
    CLO_AUTO(clo_buf) file = CLO_BUF_LIMIT(OUTPUT_LIMIT);
    CLO_AUTO(clo_buf) envelope = CLO_BUF_LIMIT(CLO_DOCUMENT_MAX);
    (void)command;
    CLO_CHECK(s->key && s->job && s->output, CLO_INVALID, "--key, --job and --output are needed");
    CLO_TRY(clo_file_read(path, OUTPUT_LIMIT, &file));
    clo_manifest *manifest = clo_alloc(sizeof *manifest);
    CLO_CHECK(manifest, CLO_NOMEM, "no memory for a manifest");
    clo_status status = cli_read_manifest(s->job, &envelope, manifest);
    if (clo_ok(status)) {
        status = open_output(s, clo_buf_span(&file), manifest);
    }
    clo_free(manifest);
    CLO_TRY_CTX(status, "opening '%s'", path);
    return CLO_STATUS_OK;
}
