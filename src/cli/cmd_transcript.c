/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cloister verify TRANSCRIPT: the signed record of a run, offline. The certificates are inside what
 * they prove: they count once they lead to the pinned broker and name the job.
 */
#include "commands.h"

#include "cloister/train.h"

#include <stdio.h>

#define TRANSCRIPT_LIMIT (16u << 20)

const cli_option cmd_transcript_options[] = {
    {"job", CLI_TEXT, offsetof(cmd_transcript_settings, job), "JOB", "the job that was run"},
    {"trust", CLI_TEXT, offsetof(cmd_transcript_settings, trust), "FILE",
     "the pinned broker (broker.trust beside the job)"},
    {"json", CLI_FLAG, offsetof(cmd_transcript_settings, json), NULL, "print the record itself"},
    CLI_OPTIONS_END};

static clo_status check_signature(const cmd_transcript_settings *s, clo_span envelope,
                                  clo_span certificates, clo_manifest *manifest)
{
    CLO_AUTO(clo_buf) job = CLO_BUF_LIMIT(CLO_DOCUMENT_MAX);
    CLO_AUTO(clo_buf) payload = CLO_BUF_LIMIT(TRANSCRIPT_LIMIT);
    CLO_AUTO_PTR(clo_key) signer = NULL;
    clo_broker_trust trust;
    char path[1024];
    CLO_TRY(cli_read_manifest(s->job, &job, manifest));
    CLO_TRY(cli_trust_path(s->trust, s->job, path, sizeof path));
    CLO_TRY(clo_broker_trust_read(path, &trust));
    CLO_TRY(cli_job_signer(certificates, &trust.identity, manifest, &signer));
    return clo_dsse_open(envelope, CLO_TRANSCRIPT_TYPE, signer, &payload);
}

static clo_status show_record(const clo_json *root)
{
    const clo_json *verified = NULL, *results = NULL;
    clo_span job;
    uint64_t steps = 0;
    CLO_TRY(clo_json_str(root, "job", &job));
    CLO_TRY(clo_json_u64(root, "steps", INT64_MAX, &steps));
    CLO_TRY(clo_json_member(root, "verified", CLO_JSON_ARRAY, &verified));
    CLO_TRY(clo_json_member(root, "results", CLO_JSON_ARRAY, &results));
    printf("signed by an attested slot of job '%.*s': %llu steps, %u verified peers\n",
           (int)job.size, (const char *)job.data, (unsigned long long)steps, verified->count);
    for (const clo_json *row = results->child; row; row = row->next) {
        uint64_t epoch = 0;
        double accuracy = 0;
        CLO_TRY(clo_json_u64(row, "epoch", INT64_MAX, &epoch));
        CLO_TRY(clo_json_double(row, "test_accuracy", &accuracy));
        printf("epoch %llu: test accuracy %.4f\n", (unsigned long long)epoch, accuracy);
    }
    return CLO_STATUS_OK;
}

static clo_status verify(const cmd_transcript_settings *s, const char *path, clo_manifest *manifest)
{
    CLO_AUTO(clo_buf) envelope = CLO_BUF_LIMIT(TRANSCRIPT_LIMIT);
    CLO_AUTO(clo_buf) payload = CLO_BUF_LIMIT(TRANSCRIPT_LIMIT);
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    const clo_json *root = NULL;
    clo_span certificates;
    CLO_TRY(clo_file_read(path, TRANSCRIPT_LIMIT, &envelope));
    CLO_TRY(clo_dsse_peek(clo_buf_span(&envelope), CLO_TRANSCRIPT_TYPE, &payload));
    CLO_TRY(clo_json_parse(clo_buf_span(&payload), &arena, &root));
    CLO_TRY(clo_json_str(root, "certificates", &certificates));
    CLO_TRY(check_signature(s, clo_buf_span(&envelope), certificates, manifest));
    if (s->json) {
        cli_print_json(&payload);
        return CLO_STATUS_OK;
    }
    return show_record(root);
}

clo_status cmd_transcript(const cli_command *command, const void *settings,
                          const cli_arguments *arguments)
{
    const cmd_transcript_settings *s = settings;
    const char *path = arguments->positional.item[0];
    (void)command;
    CLO_CHECK(s->job, CLO_INVALID, "--job is missing: the job that was run");
    clo_manifest *manifest = clo_alloc(sizeof *manifest);
    CLO_CHECK(manifest, CLO_NOMEM, "no memory for a manifest");
    clo_status status = verify(s, path, manifest);
    clo_free(manifest);
    CLO_TRY_CTX(status, "transcript '%s'", path);
    return CLO_STATUS_OK;
}
