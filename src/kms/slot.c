/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A slot's session with the key broker (slot.h): from a manifest and a rank hint to an enrolled
 * slot with a job certificate, a roster and file keys.
 *
 *     key pair, self-signed certificate -> channel (evidence both ways) -> enrol -> certificate,
 *     roster -> file keys ...
 */
#include "slot.h"

#include <string.h>

#define CERT_LIFETIME_S (7 * 24 * 3600)
#define CERT_BACKDATE_S 300
#define LEAVE_MS        2000
#define RETRY_MS        1000
#define REQUEST_MS      10000

/* ---- the link */

static clo_status make_own_cert(const clo_key *key, clo_cert **out_cert)
{
    int64_t now = clo_clock_utc();
    clo_cert_request request = {
        .subject_cn = "cloister slot",
        .subject_key = key,
        .issuer_key = key,
        .not_before = now - CERT_BACKDATE_S,
        .not_after = now + CERT_LIFETIME_S,
        .tls_usages = true,
    };
    return clo_cert_make(&request, out_cert);
}

clo_status clo_slot_link_open(clo_slot_session *session, clo_deadline deadline)
{
    const clo_slot_options *options = &session->options;
    clo_channel_self self = {
        .as = CLO_PEER_ATTESTED,
        .role = options->role,
        .slot = CLO_SLOT_NONE,
        .insecure_flags = options->insecure_flags,
        .key = session->key,
        .cert = session->own_cert,
        .maker = options->maker,
        .maker_lock = options->maker_lock,
    };
    memcpy(self.manifest, options->manifest->digest, sizeof self.manifest);
    clo_channel_rules rules = clo_broker_rules(&session->check);
    clo_channel_close(session->link.channel);
    session->link = (clo_link){.channel = NULL};
    CLO_TRY_CTX(clo_channel_connect(options->broker_address, options->local_interface, &self,
                                    &rules, deadline, &session->link.channel),
                "connecting to the key broker at '%s'", options->broker_address);
    session->broker = *clo_channel_peer(session->link.channel);
    return CLO_STATUS_OK;
}

/* ---- what the broker gives */

static bool rows_equal(const clo_roster *a, const clo_roster *b)
{
    if (a->row_count != b->row_count) {
        return false;
    }
    for (uint32_t i = 0; i < a->row_count; i++) {
        const clo_roster_row *row = clo_roster_find(b, a->rows[i].role, a->rows[i].slot);
        if (row == NULL || row->incarnation != a->rows[i].incarnation ||
            memcmp(row->key_id, a->rows[i].key_id, sizeof row->key_id) != 0) {
            return false;
        }
    }
    return true;
}

static clo_status check_own_row(const clo_slot_session *session, const clo_roster *roster)
{
    const clo_roster_row *own = &session->row;
    const clo_roster_row *row = clo_roster_find(roster, own->role, own->slot);
    CLO_CHECK(row != NULL && row->incarnation == own->incarnation &&
                  memcmp(row->key_id, own->key_id, sizeof own->key_id) == 0,
              CLO_DENIED, "the key broker's roster no longer has us as %s %u",
              clo_role_name(own->role), own->slot);
    return CLO_STATUS_OK;
}

static clo_status check_epoch(const clo_roster *before, const clo_roster *roster, bool same_rows)
{
    CLO_CHECK(roster->epoch >= before->epoch, CLO_POLICY,
              "roster's epoch is %llu, but %llu was seen before", (unsigned long long)roster->epoch,
              (unsigned long long)before->epoch);
    CLO_CHECK(roster->epoch > before->epoch || before->epoch == 0 || same_rows, CLO_POLICY,
              "two rosters of epoch %llu differ", (unsigned long long)roster->epoch);
    return CLO_STATUS_OK;
}

