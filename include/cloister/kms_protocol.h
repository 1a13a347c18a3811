/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLOISTER_KMS_PROTOCOL_H
#define CLOISTER_KMS_PROTOCOL_H

/*
 * The protocol between the key broker and those who ask it: one message each way over a channel
 * that has passed its gate. Both ends use these functions, so there is one reading of the bytes.
 *
 *     request   op u16 | counter u64 | body             answer   code u32 | text var | body
 *
 *     op               who    body of the request          body of the answer
 *     owner-identity   keyed  -                            SPKI var | quote var | collateral var
 *     make-key         keyed  name var                     key id[16]
 *     put-policy       keyed  envelope var                 -
 *     get-policy       keyed  key id[16]                   envelope var
 *     owner-file-keys  keyed  list of headers              list of file keys
 *     approve          keyed  envelope var                 -
 *     revoke           keyed  key id[16]                   -
 *     audit            keyed  first u64                    next u64 | head[32] | lines var
 *     enrol            slot   slot u32 | SPKI var |        slot u32 | incarnation u64 |
 *                             manifest var                 job key id[16] | metrics u8 |
 *                                                          leaf var | CA var | roster var
 *     roster           slot   -                            roster var
 *     renew            slot   -                            leaf var | roster var
 *     slot-file-keys   slot   list of headers              list of file keys
 *     recipients       slot   what var                     list of SPKIs
 *     leave            slot   -                            -
 *
 * A var is a u32 length and the bytes; a list is a u32 count and so many vars. Certificates are
 * DER. `metrics` is how often metrics may leave the slot in clear, by all policies of the job's
 * data: 1 at an epoch's end, 2 at each step.
 *
 * Counters start at 1 and grow by one. The broker answers the counter that follows the last one,
 * and the last one again with the answer it gave (same bytes, nothing counted twice); any other
 * counter, and another request under the last counter, is refused. The request's id in the audit
 * log is SHA-256(session id || counter).
 *
 * Refusals carry the reason as text: who hears it has been attested or is a known owner. Failures
 * of the broker itself carry none.
 *
 * Threads: pure. Spans read borrow from the message.
 */
#include "cloister/kms.h"

#define CLO_KMS_LIST_MAX   256 /* entries of a list */
#define CLO_KMS_TEXT_MAX   512 /* bytes of an answer's text that are kept */
#define CLO_KMS_CERT_MAX   8192
#define CLO_KMS_ROSTER_MAX (256 * 1024)
#define CLO_KMS_LINES_MAX  (4u << 20)
#define CLO_FILE_KEY_SIZE  32

/* Whom the certificates of the broker's connections name: the identity issues job CAs too. */
#define CLO_BROKER_TLS_CN "cloister broker connection"

typedef struct {
    clo_op op;
    const char *name;
    bool keyed; /* asked by owners; else by slots */
} clo_op_row;

/* NULL for a number that is no operation. */
const clo_op_row *clo_op_find(uint32_t op);

typedef struct {
    uint32_t op;
    uint64_t counter;
    clo_span body;
} clo_request;

typedef struct {
    clo_code code;
    clo_span text;
    clo_span body;
} clo_answer;

void clo_request_write(const clo_request *request, clo_buf *out);
/* CLO_FORMAT, or CLO_UNSUPPORTED for a number that is no operation. */
clo_status clo_request_parse(clo_span message, clo_request *out_request);
void clo_answer_write(const clo_answer *answer, clo_buf *out);
/* A code that no broker sends is CLO_FORMAT. */
clo_status clo_answer_parse(clo_span message, clo_answer *out_answer);
clo_status clo_request_id(const uint8_t session_id[32], uint64_t counter, uint8_t out_id[32]);

typedef struct {
    clo_span items[CLO_KMS_LIST_MAX];
    size_t count;
} clo_span_list;

/* `item_max` caps each entry's bytes. */
void clo_list_write(const clo_span *items, size_t count, clo_buf *out);
clo_status clo_list_parse(clo_span body, size_t item_max, const char *what,
                          clo_span_list *out_list);

typedef struct {
    clo_span spki, quote, collateral;
} clo_identity_answer;

void clo_identity_answer_write(const clo_identity_answer *answer, clo_buf *out);
clo_status clo_identity_answer_parse(clo_span body, clo_identity_answer *out_answer);

typedef struct {
    uint64_t next; /* 0: no more */
    uint8_t head[32];
    clo_span lines;
} clo_audit_answer;

void clo_audit_answer_write(const clo_audit_answer *answer, clo_buf *out);
clo_status clo_audit_answer_parse(clo_span body, clo_audit_answer *out_answer);

typedef struct {
    uint32_t slot;
    clo_span spki; /* of the connection's key, whose id both ends know */
    clo_span manifest;
} clo_enrol_request;

void clo_enrol_request_write(const clo_enrol_request *request, clo_buf *out);
clo_status clo_enrol_request_parse(clo_span body, clo_enrol_request *out_request);

typedef struct {
    uint32_t slot;
    uint64_t incarnation;
    uint8_t job_key_id[16];
    clo_metrics_every metrics;
    clo_span leaf, ca, roster;
} clo_enrol_answer;

void clo_enrol_answer_write(const clo_enrol_answer *answer, clo_buf *out);
clo_status clo_enrol_answer_parse(clo_span body, clo_enrol_answer *out_answer);

typedef struct {
    clo_span leaf, roster;
} clo_renew_answer;

void clo_renew_answer_write(const clo_renew_answer *answer, clo_buf *out);
clo_status clo_renew_answer_parse(clo_span body, clo_renew_answer *out_answer);

/* Bodies of one field. */
clo_status clo_body_var(clo_span body, size_t max, const char *what, clo_span *out_value);
clo_status clo_body_bytes(clo_span body, size_t size, const char *what, uint8_t *out);
clo_status clo_body_u64(clo_span body, const char *what, uint64_t *out_value);
clo_status clo_body_empty(clo_span body, const char *what);

/* The id of a job's own data key, for checkpoints: the start of its manifest's digest. */
void clo_job_key_id(const uint8_t manifest[32], uint8_t out_key_id[16]);

#endif
