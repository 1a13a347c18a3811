/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cloister job make | sign | show | approve: what is run, on which data, by which program.
 */
#include "commands.h"

#include "cloister/train.h"
#include "train_flags.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_MAX 65536

/* ---------------------------------------------------------------- make ------------------------ */

const cli_option cmd_job_make_options[] = {
    CLI_TRAIN_FLAGS(cmd_job_settings, train),
    {"train", CLI_TEXT, offsetof(cmd_job_settings, train_data), "INDEX:SPLIT", "training data"},
    {"test", CLI_TEXT, offsetof(cmd_job_settings, test_data), "INDEX:SPLIT", "test data"},
    {"data-owner", CLI_TEXT, offsetof(cmd_job_settings, data_owner), "PUB",
     "who signed the indexes (the signer)"},
    {"world-size", CLI_NUMBER, offsetof(cmd_job_settings, world_size), "N", "ranks (1)"},
    {"sign", CLI_TEXT, offsetof(cmd_job_settings, sign), "KEY", "the signer's private key file"},
    {"trust", CLI_TEXT, offsetof(cmd_job_settings, trust), "FILE",
     "the pinned broker (broker.trust beside the key)"},
    CLI_CONDITION_OPTIONS(cmd_job_settings, conditions),
    {"name", CLI_TEXT, offsetof(cmd_job_settings, name), "NAME", "of the job (the model's)"},
    {"host-may-set", CLI_LIST, offsetof(cmd_job_settings, host_may_set), "FLAG",
     "a setting that train's command line may change"},
    {"lease", CLI_NUMBER, offsetof(cmd_job_settings, lease), "SECONDS", "of a slot (20)"},
    {"grace", CLI_NUMBER, offsetof(cmd_job_settings, grace), "SECONDS",
     "to go on after the roster expired (600)"},
    {"output", CLI_TEXT, offsetof(cmd_job_settings, output), "FILE", "the signed job"},
    {"backend", CLI_TEXT, offsetof(cmd_job_settings, backend), "NAME", NULL},
    {"no-cuda", CLI_FLAG, offsetof(cmd_job_settings, no_cuda), NULL, NULL},
    {"json", CLI_FLAG, offsetof(cmd_job_settings, json), NULL, "machine-readable"},
    CLI_OPTIONS_END};

void cmd_job_defaults(void *settings)
{
    cmd_job_settings *s = settings;
    s->train = CLO_TRAIN_SETTINGS_INIT;
    s->world_size = 1;
    s->lease = 20;
    s->grace = 600;
}

static clo_status split_data(const char *text, char path[512], clo_manifest_data *data)
{
    const char *colon = strrchr(text, ':');
    CLO_CHECK(colon && colon != text && colon[1] && strlen(colon + 1) < sizeof data->split,
              CLO_INVALID, "'%s' is not INDEX:SPLIT", text);
    CLO_CHECK((size_t)(colon - text) < 512, CLO_INVALID, "the index's path is too long");
    memset(path, 0, 512);
    memcpy(path, text, (size_t)(colon - text));
    memcpy(data->split, colon + 1, strlen(colon + 1) + 1);
    char *whole = realpath(path, NULL);
    CLO_CHECK(whole, CLO_NOTFOUND, "no index at '%s'", path);
    bool fits = strlen(whole) < sizeof data->location;
    (void)snprintf(data->location, sizeof data->location, "%s", fits ? whole : "");
    free(whole); /* realpath's own allocation */
    CLO_CHECK(fits, CLO_INVALID, "the index's path is too long");
    return CLO_STATUS_OK;
}

static clo_status check_split(const clo_index *index, const char *split, const char *path)
{
    size_t size = strlen(split);
    for (size_t i = 0; i < index->row_count; i++) {
        if (strncmp(index->rows[i].name, split, size) == 0 && index->rows[i].name[size] == '/') {
            return CLO_STATUS_OK;
        }
    }
    CLO_FAIL(CLO_NOTFOUND, "index '%s' has no '%s/...'", path, split);
}

static clo_status add_data(clo_manifest *manifest, const char *use, const char *text,
                           const clo_public_key *owner)
{
    clo_manifest_data *data = &manifest->data[manifest->data_count];
    CLO_AUTO(clo_buf) envelope = CLO_BUF_LIMIT(CLO_INDEX_FILE_MAX);
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    CLO_AUTO_PTR(clo_key) key = NULL;
    clo_index index;
    char path[512];
    (void)snprintf(data->use, sizeof data->use, "%s", use);
    CLO_TRY_CTX(split_data(text, path, data), "option '--%s'", use);
    CLO_TRY(clo_file_read(path, CLO_INDEX_FILE_MAX, &envelope));
    CLO_TRY(clo_public_key_load(owner, &key));
    CLO_TRY_CTX(clo_index_open(clo_buf_span(&envelope), key, &arena, &index), "index '%s'", path);
    CLO_TRY(check_split(&index, data->split, path));
    data->owner = *owner;
    memcpy(data->key_id, index.key_id, 16);
    memcpy(data->index, index.digest, 32);
    manifest->data_count++;
    return CLO_STATUS_OK;
}

