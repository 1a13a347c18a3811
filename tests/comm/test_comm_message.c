/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of ranks: what is written is read back; what is cut, longer or changed is refused. */
#include <string.h>

#include "comm_message.h"
#include "test.h"

enum { WORLD = 3, BUF = 4096 };

/* ---------------------------------------------------------------- one of each ----------------- */

static const clo_comm_join join = {.version = CLO_COMM_VERSION,
                                   .rank = 2,
                                   .world = 3,
                                   .manifest = {1, 2, 3},
                                   .listens = {"10.0.0.3:4711"}};
static const clo_address addresses[WORLD] = {{""}, {"10.0.0.2:4711"}, {"[::1]:80"}};
static const clo_comm_lead lead = {CLO_COMM_BROADCAST, 1ull << 40, 77, 4, 2, 9};
static const clo_comm_abort stop = {1, CLO_NUMERIC, "the loss is not finite"};

static void write_join(clo_buf *out)
{
    clo_comm_join_write(&join, out);
}

static clo_status parse_join(clo_span message)
{
    clo_comm_join parsed;
    return clo_comm_join_parse(message, &parsed);
}

static void write_table(clo_buf *out)
{
    clo_comm_table_write(addresses, WORLD, out);
}

static clo_status parse_table(clo_span message)
{
    clo_address parsed[WORLD];
    return clo_comm_table_parse(message, WORLD, parsed);
}

static void write_lead(clo_buf *out)
{
    clo_comm_lead_write(&lead, CLO_SPAN_EMPTY, out);
}

static clo_status parse_lead(clo_span message)
{
    clo_comm_lead parsed;
    clo_span payload;
    return clo_comm_lead_parse(message, &parsed, &payload);
}

static void write_abort(clo_buf *out)
{
    clo_comm_abort_write(&stop, out);
}

static clo_status parse_abort(clo_span message)
{
    clo_comm_abort parsed;
    return clo_comm_abort_parse(message, &parsed);
}

static const struct {
    void (*write)(clo_buf *out);
    clo_status (*parse)(clo_span message);
    bool open_ended; /* more bytes at the end are payload */
} kinds[] = {
    {write_join, parse_join, false},
    {write_table, parse_table, false},
    {write_lead, parse_lead, true},
    {write_abort, parse_abort, false},
};

enum { KINDS = sizeof kinds / sizeof *kinds };

/* ---------------------------------------------------------------- tests ----------------------- */

static void what_is_written_is_read_back(void)
{
    CLO_AUTO(clo_buf) bytes = CLO_BUF_INIT;
    clo_comm_join parsed_join;
    write_join(&bytes);
    T_OK(clo_comm_join_parse(clo_buf_span(&bytes), &parsed_join));
    T_INT(memcmp(&parsed_join, &join, sizeof join), 0);

    clo_address parsed_table[WORLD];
    clo_buf_clear(&bytes);
    write_table(&bytes);
    T_OK(clo_comm_table_parse(clo_buf_span(&bytes), WORLD, parsed_table));
    for (int rank = 0; rank < WORLD; rank++) {
        T_STR(parsed_table[rank].text, addresses[rank].text);
    }

    clo_comm_lead parsed_lead;
    clo_span payload;
    clo_buf_clear(&bytes);
    clo_comm_lead_write(&lead, clo_span_of_str("payload"), &bytes);
    T_INT(bytes.size, CLO_LEAD_SIZE + 7);
    T_OK(clo_comm_lead_parse(clo_buf_span(&bytes), &parsed_lead, &payload));
    T_OK(clo_comm_lead_check(&parsed_lead, &lead));
    T_CHECK(clo_span_equals_str(payload, "payload"));

    clo_comm_abort parsed_abort;
    clo_buf_clear(&bytes);
    write_abort(&bytes);
    T_OK(clo_comm_abort_parse(clo_buf_span(&bytes), &parsed_abort));
    T_INT(parsed_abort.author, 1);
    T_CODE(clo_comm_abort_status(&parsed_abort), CLO_NUMERIC);
    T_STR(parsed_abort.text, stop.text);
}

static void what_is_cut_anywhere_or_longer_is_refused(void)
{
    for (int kind = 0; kind < KINDS; kind++) {
        CLO_AUTO(clo_buf) bytes = CLO_BUF_INIT;
        kinds[kind].write(&bytes);
        T_OK(kinds[kind].parse(clo_buf_span(&bytes)));
        for (size_t size = 0; size < bytes.size; size++) {
            T_CODE(kinds[kind].parse(CLO_SPAN(bytes.data, size)), CLO_FORMAT);
        }
        clo_put_u8(&bytes, 0);
        clo_status longer = kinds[kind].parse(clo_buf_span(&bytes));
        T_INT(longer.code, kinds[kind].open_ended ? CLO_OK : CLO_FORMAT);
    }
}

static void one_kind_is_never_taken_for_another(void)
{
    for (int written = 0; written < KINDS; written++) {
        CLO_AUTO(clo_buf) bytes = CLO_BUF_INIT;
        kinds[written].write(&bytes);
        for (int parsed = 0; parsed < KINDS; parsed++) {
            clo_status status = kinds[parsed].parse(clo_buf_span(&bytes));
            T_INT(clo_ok(status), parsed == written);
        }
    }
}

