/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents: what is signed is read back with the same meaning, and everything else is refused -
 * each member missing, of another type, or unknown; other signers; other bytes.
 */
#include "document.h"
#include "kms_rig.h"

static const uint8_t key_id[16] = {7, 7, 7};

/* ---- texts to change */

typedef struct {
    const clo_document *kind;
    char name[16];
    clo_buf payload;
    clo_buf envelope;
} sample;

enum { SAMPLES = 4 };

static void sample_of(sample *s, const clo_document *kind)
{
    s->kind = kind;
    rig_must(clo_dsse_peek(clo_buf_span(&s->envelope), kind->type, &s->payload), "payload");
}

static void make_samples(sample samples[SAMPLES])
{
    memset(samples, 0, SAMPLES * sizeof *samples);
    clo_policy policy = rig_policy(key_id);
    clo_manifest manifest = rig_manifest(key_id);
    clo_approval approval = rig_approval(&manifest, key_id);
    clo_roster roster = rig_roster(manifest.digest);
    rig_must(clo_policy_sign(&policy, rig_keys.owner, &samples[0].envelope), "policy");
    rig_must(clo_manifest_sign(&manifest, rig_keys.signer, &samples[1].envelope), "manifest");
    rig_must(clo_approval_sign(&approval, rig_keys.owner, &samples[2].envelope), "approval");
    rig_must(clo_roster_sign(&roster, rig_keys.identity, &samples[3].envelope), "roster");
    sample_of(&samples[0], &clo_policy_document);
    sample_of(&samples[1], &clo_manifest_document);
    sample_of(&samples[2], &clo_approval_document);
    sample_of(&samples[3], &clo_roster_document);
}

static void free_samples(sample samples[SAMPLES])
{
    for (int i = 0; i < SAMPLES; i++) {
        clo_buf_release(&samples[i].payload);
        clo_buf_release(&samples[i].envelope);
    }
}

typedef enum { REMOVE, MAKE_NULL, ADD_BEFORE } change;

/* Walks all members in order; the one with number `at` is changed. */
typedef struct {
    change what;
    int at;
    int seen;
    bool done;
    bool may_be_absent; /* the changed member is optional */
    char name[64];
} editor;

static void copy_value(editor *e, const clo_json *value, clo_json_writer *w, const char *name,
                       bool in_appraisal);

static void copy_member(editor *e, const clo_json *member, clo_json_writer *w, bool in_appraisal)
{
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)member->name.size, (const char *)member->name.data);
    if (e->seen++ == e->at) {
        e->done = true;
        e->may_be_absent = in_appraisal || strcmp(name, "insecure_simulator") == 0 ||
                           strcmp(name, "recipient") == 0;
        memcpy(e->name, name, sizeof name);
        if (e->what == REMOVE) {
            return;
        }
        if (e->what == MAKE_NULL) {
            clo_json_put_null(w, name);
            return;
        }
        clo_json_put_bool(w, "surplus", true);
    }
    copy_value(e, member, w, name, in_appraisal || strcmp(name, "appraisal") == 0);
}

static void copy_value(editor *e, const clo_json *value, clo_json_writer *w, const char *name,
                       bool in_appraisal)
{
    if (value->type == CLO_JSON_OBJECT) {
        clo_json_begin_object(w, name);
        for (const clo_json *m = value->child; m != NULL; m = m->next) {
            copy_member(e, m, w, in_appraisal);
        }
        clo_json_end_object(w);
    } else if (value->type == CLO_JSON_ARRAY) {
        clo_json_begin_array(w, name);
        for (const clo_json *m = value->child; m != NULL; m = m->next) {
            copy_value(e, m, w, NULL, in_appraisal);
        }
        clo_json_end_array(w);
    } else {
        clo_json_put_raw(w, name, value->raw);
    }
}

static clo_status parse_edited(const sample *s, editor *e)
{
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    CLO_AUTO(clo_buf) text = CLO_BUF_INIT;
    const clo_json *root = NULL;
    void *document = clo_arena_alloc(&arena, s->kind->size);
    rig_must(clo_json_parse(clo_buf_span(&s->payload), &arena, &root), "sample");
    clo_json_writer w = clo_json_writer_of(&text);
    copy_value(e, root, &w, NULL, false);
    return clo_document_parse(s->kind, clo_buf_span(&text), document);
}

