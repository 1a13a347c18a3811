/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vendor of this installation as files (drawn in sim_folder.h): made once, read back by the
 * quoting process.
 *
 * Invariants: keys are never written over; the folder is checked before each use; vendor.json is
 * strict: an unknown member is an error.
 */
#include "sim_folder.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPTIONS_FILE "vendor.json"

enum { DAY = 86400, VALID_DAYS = 30, MAX_DAYS = 3650, REFRESH_DAYS = 2 };

enum { MAX_PEM = 16 << 10, MAX_OPTIONS = 4096 };

static const struct {
    const char *key, *cert;
    bool public_cert;
} files[CLO_SIM_PARTY_COUNT] = {
    [CLO_SIM_ROOT_CA] = {"root.key", CLO_SIM_ROOT, true},
    [CLO_SIM_PLATFORM_CA] = {"platform-ca.key", "platform-ca.pem", false},
    [CLO_SIM_PCK] = {"pck.key", "pck.pem", false},
    [CLO_SIM_SIGNER] = {"tcb-signing.key", "tcb-signing.pem", false},
};

/* Which options say that a party is revoked; the root has no list to stand in. */
static const struct {
    clo_sim_party party;
    const char *name;
} revocations[] = {{CLO_SIM_PCK, "revoke_pck"},
                   {CLO_SIM_PLATFORM_CA, "revoke_ca"},
                   {CLO_SIM_SIGNER, "revoke_signer"}};

enum { REVOCATIONS = sizeof revocations / sizeof *revocations };

static const char *const option_names[] = {"platform_tcb", "qe_tcb",        "advisory",
                                           "evaluation",   "valid_days",    "revoke_pck",
                                           "revoke_ca",    "revoke_signer", NULL};

clo_status clo_sim_path_make(const char *folder, const char *name, clo_sim_path *out_path)
{
    return clo_path_join(out_path->text, sizeof out_path->text, folder, name);
}

static clo_status check_folder(const char *folder)
{
    struct stat info;
    if (lstat(folder, &info) != 0) {
        return CLO_ERRNO("look at '%s'", folder);
    }
    CLO_CHECK(S_ISDIR(info.st_mode), CLO_INVALID, "'%s' is no folder", folder);
    CLO_CHECK(info.st_uid == geteuid(), CLO_INVALID, "'%s' belongs to user %u, expected %u", folder,
              info.st_uid, geteuid());
    CLO_CHECK((info.st_mode & 077) == 0, CLO_INVALID,
              "'%s' has permissions %03o, expected 700: others could take the vendor's keys",
              folder, info.st_mode & 0777);
    return CLO_STATUS_OK;
}

/* ---------------------------------------------------------------- what the vendor says ---------
 */

static const char *status_text(clo_tcb_status status)
{
    return clo_tcb_name(status == CLO_TCB_UNKNOWN ? CLO_TCB_UP_TO_DATE : status);
}

/* The values are in the description; the file is made from it and read back into it. */
static clo_status apply_options(const clo_sim_options *options, clo_sim_home *home)
{
    clo_sim_spec *spec = &home->spec;
    clo_sim_document_spec *info = &spec->tcb_info.document;
    clo_sim_document_spec *identity = &spec->identity.document;
    const char *advisory = options->advisory == NULL ? "" : options->advisory;
    CLO_CHECK(strlen(advisory) < sizeof home->advisory, CLO_INVALID,
              "advisory '%s' has more than %zu characters", advisory, sizeof home->advisory - 1);
    CLO_CHECK(options->valid_days <= MAX_DAYS, CLO_INVALID, "valid_days is %u, expected at most %d",
              options->valid_days, MAX_DAYS);
    snprintf(home->advisory, sizeof home->advisory, "%s", advisory);
    home->valid_days = options->valid_days == 0 ? VALID_DAYS : options->valid_days;
    info->levels[0].status = status_text(options->platform_tcb);
    info->levels[0].advisory = home->advisory[0] == '\0' ? NULL : home->advisory;
    identity->levels[0].status = status_text(options->qe_tcb);
    if (options->evaluation != 0) {
        info->evaluation = identity->evaluation = options->evaluation;
    }
    const bool revoked[REVOCATIONS] = {options->revoke_pck, options->revoke_ca,
                                       options->revoke_signer};
    for (size_t i = 0; i < REVOCATIONS; i++) {
        spec->cert[revocations[i].party].revoked = revoked[i];
    }
    return CLO_STATUS_OK;
}

static clo_status write_options(const char *folder, const clo_sim_home *home)
{
    CLO_AUTO(clo_buf) text = CLO_BUF_INIT;
    clo_json_writer w = clo_json_writer_of(&text);
    clo_json_begin_object(&w, NULL);
    clo_json_put_str(&w, "platform_tcb", home->spec.tcb_info.document.levels[0].status);
    clo_json_put_str(&w, "qe_tcb", home->spec.identity.document.levels[0].status);
    clo_json_put_str(&w, "advisory", home->advisory);
    clo_json_put_u64(&w, "evaluation", home->spec.tcb_info.document.evaluation);
    clo_json_put_u64(&w, "valid_days", home->valid_days);
    for (size_t i = 0; i < REVOCATIONS; i++) {
        clo_json_put_bool(&w, revocations[i].name, home->spec.cert[revocations[i].party].revoked);
    }
    clo_json_end_object(&w);
    clo_put_str(&text, "\n");
    CLO_TRY(clo_buf_check(&text));
    clo_sim_path path;
    CLO_TRY(clo_sim_path_make(folder, OPTIONS_FILE, &path));
    return clo_file_write(path.text, 0600, clo_buf_span(&text));
}

