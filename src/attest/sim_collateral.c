/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the simulated vendor publishes: revocation lists, TCB info (version 3), QE identity (version
 * 2), and the JSON container of all of it (members in attest.h; forms in reference/attestation.md
 * 2.1). Signatures cover the exact text of a document, which travels as a JSON string.
 *
 * Invariant: nothing here is checked; the verifier is what checks.
 */
#include "sim_vendor.h"

#include <string.h>

enum { SIGNATURE = 64 };

static const uint8_t no_signer[32];

static clo_status make_crl(const clo_sim_vendor *vendor, const clo_sim_crl_spec *about,
                           const clo_span *serials, size_t count, clo_buf *out_der)
{
    if (about->bytes.size > 0) {
        clo_put_span(out_der, about->bytes);
        return clo_buf_check(out_der);
    }
    CLO_AUTO_PTR(clo_key) nobody = NULL;
    const clo_key *key = vendor->key[about->issuer];
    if (about->foreign_key) {
        CLO_TRY(clo_key_generate(CLO_KEY_P256, &nobody));
        key = nobody;
    }
    return clo_crl_make(key, vendor->cert[about->issuer], about->this_update, about->next_update,
                        serials, count, out_der);
}

clo_status clo_sim_root_crl_make(const clo_sim_vendor *vendor, const clo_sim_spec *spec,
                                 clo_buf *out_der)
{
    static const clo_sim_party listed[] = {CLO_SIM_PLATFORM_CA, CLO_SIM_SIGNER};
    clo_span serials[2];
    size_t count = 0;
    for (size_t i = 0; i < 2; i++) {
        if (spec->cert[listed[i]].revoked) {
            serials[count++] = clo_cert_serial(vendor->cert[listed[i]]);
        }
    }
    return make_crl(vendor, &spec->root_crl, serials, count, out_der);
}

clo_status clo_sim_pck_crl_make(const clo_sim_vendor *vendor, const clo_sim_spec *spec,
                                clo_buf *out_der)
{
    clo_span serial = clo_cert_serial(vendor->cert[CLO_SIM_PCK]);
    return make_crl(vendor, &spec->pck_crl, &serial, spec->cert[CLO_SIM_PCK].revoked, out_der);
}

/* What follows "tcb" in a level, the same in both documents. */
static void put_level_end(clo_json_writer *w, const clo_sim_level *level)
{
    clo_json_put_time(w, "tcbDate", level->date);
    clo_json_put_str(w, "tcbStatus", level->status);
    if (level->advisory != NULL) {
        clo_json_begin_array(w, "advisoryIDs");
        clo_json_put_str(w, NULL, level->advisory);
        clo_json_end_array(w);
    }
}

static void put_platform_level(clo_json_writer *w, const clo_sim_level *level)
{
    clo_json_begin_object(w, NULL);
    clo_json_begin_object(w, "tcb");
    clo_json_begin_array(w, "sgxtcbcomponents");
    for (size_t i = 0; i < sizeof level->components; i++) {
        clo_json_begin_object(w, NULL);
        clo_json_put_u64(w, "svn", level->components[i]);
        clo_json_end_object(w);
    }
    clo_json_end_array(w);
    clo_json_put_u64(w, "pcesvn", level->svn);
    clo_json_end_object(w);
    put_level_end(w, level);
    clo_json_end_object(w);
}

static void put_qe_level(clo_json_writer *w, const clo_sim_level *level)
{
    clo_json_begin_object(w, NULL);
    clo_json_begin_object(w, "tcb");
    clo_json_put_u64(w, "isvsvn", level->svn);
    clo_json_end_object(w);
    put_level_end(w, level);
    clo_json_end_object(w);
}

static void put_levels(clo_json_writer *w, const clo_sim_document_spec *document,
                       void (*put)(clo_json_writer *, const clo_sim_level *))
{
    clo_json_begin_array(w, "tcbLevels");
    for (uint32_t i = 0; i < document->level_count; i++) {
        put(w, &document->levels[i]);
    }
    clo_json_end_array(w);
}

static void put_document_start(clo_json_writer *w, const clo_sim_document_spec *document)
{
    clo_json_put_str(w, "id", document->id);
    clo_json_put_u64(w, "version", document->version);
    clo_json_put_time(w, "issueDate", document->issue);
    clo_json_put_time(w, "nextUpdate", document->next_update);
}

clo_status clo_sim_tcb_info_make(const clo_sim_tcb_info_spec *spec, clo_buf *out_text)
{
    const clo_sim_document_spec *document = &spec->document;
    if (document->text.size > 0) {
        clo_put_span(out_text, document->text);
        return clo_buf_check(out_text);
    }
    clo_json_writer w = clo_json_writer_of(out_text);
    clo_json_begin_object(&w, NULL);
    put_document_start(&w, document);
    clo_json_put_hex(&w, "fmspc", CLO_SPAN_OF(spec->fmspc));
    clo_json_put_hex(&w, "pceId", CLO_SPAN_OF(spec->pce_id));
    clo_json_put_u64(&w, "tcbType", 0);
    clo_json_put_u64(&w, "tcbEvaluationDataNumber", document->evaluation);
    put_levels(&w, document, put_platform_level);
    clo_json_end_object(&w);
    return clo_buf_check(out_text);
}