static void check_edits(const sample *s, change what)
{
    for (int at = 0;; at++) {
        editor e = {.what = what, .at = at};
        clo_status status = parse_edited(s, &e);
        if (!e.done) {
            T_OK(status); /* nothing was changed: the control */
            T_CHECK(at > 5);
            return;
        }
        if (what == REMOVE && e.may_be_absent) {
            continue;
        }
        if (clo_ok(status)) {
            clo_test_fail(__FILE__, __LINE__, "%s: '%s' changed (%d) and accepted", s->kind->what,
                          e.name, (int)what);
            return;
        }
    }
}

static void check_all_edits(change what)
{
    sample samples[SAMPLES];
    make_samples(samples);
    for (int i = 0; i < SAMPLES; i++) {
        check_edits(&samples[i], what);
    }
    free_samples(samples);
}

static void refuses_each_missing_member(void)
{
    check_all_edits(REMOVE);
}

static void refuses_each_member_that_is_null(void)
{
    check_all_edits(MAKE_NULL);
}

static void refuses_an_unknown_member_anywhere(void)
{
    check_all_edits(ADD_BEFORE);
}

/* ---- round trips */

static void reads_a_policy_back_as_it_was_signed(void)
{
    CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
    clo_public_key owner = rig_public(rig_keys.owner);
    clo_policy policy = rig_policy(key_id);
    clo_policy back;
    uint8_t zero[32] = {0};
    T_OK(clo_policy_sign(&policy, rig_keys.owner, &envelope));
    T_OK(clo_policy_open(clo_buf_span(&envelope), &owner, &back));
    T_CHECK(memcmp(back.digest, zero, 32) != 0);
    memset(back.digest, 0, 32);
    T_CHECK(memcmp(&policy, &back, sizeof policy) == 0);
}

static void reads_a_manifest_back_as_it_was_signed(void)
{
    CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
    clo_manifest manifest = rig_manifest(key_id);
    clo_manifest back;
    T_OK(clo_manifest_sign(&manifest, rig_keys.signer, &envelope));
    T_OK(clo_manifest_open(clo_buf_span(&envelope), &back));
    T_STR(back.job, "fashion-1");
    T_INT(back.data_count, 2);
    T_CHECK(back.train.save_model && !back.train.check_parameters);
    T_NEAR(back.train.lr, 0.01, 0);
    T_STR(back.host_may_set[0], "log-interval");
    T_CHECK(clo_manifest_find_data(&back, "test") == &back.data[1]);
    T_CHECK(clo_manifest_find_data(&back, "tests") == NULL);
    T_INT(back.broker.insecure_accepted, 7);
}

static const char *const judged_settings[] = {
    "epochs",
    "epoch",
    "batch-size",
    "lr",
    "momentum",
    "seed",
    "model",
    "save-model",
    "check-parameters",
    "checkpoint-steps",
    "max-steps",
    "",
};

/* What an owner bounds, a host must not set: else the bound would be on another value than runs. */
static void refuses_to_let_the_host_set_what_is_judged(void)
{
    for (size_t i = 0; i < sizeof judged_settings / sizeof *judged_settings; i++) {
        CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
        clo_manifest manifest = rig_manifest(key_id);
        manifest.host_may_set_count = 2;
        snprintf(manifest.host_may_set[1], sizeof manifest.host_may_set[1], "%s",
                 judged_settings[i]);
        T_CHECK(!clo_ok(clo_manifest_sign(&manifest, rig_keys.signer, &envelope)));
        T_INT(envelope.size, 0);
        strcpy(manifest.host_may_set[1], "test-batch-size"); /* the control */
        T_OK(clo_manifest_sign(&manifest, rig_keys.signer, &envelope));
    }
}

