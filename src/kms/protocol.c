/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of the broker's protocol; the layouts are drawn in kms_protocol.h. Writers only append
 * to a buf, whose failure the sender checks once; readers check every length against its cap and
 * that nothing is left over.
 */
#include "cloister/kms_protocol.h"

#include <string.h>

static const clo_op_row op_rows[] = {
    {CLO_OP_OWNER_IDENTITY, "owner-identity", true},
    {CLO_OP_OWNER_MAKE_KEY, "make-key", true},
    {CLO_OP_OWNER_PUT_POLICY, "put-policy", true},
    {CLO_OP_OWNER_GET_POLICY, "get-policy", true},
    {CLO_OP_OWNER_FILE_KEYS, "owner-file-keys", true},
    {CLO_OP_OWNER_APPROVE, "approve", true},
    {CLO_OP_OWNER_REVOKE, "revoke", true},
    {CLO_OP_OWNER_AUDIT, "audit", true},
    {CLO_OP_SLOT_ENROL, "enrol", false},
    {CLO_OP_SLOT_ROSTER, "roster", false},
    {CLO_OP_SLOT_RENEW, "renew", false},
    {CLO_OP_SLOT_FILE_KEYS, "slot-file-keys", false},
    {CLO_OP_SLOT_RECIPIENTS, "recipients", false},
    {CLO_OP_SLOT_LEAVE, "leave", false},
};

const clo_op_row *clo_op_find(uint32_t op)
{
    for (size_t i = 0; i < sizeof op_rows / sizeof *op_rows; i++) {
        if ((uint32_t)op_rows[i].op == op) {
            return &op_rows[i];
        }
    }
    return NULL;
}

void clo_request_write(const clo_request *request, clo_buf *out)
{
    clo_put_u16be(out, (uint16_t)request->op);
    clo_put_u64be(out, request->counter);
    clo_put_span(out, request->body);
}

clo_status clo_request_parse(clo_span message, clo_request *out_request)
{
    clo_reader r = clo_reader_of(message);
    clo_request request = {.op = clo_read_u16be(&r), .counter = clo_read_u64be(&r)};
    request.body = clo_read_span(&r, clo_reader_left(&r));
    CLO_TRY(clo_reader_finish(&r, "the request"));
    CLO_CHECK(clo_op_find(request.op) != NULL, CLO_UNSUPPORTED, "operation %u is unknown",
              request.op);
    *out_request = request;
    return CLO_STATUS_OK;
}

void clo_answer_write(const clo_answer *answer, clo_buf *out)
{
    clo_put_u32be(out, (uint32_t)answer->code);
    clo_put_var(out, answer->text);
    clo_put_span(out, answer->body);
}

clo_status clo_answer_parse(clo_span message, clo_answer *out_answer)
{
    clo_reader r = clo_reader_of(message);
    uint32_t code = clo_read_u32be(&r);
    clo_answer answer = {.text = clo_read_var(&r, CLO_KMS_TEXT_MAX)};
    answer.body = clo_read_span(&r, clo_reader_left(&r));
    CLO_TRY(clo_reader_finish(&r, "the answer"));
    CLO_CHECK(code < CLO_CODE_COUNT, CLO_FORMAT, "answer has code %u", code);
    answer.code = (clo_code)code;
    *out_answer = answer;
    return CLO_STATUS_OK;
}

clo_status clo_request_id(const uint8_t session_id[32], uint64_t counter, uint8_t out_id[32])
{
    CLO_AUTO(clo_buf) bytes = CLO_BUF_LIMIT(64);
    clo_put_bytes(&bytes, session_id, 32);
    clo_put_u64be(&bytes, counter);
    CLO_TRY(clo_buf_check(&bytes));
    return clo_sha256(clo_buf_span(&bytes), out_id);
}

void clo_list_write(const clo_span *items, size_t count, clo_buf *out)
{
    clo_put_u32be(out, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        clo_put_var(out, items[i]);
    }
}

clo_status clo_list_parse(clo_span body, size_t item_max, const char *what, clo_span_list *out_list)
{
    clo_reader r = clo_reader_of(body);
    uint32_t count = clo_read_u32be(&r);
    CLO_CHECK(count <= CLO_KMS_LIST_MAX, CLO_LIMIT, "%s: %u entries, expected at most %d", what,
              count, CLO_KMS_LIST_MAX);
    for (uint32_t i = 0; i < count; i++) {
        out_list->items[i] = clo_read_var(&r, item_max);
    }
    CLO_TRY(clo_reader_finish(&r, what));
    out_list->count = count;
    return CLO_STATUS_OK;
}

void clo_identity_answer_write(const clo_identity_answer *answer, clo_buf *out)
{
    clo_put_var(out, answer->spki);
    clo_put_var(out, answer->quote);
    clo_put_var(out, answer->collateral);
}

clo_status clo_identity_answer_parse(clo_span body, clo_identity_answer *out_answer)
{
    clo_reader r = clo_reader_of(body);
    clo_identity_answer answer = {.spki = clo_read_var(&r, CLO_SPKI_MAX)};
    answer.quote = clo_read_var(&r, CLO_EVIDENCE_MAX);
    answer.collateral = clo_read_var(&r, CLO_COLLATERAL_MAX);
    CLO_TRY(clo_reader_finish(&r, "the broker's identity"));
    *out_answer = answer;
    return CLO_STATUS_OK;
}