clo_status clo_sim_identity_make(const clo_sim_vendor *vendor, const clo_sim_identity_spec *spec,
                                 clo_buf *out_text)
{
    const clo_sim_document_spec *document = &spec->document;
    if (document->text.size > 0) {
        clo_put_span(out_text, document->text);
        return clo_buf_check(out_text);
    }
    bool own = memcmp(spec->signer, no_signer, sizeof no_signer) == 0;
    clo_json_writer w = clo_json_writer_of(out_text);
    clo_json_begin_object(&w, NULL);
    put_document_start(&w, document);
    clo_json_put_u64(&w, "tcbEvaluationDataNumber", document->evaluation);
    clo_json_put_hex(&w, "miscselect", CLO_SPAN_OF(spec->misc_select));
    clo_json_put_hex(&w, "miscselectMask", CLO_SPAN_OF(spec->misc_mask));
    clo_json_put_hex(&w, "attributes", CLO_SPAN_OF(spec->attributes));
    clo_json_put_hex(&w, "attributesMask", CLO_SPAN_OF(spec->attributes_mask));
    clo_json_put_hex(&w, "mrsigner", CLO_SPAN(own ? vendor->qe_signer : spec->signer, 32));
    clo_json_put_u64(&w, "isvprodid", spec->product);
    put_levels(&w, document, put_qe_level);
    clo_json_end_object(&w);
    return clo_buf_check(out_text);
}

/* The members `name`, `name`_signature and `name`_issuer_chain. */
typedef struct {
    const char *text, *signature, *chain;
} document_names;

static const document_names tcb_info_names = {"tcb_info", "tcb_info_signature",
                                              "tcb_info_issuer_chain"};
static const document_names identity_names = {"qe_identity", "qe_identity_signature",
                                              "qe_identity_issuer_chain"};

/* One byte of a number: the text stays well formed. */
static void alter(clo_buf *text)
{
    static const char before[] = "DataNumber\":";
    uint8_t *at = memmem(text->data, text->size, before, sizeof before - 1);
    if (at != NULL) {
        at[sizeof before - 1] ^= 1;
    } else if (text->size > 0) {
        text->data[text->size / 2] ^= 1;
    }
}

static clo_status put_chain(clo_json_writer *w, const char *name, const clo_sim_vendor *vendor,
                            clo_sim_party first, clo_span instead)
{
    CLO_AUTO(clo_buf) pem = CLO_BUF_INIT;
    if (instead.size == 0) {
        CLO_TRY(clo_sim_chain_make(vendor, (clo_sim_party[]){first, CLO_SIM_ROOT_CA}, 2, &pem));
        instead = clo_buf_span(&pem);
    }
    clo_json_put_text(w, name, instead);
    return CLO_STATUS_OK;
}

static clo_status put_document(clo_json_writer *w, const document_names *names,
                               const clo_sim_vendor *vendor, const clo_sim_document_spec *document,
                               clo_buf *text)
{
    CLO_AUTO_PTR(clo_key) nobody = NULL;
    const clo_key *key = vendor->key[CLO_SIM_SIGNER];
    if (document->foreign_key) {
        CLO_TRY(clo_key_generate(CLO_KEY_P256, &nobody));
        key = nobody;
    }
    uint8_t signature[SIGNATURE];
    CLO_TRY(clo_key_sign_raw(key, clo_buf_span(text), signature));
    if (document->altered) {
        alter(text);
    }
    CLO_TRY(put_chain(w, names->chain, vendor, CLO_SIM_SIGNER, document->chain));
    clo_json_put_text(w, names->text, clo_buf_span(text));
    clo_json_put_hex(w, names->signature, CLO_SPAN_OF(signature));
    return CLO_STATUS_OK;
}

static clo_status put_lists(clo_json_writer *w, const clo_sim_vendor *vendor,
                            const clo_sim_spec *spec)
{
    CLO_AUTO(clo_buf) root = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) pck = CLO_BUF_INIT;
    CLO_TRY(clo_sim_root_crl_make(vendor, spec, &root));
    CLO_TRY(clo_sim_pck_crl_make(vendor, spec, &pck));
    CLO_TRY(put_chain(w, "pck_crl_issuer_chain", vendor, CLO_SIM_PLATFORM_CA, spec->crl_chain));
    clo_json_put_hex(w, "root_ca_crl", clo_buf_span(&root));
    clo_json_put_hex(w, "pck_crl", clo_buf_span(&pck));
    return CLO_STATUS_OK;
}

clo_status clo_sim_collateral_make(const clo_sim_vendor *vendor, const clo_sim_spec *spec,
                                   clo_buf *out_json)
{
    CLO_AUTO(clo_buf) info = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) identity = CLO_BUF_INIT;
    CLO_TRY(clo_sim_tcb_info_make(&spec->tcb_info, &info));
    CLO_TRY(clo_sim_identity_make(vendor, &spec->identity, &identity));
    clo_json_writer w = clo_json_writer_of(out_json);
    clo_json_begin_object(&w, NULL);
    CLO_TRY(put_lists(&w, vendor, spec));
    CLO_TRY(put_document(&w, &tcb_info_names, vendor, &spec->tcb_info.document, &info));
    CLO_TRY(put_document(&w, &identity_names, vendor, &spec->identity.document, &identity));
    clo_json_end_object(&w);
    return clo_buf_check(out_json);
}