/* Any bit may be changed: no reader reads outside (the sanitizers look) or takes another kind. */
static void a_changed_bit_is_read_as_something_else_or_refused(void)
{
    for (int kind = 0; kind < KINDS; kind++) {
        CLO_AUTO(clo_buf) bytes = CLO_BUF_INIT;
        kinds[kind].write(&bytes);
        for (size_t bit = 0; bit < bytes.size * 8; bit++) {
            bytes.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            clo_status status = kinds[kind].parse(clo_buf_span(&bytes));
            bool is_kind_byte = bit < 8;
            bool other_collective = kinds[kind].open_ended && clo_ok(status);
            T_CHECK(!is_kind_byte || other_collective || !clo_ok(status));
            bytes.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
}

static void sizes_are_capped(void)
{
    CLO_AUTO(clo_buf) bytes = CLO_BUF_INIT;
    static uint8_t big[CLO_LEAD_INLINE + 1];
    clo_comm_lead parsed;
    clo_span payload;
    clo_comm_lead_write(&lead, CLO_SPAN(big, CLO_LEAD_INLINE), &bytes);
    T_OK(clo_comm_lead_parse(clo_buf_span(&bytes), &parsed, &payload));
    clo_buf_clear(&bytes);
    clo_comm_lead_write(&lead, CLO_SPAN(big, CLO_LEAD_INLINE + 1), &bytes);
    T_CODE(clo_comm_lead_parse(clo_buf_span(&bytes), &parsed, &payload), CLO_LIMIT);

    clo_comm_abort abort;
    clo_buf_clear(&bytes);
    clo_put_u8(&bytes, CLO_COMM_ABORT);
    clo_put_u32be(&bytes, 0);
    clo_put_u8(&bytes, CLO_IO);
    clo_put_var(&bytes, CLO_SPAN(big, CLO_REASON_MAX));
    T_CODE(clo_comm_abort_parse(clo_buf_span(&bytes), &abort), CLO_FORMAT);
}

static void an_abort_must_have_a_code_of_failure(void)
{
    static const uint8_t bad[] = {CLO_OK, CLO_CODE_COUNT, 255};
    for (size_t i = 0; i < sizeof bad; i++) {
        CLO_AUTO(clo_buf) bytes = CLO_BUF_INIT;
        clo_comm_abort abort = stop;
        abort.code = bad[i];
        clo_comm_abort_write(&abort, &bytes);
        T_CODE(parse_abort(clo_buf_span(&bytes)), CLO_FORMAT);
    }
}

static void addresses_hold_printable_text_only(void)
{
    clo_comm_join hostile = join;
    CLO_AUTO(clo_buf) bytes = CLO_BUF_INIT;
    memcpy(hostile.listens.text, "10.0.0.3:1\n", 12);
    clo_comm_join_write(&hostile, &bytes);
    T_CODE(parse_join(clo_buf_span(&bytes)), CLO_FORMAT);
}

static void another_version_is_parsed_as_far_as_its_number(void)
{
    CLO_AUTO(clo_buf) bytes = CLO_BUF_INIT;
    clo_comm_join parsed;
    clo_put_u8(&bytes, CLO_COMM_JOIN);
    clo_put_u16be(&bytes, CLO_COMM_VERSION + 1);
    clo_put_bytes(&bytes, "whatever comes", 14);
    T_OK(clo_comm_join_parse(clo_buf_span(&bytes), &parsed));
    T_INT(parsed.version, CLO_COMM_VERSION + 1);
    T_INT(parsed.world, 0);
}

static void a_table_of_another_size_names_both(void)
{
    CLO_AUTO(clo_buf) bytes = CLO_BUF_INIT;
    clo_address parsed[WORLD];
    char text[256];
    clo_comm_table_write(addresses, WORLD, &bytes);
    clo_status status = clo_comm_table_parse(clo_buf_span(&bytes), WORLD - 1, parsed);
    T_INT(status.code, CLO_INVALID);
    clo_status_text(status, text, sizeof text);
    T_STR(text, "rank 0 has a table of 3 ranks, expected 2");
}

static void kinds_have_names(void)
{
    for (uint32_t kind = 0; kind < CLO_COMM_COUNT; kind++) {
        T_CHECK(strcmp(clo_comm_kind_name(kind), "unknown") != 0);
    }
    T_STR(clo_comm_kind_name(CLO_COMM_COUNT), "unknown");
    T_INT(clo_comm_kind_of(CLO_SPAN_EMPTY), CLO_COMM_NONE);
    T_INT(clo_comm_kind_of(CLO_SPAN("\xff", 1)), CLO_COMM_NONE);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(what_is_written_is_read_back),
        T(what_is_cut_anywhere_or_longer_is_refused),
        T(one_kind_is_never_taken_for_another),
        T(a_changed_bit_is_read_as_something_else_or_refused),
        T(sizes_are_capped),
        T(an_abort_must_have_a_code_of_failure),
        T(addresses_hold_printable_text_only),
        T(another_version_is_parsed_as_far_as_its_number),
        T(a_table_of_another_size_names_both),
        T(kinds_have_names),
    };
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
