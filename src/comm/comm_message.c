/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of ranks: see comm_message.h for the layouts. */
#include "comm_message.h"

#include <stdio.h>
#include <string.h>

enum { PRINTABLE_FIRST = 0x20, PRINTABLE_LAST = 0x7e };

static const char *const kind_names[CLO_COMM_COUNT] = {
    [CLO_COMM_NONE] = "nothing",          [CLO_COMM_JOIN] = "join",
    [CLO_COMM_TABLE] = "table",           [CLO_COMM_ABORT] = "abort",
    [CLO_COMM_ALL_REDUCE] = "all-reduce", [CLO_COMM_BROADCAST] = "broadcast",
    [CLO_COMM_BARRIER] = "barrier",
};

const char *clo_comm_kind_name(uint32_t kind)
{
    return kind < CLO_COMM_COUNT ? kind_names[kind] : "unknown";
}

clo_comm_kind clo_comm_kind_of(clo_span message)
{
    bool known = message.size > 0 && message.data[0] < CLO_COMM_COUNT;
    return known ? (clo_comm_kind)message.data[0] : CLO_COMM_NONE;
}

/* ---- parts */

static bool is_printable(uint8_t byte)
{
    return byte >= PRINTABLE_FIRST && byte <= PRINTABLE_LAST;
}

/* Begins to read a message that must be of this kind. */
static clo_status begin(clo_span message, clo_comm_kind kind, clo_reader *out_reader)
{
    clo_reader r = clo_reader_of(message);
    uint8_t found = clo_read_u8(&r);
    CLO_CHECK(found == kind, CLO_FORMAT, "a message is '%s' (%u), expected '%s'",
              clo_comm_kind_name(found), found, clo_comm_kind_name(kind));
    *out_reader = r;
    return CLO_STATUS_OK;
}

static void put_text(clo_buf *out, const char *text)
{
    clo_put_var(out, clo_span_of_str(text));
}

/* An address is used to connect to and printed: what is not printable is refused. */
static clo_status read_address(clo_reader *r, clo_address *out_address)
{
    clo_span text = clo_read_var(r, sizeof out_address->text - 1);
    CLO_TRY(clo_reader_check(r, "an address"));
    for (size_t i = 0; i < text.size; i++) {
        CLO_CHECK(is_printable(text.data[i]), CLO_FORMAT,
                  "an address has byte 0x%02x at %zu, expected printable ASCII", text.data[i], i);
    }
    *out_address = (clo_address){{0}};
    if (text.size > 0) {
        memcpy(out_address->text, text.data, text.size);
    }
    return CLO_STATUS_OK;
}

/* ---- join */

void clo_comm_join_write(const clo_comm_join *join, clo_buf *out)
{
    clo_put_u8(out, CLO_COMM_JOIN);
    clo_put_u16be(out, join->version);
    clo_put_u32be(out, join->rank);
    clo_put_u32be(out, join->world);
    clo_put_bytes(out, join->manifest, sizeof join->manifest);
    put_text(out, join->listens.text);
}

clo_status clo_comm_join_parse(clo_span message, clo_comm_join *out_join)
{
    clo_comm_join join = {0};
    clo_reader r;
    CLO_TRY(begin(message, CLO_COMM_JOIN, &r));
    join.version = clo_read_u16be(&r);
    CLO_TRY(clo_reader_check(&r, "join"));
    if (join.version == CLO_COMM_VERSION) {
        join.rank = clo_read_u32be(&r);
        join.world = clo_read_u32be(&r);
        clo_read_copy(&r, join.manifest, sizeof join.manifest);
        CLO_TRY(read_address(&r, &join.listens));
        CLO_TRY(clo_reader_finish(&r, "join"));
    }
    *out_join = join;
    return CLO_STATUS_OK;
}

/* ---- table */

void clo_comm_table_write(const clo_address *addresses, uint32_t world, clo_buf *out)
{
    clo_put_u8(out, CLO_COMM_TABLE);
    clo_put_u32be(out, world);
    for (uint32_t rank = 0; rank < world; rank++) {
        put_text(out, addresses[rank].text);
    }
}

clo_status clo_comm_table_parse(clo_span message, uint32_t world, clo_address *out_addresses)
{
    clo_reader r;
    CLO_TRY(begin(message, CLO_COMM_TABLE, &r));
    uint32_t found = clo_read_u32be(&r);
    CLO_TRY(clo_reader_check(&r, "table"));
    CLO_CHECK(found == world, CLO_INVALID, "rank 0 has a table of %u ranks, expected %u", found,
              world);
    for (uint32_t rank = 0; rank < world; rank++) {
        CLO_TRY_CTX(read_address(&r, &out_addresses[rank]), "table: rank %u", rank);
    }
    return clo_reader_finish(&r, "table");
}

