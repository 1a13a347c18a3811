/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which broker is believed (clo_broker_trust): an object inside policies and manifests, and the
 * owner's trust file. The file is not signed: it is the owner's own memory, and what is in it was
 * verified when `kms trust` wrote it.
 *
 *     {"identity": base64 SPKI, "appraisal": {...}, "insecure_simulator": {"roots": [hex]},
 *      "insecure_accepted": ["insecure_root_operator", ...]}
 */
#include "document.h"

#define TRUST_FILE_MAX (64 * 1024)

const clo_field clo_broker_trust_fields[] = {
    CLO_ROW(clo_broker_trust, identity, KEY),
    CLO_ROW(clo_broker_trust, appraisal, APPRAISAL),
    CLO_ROW_ANCHORS(clo_broker_trust),
    CLO_ROW(clo_broker_trust, insecure_accepted, INSECURE),
    CLO_ROW_END,
};

static const clo_document trust_document = {
    .what = "trust file",
    .fields = clo_broker_trust_fields,
    .size = sizeof(clo_broker_trust),
    .limit = TRUST_FILE_MAX,
};

clo_status clo_broker_trust_parse(const clo_json *object, clo_broker_trust *out_trust)
{
    clo_broker_trust trust = {.anchor_count = 0};
    CLO_TRY(clo_fields_read(clo_broker_trust_fields, object, &trust));
    *out_trust = trust;
    return CLO_STATUS_OK;
}

void clo_broker_trust_json(const clo_broker_trust *trust, clo_json_writer *writer, const char *name)
{
    clo_fields_write(clo_broker_trust_fields, trust, writer, name);
}

clo_status clo_broker_trust_read(const char *path, clo_broker_trust *out_trust)
{
    CLO_AUTO(clo_buf) file = CLO_BUF_LIMIT(TRUST_FILE_MAX);
    CLO_TRY_CTX(clo_file_read(path, TRUST_FILE_MAX, &file), "reading '%s'", path);
    CLO_TRY_CTX(clo_document_parse(&trust_document, clo_buf_span(&file), out_trust), "reading '%s'",
                path);
    return CLO_STATUS_OK;
}

clo_status clo_broker_trust_write(const char *path, const clo_broker_trust *trust)
{
    CLO_AUTO(clo_buf) text = CLO_BUF_LIMIT(TRUST_FILE_MAX);
    clo_broker_trust copy;
    clo_json_writer writer = clo_json_writer_of(&text);
    clo_broker_trust_json(trust, &writer, NULL);
    CLO_TRY(clo_buf_check(&text));
    CLO_TRY_CTX(clo_document_parse(&trust_document, clo_buf_span(&text), &copy), "writing '%s'",
                path);
    clo_put_u8(&text, '\n');
    CLO_TRY(clo_buf_check(&text));
    return clo_file_write(path, 0600, clo_buf_span(&text));
}
