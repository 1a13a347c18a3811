/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SGX extension of a PCK certificate, OID 1.2.840.113741.1.13.1:
 *
 *     SEQUENCE OF SEQUENCE { OID, value }
 *       .1 PPID OCTET(16)   .2 TCB   .3 PCEID OCTET(2)   .4 FMSPC OCTET(6)   .5 type ENUMERATED
 *       .6 platform instance OCTET(16)   .7 configuration          (both only under a Platform CA)
 *     .2 = SEQUENCE OF { .2.1 .. .2.16 SVN INTEGER, .2.17 PCESVN INTEGER, .2.18 CPUSVN OCTET(16) }
 *     .7 = SEQUENCE OF { .7.1 dynamic platform, .7.2 cached keys, .7.3 SMT enabled: BOOLEAN }
 *
 * Reference: Intel's "PCK Certificate and Certificate Revocation List Profile Specification". The
 * three lists have one form, so one walker reads them, with a table for each. Unknown entries are
 * passed over; known ones must not repeat.
 */
#include "pck_cert.h"

#include <string.h>

enum { TAG_BOOLEAN = 0x01, TAG_INTEGER = 0x02, TAG_OCTETS = 0x04, TAG_OID = 0x06 };

enum { TAG_ENUMERATED = 0x0a, TAG_SEQUENCE = 0x30 };

enum { COMPONENTS = 16, PCE_SVN_ENTRY = 17, CPU_SVN_ENTRY = 18, ENTRIES = 32 };

/* 1.2.840.113741.1.13.1 as the content of an OBJECT IDENTIFIER; entries add one or two arcs. */
static const uint8_t prefix[] = {0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01};

/* Stores the value of entry `number`; false in *out_known when there is none of that number. */
typedef clo_status (*store_function)(uint32_t number, const clo_der *value, clo_pck_extensions *out,
                                     bool *out_known);

typedef struct {
    const char *name;
    uint8_t arc;       /* of the list itself: entries are prefix.arc.number; 0: prefix.number */
    uint32_t required; /* bit n: entry n must occur */
    store_function store;
} list_kind;

static clo_status get_octets(const clo_der *value, uint8_t *out, size_t size)
{
    CLO_CHECK(value->tag == TAG_OCTETS && value->value.size == size, CLO_FORMAT,
              "expected %zu octets", size);
    memcpy(out, value->value.data, size);
    return CLO_STATUS_OK;
}

/* A non-negative INTEGER or ENUMERATED of at most `max`, in its shortest form. */
static clo_status get_number(const clo_der *value, uint8_t tag, uint32_t max, uint32_t *out_number)
{
    clo_span v = value->value;
    CLO_CHECK(value->tag == tag && v.size >= 1 && v.size <= 3, CLO_FORMAT, "expected a number");
    CLO_CHECK((v.data[0] & 0x80) == 0, CLO_FORMAT, "number is negative");
    CLO_CHECK(v.size == 1 || v.data[0] != 0 || (v.data[1] & 0x80) != 0, CLO_FORMAT,
              "number is not in its shortest form");
    uint32_t number = 0;
    for (size_t i = 0; i < v.size; i++) {
        number = number << 8 | v.data[i];
    }
    CLO_CHECK(number <= max, CLO_FORMAT, "number is %u, at most %u allowed", number, max);
    *out_number = number;
    return CLO_STATUS_OK;
}

static clo_status get_bool(const clo_der *value, bool *out)
{
    CLO_CHECK(value->tag == TAG_BOOLEAN && value->value.size == 1 &&
                  (value->value.data[0] == 0 || value->value.data[0] == 0xff),
              CLO_FORMAT, "expected a boolean");
    *out = value->value.data[0] != 0;
    return CLO_STATUS_OK;
}

/* The number of an entry from its OID; 0 when it is not one of this list. */
static uint32_t number_of(const list_kind *kind, clo_span oid)
{
    size_t at = sizeof prefix;
    if (!clo_span_starts_with(oid, CLO_SPAN_OF(prefix))) {
        return 0;
    }
    if (kind->arc != 0 && (at >= oid.size || oid.data[at++] != kind->arc)) {
        return 0;
    }
    return at + 1 == oid.size && oid.data[at] < ENTRIES ? oid.data[at] : 0;
}