static clo_status parse_status(const clo_json *root, const char *name, clo_tcb_status *out_status)
{
    clo_span text;
    CLO_TRY(clo_json_str(root, name, &text));
    return clo_tcb_parse(text, out_status);
}

static clo_status parse_options(const clo_json *root, clo_sim_home *home)
{
    clo_sim_options options = {0};
    clo_span advisory;
    uint64_t evaluation, days;
    CLO_TRY(clo_json_only(root, option_names));
    CLO_TRY(parse_status(root, "platform_tcb", &options.platform_tcb));
    CLO_TRY(parse_status(root, "qe_tcb", &options.qe_tcb));
    CLO_TRY(clo_json_str(root, "advisory", &advisory));
    CLO_TRY(clo_json_u64(root, "evaluation", UINT32_MAX, &evaluation));
    CLO_TRY(clo_json_u64(root, "valid_days", MAX_DAYS, &days));
    CLO_TRY(clo_json_bool(root, "revoke_pck", &options.revoke_pck));
    CLO_TRY(clo_json_bool(root, "revoke_ca", &options.revoke_ca));
    CLO_TRY(clo_json_bool(root, "revoke_signer", &options.revoke_signer));
    char text[sizeof home->advisory] = "";
    CLO_CHECK(advisory.size < sizeof text, CLO_FORMAT, "the advisory's name is too long");
    if (advisory.size > 0) {
        memcpy(text, advisory.data, advisory.size);
    }
    options.advisory = text;
    options.evaluation = (uint32_t)evaluation;
    options.valid_days = (uint32_t)days;
    return apply_options(&options, home);
}

static clo_status read_options(const char *folder, clo_sim_home *home)
{
    clo_sim_path path;
    CLO_AUTO(clo_buf) text = CLO_BUF_INIT;
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    const clo_json *root;
    CLO_TRY(clo_sim_path_make(folder, OPTIONS_FILE, &path));
    CLO_TRY(clo_file_read(path.text, MAX_OPTIONS, &text));
    CLO_TRY_CTX(clo_json_parse(clo_buf_span(&text), &arena, &root), "reading '%s'", path.text);
    CLO_TRY_CTX(parse_options(root, home), "reading '%s'", path.text);
    return CLO_STATUS_OK;
}

/* ---------------------------------------------------------------- keys and certificates --------
 */

static clo_status write_party(const char *folder, const clo_sim_vendor *vendor, clo_sim_party party)
{
    clo_sim_path key, cert;
    CLO_AUTO(clo_buf) pem = CLO_BUF_INIT;
    CLO_TRY(clo_sim_path_make(folder, files[party].key, &key));
    CLO_TRY(clo_sim_path_make(folder, files[party].cert, &cert));
    CLO_TRY(clo_key_write_files(vendor->key[party], key.text, NULL));
    CLO_TRY(clo_cert_write_pem(vendor->cert[party], &pem));
    CLO_TRY(clo_buf_check(&pem));
    return clo_file_write(cert.text, files[party].public_cert ? 0644 : 0600, clo_buf_span(&pem));
}

static clo_status read_cert(const char *folder, clo_sim_party party, clo_cert **out_cert)
{
    clo_sim_path path;
    CLO_AUTO(clo_buf) pem = CLO_BUF_INIT;
    size_t count;
    CLO_TRY(clo_sim_path_make(folder, files[party].cert, &path));
    CLO_TRY(clo_file_read(path.text, MAX_PEM, &pem));
    CLO_TRY_CTX(clo_cert_parse_pem_chain(clo_buf_span(&pem), 1, out_cert, &count), "reading '%s'",
                path.text);
    CLO_CHECK(count == 1, CLO_FORMAT, "'%s' holds no certificate", path.text);
    return CLO_STATUS_OK;
}

static clo_status read_vendor(const char *folder, clo_sim_vendor *vendor)
{
    for (int i = 0; i < CLO_SIM_PARTY_COUNT; i++) {
        clo_sim_path path;
        CLO_TRY(clo_sim_path_make(folder, files[i].key, &path));
        CLO_TRY(clo_key_read_private_file(path.text, &vendor->key[i]));
        CLO_TRY(read_cert(folder, (clo_sim_party)i, &vendor->cert[i]));
    }
    return clo_sim_vendor_complete(vendor);
}

/* ---------------------------------------------------------------- collateral ------------------ */

