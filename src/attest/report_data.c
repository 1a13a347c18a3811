/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only way to a report_data:
 *
 *     SHA-512( label[32] || layout )        label = purpose's text, padded with zeros
 *
 * The label keeps purposes apart whatever the layouts hold, so that a quote that a person may ask
 * for (user-data) can never stand for a connection or for a broker's identity.
 */
#include "cloister/attest.h"

enum { LABEL_SIZE = 32 };

static const char labels[CLO_PURPOSE_COUNT][LABEL_SIZE] = {
    [CLO_PURPOSE_CHANNEL] = "cloister report channel v1",
    [CLO_PURPOSE_BROKER_IDENTITY] = "cloister report broker v1",
    [CLO_PURPOSE_USER_DATA] = "cloister report user-data v1",
};

clo_status clo_report_data(clo_purpose purpose, clo_span layout, uint8_t out_report_data[64])
{
    CLO_CHECK((unsigned)purpose < CLO_PURPOSE_COUNT && labels[purpose][0] != '\0', CLO_INVALID,
              "purpose %u of a quote is not a known one", (unsigned)purpose);
    CLO_AUTO(clo_buf) input = CLO_BUF_LIMIT(LABEL_SIZE + CLO_EVIDENCE_MAX);
    clo_put_bytes(&input, labels[purpose], LABEL_SIZE);
    clo_put_span(&input, layout);
    CLO_TRY_CTX(clo_buf_check(&input), "report data");
    return clo_sha512(clo_buf_span(&input), out_report_data);
}
