/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request: checked against its counter, handled in one transaction, answered after the commit.
 *
 *     counter = last + 1   handle; keep the answer
 *     counter = last       the same bytes: the same answer again; other bytes: refused
 *     any other            refused, and the connection ends
 *
 * A refusal rolls everything back; a slot's is itself an entry of the audit log, in a transaction
 * of its own (refusals.c).
 */
#include "broker_state.h"

#include <string.h>

#define ANSWER_MAX CLO_MESSAGE_MAX

static const struct {
    clo_op op;
    clo_handler run;
    bool outside; /* of the lock and of a transaction: waits for the maker of evidence */
    bool keys;    /* the answer holds file keys: it stands in secret memory, also for a retry */
} handlers[] = {
    {CLO_OP_OWNER_IDENTITY, clo_op_identity, true, false},
    {CLO_OP_OWNER_MAKE_KEY, clo_op_make_key, false, false},
    {CLO_OP_OWNER_PUT_POLICY, clo_op_put_policy, false, false},
    {CLO_OP_OWNER_GET_POLICY, clo_op_get_policy, false, false},
    {CLO_OP_OWNER_FILE_KEYS, clo_op_owner_file_keys, false, true},
    {CLO_OP_OWNER_APPROVE, clo_op_approve, false, false},
    {CLO_OP_OWNER_REVOKE, clo_op_revoke, false, false},
    {CLO_OP_OWNER_AUDIT, clo_op_audit, false, false},
    {CLO_OP_SLOT_ENROL, clo_op_enrol, false, false},
    {CLO_OP_SLOT_ROSTER, clo_op_roster, false, false},
    {CLO_OP_SLOT_RENEW, clo_op_renew, false, false},
    {CLO_OP_SLOT_FILE_KEYS, clo_op_slot_file_keys, false, true},
    {CLO_OP_SLOT_RECIPIENTS, clo_op_recipients, false, false},
    {CLO_OP_SLOT_LEAVE, clo_op_leave, false, false},
};

void clo_caller_init(clo_broker *broker, const clo_peer *peer, const uint8_t session[32],
                     clo_caller *out_caller)
{
    *out_caller = (clo_caller){.broker = broker, .peer = peer};
    out_caller->last_answer = CLO_BUF_LIMIT(ANSWER_MAX);
    memcpy(out_caller->session, session, sizeof out_caller->session);
}

void clo_caller_cleanup(clo_caller *caller)
{
    clo_buf_release(&caller->last_answer);
}

/* ---- running one */

/* The answer is written before the commit: once it is committed, nothing can fail but the sending.
 */
static clo_status run_and_write(clo_caller *caller, clo_handler run, const uint8_t *request_id,
                                clo_span body)
{
    CLO_AUTO(clo_buf) out_body = CLO_BUF_LIMIT(ANSWER_MAX);
    out_body.secret = caller->last_answer.secret;
    CLO_TRY(run(caller, request_id, body, &out_body));
    CLO_TRY(clo_buf_check(&out_body));
    clo_answer answer = {.code = CLO_OK, .body = clo_buf_span(&out_body)};
    clo_answer_write(&answer, &caller->last_answer);
    return clo_buf_check(&caller->last_answer);
}

static clo_status run_transaction(clo_caller *caller, clo_handler run, const uint8_t *request_id,
                                  clo_span body)
{
    clo_store *store = caller->broker->store;
    CLO_TRY(clo_store_begin(store));
    clo_status status = run_and_write(caller, run, request_id, body);
    if (clo_ok(status)) {
        status = clo_store_commit(store);
    }
    if (!clo_ok(status)) {
        clo_store_rollback(store);
    }
    clo_admission_settle(caller->broker, clo_ok(status));
    return status;
}

/* Failures of the broker itself are nobody's refusal: they are logged and told without a text. */
static bool is_own_failure(int32_t code)
{
    return code == CLO_NOMEM || code == CLO_IO || code == CLO_BUG || code == CLO_TIMEOUT;
}

/* Whoever waits for a slot asks again and again: that is in the program's log alone. */
static bool is_audited(clo_status status)
{
    return !clo_ok(status) && !is_own_failure(status.code) && status.code != CLO_EXISTS;
}