/* A signer with a program of their own: whoever opens the envelope refuses it as well. */
static void refuses_an_envelope_that_lets_the_host_set_epochs(void)
{
    static const char allowed[] = "[\"log-interval\"]";
    CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) payload = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) lax = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) forged = CLO_BUF_INIT;
    clo_manifest manifest = rig_manifest(key_id);
    clo_manifest back;
    T_OK(clo_manifest_sign(&manifest, rig_keys.signer, &envelope));
    T_OK(clo_dsse_peek(clo_buf_span(&envelope), CLO_MANIFEST_TYPE, &payload));
    const char *text = clo_buf_str(&payload);
    const char *at = strstr(text, allowed);
    T_CHECK(at != NULL);
    clo_put_bytes(&lax, text, (size_t)(at - text));
    clo_put_str(&lax, "[\"epochs\"]");
    clo_put_str(&lax, at + strlen(allowed));
    T_OK(clo_dsse_sign(rig_keys.signer, CLO_MANIFEST_TYPE, clo_buf_span(&lax), &forged));
    T_CODE(clo_manifest_open(clo_buf_span(&forged), &back), CLO_POLICY);
    T_OK(clo_manifest_open(clo_buf_span(&envelope), &back));
}

static void reads_an_approval_back_as_it_was_signed(void)
{
    CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
    clo_public_key owner = rig_public(rig_keys.owner);
    clo_public_key stranger = rig_public(rig_keys.stranger);
    clo_manifest manifest = rig_manifest(key_id);
    manifest.digest[0] = 9;
    clo_approval approval = rig_approval(&manifest, key_id);
    clo_approval back;
    T_OK(clo_approval_sign(&approval, rig_keys.owner, &envelope));
    T_OK(clo_approval_open(clo_buf_span(&envelope), &owner, &back));
    T_CHECK(memcmp(&approval, &back, sizeof approval) == 0);
    T_CODE(clo_approval_open(clo_buf_span(&envelope), &stranger, &back), CLO_POLICY);
}

static void believes_a_roster_of_this_job_while_it_is_fresh(void)
{
    CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
    clo_public_key identity = rig_public(rig_keys.identity);
    clo_public_key stranger = rig_public(rig_keys.stranger);
    const uint8_t job[32] = {1};
    const uint8_t other_job[32] = {2};
    clo_roster roster = rig_roster(job);
    clo_roster back;
    int64_t now = roster.issued;
    clo_span span;
    T_OK(clo_roster_sign(&roster, rig_keys.identity, &envelope));
    span = clo_buf_span(&envelope);
    T_OK(clo_roster_open(span, &identity, job, now, &back));
    T_INT(back.row_count, 2);
    T_INT(clo_roster_find(&back, CLO_ROLE_TRAINER, 1)->incarnation, 4);
    T_CHECK(clo_roster_find(&back, CLO_ROLE_EVALUATOR, 1) == NULL);
    T_OK(clo_roster_open(span, &identity, job, now + CLO_ROSTER_LIFETIME_S, &back));
    T_CODE(clo_roster_open(span, &identity, job, now + CLO_ROSTER_LIFETIME_S + 1, &back),
           CLO_POLICY);
    T_CODE(clo_roster_open(span, &identity, job, now - 3600, &back), CLO_POLICY);
    T_CODE(clo_roster_open(span, &identity, other_job, now, &back), CLO_POLICY);
    T_CODE(clo_roster_open(span, &stranger, job, now, &back), CLO_CRYPTO);
}

static void refuses_a_roster_with_two_holders_of_a_slot(void)
{
    CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
    const uint8_t job[32] = {1};
    clo_roster roster = rig_roster(job);
    roster.rows[1].slot = 0;
    T_CODE(clo_roster_sign(&roster, rig_keys.identity, &envelope), CLO_FORMAT);
}

static void writes_a_roster_of_the_largest_world(void)
{
    CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
    clo_public_key identity = rig_public(rig_keys.identity);
    const uint8_t job[32] = {1};
    clo_roster roster = rig_roster(job);
    clo_roster back;
    roster.row_count = CLO_WORLD_MAX;
    for (uint32_t i = 0; i < CLO_WORLD_MAX; i++) {
        roster.rows[i] =
            (clo_roster_row){.role = CLO_ROLE_TRAINER, .slot = i, .incarnation = UINT64_MAX};
    }
    T_OK(clo_roster_sign(&roster, rig_keys.identity, &envelope));
    T_OK(clo_roster_open(clo_buf_span(&envelope), &identity, job, roster.issued, &back));
    T_INT(back.row_count, CLO_WORLD_MAX);
}