/* What a rank would refuse later is refused before it is signed. */
static clo_status check_settings(const clo_train_settings *train)
{
    CLO_CHECK(train->epochs >= 1 && train->epochs <= CLO_EPOCHS_MAX, CLO_INVALID,
              "--epochs is %llu, expected 1 to %d", (unsigned long long)train->epochs,
              CLO_EPOCHS_MAX);
    CLO_CHECK(train->batch_size >= 1 && train->batch_size <= BATCH_MAX, CLO_INVALID,
              "--batch-size is %llu, expected 1 to %d", (unsigned long long)train->batch_size,
              BATCH_MAX);
    CLO_CHECK(train->test_batch_size >= 1 && train->test_batch_size <= BATCH_MAX, CLO_INVALID,
              "--test-batch-size is %llu, expected 1 to %d",
              (unsigned long long)train->test_batch_size, BATCH_MAX);
    CLO_CHECK(train->lr > 0.0, CLO_INVALID, "--lr is %g, expected more than 0", train->lr);
    CLO_CHECK(train->momentum >= 0.0 && train->momentum < 1.0, CLO_INVALID,
              "--momentum is %g, expected 0 or more and less than 1", train->momentum);
    return CLO_STATUS_OK;
}

static clo_status fill_names(const cmd_job_settings *s, const char *template,
                             clo_manifest *manifest)
{
    const clo_architecture *architecture = clo_architecture_find(template);
    CLO_CHECK(architecture, CLO_NOTFOUND, "no built-in job '%s'", template);
    const char *name = s->name ? s->name : template;
    CLO_CHECK(strlen(name) < sizeof manifest->job, CLO_INVALID, "--name is too long");
    (void)snprintf(manifest->job, sizeof manifest->job, "%s", name);
    (void)snprintf(manifest->model, sizeof manifest->model, "%s", architecture->name);
    CLO_CHECK(s->world_size >= 1 && s->world_size <= CLO_WORLD_MAX, CLO_INVALID,
              "--world-size is %llu, expected 1 to %d", (unsigned long long)s->world_size,
              CLO_WORLD_MAX);
    CLO_CHECK(s->lease >= 10 && s->lease <= 3600, CLO_INVALID,
              "--lease is %llu, expected 10 to 3600", (unsigned long long)s->lease);
    CLO_TRY(check_settings(&s->train));
    manifest->world_size = (uint32_t)s->world_size;
    manifest->lease_s = (uint32_t)s->lease;
    manifest->grace_s = (uint32_t)s->grace;
    manifest->train = s->train;
    CLO_CHECK(s->host_may_set.count <= 16, CLO_INVALID, "more than 16 --host-may-set");
    for (size_t i = 0; i < s->host_may_set.count; i++) {
        CLO_TRY(cli_train_flag_check(s->host_may_set.item[i]));
        (void)snprintf(manifest->host_may_set[i], 32, "%s", s->host_may_set.item[i]);
    }
    manifest->host_may_set_count = (uint32_t)s->host_may_set.count;
    return CLO_STATUS_OK;
}

/* The peers' conditions: as given, or (nothing given) what was demanded of the broker, because it
 * is the same program. */
static clo_status fill_conditions(const cmd_job_settings *s, clo_manifest *manifest)
{
    bool given = s->conditions.measurements.count > 0 || s->conditions.simulator_root;
    if (given) {
        return cli_conditions_build(&s->conditions, &manifest->appraisal, manifest->anchors,
                                    &manifest->anchor_count);
    }
    manifest->appraisal = manifest->broker.appraisal;
    memcpy(manifest->anchors, manifest->broker.anchors, sizeof manifest->anchors);
    manifest->anchor_count = manifest->broker.anchor_count;
    return CLO_STATUS_OK;
}

