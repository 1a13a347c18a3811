/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The owner's end: a keyed peer that commands its own records. It shows the key that signs its
 * policies, and demands evidence of the broker on every connection.
 *
 * First contact (`kms trust`) is the one time the identity is not known before. Then the broker
 * must show, beside the evidence of the connection, evidence of purpose broker-identity over
 *
 *     SHA-256(identity SPKI)[32] || session id[32]
 *
 * so a relayed or older proof of the same code does not fit this session; and the certificate of
 * the connection must be issued by that identity.
 */
#include <string.h>

#include "link.h"

#define CERT_LIFETIME_S (24 * 3600)
#define CERT_BACKDATE_S 300

struct clo_owner_session {
    clo_link link;
    clo_cert *cert;
    clo_broker_trust trust;
    clo_broker_check check;
};

/* The certificate says nothing but the key: the broker goes by the key. */
static clo_status make_cert(const clo_key *owner, clo_cert **out_cert)
{
    int64_t now = clo_clock_utc();
    clo_cert_request request = {
        .subject_cn = "cloister owner",
        .subject_key = owner,
        .issuer_key = owner,
        .not_before = now - CERT_BACKDATE_S,
        .not_after = now + CERT_LIFETIME_S,
        .tls_usages = true,
    };
    return clo_cert_make(&request, out_cert);
}

static clo_status open_session(clo_owner_session *session, const char *address,
                               const clo_key *owner, clo_deadline deadline)
{
    CLO_CHECK(clo_key_get_kind(owner) == CLO_KEY_ED25519 && clo_key_has_private(owner), CLO_INVALID,
              "an owner connects with the private Ed25519 key that signs");
    CLO_TRY(make_cert(owner, &session->cert));
    clo_channel_self self = {
        .as = CLO_PEER_KEYED,
        .role = CLO_ROLE_OWNER,
        .slot = CLO_SLOT_NONE,
        .key = owner,
        .cert = session->cert,
    };
    clo_channel_rules rules = clo_broker_rules(&session->check);
    CLO_TRY_CTX(clo_channel_connect(address, NULL, &self, &rules, deadline, &session->link.channel),
                "connecting to the key broker at '%s'", address);
    return CLO_STATUS_OK;
}

static clo_status connect_owner(const char *address, const clo_key *owner,
                                const clo_broker_trust *trust, bool first_contact,
                                clo_deadline deadline, clo_owner_session **out_session)
{
    CLO_AUTO_PTR(clo_owner_session) session = clo_alloc(sizeof *session);
    CLO_CHECK(session != NULL, CLO_NOMEM, "no memory for an owner's session");
    session->trust = *trust;
    session->check = CLO_BROKER_CHECK_INIT(&session->trust);
    session->check.first_contact = first_contact;
    CLO_TRY(open_session(session, address, owner, deadline));
    *out_session = CLO_TAKE(session);
    return CLO_STATUS_OK;
}

static clo_status identity_layout(const clo_public_key *identity, const clo_channel *channel,
                                  uint8_t out_layout[64])
{
    CLO_TRY(clo_public_key_id(identity, out_layout));
    clo_channel_session_id(channel, out_layout + 32);
    return CLO_STATUS_OK;
}

static clo_status verify_identity(const clo_owner_session *session,
                                  const clo_identity_answer *answer, const clo_public_key *identity,
                                  clo_verdict *out_verdict)
{
    uint8_t layout[64];
    uint8_t expected[CLO_REPORT_DATA_SIZE];
    clo_expectation anchors = {.anchor_count = 0};
    clo_verify_request request = {
        .quote = answer->quote,
        .collateral = answer->collateral,
        .at = clo_clock_utc(),
    };
    clo_expect_anchors(session->trust.anchors, session->trust.anchor_count, &anchors);
    memcpy(request.anchors, anchors.anchors, sizeof request.anchors);
    request.anchor_count = anchors.anchor_count;
    CLO_TRY(clo_evidence_verify(&request, out_verdict));
    if (out_verdict->accepted) {
        clo_appraise(&session->trust.appraisal, request.at, out_verdict);
    }
    CLO_TRY_CTX(clo_verdict_status(out_verdict), "evidence over the key broker's identity");
    CLO_TRY(identity_layout(identity, session->link.channel, layout));
    CLO_TRY(clo_report_data(CLO_PURPOSE_BROKER_IDENTITY, CLO_SPAN_OF(layout), expected));
    CLO_CHECK(memcmp(out_verdict->claims.report_data, expected, sizeof expected) == 0, CLO_ATTEST,
              "evidence over the key broker's identity is for another key or session");
    const clo_claims *channel = &clo_channel_peer(session->link.channel)->verdict.claims;
    CLO_CHECK(memcmp(channel->measurement, out_verdict->claims.measurement, 32) == 0, CLO_ATTEST,
              "evidence over the key broker's identity is of another program than its connection");
    return CLO_STATUS_OK;
}

