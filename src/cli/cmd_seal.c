/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cloister seal NAME=FILE...: an owner's files into sealed files, and their signed index.
 */
#include "commands.h"

#include "cloister/model.h"

#include <stdio.h>
#include <string.h>

#define PLAIN_LIMIT (UINT64_C(4) << 30)

const cli_option cmd_seal_options[] = {
    CLI_OWNER_OPTIONS(cmd_seal_settings, owner),
    {"policy", CLI_TEXT, offsetof(cmd_seal_settings, policy), "FILE", "the owner's signed policy"},
    {"index", CLI_TEXT, offsetof(cmd_seal_settings, index), "FILE",
     "index to write; sealed files go beside it"},
    {"raw", CLI_FLAG, offsetof(cmd_seal_settings, raw), NULL, "seal .gz files as they are"},
    {"json", CLI_FLAG, offsetof(cmd_seal_settings, json), NULL, "machine-readable"},
    CLI_OPTIONS_END};

typedef struct {
    const cmd_seal_settings *settings;
    cli_owner *owner;
    clo_buf *policy_envelope;
    clo_policy *policy;
    clo_index index;
    char folder[1024];
} seal_state;

/* "train/images=/path/file" */
static clo_status split_name(const char *word, char name[CLO_INDEX_NAME_MAX], const char **out_path)
{
    const char *equals = strchr(word, '=');
    CLO_CHECK(equals && equals[1], CLO_INVALID, "'%s' is not NAME=FILE", word);
    size_t size = (size_t)(equals - word);
    CLO_CHECK(size > 0 && size < CLO_INDEX_NAME_MAX, CLO_INVALID,
              "name in '%s' has %zu characters, expected 1 to %d", word, size,
              CLO_INDEX_NAME_MAX - 1);
    memset(name, 0, CLO_INDEX_NAME_MAX);
    memcpy(name, word, size);
    *out_path = equals + 1;
    return CLO_STATUS_OK;
}

static clo_status read_plain(const char *path, bool raw, clo_buf *out)
{
    size_t size = strlen(path);
    if (raw || size < 3 || strcmp(path + size - 3, ".gz") != 0) {
        return clo_file_read(path, PLAIN_LIMIT, out);
    }
    CLO_AUTO(clo_buf) packed = CLO_BUF_LIMIT(PLAIN_LIMIT);
    CLO_TRY(clo_file_read(path, PLAIN_LIMIT, &packed));
    CLO_TRY_CTX(clo_gunzip(clo_buf_span(&packed), out), "unpacking '%s'", path);
    return CLO_STATUS_OK;
}

static clo_status sealed_path(const seal_state *state, const char *name, char *out, size_t size)
{
    char file[CLO_INDEX_NAME_MAX + 16], folder[1100];
    (void)snprintf(file, sizeof file, "%s.sealed", name);
    CLO_TRY(clo_path_join(out, size, state->folder, file));
    (void)snprintf(folder, sizeof folder, "%s", out);
    *strrchr(folder, '/') = 0;
    return clo_dir_make(folder, 0700);
}

static clo_status write_sealed(const char *path, clo_span header, const clo_secret *key,
                               clo_span plain, uint8_t out_digest[32])
{
    CLO_AUTO_PTR(clo_seal_writer) writer = NULL;
    CLO_TRY(clo_seal_writer_new(path, header, key, &writer));
    CLO_TRY(clo_seal_writer_write(writer, plain));
    return clo_seal_writer_finish(writer, out_digest);
}

static clo_status seal_one(seal_state *state, size_t i, size_t count, const char *word)
{
    clo_index_row *row = &state->index.rows[i];
    const char *path = NULL;
    char target[1100];
    CLO_AUTO(clo_buf) plain = CLO_BUF_LIMIT(PLAIN_LIMIT);
    CLO_AUTO(clo_buf) header_bytes = CLO_BUF_LIMIT(CLO_SEAL_HEADER_MAX);
    CLO_AUTO(clo_secret) key = CLO_SECRET_INIT;
    clo_seal_header header;
    CLO_TRY(split_name(word, row->name, &path));
    CLO_TRY(read_plain(path, state->settings->raw, &plain));
    CLO_TRY(clo_seal_header_init(&header));
    memcpy(header.data_set_id, state->index.data_set_id, 16);
    memcpy(header.key_id, state->policy->key_id, 16);
    header.key_version = 1;
    header.part = (uint32_t)i;
    header.parts = (uint32_t)count;
    header.policy = clo_buf_span(state->policy_envelope);
    CLO_TRY(clo_seal_header_write(&header, &header_bytes));
    clo_span bytes = clo_buf_span(&header_bytes);
    CLO_TRY_CTX(clo_owner_file_keys(state->owner->session, &bytes, 1, cli_owner_deadline(), &key),
                "the key for '%s'", row->name);
    CLO_TRY(sealed_path(state, row->name, target, sizeof target));
    CLO_TRY(write_sealed(target, bytes, &key, clo_buf_span(&plain), row->digest));
    memcpy(row->file_id, header.file_id, 16);
    row->size = plain.size;
    return CLO_STATUS_OK;
}