static clo_status fill_manifest(const cmd_job_settings *s, const char *template,
                                const clo_key *signer, clo_manifest *manifest)
{
    char trust[1024];
    clo_public_key owner;
    CLO_TRY(clo_public_key_of(signer, &manifest->signer));
    owner = manifest->signer;
    if (s->data_owner) {
        CLO_TRY(cli_read_public(s->data_owner, &owner));
    }
    CLO_TRY(fill_names(s, template, manifest));
    CLO_TRY(cli_trust_path(s->trust, s->sign, trust, sizeof trust));
    CLO_TRY_CTX(clo_broker_trust_read(trust, &manifest->broker),
                "the pinned broker (cloister kms trust makes it)");
    CLO_TRY(fill_conditions(s, manifest));
    CLO_CHECK(s->train_data, CLO_INVALID, "--train is missing: INDEX:SPLIT");
    CLO_TRY(add_data(manifest, "train", s->train_data, &owner));
    return s->test_data ? add_data(manifest, "test", s->test_data, &owner) : CLO_STATUS_OK;
}

static clo_status make(const cmd_job_settings *s, const char *template, clo_manifest *manifest)
{
    CLO_AUTO_PTR(clo_key) signer = NULL;
    CLO_AUTO(clo_buf) envelope = CLO_BUF_LIMIT(CLO_DOCUMENT_MAX);
    char hex[65];
    CLO_TRY(clo_key_read_private_file(s->sign, &signer));
    CLO_TRY(fill_manifest(s, template, signer, manifest));
    CLO_TRY(clo_manifest_sign(manifest, signer, &envelope));
    CLO_TRY(cli_write_file(s->output, clo_buf_span(&envelope)));
    CLO_TRY(clo_manifest_open(clo_buf_span(&envelope), manifest));
    clo_hex_encode(CLO_SPAN_OF(manifest->digest), hex);
    if (s->output && s->json) {
        printf("{\"job\":\"%s\",\"digest\":\"%s\"}\n", s->output, hex);
    } else if (s->output) {
        printf("job %s: digest %s\n", s->output, hex);
    }
    return CLO_STATUS_OK;
}

clo_status cmd_job_make(const cli_command *command, const void *settings,
                        const cli_arguments *arguments)
{
    const cmd_job_settings *s = settings;
    (void)command;
    CLO_CHECK(s->sign, CLO_INVALID, "--sign is missing: the signer's private key file");
    clo_manifest *manifest = clo_alloc(sizeof *manifest);
    CLO_CHECK(manifest, CLO_NOMEM, "no memory for a manifest");
    clo_status status = make(s, arguments->positional.item[0], manifest);
    clo_free(manifest);
    return status;
}

/* ---------------------------------------------------------------- sign, show ------------------ */

const cli_option cmd_job_sign_options[] = {
    {"sign", CLI_TEXT, offsetof(cmd_job_sign_settings, sign), "KEY", "the signer's private key"},
    {"output", CLI_TEXT, offsetof(cmd_job_sign_settings, output), "FILE", "the signed job"},
    CLI_OPTIONS_END};

/* A payload edited by hand; what is signed must also be a well-formed manifest. */
clo_status cmd_job_sign(const cli_command *command, const void *settings,
                        const cli_arguments *arguments)
{
    const cmd_job_sign_settings *s = settings;
    const char *path = arguments->positional.item[0];
    CLO_AUTO_PTR(clo_key) signer = NULL;
    CLO_AUTO(clo_buf) payload = CLO_BUF_LIMIT(CLO_DOCUMENT_MAX);
    CLO_AUTO(clo_buf) envelope = CLO_BUF_LIMIT(2 * CLO_DOCUMENT_MAX);
    (void)command;
    CLO_CHECK(s->sign, CLO_INVALID, "--sign is missing: the signer's private key file");
    CLO_TRY(clo_key_read_private_file(s->sign, &signer));
    CLO_TRY(clo_file_read(path, CLO_DOCUMENT_MAX, &payload));
    CLO_TRY(clo_dsse_sign(signer, CLO_MANIFEST_TYPE, clo_buf_span(&payload), &envelope));
    clo_manifest *manifest = clo_alloc(sizeof *manifest);
    CLO_CHECK(manifest, CLO_NOMEM, "no memory for a manifest");
    clo_status status = clo_manifest_open(clo_buf_span(&envelope), manifest);
    clo_free(manifest);
    CLO_TRY_CTX(status, "manifest '%s'", path);
    return cli_write_file(s->output, clo_buf_span(&envelope));
}

const cli_option cmd_job_show_options[] = {CLI_OPTIONS_END};