clo_status clo_owner_trust(const char *address, const clo_key *owner,
                           const clo_public_key *expected, clo_deadline deadline,
                           clo_broker_trust *trust, clo_verdict *out_verdict)
{
    CLO_AUTO_PTR(clo_owner_session) session = NULL;
    CLO_AUTO(clo_buf) message = CLO_BUF_INIT;
    clo_span body;
    clo_identity_answer answer;
    clo_public_key identity = {.size = 0};
    CLO_TRY(connect_owner(address, owner, trust, true, deadline, &session));
    CLO_TRY(clo_link_call(&session->link, CLO_OP_OWNER_IDENTITY, CLO_SPAN_EMPTY, deadline, &message,
                          &body));
    CLO_TRY(clo_identity_answer_parse(body, &answer));
    CLO_CHECK(answer.spki.size > 0, CLO_FORMAT, "the key broker's identity is empty");
    memcpy(identity.spki, answer.spki.data, answer.spki.size);
    identity.size = answer.spki.size;
    CLO_CHECK(expected == NULL || clo_public_key_equal(expected, &identity), CLO_POLICY,
              "the key broker has another identity than expected");
    CLO_TRY(verify_identity(session, &answer, &identity, out_verdict));
    CLO_TRY(clo_broker_check_cert(clo_buf_span(&session->check.cert), &identity, clo_clock_utc()));
    trust->identity = identity;
    return CLO_STATUS_OK;
}

clo_status clo_owner_connect(const char *address, const clo_key *owner,
                             const clo_broker_trust *trust, clo_deadline deadline,
                             clo_owner_session **out_session)
{
    return connect_owner(address, owner, trust, false, deadline, out_session);
}

void clo_owner_close(clo_owner_session *session)
{
    if (session == NULL) {
        return;
    }
    clo_channel_close(session->link.channel);
    clo_cert_free(session->cert);
    clo_buf_release(&session->check.cert);
    clo_free(session);
}

/* A command whose answer has no body. */
static clo_status command(clo_owner_session *session, clo_op op, clo_span body,
                          clo_deadline deadline)
{
    CLO_AUTO(clo_buf) message = CLO_BUF_INIT;
    clo_span answer;
    CLO_TRY(clo_link_call(&session->link, op, body, deadline, &message, &answer));
    return clo_body_empty(answer, "the answer");
}

static clo_status command_var(clo_owner_session *session, clo_op op, clo_span value,
                              clo_deadline deadline)
{
    CLO_AUTO(clo_buf) body = CLO_BUF_INIT;
    clo_put_var(&body, value);
    CLO_TRY(clo_buf_check(&body));
    return command(session, op, clo_buf_span(&body), deadline);
}

clo_status clo_owner_make_key(clo_owner_session *session, const char *name, clo_deadline deadline,
                              uint8_t out_key_id[16])
{
    CLO_AUTO(clo_buf) body = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) message = CLO_BUF_INIT;
    clo_span answer;
    clo_put_var(&body, clo_span_of_str(name));
    CLO_TRY(clo_buf_check(&body));
    CLO_TRY(clo_link_call(&session->link, CLO_OP_OWNER_MAKE_KEY, clo_buf_span(&body), deadline,
                          &message, &answer));
    return clo_body_bytes(answer, 16, "the key's id", out_key_id);
}

clo_status clo_owner_put_policy(clo_owner_session *session, clo_span envelope,
                                clo_deadline deadline)
{
    return command_var(session, CLO_OP_OWNER_PUT_POLICY, envelope, deadline);
}

clo_status clo_owner_get_policy(clo_owner_session *session, const uint8_t key_id[16],
                                clo_deadline deadline, clo_buf *out_envelope)
{
    CLO_AUTO(clo_buf) message = CLO_BUF_INIT;
    clo_span answer;
    clo_span envelope;
    CLO_TRY(clo_link_call(&session->link, CLO_OP_OWNER_GET_POLICY, CLO_SPAN(key_id, 16), deadline,
                          &message, &answer));
    CLO_TRY(clo_body_var(answer, CLO_DOCUMENT_MAX, "the policy", &envelope));
    clo_put_span(out_envelope, envelope);
    return clo_buf_check(out_envelope);
}

clo_status clo_owner_file_keys(clo_owner_session *session, const clo_span *headers, size_t count,
                               clo_deadline deadline, clo_secret *out_keys)
{
    return clo_link_file_keys(&session->link, CLO_OP_OWNER_FILE_KEYS, headers, count, deadline,
                              out_keys);
}

clo_status clo_owner_approve(clo_owner_session *session, clo_span approval_envelope,
                             clo_deadline deadline)
{
    return command_var(session, CLO_OP_OWNER_APPROVE, approval_envelope, deadline);
}

clo_status clo_owner_revoke(clo_owner_session *session, const uint8_t key_id[16],
                            clo_deadline deadline)
{
    return command(session, CLO_OP_OWNER_REVOKE, CLO_SPAN(key_id, 16), deadline);
}

clo_status clo_owner_audit(clo_owner_session *session, uint64_t first, clo_deadline deadline,
                           clo_buf *out_lines, uint8_t out_head[32])
{
    clo_audit_answer page = {.next = first};
    uint64_t from;
    do {
        CLO_AUTO(clo_buf) body = CLO_BUF_INIT;
        CLO_AUTO(clo_buf) message = CLO_BUF_INIT;
        clo_span answer;
        from = page.next;
        clo_put_u64be(&body, from);
        CLO_TRY(clo_buf_check(&body));
        CLO_TRY(clo_link_call(&session->link, CLO_OP_OWNER_AUDIT, clo_buf_span(&body), deadline,
                              &message, &answer));
        CLO_TRY(clo_audit_answer_parse(answer, &page));
        CLO_CHECK(page.next == 0 || page.next > from, CLO_FORMAT,
                  "the key broker's audit pages do not advance");
        clo_put_span(out_lines, page.lines);
        CLO_TRY(clo_buf_check(out_lines));
    } while (page.next != 0);
    memcpy(out_head, page.head, sizeof page.head);
    return CLO_STATUS_OK;
}