clo_status clo_slot_take_roster(clo_slot_session *session, clo_span envelope, bool *out_changed)
{
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    const clo_manifest *manifest = session->options.manifest;
    clo_roster *roster = clo_arena_alloc(&arena, sizeof *roster);
    CLO_CHECK(roster != NULL, CLO_NOMEM, "no memory for a roster");
    CLO_TRY(clo_roster_open(envelope, &manifest->broker.identity, manifest->digest, clo_clock_utc(),
                            roster));
    bool same = rows_equal(&session->roster, roster);
    CLO_TRY(check_epoch(&session->roster, roster, same));
    CLO_TRY(check_own_row(session, roster));
    clo_clock_raise_floor(roster->issued);
    clo_mutex_lock(session->lock);
    session->roster = *roster;
    session->row = *clo_roster_find(roster, session->row.role, session->row.slot);
    clo_mutex_unlock(session->lock);
    *out_changed = !same;
    return CLO_STATUS_OK;
}

clo_status clo_slot_take_leaf(clo_slot_session *session, clo_span der)
{
    const clo_manifest *manifest = session->options.manifest;
    CLO_AUTO_PTR(clo_cert) cert = NULL;
    CLO_TRY_CTX(clo_cert_parse_der(der, &cert), "job certificate");
    CLO_CHECK(clo_span_equal(clo_cert_spki(cert), clo_key_spki(session->key)), CLO_POLICY,
              "job certificate is for another key");
    CLO_TRY(clo_job_leaf_check(cert, session->ca, &manifest->broker.identity, manifest,
                               &session->row, clo_clock_utc()));
    clo_slot_leaf *leaf = clo_alloc(sizeof *leaf);
    CLO_CHECK(leaf != NULL, CLO_NOMEM, "no memory for a job certificate");
    leaf->cert = CLO_TAKE(cert);
    leaf->older = session->leaves;
    session->leaves = leaf;
    session->leaf_ms = clo_clock_ms();
    return CLO_STATUS_OK;
}

/* ---- enrolment */

static clo_status take_ca(clo_slot_session *session, clo_span der)
{
    CLO_AUTO_PTR(clo_cert) cert = NULL;
    CLO_TRY_CTX(clo_cert_parse_der(der, &cert), "job CA");
    if (session->ca != NULL) {
        CLO_CHECK(clo_span_equal(clo_cert_der(session->ca), clo_cert_der(cert)), CLO_POLICY,
                  "the key broker shows another job CA than before");
        return CLO_STATUS_OK;
    }
    session->ca = CLO_TAKE(cert);
    return CLO_STATUS_OK;
}

/* A session that enrols again, after an outage, must get the incarnation that it had. */
static clo_status take_slot(clo_slot_session *session, const clo_enrol_answer *answer)
{
    bool first = session->leaves == NULL;
    CLO_CHECK(answer->slot == session->options.slot, CLO_POLICY,
              "the key broker gave slot %u, expected %u", answer->slot, session->options.slot);
    CLO_CHECK(first || answer->incarnation == session->row.incarnation, CLO_DENIED,
              "slot %u is held by incarnation %llu now", answer->slot,
              (unsigned long long)answer->incarnation);
    session->row.role = session->options.role;
    session->row.slot = answer->slot;
    session->row.incarnation = answer->incarnation;
    clo_key_id(session->key, session->row.key_id);
    memcpy(session->job_key_id, answer->job_key_id, sizeof session->job_key_id);
    session->metrics = answer->metrics;
    return CLO_STATUS_OK;
}