clo_status cmd_job_show(const cli_command *command, const void *settings,
                        const cli_arguments *arguments)
{
    CLO_AUTO(clo_buf) envelope = CLO_BUF_LIMIT(CLO_DOCUMENT_MAX);
    CLO_AUTO(clo_buf) payload = CLO_BUF_LIMIT(CLO_DOCUMENT_MAX);
    (void)command;
    (void)settings;
    clo_manifest *manifest = clo_alloc(sizeof *manifest);
    CLO_CHECK(manifest, CLO_NOMEM, "no memory for a manifest");
    clo_status status = cli_read_manifest(arguments->positional.item[0], &envelope, manifest);
    clo_free(manifest);
    CLO_TRY(status);
    CLO_TRY(clo_dsse_peek(clo_buf_span(&envelope), CLO_MANIFEST_TYPE, &payload));
    cli_print_json(&payload);
    return CLO_STATUS_OK;
}

/* ---------------------------------------------------------------- approve --------------------- */

const cli_option cmd_job_approve_options[] = {
    CLI_OWNER_OPTIONS(cmd_approve_settings, owner),
    {"max-epochs", CLI_NUMBER, offsetof(cmd_approve_settings, max_epochs), "N", "budget (100)"},
    {"max-releases", CLI_NUMBER, offsetof(cmd_approve_settings, max_releases), "N",
     "file-key requests (100)"},
    {"days", CLI_NUMBER, offsetof(cmd_approve_settings, days), "N", "validity (30)"},
    CLI_OPTIONS_END};

void cmd_approve_defaults(void *settings)
{
    cmd_approve_settings *s = settings;
    s->max_epochs = 100;
    s->max_releases = 100;
    s->days = 30;
}

static clo_status policy_version(cli_owner *owner, const uint8_t key_id[16], uint64_t *out_version)
{
    CLO_AUTO(clo_buf) envelope = CLO_BUF_LIMIT(CLO_DOCUMENT_MAX);
    CLO_TRY_CTX(clo_owner_get_policy(owner->session, key_id, cli_owner_deadline(), &envelope),
                "the policy at the broker");
    clo_policy *policy = clo_alloc(sizeof *policy);
    CLO_CHECK(policy, CLO_NOMEM, "no memory for a policy");
    clo_status status = clo_policy_open(clo_buf_span(&envelope), &owner->public_key, policy);
    *out_version = policy->version;
    clo_free(policy);
    return status;
}

static clo_status approve_key(const cmd_approve_settings *s, cli_owner *owner,
                              const clo_manifest *manifest, const uint8_t key_id[16])
{
    CLO_AUTO(clo_buf) envelope = CLO_BUF_LIMIT(CLO_DOCUMENT_MAX);
    clo_approval approval = {
        .owner = owner->public_key,
        .max_epochs = s->max_epochs,
        .max_releases = s->max_releases,
        .expires = clo_clock_utc() + (int64_t)s->days * 86400,
    };
    memcpy(approval.manifest, manifest->digest, 32);
    memcpy(approval.key_id, key_id, 16);
    CLO_TRY(policy_version(owner, key_id, &approval.policy_version));
    CLO_TRY(clo_approval_sign(&approval, owner->key, &envelope));
    return clo_owner_approve(owner->session, clo_buf_span(&envelope), cli_owner_deadline());
}

/* One approval for each of the owner's keys in the job. */
static clo_status approve(const cmd_approve_settings *s, const clo_manifest *manifest)
{
    CLO_AUTO(cli_owner) owner = CLI_OWNER_INIT;
    size_t approved = 0;
    CLO_TRY(cli_owner_connect(&s->owner, &owner));
    for (uint32_t i = 0; i < manifest->data_count; i++) {
        const clo_manifest_data *data = &manifest->data[i];
        bool repeated = false;
        for (uint32_t k = 0; k < i; k++) {
            repeated |= memcmp(manifest->data[k].key_id, data->key_id, 16) == 0;
        }
        if (!repeated && clo_public_key_equal(&data->owner, &owner.public_key)) {
            CLO_TRY(approve_key(s, &owner, manifest, data->key_id));
            approved++;
        }
    }
    CLO_CHECK(approved > 0, CLO_NOTFOUND, "the job uses no data of this owner");
    printf("job '%s' is approved for %zu data key%s\n", manifest->job, approved,
           approved == 1 ? "" : "s");
    return CLO_STATUS_OK;
}

clo_status cmd_job_approve(const cli_command *command, const void *settings,
                           const cli_arguments *arguments)
{
    CLO_AUTO(clo_buf) envelope = CLO_BUF_LIMIT(CLO_DOCUMENT_MAX);
    (void)command;
    clo_manifest *manifest = clo_alloc(sizeof *manifest);
    CLO_CHECK(manifest, CLO_NOMEM, "no memory for a manifest");
    clo_status status = cli_read_manifest(arguments->positional.item[0], &envelope, manifest);
    if (clo_ok(status)) {
        status = approve(settings, manifest);
    }
    clo_free(manifest);
    return status;
}