static void keeps_the_trust_file_as_it_was_written(void)
{
    char path[512];
    clo_broker_trust trust = rig_trust();
    clo_broker_trust back;
    snprintf(path, sizeof path, "%s/trust.json", clo_test_folder());
    T_OK(clo_broker_trust_write(path, &trust));
    T_OK(clo_broker_trust_read(path, &back));
    T_CHECK(memcmp(&trust, &back, sizeof trust) == 0);
    T_OK(clo_file_write(path, 0600, clo_span_of_str("{\"identity\": 1}")));
    T_CODE(clo_broker_trust_read(path, &back), CLO_FORMAT);
}

/* ---- signatures */

static void refuses_another_signer(void)
{
    CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
    clo_policy policy = rig_policy(key_id);
    clo_manifest manifest = rig_manifest(key_id);
    T_CODE(clo_policy_sign(&policy, rig_keys.stranger, &envelope), CLO_INVALID);
    T_CODE(clo_manifest_sign(&manifest, rig_keys.stranger, &envelope), CLO_INVALID);
}

/* A payload that names the owner, under somebody else's signature. */
static void refuses_a_document_that_its_named_signer_did_not_sign(void)
{
    CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) payload = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) forged = CLO_BUF_INIT;
    clo_policy policy = rig_policy(key_id);
    clo_public_key owner = rig_public(rig_keys.owner);
    T_OK(clo_policy_sign(&policy, rig_keys.owner, &envelope));
    T_OK(clo_dsse_peek(clo_buf_span(&envelope), CLO_POLICY_TYPE, &payload));
    T_OK(clo_dsse_sign(rig_keys.stranger, CLO_POLICY_TYPE, clo_buf_span(&payload), &forged));
    T_CODE(clo_policy_open(clo_buf_span(&forged), NULL, &policy), CLO_CRYPTO);
    T_CODE(clo_policy_open(clo_buf_span(&forged), &owner, &policy), CLO_CRYPTO);
    T_OK(clo_policy_open(clo_buf_span(&envelope), &owner, &policy));
}

static void refuses_an_approval_as_a_policy(void)
{
    CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
    clo_manifest manifest = rig_manifest(key_id);
    clo_approval approval = rig_approval(&manifest, key_id);
    clo_policy policy;
    T_OK(clo_approval_sign(&approval, rig_keys.owner, &envelope));
    T_CHECK(!clo_ok(clo_policy_open(clo_buf_span(&envelope), NULL, &policy)));
}

/* The key id of an envelope is a hint and may change; nothing else may. */
static void refuses_every_flipped_or_missing_byte(void)
{
    CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
    clo_manifest manifest = rig_manifest(key_id);
    clo_approval approval = rig_approval(&manifest, key_id);
    clo_approval back;
    T_OK(clo_approval_sign(&approval, rig_keys.owner, &envelope));
    for (size_t i = 0; i < envelope.size; i++) {
        T_CHECK(!clo_ok(clo_approval_open(CLO_SPAN(envelope.data, i), NULL, &back)));
        envelope.data[i] ^= 0x01;
        if (clo_ok(clo_approval_open(clo_buf_span(&envelope), NULL, &back))) {
            T_CHECK(memcmp(&approval, &back, sizeof approval) == 0);
        }
        envelope.data[i] ^= 0x01;
    }
    T_OK(clo_approval_open(clo_buf_span(&envelope), NULL, &back));
}

/* ---- values */

static void changes_nothing_when_signing_is_refused(clo_manifest manifest)
{
    CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
    T_CHECK(!clo_ok(clo_manifest_sign(&manifest, rig_keys.signer, &envelope)));
    T_INT(envelope.size, 0);
}

