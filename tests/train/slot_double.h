/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_TEST_SLOT_DOUBLE_H
#define CLO_TEST_SLOT_DOUBLE_H

/*
 * A slot's session without a broker: the functions of kms.h that the job uses, defined by the test
 * program and therefore taken before the library's. It releases file keys of one data key and one
 * job key, as the broker would, and can be away; the rest is a job of one rank, or of several when
 * a test fills in roster, self and rules.
 */
#include "test.h"

#include <string.h>

#include "cloister/train.h"

struct clo_slot_session {
    clo_secret data_key, job_key;
    uint8_t data_key_id[16], job_key_id[16];
    size_t requests; /* of file keys */
    bool away;       /* the broker cannot be reached */
    clo_key *key, *ca_key;
    clo_cert *cert, *ca;
    clo_key *recipient; /* of outputs; NULL: the policies name none */
    uint32_t rank;      /* row of the roster */
    clo_roster roster;
    clo_channel_self self; /* with `cert` when it is asked for */
    clo_channel_rules rules;
    void (*on_upkeep)(clo_slot_session *session, void *arg); /* may be NULL */
    void *arg;
    clo_peer broker;
    size_t upkeeps;
    size_t retake_at; /* the upkeep at which slot 0 gets a new incarnation; 0: never */
    size_t fail_at;   /* the upkeep that fails; 0: none */
    clo_metrics_every metrics;
};

clo_status clo_slot_file_keys(clo_slot_session *session, const clo_span *headers, size_t count,
                              clo_deadline deadline, clo_secret *out_keys)
{
    (void)deadline;
    session->requests++;
    CLO_CHECK(!session->away, CLO_TIMEOUT, "the key broker is away");
    for (size_t i = 0; i < count; i++) {
        clo_seal_header header;
        size_t size;
        CLO_TRY(clo_seal_header_parse(headers[i], &header, &size));
        bool job = memcmp(header.key_id, session->job_key_id, 16) == 0;
        bool data = memcmp(header.key_id, session->data_key_id, 16) == 0;
        CLO_CHECK(job || data, CLO_DENIED, "the key broker refuses: no such key");
        CLO_TRY(clo_seal_file_key(job ? &session->job_key : &session->data_key, headers[i],
                                  &out_keys[i]));
    }
    return CLO_STATUS_OK;
}

void clo_slot_job_key_id(const clo_slot_session *session, uint8_t out_key_id[16])
{
    memcpy(out_key_id, session->job_key_id, 16);
}

const clo_roster_row *clo_slot_row(const clo_slot_session *session)
{
    return &session->roster.rows[session->rank];
}

const clo_roster *clo_slot_roster(const clo_slot_session *session)
{
    return &session->roster;
}

const clo_key *clo_slot_key(const clo_slot_session *session)
{
    return session->key;
}

const clo_cert *clo_slot_cert(const clo_slot_session *session)
{
    return session->cert;
}

const clo_cert *clo_slot_ca(const clo_slot_session *session)
{
    return session->ca;
}

clo_metrics_every clo_slot_metrics_every(const clo_slot_session *session)
{
    return session->metrics;
}

const clo_peer *clo_slot_broker(const clo_slot_session *session)
{
    return &session->broker;
}

/* A group of one connects to nobody. */
clo_channel_self clo_slot_self(clo_slot_session *session)
{
    clo_channel_self self = session->self;
    self.role = CLO_ROLE_TRAINER;
    self.key = session->key;
    self.cert = session->cert;
    return self;
}

clo_channel_rules clo_slot_peer_rules(clo_slot_session *session)
{
    return session->rules;
}

clo_status clo_slot_wait_roster(clo_slot_session *session, clo_deadline deadline)
{
    (void)session;
    (void)deadline;
    return CLO_STATUS_OK;
}

clo_status clo_slot_upkeep(clo_slot_session *session, clo_deadline deadline, bool *out_changed)
{
    (void)deadline;
    session->upkeeps++;
    CLO_CHECK(session->upkeeps != session->fail_at, CLO_TIMEOUT, "roster and grace have ended");
    *out_changed = session->upkeeps == session->retake_at;
    session->roster.rows[0].incarnation += *out_changed ? 1 : 0;
    if (session->on_upkeep != NULL) {
        session->on_upkeep(session, session->arg);
    }
    return CLO_STATUS_OK;
}

clo_status clo_slot_recipients(clo_slot_session *session, const char *what, clo_deadline deadline,
                               clo_key **out_keys, size_t max, size_t *out_count)
{
    (void)deadline;
    CLO_CHECK(session->recipient != NULL && strcmp(what, "model") == 0 && max > 0, CLO_DENIED,
              "no recipient of '%s' in the owners' policies", what);
    CLO_TRY(clo_key_parse_spki(clo_key_spki(session->recipient), &out_keys[0]));
    *out_count = 1;
    return CLO_STATUS_OK;
}

static inline clo_status make_cert(const clo_key *subject, const clo_key *issuer, bool ca,
                                   clo_cert **out_cert)
{
    clo_cert_request request = {.subject_cn = ca ? "job CA" : "slot",
                                .issuer_cn = "job CA",
                                .subject_key = subject,
                                .issuer_key = issuer,
                                .not_before = clo_clock_utc() - 60,
                                .not_after = clo_clock_utc() + 3600,
                                .ca = ca,
                                .tls_usages = !ca};
    return clo_cert_make(&request, out_cert);
}

/* A certified key and a roster of this slot alone. */
static inline clo_status certify_session(clo_slot_session *session)
{
    CLO_TRY(clo_key_generate(CLO_KEY_P256, &session->ca_key));
    CLO_TRY(clo_key_generate(CLO_KEY_P256, &session->key));
    CLO_TRY(make_cert(session->ca_key, session->ca_key, true, &session->ca));
    CLO_TRY(make_cert(session->key, session->ca_key, false, &session->cert));
    CLO_TRY(clo_key_generate(CLO_KEY_X25519, &session->recipient));
    session->metrics = CLO_METRICS_STEP;
    session->roster.epoch = 4;
    session->roster.row_count = 1;
    session->roster.rows[0] = (clo_roster_row){.role = CLO_ROLE_TRAINER, .incarnation = 7};
    clo_key_id(session->key, session->roster.rows[0].key_id);
    session->broker.hello.role = CLO_ROLE_BROKER;
    session->broker.hello.slot = CLO_SLOT_NONE;
    session->broker.verdict.accepted = true;
    return CLO_STATUS_OK;
}

static inline clo_status open_session(clo_slot_session *session)
{
    memset(session->data_key_id, 0xda, sizeof session->data_key_id);
    memset(session->job_key_id, 0x70, sizeof session->job_key_id);
    CLO_TRY(clo_secret_alloc(&session->data_key, 32));
    CLO_TRY(clo_random_bytes(session->data_key.data, 32));
    CLO_TRY(clo_secret_alloc(&session->job_key, 32));
    return clo_random_bytes(session->job_key.data, 32);
}

static void clo_slot_session_cleanup(clo_slot_session *session)
{
    clo_secret_clear(&session->data_key);
    clo_secret_clear(&session->job_key);
    clo_key_free(session->recipient);
    clo_cert_free(session->cert);
    clo_cert_free(session->ca);
    clo_key_free(session->key);
    clo_key_free(session->ca_key);
}

#endif
