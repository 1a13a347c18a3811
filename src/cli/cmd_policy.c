/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cloister kms policy make | put | show: an owner's conditions for one data key.
 */
#include "commands.h"

#include "cloister/model.h"

#include <stdio.h>
#include <string.h>

const cli_option cmd_policy_make_options[] = {
    CLI_OWNER_OPTIONS(cmd_policy_settings, owner),
    {"key", CLI_TEXT, offsetof(cmd_policy_settings, key), "HEX", "the data key's id"},
    {"data-set", CLI_TEXT, offsetof(cmd_policy_settings, data_set), "NAME", "what it protects"},
    CLI_CONDITION_OPTIONS(cmd_policy_settings, conditions),
    {"signer", CLI_LIST, offsetof(cmd_policy_settings, signers), "PUB",
     "who may sign jobs (the owner)"},
    {"role", CLI_LIST, offsetof(cmd_policy_settings, roles), "NAME",
     "roles that may ask (trainer)"},
    {"model", CLI_LIST, offsetof(cmd_policy_settings, models), "NAME",
     "models that may be trained"},
    {"recipient", CLI_LIST, offsetof(cmd_policy_settings, recipients), "PUB",
     "who may receive the model (X25519)"},
    {"metrics", CLI_TEXT, offsetof(cmd_policy_settings, metrics), "EVERY",
     "metrics may leave in clear; epoch: accuracy and test loss; step: each batch's loss too"},
    {"mode", CLI_TEXT, offsetof(cmd_policy_settings, mode), "MODE",
     "approved: each job needs an approval (default); signer: its signer is enough"},
    {"max-epochs", CLI_NUMBER, offsetof(cmd_policy_settings, max_epochs), "N", "per job (100)"},
    {"max-releases", CLI_NUMBER, offsetof(cmd_policy_settings, max_releases), "N",
     "file-key requests over the policy's life (1000)"},
    {"days", CLI_NUMBER, offsetof(cmd_policy_settings, days), "N", "validity (365)"},
    {"replace", CLI_TEXT, offsetof(cmd_policy_settings, replace), "POLICY",
     "make the next version of this one"},
    {"supersede", CLI_FLAG, offsetof(cmd_policy_settings, supersede), NULL,
     "the next version may allow more than the one it replaces"},
    {"output", CLI_TEXT, offsetof(cmd_policy_settings, output), "FILE", "signed policy"},
    CLI_OPTIONS_END};

void cmd_policy_defaults(void *settings)
{
    cmd_policy_settings *s = settings;
    s->max_epochs = 100;
    s->max_releases = 1000;
    s->days = 365;
    s->mode = "approved";
}

static clo_status copy_name(const char *what, const char *text, char *out, size_t size)
{
    CLO_CHECK(text && *text, CLO_INVALID, "--%s is missing", what);
    CLO_CHECK(strlen(text) < size, CLO_INVALID, "--%s '%s' is longer than %zu", what, text,
              size - 1);
    memcpy(out, text, strlen(text) + 1);
    return CLO_STATUS_OK;
}

static clo_status fill_lists(const cmd_policy_settings *s, clo_policy *policy)
{
    policy->signers[0] = policy->owner;
    policy->signer_count = 1;
    for (size_t i = 0; i < s->signers.count; i++) {
        CLO_CHECK(i < 16, CLO_INVALID, "more than 16 signers");
        CLO_TRY(cli_read_public(s->signers.item[i], &policy->signers[i]));
        policy->signer_count = (uint32_t)i + 1;
    }
    policy->roles[0] = CLO_ROLE_TRAINER;
    policy->role_count = 1;
    for (size_t i = 0; i < s->roles.count; i++) {
        CLO_CHECK(i < CLO_ROLE_COUNT, CLO_INVALID, "too many roles");
        CLO_TRY(clo_role_parse(clo_span_of_str(s->roles.item[i]), &policy->roles[i]));
        policy->role_count = (uint32_t)i + 1;
    }
    CLO_CHECK(s->models.count > 0 && s->models.count <= 16, CLO_INVALID,
              "--model is needed, at most 16 times");
    for (size_t i = 0; i < s->models.count; i++) {
        CLO_CHECK(clo_architecture_find(s->models.item[i]), CLO_NOTFOUND, "no built-in model '%s'",
                  s->models.item[i]);
        CLO_TRY(copy_name("model", s->models.item[i], policy->models[i], CLO_NAME_MAX));
    }
    policy->model_count = (uint32_t)s->models.count;
    return CLO_STATUS_OK;
}

