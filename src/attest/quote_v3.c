/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quote version 3, read through one cursor. The layout is drawn in quote_v3.h; it is that of
 * Intel's sgx_quote_3.h. Sizes that a quote declares are only believed as far as there are bytes.
 */
#include "quote_v3.h"

#include <string.h>

static void read_body(clo_reader *r, clo_report_body *out)
{
    clo_read_copy(r, out->cpu_svn, sizeof out->cpu_svn);
    clo_read_copy(r, out->misc_select, sizeof out->misc_select);
    (void)clo_read_span(r, 12 + 16); /* reserved, ISVEXTPRODID */
    clo_read_copy(r, out->attributes, sizeof out->attributes);
    clo_read_copy(r, out->measurement, sizeof out->measurement);
    (void)clo_read_span(r, 32);
    clo_read_copy(r, out->signer, sizeof out->signer);
    (void)clo_read_span(r, 32);
    clo_read_copy(r, out->config_id, sizeof out->config_id);
    out->product = clo_read_u16le(r);
    out->svn = clo_read_u16le(r);
    (void)clo_read_span(r, 2 + 42 + 16); /* CONFIGSVN, reserved, ISVFAMILYID */
    clo_read_copy(r, out->report_data, sizeof out->report_data);
}

static void read_header(clo_reader *r, clo_quote_header *out)
{
    out->version = clo_read_u16le(r);
    out->key_type = clo_read_u16le(r);
    out->tee_type = clo_read_u32le(r);
    (void)clo_read_span(r, 2 + 2); /* QE SVN, PCE SVN: claims of the header, bound by nothing */
    clo_read_copy(r, out->vendor, sizeof out->vendor);
    (void)clo_read_span(r, 20);
}

static void read_auth(clo_reader *r, clo_quote_v3 *out)
{
    clo_read_copy(r, out->signature, sizeof out->signature);
    clo_read_copy(r, out->attest_key, sizeof out->attest_key);
    out->qe_report = clo_read_span(r, CLO_REPORT_BODY_SIZE);
    clo_read_copy(r, out->qe_signature, sizeof out->qe_signature);
    out->qe_auth = clo_read_span(r, clo_read_u16le(r));
    out->cert_type = clo_read_u16le(r);
    out->cert = clo_read_span(r, clo_read_u32le(r));
    out->surplus = clo_reader_left(r);
}

clo_status clo_quote_header_parse(clo_span quote, clo_quote_header *out_header)
{
    clo_reader r = clo_reader_of(quote);
    clo_quote_header header = {0};
    read_header(&r, &header);
    CLO_TRY(clo_reader_check(&r, "the quote's header"));
    *out_header = header;
    return CLO_STATUS_OK;
}

clo_status clo_quote_v3_parse(clo_span quote, clo_quote_v3 *out_quote)
{
    CLO_CHECK(quote.size <= CLO_EVIDENCE_MAX, CLO_LIMIT, "quote has %zu bytes, at most %d allowed",
              quote.size, CLO_EVIDENCE_MAX);
    clo_quote_v3 parsed = {0};
    clo_reader r = clo_reader_of(quote);
    parsed.signed_part = clo_read_span(&r, CLO_QUOTE_HEADER_SIZE + CLO_REPORT_BODY_SIZE);
    clo_reader head = clo_reader_of(parsed.signed_part);
    read_header(&head, &parsed.header);
    read_body(&head, &parsed.body);
    clo_span auth = clo_read_span(&r, clo_read_u32le(&r));
    CLO_TRY(clo_reader_check(&r, "the quote"));
    parsed.size = r.at;
    clo_reader rest = clo_reader_of(auth);
    read_auth(&rest, &parsed);
    CLO_TRY(clo_reader_check(&rest, "the quote's signature data"));
    clo_reader qe = clo_reader_of(parsed.qe_report);
    read_body(&qe, &parsed.qe_body);
    CLO_TRY(clo_reader_finish(&qe, "the QE report"));
    *out_quote = parsed;
    return CLO_STATUS_OK;
}

/* The body of a quote whose header this verifier knows; for the two peeks. */
static clo_status peek_body(clo_span quote, clo_report_body *out_body)
{
    clo_quote_v3 parsed;
    CLO_TRY_CTX(clo_quote_v3_parse(quote, &parsed), "quote");
    CLO_CHECK(parsed.header.version == 3, CLO_FORMAT, "quote has version %u, expected 3",
              parsed.header.version);
    *out_body = parsed.body;
    return CLO_STATUS_OK;
}

clo_status clo_quote_peek_report_data(clo_span quote, uint8_t out_report_data[64])
{
    clo_report_body body;
    CLO_TRY(peek_body(quote, &body));
    memcpy(out_report_data, body.report_data, sizeof body.report_data);
    return CLO_STATUS_OK;
}

clo_status clo_quote_peek_measurement(clo_span quote, uint8_t out_measurement[32])
{
    clo_report_body body;
    CLO_TRY(peek_body(quote, &body));
    memcpy(out_measurement, body.measurement, sizeof body.measurement);
    return CLO_STATUS_OK;
}
