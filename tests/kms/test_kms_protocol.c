/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The protocol's bytes: every message read back, every truncation and surplus byte refused.
 */
#include "cloister/kms_protocol.h"
#include "kms_rig.h"

#define SPAN(text) clo_span_of_str(text)

static void writes_a_request_as_drawn(void)
{
    static const uint8_t expected[] = {0, 32, 0, 0, 0, 0, 0, 0, 1, 2, 'x', 'y'};
    CLO_AUTO(clo_buf) bytes = CLO_BUF_INIT;
    clo_request request = {CLO_OP_SLOT_ENROL, 0x102, SPAN("xy")};
    clo_request back;
    clo_request_write(&request, &bytes);
    T_CHECK(clo_span_equal(clo_buf_span(&bytes), CLO_SPAN_OF(expected)));
    T_OK(clo_request_parse(clo_buf_span(&bytes), &back));
    T_INT(back.op, CLO_OP_SLOT_ENROL);
    T_INT(back.counter, 0x102);
    T_CHECK(clo_span_equals_str(back.body, "xy"));
    for (size_t i = 0; i < 10; i++) {
        T_CODE(clo_request_parse(CLO_SPAN(bytes.data, i), &back), CLO_FORMAT);
    }
}

static void knows_fourteen_operations_and_no_other(void)
{
    size_t known = 0;
    size_t keyed = 0;
    for (uint32_t op = 0; op < 0x10000; op++) {
        const clo_op_row *row = clo_op_find(op);
        known += row != NULL;
        keyed += row != NULL && row->keyed;
    }
    T_INT(known, 14);
    T_INT(keyed, 8);
    const uint8_t unknown[] = {0, 99, 0, 0, 0, 0, 0, 0, 0, 1};
    clo_request request;
    T_CODE(clo_request_parse(CLO_SPAN_OF(unknown), &request), CLO_UNSUPPORTED);
}

static void reads_an_answer_and_caps_its_text(void)
{
    CLO_AUTO(clo_buf) bytes = CLO_BUF_INIT;
    char text[CLO_KMS_TEXT_MAX + 2] = "";
    clo_answer answer = {CLO_DENIED, SPAN("ROLE: no"), SPAN("rest")};
    clo_answer back;
    clo_answer_write(&answer, &bytes);
    T_OK(clo_answer_parse(clo_buf_span(&bytes), &back));
    T_INT(back.code, CLO_DENIED);
    T_CHECK(clo_span_equals_str(back.text, "ROLE: no") && clo_span_equals_str(back.body, "rest"));
    bytes.data[3] = CLO_CODE_COUNT;
    T_CODE(clo_answer_parse(clo_buf_span(&bytes), &back), CLO_FORMAT);
    memset(text, 'x', sizeof text - 1);
    answer.text = SPAN(text);
    clo_buf_clear(&bytes);
    clo_answer_write(&answer, &bytes);
    T_CODE(clo_answer_parse(clo_buf_span(&bytes), &back), CLO_FORMAT);
}

static void gives_each_request_of_a_session_its_own_id(void)
{
    const uint8_t session[32] = {1};
    const uint8_t other[32] = {2};
    uint8_t a[32];
    uint8_t b[32];
    T_OK(clo_request_id(session, 1, a));
    T_OK(clo_request_id(session, 1, b));
    T_CHECK(memcmp(a, b, 32) == 0);
    T_OK(clo_request_id(session, 2, b));
    T_CHECK(memcmp(a, b, 32) != 0);
    T_OK(clo_request_id(other, 1, b));
    T_CHECK(memcmp(a, b, 32) != 0);
}

/* ---- bodies, through one table */

static clo_status parse_list(clo_span body)
{
    clo_span_list list;
    CLO_TRY(clo_list_parse(body, 8, "a list", &list));
    CLO_CHECK(list.count == 2 && clo_span_equals_str(list.items[1], "bc"), CLO_BUG, "list");
    return CLO_STATUS_OK;
}

static void write_list(clo_buf *out)
{
    clo_span items[] = {SPAN("a"), SPAN("bc")};
    clo_list_write(items, 2, out);
}

static clo_status parse_identity(clo_span body)
{
    clo_identity_answer answer;
    CLO_TRY(clo_identity_answer_parse(body, &answer));
    CLO_CHECK(clo_span_equals_str(answer.collateral, "c"), CLO_BUG, "identity");
    return CLO_STATUS_OK;
}

static void write_identity(clo_buf *out)
{
    clo_identity_answer answer = {SPAN("spki"), SPAN("quote"), SPAN("c")};
    clo_identity_answer_write(&answer, out);
}

static clo_status parse_audit(clo_span body)
{
    clo_audit_answer answer;
    CLO_TRY(clo_audit_answer_parse(body, &answer));
    CLO_CHECK(answer.next == 9 && answer.head[31] == 0 && answer.head[0] == 4, CLO_BUG, "audit");
    return CLO_STATUS_OK;
}

static void write_audit(clo_buf *out)
{
    clo_audit_answer answer = {9, {4}, SPAN("{}\n")};
    clo_audit_answer_write(&answer, out);
}

static clo_status parse_enrol(clo_span body)
{
    clo_enrol_request request;
    CLO_TRY(clo_enrol_request_parse(body, &request));
    CLO_CHECK(request.slot == 3 && clo_span_equals_str(request.manifest, "m"), CLO_BUG, "enrol");
    return CLO_STATUS_OK;
}