static clo_status fill_metrics(const char *every, clo_policy *policy)
{
    clo_policy_output *output = &policy->outputs[policy->output_count];
    bool at_steps = every && strcmp(every, "step") == 0;
    CLO_CHECK(!every || at_steps || strcmp(every, "epoch") == 0, CLO_INVALID,
              "--metrics is '%s', expected epoch or step", every);
    if (every) {
        (void)snprintf(output->what, sizeof output->what, "metrics");
        output->every = at_steps ? CLO_METRICS_STEP : CLO_METRICS_EPOCH;
        policy->output_count++;
    }
    return CLO_STATUS_OK;
}

static clo_status fill_outputs(const cmd_policy_settings *s, clo_policy *policy)
{
    CLO_CHECK(s->recipients.count < 16, CLO_INVALID, "more than 15 recipients");
    for (size_t i = 0; i < s->recipients.count; i++) {
        clo_policy_output *output = &policy->outputs[policy->output_count++];
        (void)snprintf(output->what, sizeof output->what, "model");
        CLO_TRY(cli_read_public(s->recipients.item[i], &output->recipient));
    }
    return fill_metrics(s->metrics, policy);
}

static clo_status fill_policy(const cmd_policy_settings *s, const cli_owner *owner,
                              clo_policy *policy)
{
    policy->owner = owner->public_key;
    policy->broker = owner->trust;
    policy->version = 1;
    policy->need_approval = strcmp(s->mode, "approved") == 0;
    CLO_CHECK(policy->need_approval || strcmp(s->mode, "signer") == 0, CLO_INVALID,
              "--mode is '%s', expected approved or signer", s->mode);
    policy->max_epochs = s->max_epochs;
    policy->max_releases = s->max_releases;
    policy->until = clo_clock_utc() + (int64_t)s->days * 86400;
    CLO_CHECK(s->days > 0, CLO_INVALID, "--days is 0: the policy would never be valid");
    CLO_CHECK(s->key, CLO_INVALID, "--key is missing: the data key's id");
    CLO_TRY_CTX(clo_hex_decode(clo_span_of_str(s->key), policy->key_id, 16), "option '--key'");
    CLO_TRY(copy_name("data-set", s->data_set, policy->data_set, CLO_NAME_MAX));
    CLO_TRY(cli_conditions_build(&s->conditions, &policy->appraisal, policy->anchors,
                                 &policy->anchor_count));
    if (policy->anchor_count == 0 && owner->trust.anchor_count > 0) {
        clo_log(CLO_LOG_WARN, "policy",
                "the trusted broker is a simulator's and this policy accepts none: no slot of that "
                "simulator will be allowed");
    }
    CLO_TRY(fill_lists(s, policy));
    return fill_outputs(s, policy);
}

