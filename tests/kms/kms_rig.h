/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_KMS_RIG_H
#define CLO_KMS_RIG_H

/*
 * kms_rig: people, keys and one good document of each kind. A test takes a good one, changes one
 * thing and sees it refused; the unchanged one is its control.
 *
 * Fixture functions abort the program when the machine fails them; the code under test is only ever
 * asked through T_ macros.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cloister/kms.h"
#include "test.h"

#define RIG_UNUSED __attribute__((unused))

static inline void rig_must(clo_status status, const char *what)
{
    if (!clo_ok(status)) {
        char text[1024];
        clo_status_text(status, text, sizeof text);
        fprintf(stderr, "rig: %s: %s\n", what, text);
        abort();
    }
}

/* Everyone's keys. `stranger` belongs to nobody. */
static struct {
    clo_key *owner, *signer, *identity, *recipient, *stranger, *other_recipient;
} rig_keys;

static inline clo_key *rig_key(clo_key_kind kind)
{
    clo_key *key = NULL;
    rig_must(clo_key_generate(kind, &key), "a key");
    return key;
}

static inline void rig_keys_make(void)
{
    rig_must(clo_crypto_init(), "crypto");
    rig_keys.owner = rig_key(CLO_KEY_ED25519);
    rig_keys.signer = rig_key(CLO_KEY_ED25519);
    rig_keys.identity = rig_key(CLO_KEY_ED25519);
    rig_keys.stranger = rig_key(CLO_KEY_ED25519);
    rig_keys.recipient = rig_key(CLO_KEY_X25519);
    rig_keys.other_recipient = rig_key(CLO_KEY_X25519);
}

static inline RIG_UNUSED void rig_keys_free(void)
{
    clo_key_free(rig_keys.owner);
    clo_key_free(rig_keys.signer);
    clo_key_free(rig_keys.identity);
    clo_key_free(rig_keys.stranger);
    clo_key_free(rig_keys.recipient);
    clo_key_free(rig_keys.other_recipient);
}

static inline clo_public_key rig_public(const clo_key *key)
{
    clo_public_key public_key;
    rig_must(clo_public_key_of(key, &public_key), "a public key");
    return public_key;
}

static inline clo_appraisal rig_appraisal(const uint8_t measurement[32])
{
    clo_appraisal appraisal = {
        .tees = {CLO_TEE_SIMULATOR},
        .tee_count = 1,
        .measurement_count = 1,
        .tcb_statuses = {CLO_TCB_UP_TO_DATE},
        .tcb_status_count = 1,
    };
    memcpy(appraisal.measurements[0], measurement, 32);
    return appraisal;
}

static const uint8_t rig_program[32] = {0x11, 0x22, 0x33};
static const uint8_t rig_broker_program[32] = {0xbb, 0xcc};
static clo_anchor rig_anchor = {CLO_TEE_SIMULATOR, {0x44, 0x55}};

static inline clo_broker_trust rig_trust(void)
{
    clo_broker_trust trust = {
        .identity = rig_public(rig_keys.identity),
        .appraisal = rig_appraisal(rig_broker_program),
        .anchors = {rig_anchor},
        .anchor_count = 1,
        .insecure_accepted =
            CLO_INSECURE_SIMULATOR | CLO_INSECURE_ROOT_OPERATOR | CLO_INSECURE_NO_ANCHOR,
    };
    return trust;
}

static inline clo_policy rig_policy(const uint8_t key_id[16])
{
    clo_policy policy = {
        .owner = rig_public(rig_keys.owner),
        .data_set = "fashion",
        .version = 1,
        .broker = rig_trust(),
        .need_approval = true,
        .signers = {rig_public(rig_keys.signer)},
        .signer_count = 1,
        .appraisal = rig_appraisal(rig_program),
        .anchors = {rig_anchor},
        .anchor_count = 1,
        .roles = {CLO_ROLE_TRAINER},
        .role_count = 1,
        .models = {"mnist-cnn"},
        .model_count = 1,
        .outputs = {{.what = "model", .recipient = rig_public(rig_keys.recipient)},
                    {.what = "metrics", .every = CLO_METRICS_STEP}},
        .output_count = 2,
        .max_epochs = 10,
        .max_releases = 100,
        .until = clo_clock_utc() + 86400,
    };
    memcpy(policy.key_id, key_id, sizeof policy.key_id);
    return policy;
}

static inline clo_manifest rig_manifest(const uint8_t key_id[16])
{
    clo_manifest manifest = {
        .job = "fashion-1",
        .model = "mnist-cnn",
        .world_size = 2,
        .lease_s = 10,
        .grace_s = 60,
        .broker = rig_trust(),
        .appraisal = rig_appraisal(rig_program),
        .anchors = {rig_anchor},
        .anchor_count = 1,
        .data = {{.use = "train", .owner = rig_public(rig_keys.owner), .split = "train"},
                 {.use = "test", .owner = rig_public(rig_keys.owner), .split = "test"}},
        .data_count = 2,
        .train = CLO_TRAIN_SETTINGS_INIT,
        .host_may_set = {"log-interval"},
        .host_may_set_count = 1,
        .signer = rig_public(rig_keys.signer),
    };
    manifest.train.save_model = true;
    memcpy(manifest.data[0].key_id, key_id, 16);
    memcpy(manifest.data[1].key_id, key_id, 16);
    return manifest;
}

static inline RIG_UNUSED clo_approval rig_approval(const clo_manifest *manifest,
                                                   const uint8_t key_id[16])
{
    clo_approval approval = {
        .owner = rig_public(rig_keys.owner),
        .policy_version = 1,
        .max_epochs = 10,
        .max_releases = 100,
        .expires = clo_clock_utc() + 3600,
    };
    memcpy(approval.manifest, manifest->digest, sizeof approval.manifest);
    memcpy(approval.key_id, key_id, sizeof approval.key_id);
    return approval;
}

static inline RIG_UNUSED clo_roster rig_roster(const uint8_t manifest[32])
{
    clo_roster roster = {
        .epoch = 3,
        .issued = clo_clock_utc(),
        .floors = {17, 2, 1700000000},
        .rows = {{.role = CLO_ROLE_TRAINER, .slot = 0, .incarnation = 1, .key_id = {1}},
                 {.role = CLO_ROLE_TRAINER, .slot = 1, .incarnation = 4, .key_id = {2}}},
        .row_count = 2,
    };
    memcpy(roster.manifest, manifest, sizeof roster.manifest);
    return roster;
}

#endif
