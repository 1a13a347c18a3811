/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's end of the broker's protocol (link.h; bytes in kms_protocol.h).
 */
#include "link.h"

#include <string.h>

#include "document.h"

/* Headers are at most 64 KiB each; this holds a list of them and every other body. */
#define REQUEST_MAX CLO_MESSAGE_MAX
#define ANSWER_MAX  CLO_MESSAGE_MAX

/* What a broker may answer with; anything else it sends is a refusal. */
static const clo_code answer_codes[] = {
    CLO_INVALID, CLO_FORMAT,   CLO_LIMIT,  CLO_CRYPTO,      CLO_ATTEST,
    CLO_POLICY,  CLO_NOTFOUND, CLO_EXISTS, CLO_UNSUPPORTED,
};

void clo_expect_anchors(const clo_anchor *anchors, uint32_t count, clo_expectation *expectation)
{
    expectation->anchor_count = 0;
    for (uint32_t i = 0; i < count && i < CLO_MAX_ANCHORS - 1; i++) {
        expectation->anchors[expectation->anchor_count++] = anchors[i];
    }
    expectation->anchors[expectation->anchor_count++] = CLO_ANCHOR_INTEL_SGX;
}

static clo_status check_weaknesses(uint32_t flags, uint32_t accepted)
{
    uint32_t left = flags & ~accepted;
    for (const clo_insecure_row *row = clo_insecure_rows; row->bit != 0; row++) {
        CLO_CHECK((left & row->bit) == 0, CLO_POLICY,
                  "the key broker is %s, which 'insecure_accepted' does not name", row->name);
    }
    CLO_CHECK(left == 0, CLO_POLICY, "the key broker has weaknesses 0x%x that nobody accepted",
              left);
    return CLO_STATUS_OK;
}

/* A development build may have a simulator's evidence and every insecure_ option, whatever its
 * flags say today: who accepts no simulator accepts no such build, by genuine evidence either. */
static clo_status check_build(clo_build_class build, uint32_t accepted)
{
    CLO_CHECK(build == CLO_BUILD_RELEASE || (accepted & CLO_INSECURE_SIMULATOR) != 0, CLO_POLICY,
              "the key broker is a development build, which can simulate, and 'insecure_accepted' "
              "names no simulator");
    return CLO_STATUS_OK;
}

static clo_status expect_broker(void *arg, const clo_hello *hello, clo_expectation *out_expectation)
{
    const clo_broker_trust *trust = ((clo_broker_check *)arg)->trust;
    CLO_TRY(check_weaknesses(hello->insecure_flags, trust->insecure_accepted));
    CLO_TRY(check_build(hello->build, trust->insecure_accepted));
    *out_expectation = (clo_expectation){
        .role = CLO_ROLE_BROKER,
        .slot = CLO_SLOT_NONE,
        .appraisal = trust->appraisal,
    };
    clo_expect_anchors(trust->anchors, trust->anchor_count, out_expectation);
    return CLO_STATUS_OK;
}

/* The identity also signs job CAs, whose keys are jobs': none of them is the broker's. */
static clo_status check_leaf(const clo_cert *cert, int64_t now)
{
    CLO_CHECK(!clo_cert_is_ca(cert), CLO_POLICY, "the key broker shows a certificate of a CA");
    CLO_CHECK(clo_cert_has_tls_usages(cert), CLO_POLICY,
              "the key broker's certificate is not for both ends of TLS");
    clo_span name = clo_cert_subject_cn(cert);
    CLO_CHECK(clo_span_equals_str(name, CLO_BROKER_TLS_CN), CLO_POLICY,
              "the key broker's certificate is for '%.*s', expected '%s'", (int)name.size,
              (const char *)name.data, CLO_BROKER_TLS_CN);
    CLO_CHECK(clo_cert_not_before(cert) <= now, CLO_POLICY,
              "the key broker's certificate is not yet valid");
    CLO_CHECK(now <= clo_cert_not_after(cert), CLO_POLICY,
              "the key broker's certificate has expired");
    return CLO_STATUS_OK;
}

clo_status clo_broker_check_cert(clo_span der, const clo_public_key *identity, int64_t now)
{
    CLO_AUTO_PTR(clo_cert) cert = NULL;
    CLO_AUTO_PTR(clo_key) key = NULL;
    CLO_TRY(clo_cert_parse_der(der, &cert));
    CLO_TRY(clo_public_key_load(identity, &key));
    CLO_TRY_CTX(clo_cert_verify_signature_key(cert, key),
                "the key broker is not the one that is pinned");
    return check_leaf(cert, now);
}