/* The next version of another policy; it ends when that one does unless --days says otherwise. */
static clo_status succeed(const cmd_policy_settings *s, const cli_owner *owner, bool given_days,
                          clo_policy *policy)
{
    CLO_CHECK(s->replace || !s->supersede, CLO_INVALID, "--supersede needs --replace POLICY");
    if (!s->replace) {
        return CLO_STATUS_OK;
    }
    CLO_AUTO(clo_buf) envelope = CLO_BUF_LIMIT(CLO_DOCUMENT_MAX);
    CLO_TRY(clo_file_read(s->replace, CLO_DOCUMENT_MAX, &envelope));
    clo_policy *older = clo_alloc(sizeof *older);
    CLO_CHECK(older, CLO_NOMEM, "no memory for a policy");
    clo_status status = clo_policy_open(clo_buf_span(&envelope), &owner->public_key, older);
    policy->version = older->version + 1;
    policy->supersede = s->supersede;
    policy->until = given_days ? policy->until : older->until;
    memcpy(policy->previous, older->digest, sizeof policy->previous);
    clo_free(older);
    CLO_TRY_CTX(status, "policy '%s'", s->replace);
    return CLO_STATUS_OK;
}

clo_status cmd_policy_make(const cli_command *command, const void *settings,
                           const cli_arguments *arguments)
{
    const cmd_policy_settings *s = settings;
    CLO_AUTO(cli_owner) owner = CLI_OWNER_INIT;
    CLO_AUTO(clo_buf) envelope = CLO_BUF_LIMIT(CLO_DOCUMENT_MAX);
    CLO_TRY(cli_owner_load(&s->owner, &owner));
    clo_policy *policy = clo_alloc(sizeof *policy);
    CLO_CHECK(policy, CLO_NOMEM, "no memory for a policy");
    clo_status status = fill_policy(s, &owner, policy);
    if (clo_ok(status)) {
        status = succeed(s, &owner, cli_given(command, arguments, "days"), policy);
    }
    if (clo_ok(status)) {
        status = clo_policy_sign(policy, owner.key, &envelope);
    }
    clo_free(policy);
    CLO_TRY(status);
    return cli_write_file(s->output, clo_buf_span(&envelope));
}

const cli_option cmd_policy_put_options[] = {CLI_OWNER_OPTIONS(cmd_policy_settings, owner),
                                             CLI_OPTIONS_END};

clo_status cmd_policy_put(const cli_command *command, const void *settings,
                          const cli_arguments *arguments)
{
    const cmd_policy_settings *s = settings;
    CLO_AUTO(cli_owner) owner = CLI_OWNER_INIT;
    CLO_AUTO(clo_buf) envelope = CLO_BUF_LIMIT(CLO_DOCUMENT_MAX);
    (void)command;
    CLO_TRY(clo_file_read(arguments->positional.item[0], CLO_DOCUMENT_MAX, &envelope));
    CLO_TRY(cli_owner_connect(&s->owner, &owner));
    CLO_TRY(clo_owner_put_policy(owner.session, clo_buf_span(&envelope), cli_owner_deadline()));
    printf("the broker holds the policy\n");
    return CLO_STATUS_OK;
}

const cli_option cmd_policy_show_options[] = {CLI_OPTIONS_END};

clo_status cmd_policy_show(const cli_command *command, const void *settings,
                           const cli_arguments *arguments)
{
    CLO_AUTO(clo_buf) envelope = CLO_BUF_LIMIT(CLO_DOCUMENT_MAX);
    CLO_AUTO(clo_buf) payload = CLO_BUF_LIMIT(CLO_DOCUMENT_MAX);
    (void)command;
    (void)settings;
    CLO_TRY(clo_file_read(arguments->positional.item[0], CLO_DOCUMENT_MAX, &envelope));
    clo_policy *policy = clo_alloc(sizeof *policy);
    CLO_CHECK(policy, CLO_NOMEM, "no memory for a policy");
    clo_status status = clo_policy_open(clo_buf_span(&envelope), NULL, policy);
    clo_free(policy);
    CLO_TRY_CTX(status, "policy '%s'", arguments->positional.item[0]);
    CLO_TRY(clo_dsse_peek(clo_buf_span(&envelope), CLO_POLICY_TYPE, &payload));
    cli_print_json(&payload);
    return CLO_STATUS_OK;
}
