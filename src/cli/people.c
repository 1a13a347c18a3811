/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the commands for people; see people.h.
 */
#include "people.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static clo_status beside(const char *path, const char *name, char *out_path, size_t size)
{
    const char *slash = strrchr(path, '/');
    int folder = slash ? (int)(slash - path) + 1 : 0;
    int got = snprintf(out_path, size, "%.*s%s", folder, path, name);
    CLO_CHECK(got > 0 && (size_t)got < size, CLO_LIMIT, "the path of '%s' is too long", name);
    return CLO_STATUS_OK;
}

clo_status cli_tee_path(const char *given, char *out_path, size_t size)
{
    char self[1024];
    if (given) {
        int size_given = snprintf(out_path, size, "%s", given);
        CLO_CHECK(size_given >= 0 && (size_t)size_given < size, CLO_LIMIT, "the path is too long");
        return CLO_STATUS_OK;
    }
    ssize_t got = readlink("/proc/self/exe", self, sizeof self - 1);
    if (got < 0) {
        return CLO_ERRNO("finding this program");
    }
    self[got] = 0;
    return beside(self, "cloister-tee", out_path, size);
}

/* ---------------------------------------------------------------- owner ----------------------- */

clo_status cli_trust_path(const char *given, const char *key_path, char *out_path, size_t size)
{
    if (given) {
        int got = snprintf(out_path, size, "%s", given);
        CLO_CHECK(got >= 0 && (size_t)got < size, CLO_LIMIT, "the trust file's path is too long");
        return CLO_STATUS_OK;
    }
    return beside(key_path, "broker.trust", out_path, size);
}

clo_status cli_owner_load(const cli_owner_options *options, cli_owner *out_owner)
{
    char trust[1024];
    CLO_CHECK(options->owner, CLO_INVALID, "--owner is missing: the owner's private key file");
    CLO_TRY(clo_key_read_private_file(options->owner, &out_owner->key));
    CLO_TRY(clo_public_key_of(out_owner->key, &out_owner->public_key));
    CLO_TRY(cli_trust_path(options->trust, options->owner, trust, sizeof trust));
    CLO_TRY_CTX(clo_broker_trust_read(trust, &out_owner->trust),
                "the pinned broker (cloister kms trust makes it)");
    return CLO_STATUS_OK;
}

clo_deadline cli_owner_deadline(void)
{
    return clo_deadline_in(CLI_OWNER_TIMEOUT_MS);
}

clo_status cli_owner_connect(const cli_owner_options *options, cli_owner *out_owner)
{
    const char *address = options->broker ? options->broker : "127.0.0.1:7444";
    CLO_TRY(cli_owner_load(options, out_owner));
    CLO_TRY_CTX(clo_owner_connect(address, out_owner->key, &out_owner->trust, cli_owner_deadline(),
                                  &out_owner->session),
                "connecting to the broker at %s", address);
    return CLO_STATUS_OK;
}

void cli_owner_cleanup(cli_owner *owner)
{
    clo_owner_close(owner->session);
    clo_key_free(owner->key);
}

clo_status cli_job_signer(clo_span certificates, const clo_public_key *identity,
                          const clo_manifest *manifest, clo_key **out_signer)
{
    clo_cert *certs[2] = {NULL, NULL};
    size_t count = 0;
    CLO_TRY(clo_cert_parse_pem_chain(certificates, 2, certs, &count));
    clo_status status = CLO_STATUS_OK;
    if (count == 2) {
        status = clo_job_leaf_check(certs[0], certs[1], identity, manifest, NULL, 0);
    }
    if (count == 2 && clo_ok(status)) {
        status = clo_cert_public_key(certs[0], out_signer);
    }
    clo_cert_free(certs[0]);
    clo_cert_free(certs[1]);
    CLO_CHECK(count == 2, CLO_FORMAT, "%zu certificates, expected the slot's and the job's", count);
    return status;
}

