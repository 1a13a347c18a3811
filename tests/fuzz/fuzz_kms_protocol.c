/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker's protocol: every reader of a message or body on the same bytes.
 */
#include <stdlib.h>

#include "cloister/kms_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_bodies(clo_span body)
{
    static clo_span_list list;
    clo_identity_answer identity;
    clo_audit_answer audit;
    clo_enrol_request enrol;
    clo_enrol_answer enrolled;
    clo_renew_answer renewed;
    clo_span value;
    (void)clo_list_parse(body, CLO_SEAL_HEADER_MAX, "headers", &list);
    (void)clo_identity_answer_parse(body, &identity);
    (void)clo_audit_answer_parse(body, &audit);
    (void)clo_enrol_request_parse(body, &enrol);
    (void)clo_enrol_answer_parse(body, &enrolled);
    (void)clo_renew_answer_parse(body, &renewed);
    (void)clo_body_var(body, CLO_DOCUMENT_MAX, "value", &value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLO_AUTO(clo_buf) again = CLO_BUF_INIT;
    clo_span message = CLO_SPAN(data, size);
    clo_request request;
    clo_answer answer;
    if (clo_ok(clo_request_parse(message, &request))) {
        read_bodies(request.body);
        clo_request_write(&request, &again);
        if (!clo_span_equal(clo_buf_span(&again), message)) {
            abort();
        }
    }
    if (clo_ok(clo_answer_parse(message, &answer))) {
        read_bodies(answer.body);
    }
    read_bodies(message);
    return 0;
}