static void refuses_manifests_out_of_range(void)
{
    clo_manifest good = rig_manifest(key_id);
    clo_manifest bad = good;
    bad.world_size = 0;
    changes_nothing_when_signing_is_refused(bad);
    bad = good;
    bad.world_size = CLO_WORLD_MAX + 1;
    changes_nothing_when_signing_is_refused(bad);
    bad = good;
    bad.lease_s = 9;
    changes_nothing_when_signing_is_refused(bad);
    bad = good;
    bad.grace_s = 90000;
    changes_nothing_when_signing_is_refused(bad);
    bad = good;
    bad.train.batch_size = 0;
    changes_nothing_when_signing_is_refused(bad);
    bad = good;
    bad.train.lr = (double)__builtin_inf();
    changes_nothing_when_signing_is_refused(bad);
    bad = good;
    strcpy(bad.job, "a/b");
    changes_nothing_when_signing_is_refused(bad);
    bad = good;
    strcpy(bad.model, "a b");
    changes_nothing_when_signing_is_refused(bad);
    bad = good;
    strcpy(bad.data[1].use, "train");
    changes_nothing_when_signing_is_refused(bad);
    bad = good;
    bad.anchors[0].tee = CLO_TEE_SGX;
    changes_nothing_when_signing_is_refused(bad);
}

static void refuses_policies_that_contradict_themselves(void)
{
    CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
    clo_policy policy = rig_policy(key_id);
    policy.version = 0;
    T_CODE(clo_policy_sign(&policy, rig_keys.owner, &envelope), CLO_FORMAT);
    policy.version = 2;
    T_CODE(clo_policy_sign(&policy, rig_keys.owner, &envelope), CLO_FORMAT);
    policy.previous[0] = 1;
    T_OK(clo_policy_sign(&policy, rig_keys.owner, &envelope));
    policy.version = 1;
    T_CODE(clo_policy_sign(&policy, rig_keys.owner, &envelope), CLO_FORMAT);
    policy = rig_policy(key_id);
    policy.outputs[0].recipient = rig_public(rig_keys.stranger);
    T_CODE(clo_policy_sign(&policy, rig_keys.owner, &envelope), CLO_FORMAT);
}

static void reads_both_ways_to_let_metrics_out(void)
{
    static const clo_metrics_every values[] = {CLO_METRICS_EPOCH, CLO_METRICS_STEP};
    for (size_t i = 0; i < 2; i++) {
        CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
        clo_policy policy = rig_policy(key_id);
        clo_policy back;
        T_INT(clo_policy_metrics(&policy), CLO_METRICS_STEP);
        policy.outputs[1].every = values[i];
        T_OK(clo_policy_sign(&policy, rig_keys.owner, &envelope));
        T_OK(clo_policy_open(clo_buf_span(&envelope), NULL, &back));
        T_INT(clo_policy_metrics(&back), values[i]);
        back.output_count = 1;
        T_INT(clo_policy_metrics(&back), CLO_METRICS_NEVER);
    }
}

static void refuses_metrics_that_do_not_say_how_often(void)
{
    CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
    clo_policy policy = rig_policy(key_id);
    policy.outputs[1].every = CLO_METRICS_NEVER; /* left out */
    T_CODE(clo_policy_sign(&policy, rig_keys.owner, &envelope), CLO_FORMAT);
    policy.outputs[1].every = (clo_metrics_every)(CLO_METRICS_STEP + 1);
    T_CODE(clo_policy_sign(&policy, rig_keys.owner, &envelope), CLO_FORMAT);
    policy = rig_policy(key_id);
    policy.outputs[0].every = CLO_METRICS_EPOCH; /* the model's */
    T_CODE(clo_policy_sign(&policy, rig_keys.owner, &envelope), CLO_FORMAT);
    policy = rig_policy(key_id);
    policy.outputs[policy.output_count++] = policy.outputs[1]; /* twice */
    T_CODE(clo_policy_sign(&policy, rig_keys.owner, &envelope), CLO_FORMAT);
    policy.output_count--;
    T_OK(clo_policy_sign(&policy, rig_keys.owner, &envelope));
}

/* A word that this program's writer would never write. */
static void refuses_a_word_for_how_often_that_it_does_not_know(void)
{
    static const char known[] = "\"every\":\"step\"";
    CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) payload = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) text = CLO_BUF_INIT;
    clo_policy policy = rig_policy(key_id);
    clo_policy back;
    T_OK(clo_policy_sign(&policy, rig_keys.owner, &envelope));
    T_OK(clo_dsse_peek(clo_buf_span(&envelope), CLO_POLICY_TYPE, &payload));
    T_OK(clo_document_parse(&clo_policy_document, clo_buf_span(&payload), &back));
    const char *begin = clo_buf_str(&payload);
    const char *at = strstr(begin, known);
    T_CHECK(at != NULL);
    clo_put_bytes(&text, begin, (size_t)(at - begin));
    clo_put_str(&text, "\"every\":\"always\"");
    clo_put_str(&text, at + strlen(known));
    T_CODE(clo_document_parse(&clo_policy_document, clo_buf_span(&text), &back), CLO_FORMAT);
}