static clo_status finish_index(seal_state *state)
{
    CLO_AUTO(clo_buf) envelope = CLO_BUF_LIMIT(CLO_INDEX_FILE_MAX);
    uint8_t digest[32];
    char hex[65];
    CLO_TRY(clo_index_sign(&state->index, state->owner->key, &envelope, digest));
    CLO_TRY(clo_file_write(state->settings->index, 0644, clo_buf_span(&envelope)));
    clo_hex_encode(CLO_SPAN_OF(digest), hex);
    if (state->settings->json) {
        printf("{\"index\":\"%s\",\"digest\":\"%s\",\"files\":%zu}\n", state->settings->index, hex,
               state->index.row_count);
    } else {
        printf("sealed %zu files; index %s, digest %s\n", state->index.row_count,
               state->settings->index, hex);
    }
    return CLO_STATUS_OK;
}

static clo_status start_index(seal_state *state, const cli_list *words, clo_arena *arena)
{
    clo_index *index = &state->index;
    const char *slash = strrchr(state->settings->index, '/');
    (void)snprintf(state->folder, sizeof state->folder, "%.*s",
                   slash ? (int)(slash - state->settings->index) : 1,
                   slash ? state->settings->index : ".");
    CLO_TRY(clo_dir_make(state->folder, 0700));
    CLO_TRY(clo_random_bytes(index->data_set_id, sizeof index->data_set_id));
    memcpy(index->data_set, state->policy->data_set, sizeof index->data_set);
    memcpy(index->key_id, state->policy->key_id, 16);
    index->version = 1;
    index->row_count = words->count;
    index->rows = clo_arena_array(arena, words->count, sizeof *index->rows);
    CLO_CHECK(index->rows, CLO_NOMEM, "no memory for %zu rows", words->count);
    return CLO_STATUS_OK;
}

static clo_status seal_all(seal_state *state, const cli_list *words)
{
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    CLO_TRY_CTX(clo_policy_open(clo_buf_span(state->policy_envelope), &state->owner->public_key,
                                state->policy),
                "policy '%s'", state->settings->policy);
    CLO_TRY(start_index(state, words, &arena));
    for (size_t i = 0; i < words->count; i++) {
        CLO_TRY(seal_one(state, i, words->count, words->item[i]));
    }
    return finish_index(state);
}

clo_status cmd_seal(const cli_command *command, const void *settings,
                    const cli_arguments *arguments)
{
    const cmd_seal_settings *s = settings;
    CLO_AUTO(cli_owner) owner = CLI_OWNER_INIT;
    CLO_AUTO(clo_buf) envelope = CLO_BUF_LIMIT(CLO_DOCUMENT_MAX);
    (void)command;
    CLO_CHECK(s->policy, CLO_INVALID, "--policy is missing: the owner's signed policy");
    CLO_CHECK(s->index, CLO_INVALID, "--index is missing: the index to write");
    CLO_CHECK(!clo_file_exists(s->index), CLO_EXISTS,
              "'%s' is already there: jobs may name it; choose another folder", s->index);
    CLO_TRY(clo_file_read(s->policy, CLO_DOCUMENT_MAX, &envelope));
    CLO_TRY(cli_owner_connect(&s->owner, &owner));
    seal_state *state = clo_alloc(sizeof *state);
    clo_policy *policy = clo_alloc(sizeof *policy);
    clo_status status = CLO_STATUS_OK;
    if (state && policy) {
        *state = (seal_state){
            .settings = s, .owner = &owner, .policy_envelope = &envelope, .policy = policy};
        status = seal_all(state, &arguments->positional);
    }
    bool enough = state && policy;
    clo_free(state);
    clo_free(policy);
    CLO_CHECK(enough, CLO_NOMEM, "no memory for a policy");
    return status;
}