void clo_audit_answer_write(const clo_audit_answer *answer, clo_buf *out)
{
    clo_put_u64be(out, answer->next);
    clo_put_bytes(out, answer->head, sizeof answer->head);
    clo_put_var(out, answer->lines);
}

clo_status clo_audit_answer_parse(clo_span body, clo_audit_answer *out_answer)
{
    clo_reader r = clo_reader_of(body);
    clo_audit_answer answer = {.next = clo_read_u64be(&r)};
    clo_read_copy(&r, answer.head, sizeof answer.head);
    answer.lines = clo_read_var(&r, CLO_KMS_LINES_MAX);
    CLO_TRY(clo_reader_finish(&r, "the audit lines"));
    *out_answer = answer;
    return CLO_STATUS_OK;
}

void clo_enrol_request_write(const clo_enrol_request *request, clo_buf *out)
{
    clo_put_u32be(out, request->slot);
    clo_put_var(out, request->spki);
    clo_put_var(out, request->manifest);
}

clo_status clo_enrol_request_parse(clo_span body, clo_enrol_request *out_request)
{
    clo_reader r = clo_reader_of(body);
    clo_enrol_request request = {.slot = clo_read_u32be(&r)};
    request.spki = clo_read_var(&r, CLO_SPKI_MAX);
    request.manifest = clo_read_var(&r, CLO_DOCUMENT_MAX);
    CLO_TRY(clo_reader_finish(&r, "the enrolment"));
    *out_request = request;
    return CLO_STATUS_OK;
}

void clo_enrol_answer_write(const clo_enrol_answer *answer, clo_buf *out)
{
    clo_put_u32be(out, answer->slot);
    clo_put_u64be(out, answer->incarnation);
    clo_put_bytes(out, answer->job_key_id, sizeof answer->job_key_id);
    clo_put_u8(out, (uint8_t)answer->metrics);
    clo_put_var(out, answer->leaf);
    clo_put_var(out, answer->ca);
    clo_put_var(out, answer->roster);
}

clo_status clo_enrol_answer_parse(clo_span body, clo_enrol_answer *out_answer)
{
    clo_reader r = clo_reader_of(body);
    clo_enrol_answer answer = {.slot = clo_read_u32be(&r)};
    answer.incarnation = clo_read_u64be(&r);
    clo_read_copy(&r, answer.job_key_id, sizeof answer.job_key_id);
    uint8_t metrics = clo_read_u8(&r);
    answer.leaf = clo_read_var(&r, CLO_KMS_CERT_MAX);
    answer.ca = clo_read_var(&r, CLO_KMS_CERT_MAX);
    answer.roster = clo_read_var(&r, CLO_KMS_ROSTER_MAX);
    CLO_TRY(clo_reader_finish(&r, "the enrolment's answer"));
    CLO_CHECK(metrics == CLO_METRICS_EPOCH || metrics == CLO_METRICS_STEP, CLO_FORMAT,
              "enrolment's answer lets metrics out every %u, expected 1 or 2", metrics);
    answer.metrics = (clo_metrics_every)metrics;
    *out_answer = answer;
    return CLO_STATUS_OK;
}

void clo_renew_answer_write(const clo_renew_answer *answer, clo_buf *out)
{
    clo_put_var(out, answer->leaf);
    clo_put_var(out, answer->roster);
}

clo_status clo_renew_answer_parse(clo_span body, clo_renew_answer *out_answer)
{
    clo_reader r = clo_reader_of(body);
    clo_renew_answer answer = {.leaf = clo_read_var(&r, CLO_KMS_CERT_MAX)};
    answer.roster = clo_read_var(&r, CLO_KMS_ROSTER_MAX);
    CLO_TRY(clo_reader_finish(&r, "the renewal's answer"));
    *out_answer = answer;
    return CLO_STATUS_OK;
}

clo_status clo_body_var(clo_span body, size_t max, const char *what, clo_span *out_value)
{
    clo_reader r = clo_reader_of(body);
    clo_span value = clo_read_var(&r, max);
    CLO_TRY(clo_reader_finish(&r, what));
    *out_value = value;
    return CLO_STATUS_OK;
}

clo_status clo_body_bytes(clo_span body, size_t size, const char *what, uint8_t *out)
{
    clo_reader r = clo_reader_of(body);
    clo_span bytes = clo_read_span(&r, size);
    CLO_TRY(clo_reader_finish(&r, what));
    memcpy(out, bytes.data, size);
    return CLO_STATUS_OK;
}

clo_status clo_body_u64(clo_span body, const char *what, uint64_t *out_value)
{
    clo_reader r = clo_reader_of(body);
    uint64_t value = clo_read_u64be(&r);
    CLO_TRY(clo_reader_finish(&r, what));
    *out_value = value;
    return CLO_STATUS_OK;
}

clo_status clo_body_empty(clo_span body, const char *what)
{
    clo_reader r = clo_reader_of(body);
    return clo_reader_finish(&r, what);
}

void clo_job_key_id(const uint8_t manifest[32], uint8_t out_key_id[16])
{
    memcpy(out_key_id, manifest, 16);
}
