/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cloister inspect FILE: what a sealed file, an index, a policy, a job or an output says of itself.
 * Nothing is verified or decrypted, and the output says so.
 */
#include "commands.h"

#include "cloister/train.h"

#include <stdio.h>
#include <string.h>

#define INSPECT_LIMIT (UINT64_C(4) << 30)

const cli_option cmd_inspect_options[] = {CLI_OPTIONS_END};

typedef struct {
    const char *type;
    const char *name;
} document_row;

static const document_row DOCUMENTS[] = {
    {CLO_INDEX_TYPE, "index"},   {CLO_POLICY_TYPE, "policy"},
    {CLO_MANIFEST_TYPE, "job"},  {CLO_APPROVAL_TYPE, "approval"},
    {CLO_ROSTER_TYPE, "roster"}, {CLO_TRANSCRIPT_TYPE, "transcript"},
};

static bool show_document(clo_span file)
{
    for (size_t i = 0; i < sizeof DOCUMENTS / sizeof *DOCUMENTS; i++) {
        CLO_AUTO(clo_buf) payload = CLO_BUF_LIMIT(CLO_INDEX_FILE_MAX);
        if (clo_ok(clo_dsse_peek(file, DOCUMENTS[i].type, &payload))) {
            printf("%s, signature not checked\n", DOCUMENTS[i].name);
            cli_print_json(&payload);
            return true;
        }
    }
    return false;
}

static void print_id(const char *name, const uint8_t *bytes, size_t size)
{
    char hex[129];
    clo_hex_encode(CLO_SPAN(bytes, size), hex);
    printf("  %-12s %s\n", name, hex);
}

static bool show_sealed(clo_span file)
{
    clo_seal_header header;
    size_t size = 0;
    if (!clo_ok(clo_seal_header_parse(file, &header, &size))) {
        return false;
    }
    printf("sealed file, nothing checked or decrypted\n");
    print_id("file", header.file_id, 16);
    print_id("data set", header.data_set_id, 16);
    print_id("key", header.key_id, 16);
    printf("  %-12s %u of %u\n", "part", header.part + 1, header.parts);
    printf("  %-12s %u bytes\n", "chunks", 1u << header.log2_chunk);
    printf("  %-12s %zu bytes\n", "policy", header.policy.size);
    return true;
}

static bool show_output(clo_span file)
{
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    clo_output_header header;
    if (!clo_ok(clo_output_peek(file, &arena, &header))) {
        return false;
    }
    printf("output, signature not checked: %s (%s)\n", header.what, header.format);
    print_id("job", header.manifest, 32);
    print_id("transcript", header.transcript, 32);
    for (size_t i = 0; i < header.input_count; i++) {
        print_id("input", header.inputs[i], 32);
    }
    return true;
}

clo_status cmd_inspect(const cli_command *command, const void *settings,
                       const cli_arguments *arguments)
{
    const char *path = arguments->positional.item[0];
    CLO_AUTO(clo_buf) file = CLO_BUF_LIMIT(INSPECT_LIMIT);
    (void)command;
    (void)settings;
    CLO_TRY(clo_file_read(path, INSPECT_LIMIT, &file));
    clo_span bytes = clo_buf_span(&file);
    CLO_CHECK(show_sealed(bytes) || show_document(bytes) || show_output(bytes), CLO_FORMAT,
              "'%s' is no sealed file, index, policy, job, approval, roster or output", path);
    return CLO_STATUS_OK;
}