clo_status clo_slot_link_enrol(clo_slot_session *session, clo_deadline deadline)
{
    CLO_AUTO(clo_buf) body = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) message = CLO_BUF_INIT;
    clo_enrol_request request = {
        .slot = session->options.slot,
        .spki = clo_key_spki(session->key),
        .manifest = session->options.manifest_envelope,
    };
    clo_enrol_answer answer;
    clo_span bytes;
    bool changed;
    clo_enrol_request_write(&request, &body);
    CLO_TRY(clo_buf_check(&body));
    CLO_TRY(clo_link_call(&session->link, CLO_OP_SLOT_ENROL, clo_buf_span(&body), deadline,
                          &message, &bytes));
    CLO_TRY(clo_enrol_answer_parse(bytes, &answer));
    CLO_TRY(take_slot(session, &answer));
    CLO_TRY(take_ca(session, answer.ca));
    CLO_TRY(clo_slot_take_roster(session, answer.roster, &changed));
    CLO_TRY(clo_slot_take_leaf(session, answer.leaf));
    session->contact_ms = clo_clock_ms();
    return CLO_STATUS_OK;
}

/* Once, for the person who waits: who holds the slot and for how long. */
static void tell_wait(const clo_status *status)
{
    char text[512];
    clo_status_text(*status, text, sizeof text);
    clo_log(CLO_LOG_WARN, "kms", "waiting for the slot: %s", text);
}

static clo_status enrol_until(clo_slot_session *session, clo_deadline deadline)
{
    clo_status status = clo_slot_link_enrol(session, deadline);
    if (status.code == CLO_EXISTS) {
        tell_wait(&status);
    }
    while (status.code == CLO_EXISTS && clo_deadline_left_ms(deadline) > RETRY_MS) {
        clo_sleep_ms(RETRY_MS);
        /* Whole also when the wait ends meanwhile, so that the reason told is the holder. */
        status = clo_slot_link_enrol(session, clo_deadline_in(REQUEST_MS));
    }
    return status;
}

static clo_status start_session(const clo_slot_options *options, clo_slot_session *session)
{
    session->options = *options;
    session->check = CLO_BROKER_CHECK_INIT(&options->manifest->broker);
    CLO_TRY(clo_mutex_new(&session->lock));
    CLO_TRY(clo_random_reseed());
    CLO_TRY(clo_key_generate(CLO_KEY_P256, &session->key));
    return make_own_cert(session->key, &session->own_cert);
}

clo_status clo_slot_enrol(const clo_slot_options *options, clo_deadline deadline,
                          clo_slot_session **out_session)
{
    CLO_AUTO_PTR(clo_slot_session) session = clo_alloc(sizeof *session);
    CLO_CHECK(session != NULL, CLO_NOMEM, "no memory for a slot's session");
    CLO_TRY(start_session(options, session));
    CLO_TRY(clo_slot_link_open(session, deadline));
    CLO_TRY_CTX(enrol_until(session, deadline), "enrolling as %s %u", clo_role_name(options->role),
                options->slot);
    *out_session = CLO_TAKE(session);
    return CLO_STATUS_OK;
}

/* Best effort: a lease that is not ended here ends by itself. */
static void say_leave(clo_slot_session *session)
{
    CLO_AUTO(clo_buf) message = CLO_BUF_INIT;
    clo_span body;
    clo_status status = clo_link_call(&session->link, CLO_OP_SLOT_LEAVE, CLO_SPAN_EMPTY,
                                      clo_deadline_in(LEAVE_MS), &message, &body);
    if (!clo_ok(status)) {
        char text[256];
        clo_status_text(status, text, sizeof text);
        clo_log(CLO_LOG_WARN, "kms", "the slot's lease was not ended: %s", text);
    }
}

static void free_leaves(clo_slot_leaf *leaf)
{
    while (leaf != NULL) {
        clo_slot_leaf *older = leaf->older;
        clo_cert_free(leaf->cert);
        clo_free(leaf);
        leaf = older;
    }
}

void clo_slot_leave(clo_slot_session *session)
{
    if (session == NULL) {
        return;
    }
    if (session->link.channel != NULL && session->leaves != NULL) {
        say_leave(session);
    }
    clo_channel_close(session->link.channel);
    clo_buf_release(&session->check.cert);
    free_leaves(session->leaves);
    clo_cert_free(session->ca);
    clo_cert_free(session->own_cert);
    clo_key_free(session->key);
    clo_mutex_free(session->lock);
    clo_free(session);
}