static clo_status write_collateral(const char *folder, clo_sim_home *home, int64_t now)
{
    clo_sim_path path;
    CLO_AUTO(clo_buf) text = CLO_BUF_LIMIT(CLO_COLLATERAL_MAX);
    clo_sim_spec_set_collateral_time(&home->spec, now - DAY, now + (int64_t)home->valid_days * DAY);
    CLO_TRY(clo_sim_collateral_make(&home->vendor, &home->spec, &text));
    CLO_TRY(clo_sim_path_make(folder, CLO_SIM_COLLATERAL, &path));
    return clo_file_write(path.text, 0644, clo_buf_span(&text));
}

static clo_status read_collateral(const char *folder, clo_buf *out_text)
{
    clo_sim_path path;
    CLO_TRY(clo_sim_path_make(folder, CLO_SIM_COLLATERAL, &path));
    return clo_file_read(path.text, CLO_COLLATERAL_MAX, out_text);
}

/* When the collateral ends: all its parts were signed for the same span. */
static clo_status collateral_end(const char *folder, int64_t *out_end)
{
    CLO_AUTO(clo_buf) text = CLO_BUF_LIMIT(CLO_COLLATERAL_MAX);
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    const clo_json *root;
    const clo_json *info;
    clo_span document;
    CLO_TRY(read_collateral(folder, &text));
    CLO_TRY(clo_json_parse(clo_buf_span(&text), &arena, &root));
    CLO_TRY(clo_json_str(root, "tcb_info", &document));
    CLO_TRY(clo_json_parse(document, &arena, &info));
    return clo_json_time(info, "nextUpdate", out_end);
}

clo_status clo_sim_home_refresh(const char *folder, clo_sim_home *home)
{
    int64_t now = clo_clock_utc();
    int64_t end;
    if (clo_ok(collateral_end(folder, &end)) && end - now > (int64_t)REFRESH_DAYS * DAY) {
        return CLO_STATUS_OK;
    }
    clo_log(CLO_LOG_INFO, "sim", "collateral signed anew days=%u", home->valid_days);
    return write_collateral(folder, home, now);
}

/* ---------------------------------------------------------------- the folder ------------------ */

clo_status clo_sim_home_load(const char *folder, clo_sim_home *out_home)
{
    CLO_TRY(check_folder(folder));
    clo_sim_spec_init(&out_home->spec, clo_clock_utc());
    CLO_TRY_CTX(read_options(folder, out_home), "'%s' holds no simulator vendor", folder);
    return read_vendor(folder, &out_home->vendor);
}

void clo_sim_home_cleanup(clo_sim_home *home)
{
    clo_sim_vendor_cleanup(&home->vendor);
}

static clo_status fill_folder(const char *folder, const clo_sim_options *options)
{
    CLO_AUTO(clo_sim_home) home = CLO_SIM_HOME_INIT;
    int64_t now = options->now == 0 ? clo_clock_utc() : options->now;
    clo_sim_spec_init(&home.spec, now);
    CLO_TRY(apply_options(options, &home));
    CLO_TRY(clo_sim_vendor_make(&home.spec, &home.vendor));
    for (int i = 0; i < CLO_SIM_PARTY_COUNT; i++) {
        CLO_TRY(write_party(folder, &home.vendor, (clo_sim_party)i));
    }
    CLO_TRY(write_collateral(folder, &home, now));
    return write_options(folder, &home);
}

clo_status clo_sim_init(const char *folder, const clo_sim_options *options)
{
    static const clo_sim_options usual;
    clo_sim_path key;
    CLO_TRY(clo_sim_path_make(folder, files[CLO_SIM_ROOT_CA].key, &key));
    CLO_TRY(clo_dir_make(folder, 0700));
    CLO_TRY(check_folder(folder));
    CLO_CHECK(!clo_file_exists(key.text), CLO_EXISTS, "'%s' holds a simulator vendor already",
              folder);
    CLO_TRY_CTX(fill_folder(folder, options == NULL ? &usual : options),
                "making a simulator vendor in '%s'", folder);
    return CLO_STATUS_OK;
}

clo_status clo_sim_anchor(const char *folder, clo_anchor *out_anchor)
{
    CLO_AUTO_PTR(clo_cert) root = NULL;
    CLO_TRY(read_cert(folder, CLO_SIM_ROOT_CA, &root));
    CLO_TRY(clo_sha256(clo_cert_spki(root), out_anchor->spki_sha256));
    out_anchor->tee = CLO_TEE_SIMULATOR;
    return CLO_STATUS_OK;
}

clo_status clo_sim_quote(const char *folder, const uint8_t measurement[32],
                         const uint8_t report_data[64], clo_evidence *out_evidence)
{
    CLO_AUTO(clo_sim_home) home = CLO_SIM_HOME_INIT;
    CLO_TRY(clo_sim_home_load(folder, &home));
    memcpy(home.spec.quote.body.measurement, measurement, 32);
    memcpy(home.spec.quote.body.report_data, report_data, 64);
    CLO_TRY(clo_sim_quote_make(&home.vendor, &home.spec.quote, &out_evidence->quote));
    return read_collateral(folder, &out_evidence->collateral);
}