static clo_status admit_broker(void *arg, const clo_peer *peer, const clo_cert *cert)
{
    clo_broker_check *check = arg;
    (void)peer;
    clo_buf_clear(&check->cert);
    clo_put_span(&check->cert, clo_cert_der(cert));
    CLO_TRY(clo_buf_check(&check->cert));
    if (check->first_contact) {
        return CLO_STATUS_OK;
    }
    return clo_broker_check_cert(clo_buf_span(&check->cert), &check->trust->identity,
                                 clo_clock_utc());
}

clo_channel_rules clo_broker_rules(clo_broker_check *check)
{
    return (clo_channel_rules){
        .peer_class = CLO_PEER_ATTESTED,
        .expect = expect_broker,
        .admit = admit_broker,
        .arg = check,
    };
}

static clo_status refusal_of(const clo_answer *answer, const char *name)
{
    char text[CLO_KMS_TEXT_MAX + 1] = "";
    clo_code code = CLO_DENIED;
    for (size_t i = 0; i < answer->text.size; i++) {
        uint8_t c = answer->text.data[i];
        text[i] = (char)(c >= 0x20 && c < 0x7f ? c : '?'); /* it goes to a terminal */
    }
    for (size_t i = 0; i < sizeof answer_codes / sizeof *answer_codes; i++) {
        code = answer->code == answer_codes[i] ? answer->code : code;
    }
    CLO_FAIL(code, "the key broker refused '%s': %s", name, text);
}

clo_status clo_link_call(clo_link *link, clo_op op, clo_span body, clo_deadline deadline,
                         clo_buf *message, clo_span *out_body)
{
    CLO_AUTO(clo_buf) request_bytes = CLO_BUF_LIMIT(REQUEST_MAX);
    const clo_op_row *row = clo_op_find(op);
    clo_request request = {.op = op, .counter = link->counter + 1, .body = body};
    clo_answer answer;
    CLO_CHECK(row != NULL, CLO_BUG, "operation %d has no row", (int)op);
    CLO_CHECK(link->channel != NULL, CLO_CLOSED, "not connected to the key broker");
    clo_request_write(&request, &request_bytes);
    CLO_TRY(clo_buf_check(&request_bytes));
    CLO_TRY_CTX(clo_channel_send(link->channel, clo_buf_span(&request_bytes), deadline),
                "asking the key broker for '%s'", row->name);
    link->counter++;
    clo_buf_release(message);
    message->limit = ANSWER_MAX;
    CLO_TRY_CTX(clo_channel_recv(link->channel, message, deadline),
                "waiting for the key broker's answer to '%s'", row->name);
    CLO_TRY_CTX(clo_answer_parse(clo_buf_span(message), &answer), "answer to '%s'", row->name);
    if (answer.code != CLO_OK) {
        return refusal_of(&answer, row->name);
    }
    *out_body = answer.body;
    return CLO_STATUS_OK;
}

static clo_status take_keys(clo_span body, size_t count, clo_secret *out_keys)
{
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    clo_span_list *list = clo_arena_alloc(&arena, sizeof *list);
    CLO_CHECK(list != NULL, CLO_NOMEM, "no memory for a list of keys");
    CLO_TRY(clo_list_parse(body, CLO_FILE_KEY_SIZE, "the file keys", list));
    CLO_CHECK(list->count == count, CLO_FORMAT, "%zu file keys came, expected %zu", list->count,
              count);
    for (size_t i = 0; i < count; i++) {
        CLO_CHECK(list->items[i].size == CLO_FILE_KEY_SIZE, CLO_FORMAT,
                  "file key has %zu bytes, expected %d", list->items[i].size, CLO_FILE_KEY_SIZE);
        CLO_TRY(clo_secret_copy(list->items[i], &out_keys[i]));
    }
    return CLO_STATUS_OK;
}

clo_status clo_link_file_keys(clo_link *link, clo_op op, const clo_span *headers, size_t count,
                              clo_deadline deadline, clo_secret *out_keys)
{
    CLO_AUTO(clo_buf) body = CLO_BUF_LIMIT(REQUEST_MAX);
    CLO_AUTO(clo_buf) message = CLO_BUF_SECRET(ANSWER_MAX);
    clo_span answer;
    CLO_CHECK(count > 0 && count <= CLO_KMS_LIST_MAX, CLO_INVALID,
              "%zu file keys asked for, expected 1 to %d", count, CLO_KMS_LIST_MAX);
    clo_list_write(headers, count, &body);
    CLO_TRY(clo_buf_check(&body));
    CLO_TRY(clo_link_call(link, op, clo_buf_span(&body), deadline, &message, &answer));
    for (size_t i = 0; i < count; i++) {
        out_keys[i] = CLO_SECRET_INIT;
    }
    clo_status status = take_keys(answer, count, out_keys);
    for (size_t i = 0; !clo_ok(status) && i < count; i++) {
        clo_secret_clear(&out_keys[i]);
    }
    return status;
}