static void refuses_lists_beyond_their_size(void)
{
    CLO_AUTO(clo_buf) text = CLO_BUF_INIT;
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    clo_broker_trust trust;
    const clo_json *root = NULL;
    clo_put_format(&text, "{\"roots\":[");
    for (int i = 0; i < CLO_MAX_ANCHORS; i++) {
        clo_put_format(&text, "%s\"%064x\"", i > 0 ? "," : "", i);
    }
    clo_put_format(&text, "]}");
    CLO_AUTO(clo_buf) whole = CLO_BUF_INIT;
    clo_json_writer w = clo_json_writer_of(&whole);
    clo_json_begin_object(&w, NULL);
    clo_json_put_base64(&w, "identity", clo_key_spki(rig_keys.identity));
    clo_json_put_raw(&w, "appraisal", clo_span_of_str("{}"));
    clo_json_put_raw(&w, "insecure_simulator", clo_buf_span(&text));
    clo_json_put_raw(&w, "insecure_accepted", clo_span_of_str("[]"));
    clo_json_end_object(&w);
    T_OK(clo_json_parse(clo_buf_span(&whole), &arena, &root));
    T_CODE(clo_broker_trust_parse(root, &trust), CLO_FORMAT);
}

static void refuses_unknown_and_repeated_weaknesses(void)
{
    static const char *const lists[] = {"[\"insecure_everything\"]",
                                        "[\"insecure_no_anchor\",\"insecure_no_anchor\"]", "[1]"};
    for (size_t i = 0; i < 3; i++) {
        CLO_AUTO(clo_buf) text = CLO_BUF_INIT;
        CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
        const clo_json *root = NULL;
        clo_broker_trust trust;
        clo_json_writer w = clo_json_writer_of(&text);
        clo_json_begin_object(&w, NULL);
        clo_json_put_base64(&w, "identity", clo_key_spki(rig_keys.identity));
        clo_json_put_raw(&w, "appraisal", clo_span_of_str("{}"));
        clo_json_put_raw(&w, "insecure_accepted", clo_span_of_str(lists[i]));
        clo_json_end_object(&w);
        T_OK(clo_json_parse(clo_buf_span(&text), &arena, &root));
        T_CODE(clo_broker_trust_parse(root, &trust), CLO_FORMAT);
    }
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(reads_a_policy_back_as_it_was_signed),
        T(reads_a_manifest_back_as_it_was_signed),
        T(refuses_to_let_the_host_set_what_is_judged),
        T(refuses_an_envelope_that_lets_the_host_set_epochs),
        T(reads_an_approval_back_as_it_was_signed),
        T(believes_a_roster_of_this_job_while_it_is_fresh),
        T(refuses_a_roster_with_two_holders_of_a_slot),
        T(writes_a_roster_of_the_largest_world),
        T(keeps_the_trust_file_as_it_was_written),
        T(refuses_each_missing_member),
        T(refuses_each_member_that_is_null),
        T(refuses_an_unknown_member_anywhere),
        T(refuses_another_signer),
        T(refuses_a_document_that_its_named_signer_did_not_sign),
        T(refuses_an_approval_as_a_policy),
        T(refuses_every_flipped_or_missing_byte),
        T(refuses_manifests_out_of_range),
        T(refuses_policies_that_contradict_themselves),
        T(reads_both_ways_to_let_metrics_out),
        T(refuses_metrics_that_do_not_say_how_often),
        T(refuses_a_word_for_how_often_that_it_does_not_know),
        T(refuses_lists_beyond_their_size),
        T(refuses_unknown_and_repeated_weaknesses),
    };
    rig_keys_make();
    int code = clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
    rig_keys_free();
    return code;
}