/* ---- what the session knows */

const clo_roster_row *clo_slot_row(const clo_slot_session *session)
{
    return &session->row;
}

const clo_key *clo_slot_key(const clo_slot_session *session)
{
    return session->key;
}

const clo_cert *clo_slot_cert(const clo_slot_session *session)
{
    return session->leaves->cert;
}

const clo_cert *clo_slot_ca(const clo_slot_session *session)
{
    return session->ca;
}

const clo_peer *clo_slot_broker(const clo_slot_session *session)
{
    return &session->broker;
}

clo_metrics_every clo_slot_metrics_every(const clo_slot_session *session)
{
    return session->metrics;
}

const clo_roster *clo_slot_roster(const clo_slot_session *session)
{
    return &session->roster;
}

void clo_slot_job_key_id(const clo_slot_session *session, uint8_t out_key_id[16])
{
    memcpy(out_key_id, session->job_key_id, sizeof session->job_key_id);
}

/* ---- keys and recipients */

/* After an outage the link is opened again by whoever needs it first. */
static clo_status need_link(clo_slot_session *session, clo_deadline deadline)
{
    if (session->link.channel != NULL) {
        return CLO_STATUS_OK;
    }
    CLO_TRY(clo_slot_link_open(session, deadline));
    return clo_slot_link_enrol(session, deadline);
}

clo_status clo_slot_file_keys(clo_slot_session *session, const clo_span *headers, size_t count,
                              clo_deadline deadline, clo_secret *out_keys)
{
    CLO_TRY(need_link(session, deadline));
    return clo_link_file_keys(&session->link, CLO_OP_SLOT_FILE_KEYS, headers, count, deadline,
                              out_keys);
}

static clo_status load_recipients(const clo_span_list *list, clo_key **out_keys)
{
    for (size_t i = 0; i < list->count; i++) {
        CLO_TRY_CTX(clo_key_parse_spki(list->items[i], &out_keys[i]), "recipient %zu", i);
        CLO_CHECK(clo_key_get_kind(out_keys[i]) == CLO_KEY_X25519, CLO_FORMAT,
                  "recipient %zu is not an X25519 key", i);
    }
    return CLO_STATUS_OK;
}

clo_status clo_slot_recipients(clo_slot_session *session, const char *what, clo_deadline deadline,
                               clo_key **out_keys, size_t max, size_t *out_count)
{
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    CLO_AUTO(clo_buf) body = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) message = CLO_BUF_INIT;
    clo_span answer;
    clo_span_list *list = clo_arena_alloc(&arena, sizeof *list);
    CLO_CHECK(list != NULL, CLO_NOMEM, "no memory for a list of recipients");
    CLO_TRY(need_link(session, deadline));
    clo_put_var(&body, clo_span_of_str(what));
    CLO_TRY(clo_buf_check(&body));
    CLO_TRY(clo_link_call(&session->link, CLO_OP_SLOT_RECIPIENTS, clo_buf_span(&body), deadline,
                          &message, &answer));
    CLO_TRY(clo_list_parse(answer, CLO_SPKI_MAX, "the recipients", list));
    CLO_CHECK(list->count > 0, CLO_DENIED, "no recipient of '%s' in the owners' policies", what);
    CLO_CHECK(list->count <= max, CLO_LIMIT, "%zu recipients, expected at most %zu", list->count,
              max);
    memset(out_keys, 0, list->count * sizeof *out_keys);
    clo_status status = load_recipients(list, out_keys);
    for (size_t i = 0; !clo_ok(status) && i < list->count; i++) {
        clo_key_free(out_keys[i]);
        out_keys[i] = NULL;
    }
    CLO_TRY(status);
    *out_count = list->count;
    return CLO_STATUS_OK;
}