static clo_status run_locked(clo_caller *caller, clo_handler run, const clo_op_row *op,
                             const uint8_t *request_id, clo_span body)
{
    char text[CLO_KMS_TEXT_MAX];
    clo_mutex_lock(caller->broker->lock);
    memset(caller->refused_owner, 0, sizeof caller->refused_owner);
    clo_status status = run_transaction(caller, run, request_id, body);
    if (is_audited(status)) {
        clo_saved_status saved;
        clo_status_save(status, &saved);
        clo_status_text(status, text, sizeof text);
        clo_status audited = clo_refusal_audit(caller, op, text, request_id);
        status = clo_ok(audited) ? clo_status_restore(&saved) : audited;
    }
    clo_mutex_unlock(caller->broker->lock);
    return status;
}

/* ---- answering */

/* Makes room for an answer, which holds keys or does not. */
static void forget_answer(clo_caller *caller, bool keys)
{
    clo_buf_release(&caller->last_answer);
    caller->last_answer.secret = keys;
}

static void write_refusal(clo_caller *caller, const clo_op_row *op, clo_status status)
{
    char text[CLO_KMS_TEXT_MAX];
    clo_answer answer = {.code = (clo_code)status.code};
    clo_status_text(status, text, sizeof text);
    clo_log(CLO_LOG_WARN, "broker", "refused '%s' of %s at %s: %s", op->name,
            clo_role_name(caller->peer->hello.role), caller->peer->address.text, text);
    if (is_own_failure(status.code)) {
        answer.code = CLO_DENIED;
        answer.text = clo_span_of_str("the key broker could not do it");
    } else {
        answer.text = clo_span_of_str(text);
    }
    forget_answer(caller, false);
    clo_answer_write(&answer, &caller->last_answer);
}

static clo_status answer_request(clo_caller *caller, const clo_request *request)
{
    uint8_t request_id[32];
    const clo_op_row *op = clo_op_find(request->op);
    size_t i = 0;
    while (i < sizeof handlers / sizeof *handlers && (uint32_t)handlers[i].op != request->op) {
        i++;
    }
    CLO_CHECK(op != NULL && i < sizeof handlers / sizeof *handlers, CLO_BUG,
              "operation %u has no handler", request->op);
    CLO_TRY(clo_request_id(caller->session, request->counter, request_id));
    forget_answer(caller, handlers[i].keys);
    clo_status status = handlers[i].outside
                            ? run_and_write(caller, handlers[i].run, request_id, request->body)
                            : run_locked(caller, handlers[i].run, op, request_id, request->body);
    if (!clo_ok(status)) {
        write_refusal(caller, op, status);
    }
    return clo_buf_check(&caller->last_answer);
}

static clo_status check_class(const clo_caller *caller, const clo_request *request)
{
    const clo_op_row *op = clo_op_find(request->op);
    CLO_CHECK(op->keyed == (caller->peer->as == CLO_PEER_KEYED), CLO_DENIED,
              "'%s' is no operation for a %s", op->name, clo_role_name(caller->peer->hello.role));
    return CLO_STATUS_OK;
}

clo_status clo_dispatch(clo_caller *caller, clo_span message, clo_span *out_answer)
{
    clo_request request;
    uint8_t digest[32];
    CLO_TRY(clo_request_parse(message, &request));
    CLO_TRY(check_class(caller, &request));
    CLO_TRY(clo_sha256(message, digest));
    bool retry = caller->counter > 0 && request.counter == caller->counter &&
                 memcmp(digest, caller->last_request, sizeof digest) == 0;
    if (!retry) {
        CLO_CHECK(request.counter == caller->counter + 1, CLO_DENIED,
                  "request %llu was replayed or reordered, expected %llu",
                  (unsigned long long)request.counter, (unsigned long long)caller->counter + 1);
        CLO_TRY(answer_request(caller, &request));
        caller->counter = request.counter;
        memcpy(caller->last_request, digest, sizeof digest);
    }
    *out_answer = clo_buf_span(&caller->last_answer);
    return CLO_STATUS_OK;
}