static void write_enrol(clo_buf *out)
{
    clo_enrol_request request = {3, SPAN("spki"), SPAN("m")};
    clo_enrol_request_write(&request, out);
}

static clo_status parse_enrolled(clo_span body)
{
    clo_enrol_answer answer;
    CLO_TRY(clo_enrol_answer_parse(body, &answer));
    CLO_CHECK(answer.slot == 3 && answer.incarnation == 5 && answer.job_key_id[15] == 6 &&
                  answer.metrics == CLO_METRICS_EPOCH &&
                  clo_span_equals_str(answer.roster, "roster"),
              CLO_BUG, "enrolled");
    return CLO_STATUS_OK;
}

static void write_enrolled(clo_buf *out)
{
    clo_enrol_answer answer = {
        3, 5, {[15] = 6}, CLO_METRICS_EPOCH, SPAN("leaf"), SPAN("ca"), SPAN("roster")};
    clo_enrol_answer_write(&answer, out);
}

static clo_status parse_renewed(clo_span body)
{
    clo_renew_answer answer;
    CLO_TRY(clo_renew_answer_parse(body, &answer));
    CLO_CHECK(clo_span_equals_str(answer.leaf, "leaf"), CLO_BUG, "renewed");
    return CLO_STATUS_OK;
}

static void write_renewed(clo_buf *out)
{
    clo_renew_answer answer = {SPAN("leaf"), SPAN("roster")};
    clo_renew_answer_write(&answer, out);
}

static clo_status parse_id(clo_span body)
{
    uint8_t id[16];
    return clo_body_bytes(body, sizeof id, "an id", id);
}

static void write_id(clo_buf *out)
{
    clo_put_bytes(out, "0123456789abcdef", 16);
}

static clo_status parse_number(clo_span body)
{
    uint64_t number;
    return clo_body_u64(body, "a number", &number);
}

static void write_number(clo_buf *out)
{
    clo_put_u64be(out, 1);
}

static clo_status parse_var(clo_span body)
{
    clo_span value;
    return clo_body_var(body, 8, "a value", &value);
}

static void write_var(clo_buf *out)
{
    clo_put_var(out, SPAN("value"));
}

static const struct {
    const char *name;
    void (*write)(clo_buf *out);
    clo_status (*parse)(clo_span body);
} bodies[] = {
    {"list", write_list, parse_list},
    {"identity", write_identity, parse_identity},
    {"audit", write_audit, parse_audit},
    {"enrol", write_enrol, parse_enrol},
    {"enrolled", write_enrolled, parse_enrolled},
    {"renewed", write_renewed, parse_renewed},
    {"id", write_id, parse_id},
    {"number", write_number, parse_number},
    {"var", write_var, parse_var},
};

static void reads_each_body_whole_and_never_in_part(void)
{
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        CLO_AUTO(clo_buf) bytes = CLO_BUF_INIT;
        bodies[i].write(&bytes);
        T_OK(bodies[i].parse(clo_buf_span(&bytes)));
        for (size_t size = 0; size < bytes.size; size++) {
            T_CODE(bodies[i].parse(CLO_SPAN(bytes.data, size)), CLO_FORMAT);
        }
        clo_put_u8(&bytes, 0);
        T_CODE(bodies[i].parse(clo_buf_span(&bytes)), CLO_FORMAT);
    }
}

static void lets_metrics_out_as_a_broker_says_and_no_other_way(void)
{
    static const unsigned values[] = {CLO_METRICS_NEVER, CLO_METRICS_EPOCH, CLO_METRICS_STEP,
                                      CLO_METRICS_STEP + 1};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        CLO_AUTO(clo_buf) bytes = CLO_BUF_INIT;
        clo_enrol_answer answer = {.metrics = (clo_metrics_every)values[i]};
        clo_enrol_answer back;
        clo_enrol_answer_write(&answer, &bytes);
        bool known = i == 1 || i == 2;
        T_CODE(clo_enrol_answer_parse(clo_buf_span(&bytes), &back), known ? CLO_OK : CLO_FORMAT);
        T_CHECK(!known || back.metrics == answer.metrics);
    }
}

static void caps_lists_and_their_entries(void)
{
    static const uint8_t many[] = {0, 0, 1, 1};
    CLO_AUTO(clo_buf) bytes = CLO_BUF_INIT;
    clo_span_list list;
    clo_span items[] = {SPAN("123456789")};
    T_CODE(clo_list_parse(CLO_SPAN_OF(many), 8, "a list", &list), CLO_LIMIT);
    clo_list_write(items, 1, &bytes);
    T_CODE(clo_list_parse(clo_buf_span(&bytes), 8, "a list", &list), CLO_FORMAT);
    T_OK(clo_list_parse(clo_buf_span(&bytes), 9, "a list", &list));
    T_CODE(clo_body_empty(SPAN("x"), "nothing"), CLO_FORMAT);
    T_OK(clo_body_empty(CLO_SPAN_EMPTY, "nothing"));
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(writes_a_request_as_drawn),
        T(knows_fourteen_operations_and_no_other),
        T(reads_an_answer_and_caps_its_text),
        T(gives_each_request_of_a_session_its_own_id),
        T(reads_each_body_whole_and_never_in_part),
        T(lets_metrics_out_as_a_broker_says_and_no_other_way),
        T(caps_lists_and_their_entries),
    };
    rig_must(clo_crypto_init(), "crypto");
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