/* ---- lead */

void clo_comm_lead_write(const clo_comm_lead *lead, clo_span payload, clo_buf *out)
{
    clo_put_u8(out, (uint8_t)lead->kind);
    clo_put_u64be(out, lead->sequence);
    clo_put_u64be(out, lead->count);
    clo_put_u32be(out, lead->element_size);
    clo_put_u32be(out, lead->root);
    clo_put_u32be(out, lead->step);
    clo_put_span(out, payload);
}

clo_status clo_comm_lead_parse(clo_span message, clo_comm_lead *out_lead, clo_span *out_payload)
{
    clo_reader r = clo_reader_of(message);
    uint8_t kind = clo_read_u8(&r);
    clo_comm_lead lead = {.sequence = clo_read_u64be(&r)};
    lead.count = clo_read_u64be(&r);
    lead.element_size = clo_read_u32be(&r);
    lead.root = clo_read_u32be(&r);
    lead.step = clo_read_u32be(&r);
    CLO_CHECK(kind >= CLO_COMM_ALL_REDUCE && kind < CLO_COMM_COUNT, CLO_FORMAT,
              "a message is '%s' (%u), expected the lead of a collective", clo_comm_kind_name(kind),
              kind);
    lead.kind = (clo_comm_kind)kind;
    clo_span payload = clo_read_span(&r, clo_reader_left(&r));
    CLO_TRY(clo_reader_finish(&r, "lead"));
    CLO_CHECK(payload.size <= CLO_LEAD_INLINE, CLO_LIMIT,
              "a lead has a payload of %zu bytes, expected at most %d", payload.size,
              CLO_LEAD_INLINE);
    *out_lead = lead;
    *out_payload = payload;
    return CLO_STATUS_OK;
}

clo_status clo_comm_lead_check(const clo_comm_lead *found, const clo_comm_lead *expected)
{
    const struct {
        const char *what;
        uint64_t found, expected;
    } fields[] = {
        {"sequence number", found->sequence, expected->sequence},
        {"element count", found->count, expected->count},
        {"element size", found->element_size, expected->element_size},
        {"root", found->root, expected->root},
        {"step", found->step, expected->step},
    };

    CLO_CHECK(found->kind == expected->kind, CLO_INVALID, "it does '%s', expected '%s'",
              clo_comm_kind_name(found->kind), clo_comm_kind_name(expected->kind));
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        CLO_CHECK(fields[i].found == fields[i].expected, CLO_INVALID,
                  "its %s is %llu, expected %llu", fields[i].what,
                  (unsigned long long)fields[i].found, (unsigned long long)fields[i].expected);
    }
    return CLO_STATUS_OK;
}

/* ---- abort */

void clo_comm_abort_write(const clo_comm_abort *abort, clo_buf *out)
{
    clo_put_u8(out, CLO_COMM_ABORT);
    clo_put_u32be(out, abort->author);
    clo_put_u8(out, (uint8_t)abort->code);
    put_text(out, abort->text);
}

clo_status clo_comm_abort_parse(clo_span message, clo_comm_abort *out_abort)
{
    clo_comm_abort abort = {0};
    clo_reader r;
    CLO_TRY(begin(message, CLO_COMM_ABORT, &r));
    abort.author = clo_read_u32be(&r);
    abort.code = clo_read_u8(&r);
    clo_span text = clo_read_var(&r, sizeof abort.text - 1);
    CLO_TRY(clo_reader_finish(&r, "abort"));
    CLO_CHECK(abort.code > CLO_OK && abort.code < CLO_CODE_COUNT, CLO_FORMAT,
              "an abort has code %d, expected 1 to %d", (int)abort.code, CLO_CODE_COUNT - 1);
    for (size_t i = 0; i < text.size; i++) {
        abort.text[i] = is_printable(text.data[i]) ? (char)text.data[i] : '?';
    }
    *out_abort = abort;
    return CLO_STATUS_OK;
}

clo_status clo_comm_abort_status(const clo_comm_abort *abort)
{
    clo_saved_status saved = {.code = abort->code};
    (void)snprintf(saved.text, sizeof saved.text, "rank %u stopped: %s", abort->author,
                   abort->text);
    return clo_status_restore(&saved);
}