clo_status cli_read_public(const char *path, clo_public_key *out_public)
{
    CLO_AUTO_PTR(clo_key) key = NULL;
    CLO_TRY(clo_key_read_public_file(path, &key));
    return clo_public_key_of(key, out_public);
}

/* ---------------------------------------------------------------- conditions ------------------ */

clo_status cli_simulator_anchor(const char *path, clo_anchor *out_anchor)
{
    CLO_AUTO(clo_buf) pem = CLO_BUF_LIMIT(65536);
    clo_cert *cert = NULL;
    size_t count = 0;
    CLO_TRY(clo_file_read(path, 65536, &pem));
    CLO_TRY_CTX(clo_cert_parse_pem_chain(clo_buf_span(&pem), 1, &cert, &count),
                "root certificate '%s'", path);
    out_anchor->tee = CLO_TEE_SIMULATOR;
    clo_status status = clo_sha256(clo_cert_spki(cert), out_anchor->spki_sha256);
    clo_cert_free(cert);
    return status;
}

static clo_status add_measurements(const cli_list *list, clo_appraisal *appraisal)
{
    char tee[1024];
    for (size_t i = 0; i < list->count; i++) {
        CLO_CHECK(i < CLO_MAX_LIST, CLO_INVALID, "more than %d measurements", CLO_MAX_LIST);
        CLO_TRY_CTX(clo_hex_decode(clo_span_of_str(list->item[i]), appraisal->measurements[i], 32),
                    "option '--measurement'");
    }
    appraisal->measurement_count = (uint32_t)list->count;
    if (list->count == 0) {
        CLO_TRY(cli_tee_path(NULL, tee, sizeof tee));
        CLO_TRY_CTX(cli_measure(tee, appraisal->measurements[0]), "no --measurement given");
        appraisal->measurement_count = 1;
    }
    return CLO_STATUS_OK;
}

static clo_status add_statuses(const cli_conditions *conditions, clo_appraisal *appraisal)
{
    const cli_list *list = &conditions->tcb_statuses;
    appraisal->tcb_statuses[0] = CLO_TCB_UP_TO_DATE;
    appraisal->tcb_status_count = 1;
    for (size_t i = 0; i < list->count; i++) {
        CLO_CHECK(i < CLO_TCB_COUNT, CLO_INVALID, "too many options '--tcb-status'");
        CLO_TRY(clo_tcb_parse(clo_span_of_str(list->item[i]), &appraisal->tcb_statuses[i]));
        appraisal->tcb_status_count = (uint32_t)i + 1;
    }
    list = &conditions->advisories;
    for (size_t i = 0; i < list->count; i++) {
        CLO_CHECK(i < CLO_MAX_LIST && strlen(list->item[i]) < sizeof appraisal->advisories[i],
                  CLO_INVALID, "advisory '%s' is too long or one too many", list->item[i]);
        memcpy(appraisal->advisories[i], list->item[i], strlen(list->item[i]) + 1);
        appraisal->advisory_count = (uint32_t)i + 1;
    }
    appraisal->min_evaluation = (uint32_t)conditions->min_evaluation;
    return CLO_STATUS_OK;
}

clo_status cli_conditions_build(const cli_conditions *conditions, clo_appraisal *out_appraisal,
                                clo_anchor *out_anchors, uint32_t *out_anchor_count)
{
    clo_appraisal appraisal = {.tees = {CLO_TEE_SGX}, .tee_count = 1};
    uint32_t anchors = 0;
    if (conditions->simulator_root) {
        appraisal.tees[0] = CLO_TEE_SIMULATOR;
        CLO_TRY(cli_simulator_anchor(conditions->simulator_root, &out_anchors[0]));
        anchors = 1;
    }
    CLO_TRY(add_measurements(&conditions->measurements, &appraisal));
    CLO_TRY(add_statuses(conditions, &appraisal));
    *out_appraisal = appraisal;
    *out_anchor_count = anchors;
    return CLO_STATUS_OK;
}
