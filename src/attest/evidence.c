/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Evidence as a file: a collection of RATS conceptual message wrappers in JSON
 * (draft-ietf-rats-msg-wrap, section 3.3), so that other tools know what they hold:
 *
 *     {"__cmwc_t": "tag:cloister,2026:evidence",
 *      "quote":      ["application/vnd.cloister.dcap-quote", base64url],
 *      "collateral": ["application/vnd.cloister.dcap-collateral+json", base64url]}   optional
 *
 * base64url is RFC 4648 section 5 without padding, as the wrapper's draft has it. A file that does
 * not start with '{' is taken for a quote as it came from a platform.
 */
#include "cloister/attest.h"

static const char collection_type[] = "tag:cloister,2026:evidence";
static const char quote_type[] = "application/vnd.cloister.dcap-quote";
static const char collateral_type[] = "application/vnd.cloister.dcap-collateral+json";

enum { ARENA_LIMIT = 4 << 20, FILE_MAX = (CLO_EVIDENCE_MAX + CLO_COLLATERAL_MAX) / 3 * 4 + 1024 };

void clo_evidence_cleanup(clo_evidence *evidence)
{
    clo_buf_release(&evidence->quote);
    clo_buf_release(&evidence->collateral);
}

/* From the standard alphabet to the one for URLs, without padding. */
static void put_base64url(clo_buf *out, clo_span bytes)
{
    CLO_AUTO(clo_buf) text = CLO_BUF_INIT;
    clo_put_base64(&text, bytes);
    out->failed = out->failed || text.failed;
    for (size_t i = 0; i < text.size && text.data[i] != '='; i++) {
        uint8_t c = text.data[i];
        clo_put_u8(out, c == '+' ? '-' : c == '/' ? '_' : c);
    }
}

static clo_status append_base64url(clo_span text, size_t limit, clo_buf *out)
{
    CLO_AUTO(clo_buf) standard = CLO_BUF_LIMIT(FILE_MAX + 4);
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        CLO_CHECK(c != '+' && c != '/' && c != '=', CLO_FORMAT, "character %zu is not of base64url",
                  i);
        clo_put_u8(&standard, c == '-' ? '+' : c == '_' ? '/' : c);
    }
    while (standard.size % 4 != 0) {
        clo_put_u8(&standard, '=');
        if (standard.failed) {
            break;
        }
    }
    CLO_TRY(clo_buf_check(&standard));
    return clo_base64_append(clo_buf_span(&standard), limit, out);
}

static void put_record(clo_buf *out, const char *name, const char *type, clo_span bytes)
{
    clo_put_format(out, ",\"%s\":[\"%s\",\"", name, type);
    put_base64url(out, bytes);
    clo_put_str(out, "\"]");
}

clo_status clo_evidence_write(const clo_evidence *evidence, clo_buf *out)
{
    clo_put_format(out, "{\"__cmwc_t\":\"%s\"", collection_type);
    put_record(out, "quote", quote_type, clo_buf_span(&evidence->quote));
    if (evidence->collateral.size > 0) {
        put_record(out, "collateral", collateral_type, clo_buf_span(&evidence->collateral));
    }
    clo_put_str(out, "}\n");
    return clo_buf_check(out);
}

/* [type, base64url] */
static clo_status read_record(const clo_json *root, const char *name, const char *type,
                              size_t limit, clo_buf *out)
{
    const clo_json *record = NULL;
    CLO_TRY(clo_json_member(root, name, CLO_JSON_ARRAY, &record));
    const clo_json *kind = record->child;
    CLO_CHECK(record->count == 2 && kind->type == CLO_JSON_STRING &&
                  kind->next->type == CLO_JSON_STRING,
              CLO_FORMAT, "'%s' is not a pair of type and value", name);
    CLO_CHECK(clo_span_equals_str(kind->string, type), CLO_FORMAT,
              "'%s' has another type than '%s'", name, type);
    CLO_TRY_CTX(append_base64url(kind->next->string, limit, out), "'%s'", name);
    return CLO_STATUS_OK;
}

static clo_status parse_collection(clo_span file, clo_evidence *out)
{
    static const char *const names[] = {"__cmwc_t", "quote", "collateral", NULL};
    CLO_AUTO(clo_arena) arena = {NULL, 0, ARENA_LIMIT};
    const clo_json *root = NULL;
    clo_span type;
    CLO_TRY(clo_json_parse(file, &arena, &root));
    CLO_TRY(clo_json_only(root, names));
    CLO_TRY(clo_json_str(root, "__cmwc_t", &type));
    CLO_CHECK(clo_span_equals_str(type, collection_type), CLO_FORMAT,
              "collection is not of type '%s'", collection_type);
    CLO_TRY(read_record(root, "quote", quote_type, CLO_EVIDENCE_MAX, &out->quote));
    if (clo_json_find(root, "collateral") != NULL) {
        CLO_TRY(
            read_record(root, "collateral", collateral_type, CLO_COLLATERAL_MAX, &out->collateral));
    }
    return CLO_STATUS_OK;
}

static clo_status parse_raw(clo_span file, clo_evidence *out)
{
    uint8_t report_data[CLO_REPORT_DATA_SIZE];
    CLO_TRY(clo_quote_peek_report_data(file, report_data));
    clo_put_span(&out->quote, file);
    return clo_buf_check(&out->quote);
}

clo_status clo_evidence_parse(clo_span file, clo_evidence *out_evidence)
{
    CLO_CHECK(file.size > 0 && file.size <= FILE_MAX, CLO_FORMAT,
              "evidence has %zu bytes, expected 1 to %d", file.size, FILE_MAX);
    CLO_AUTO(clo_evidence) parsed = CLO_EVIDENCE_INIT;
    CLO_TRY_CTX(file.data[0] == '{' ? parse_collection(file, &parsed) : parse_raw(file, &parsed),
                "evidence");
    clo_evidence_cleanup(out_evidence);
    *out_evidence = parsed;
    parsed = CLO_EVIDENCE_INIT;
    return CLO_STATUS_OK;
}