static clo_status read_entry(clo_reader *list, clo_span *out_oid, clo_der *out_value)
{
    clo_der entry, oid;
    CLO_TRY(clo_der_read(list, &entry));
    CLO_CHECK(entry.tag == TAG_SEQUENCE, CLO_FORMAT, "entry is not a sequence");
    clo_reader r = clo_reader_of(entry.value);
    CLO_TRY(clo_der_read(&r, &oid));
    CLO_CHECK(oid.tag == TAG_OID, CLO_FORMAT, "entry has no identifier");
    CLO_TRY(clo_der_read(&r, out_value));
    CLO_TRY(clo_reader_finish(&r, "an entry"));
    *out_oid = oid.value;
    return CLO_STATUS_OK;
}

static clo_status walk(const list_kind *kind, clo_span value, clo_pck_extensions *out)
{
    uint32_t seen = 0;
    clo_reader list = clo_reader_of(value);
    while (clo_reader_left(&list) > 0) {
        clo_span oid = CLO_SPAN_EMPTY;
        clo_der entry;
        bool known = false;
        CLO_TRY_CTX(read_entry(&list, &oid, &entry), "%s", kind->name);
        uint32_t number = number_of(kind, oid);
        CLO_TRY_CTX(kind->store(number, &entry, out, &known), "%s: entry %u", kind->name, number);
        if (known) {
            CLO_CHECK((seen >> number & 1) == 0, CLO_FORMAT, "%s: entry %u occurs twice",
                      kind->name, number);
            seen |= 1u << number;
        }
    }
    CLO_CHECK((seen & kind->required) == kind->required, CLO_FORMAT, "%s: an entry is missing",
              kind->name);
    return CLO_STATUS_OK;
}

static clo_status walk_sequence(const list_kind *kind, const clo_der *value,
                                clo_pck_extensions *out)
{
    CLO_CHECK(value->tag == TAG_SEQUENCE, CLO_FORMAT, "%s is not a sequence", kind->name);
    return walk(kind, value->value, out);
}

static clo_status store_tcb(uint32_t number, const clo_der *value, clo_pck_extensions *out,
                            bool *out_known)
{
    *out_known = number >= 1 && number <= CPU_SVN_ENTRY;
    uint32_t svn = 0;
    if (!*out_known) {
        return CLO_STATUS_OK;
    }
    if (number == CPU_SVN_ENTRY) {
        return get_octets(value, out->cpu_svn, sizeof out->cpu_svn);
    }
    CLO_TRY(get_number(value, TAG_INTEGER, number == PCE_SVN_ENTRY ? 65535 : 255, &svn));
    if (number == PCE_SVN_ENTRY) {
        out->pce_svn = (uint16_t)svn;
    } else {
        out->components[number - 1] = (uint8_t)svn;
    }
    return CLO_STATUS_OK;
}

static clo_status store_configuration(uint32_t number, const clo_der *value,
                                      clo_pck_extensions *out, bool *out_known)
{
    bool ignored = false;
    *out_known = number >= 1 && number <= 3;
    return *out_known ? get_bool(value, number == 3 ? &out->smt_enabled : &ignored) : CLO_STATUS_OK;
}

static const list_kind tcb_list = {"TCB", 2, 0x7fffe, store_tcb};
static const list_kind configuration_list = {"configuration", 7, 0, store_configuration};

static clo_status store_top(uint32_t number, const clo_der *value, clo_pck_extensions *out,
                            bool *out_known)
{
    uint32_t type = 0;
    *out_known = number >= 1 && number <= 7;
    switch (number) {
    case 1:
        return get_octets(value, out->ppid, sizeof out->ppid);
    case 2:
        return walk_sequence(&tcb_list, value, out);
    case 3:
        return get_octets(value, out->pce_id, sizeof out->pce_id);
    case 4:
        return get_octets(value, out->fmspc, sizeof out->fmspc);
    case 5:
        CLO_TRY(get_number(value, TAG_ENUMERATED, 2, &type));
        out->sgx_type = (uint8_t)type;
        return CLO_STATUS_OK;
    case 6:
        out->has_platform_instance = true;
        return get_octets(value, out->platform_instance, sizeof out->platform_instance);
    case 7:
        return walk_sequence(&configuration_list, value, out);
    default:
        return CLO_STATUS_OK;
    }
}

static const list_kind top_list = {"SGX extension", 0, 0x3e, store_top};

clo_status clo_pck_extensions_parse(clo_span value, clo_pck_extensions *out_extensions)
{
    clo_reader r = clo_reader_of(value);
    clo_pck_extensions parsed = {0};
    clo_der top;
    CLO_TRY(clo_der_read(&r, &top));
    CLO_TRY(clo_reader_finish(&r, "the SGX extension"));
    CLO_TRY(walk_sequence(&top_list, &top, &parsed));
    *out_extensions = parsed;
    return CLO_STATUS_OK;
}
