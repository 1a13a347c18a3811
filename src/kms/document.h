/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_KMS_DOCUMENT_H
#define CLO_KMS_DOCUMENT_H

/*
 * One reader and one writer for all documents: a document is a C struct and a const table that says
 * which JSON member is which member of the struct.
 *
 *     {"version": 3, "roles": ["trainer"]}
 *        |             '- row {"roles",   ROLE, offset, sizeof element, offset of count, max}
 *        '--------------- row {"version", U64,  offset}
 *
 * Invariants:
 *   - Every row's member must be there, and no other member may be: a policy that leaves something
 *     out is refused, not completed. Only rows marked optional may be absent.
 *   - What the writer makes, the reader accepts with the same meaning: signing reads back what it
 *     wrote before it signs, so nobody can sign a document that nobody can open.
 *   - The reader writes into a zeroed struct; lists never exceed the table's maximum.
 *
 * Threads: pure.
 */
#include "cloister/kms.h"

typedef enum {
    CLO_FIELD_TEXT, /* char[size], letters, digits and ._/-; not empty */
    CLO_FIELD_PATH, /* char[size], no control characters; not empty */
    CLO_FIELD_U64,
    CLO_FIELD_U32,
    CLO_FIELD_BOOL,
    CLO_FIELD_TIME,
    CLO_FIELD_DOUBLE,
    CLO_FIELD_HEX, /* uint8_t[size] */
    CLO_FIELD_KEY, /* clo_public_key, base64 of the SPKI */
    CLO_FIELD_ROLE,
    CLO_FIELD_METRICS, /* clo_metrics_every, "epoch" or "step" */
    CLO_FIELD_OBJECT,  /* a struct with a table of its own */
    CLO_FIELD_APPRAISAL,
    CLO_FIELD_ANCHORS,  /* clo_anchor[CLO_MAX_ANCHORS] of the simulator, {"roots": [hex]} */
    CLO_FIELD_INSECURE, /* CLO_INSECURE_ bits, as a list of their names */
    CLO_FIELD_KIND_COUNT
} clo_field_kind;

typedef struct clo_field clo_field;

struct clo_field {
    const char *name; /* empty: the build does not have this member */
    clo_field_kind kind;
    uint32_t offset;
    uint32_t size;           /* of one element */
    uint32_t max;            /* 0: a single value; else a list of at most so many */
    uint32_t count_offset;   /* of the list's uint32_t */
    bool optional;           /* absent leaves zero; zero is not written */
    const clo_field *fields; /* of an object, ended by a row without name (NULL) */
};

#define CLO_ROW(type, member, kind_)                                                               \
    {                                                                                              \
        .name = #member, .kind = CLO_FIELD_##kind_, .offset = offsetof(type, member),              \
        .size = sizeof(((type *)0)->member)                                                        \
    }
#define CLO_ROW_OPTIONAL(type, member, kind_)                                                      \
    {                                                                                              \
        .name = #member, .kind = CLO_FIELD_##kind_, .offset = offsetof(type, member),              \
        .size = sizeof(((type *)0)->member), .optional = true                                      \
    }
#define CLO_ROW_OBJECT(type, member, table)                                                        \
    {                                                                                              \
        .name = #member, .kind = CLO_FIELD_OBJECT, .offset = offsetof(type, member),               \
        .size = sizeof(((type *)0)->member), .fields = (table)                                     \
    }
#define CLO_ROW_LIST(type, member, count, kind_, table)                                            \
    {                                                                                              \
        .name = #member, .kind = CLO_FIELD_##kind_, .offset = offsetof(type, member),              \
        .size = sizeof(((type *)0)->member[0]),                                                    \
        .max = sizeof(((type *)0)->member) / sizeof(((type *)0)->member[0]),                       \
        .count_offset = offsetof(type, count), .fields = (table)                                   \
    }
/* The anchors of a document stand under the name of the weakness they are. */
#define CLO_ROW_ANCHORS(type)                                                                      \
    {                                                                                              \
        .name = clo_simulator_member, .kind = CLO_FIELD_ANCHORS,                                   \
        .offset = offsetof(type, anchors), .count_offset = offsetof(type, anchor_count),           \
        .optional = true                                                                           \
    }
#define CLO_ROW_END                                                                                \
    {                                                                                              \
        .name = NULL                                                                               \
    }

/* One kind of document. `check` says what no single row can; may be NULL. */
typedef struct {
    const char *what; /* "policy" */
    const char *type; /* DSSE payload type */
    const clo_field *fields;
    size_t size;     /* of the struct */
    size_t limit;    /* bytes of an envelope */
    uint32_t signer; /* offset of the clo_public_key that must have signed */
    bool has_signer; /* false: the caller names the key */
    clo_status (*check)(const void *document);
} clo_document;

void clo_fields_write(const clo_field *fields, const void *from, clo_json_writer *writer,
                      const char *name);
clo_status clo_fields_read(const clo_field *fields, const clo_json *object, void *out);

clo_status clo_document_sign(const clo_document *kind, const void *document, const clo_key *signer,
                             clo_buf *out_envelope);
/* `signer` NULL: the key named inside. `out_digest` is that of the payload; may be NULL. */
clo_status clo_document_open(const clo_document *kind, clo_span envelope,
                             const clo_public_key *signer, void *out_document,
                             uint8_t out_digest[32]);
/* Payload text alone, without signature: for the fuzz target and the trust file. */
clo_status clo_document_parse(const clo_document *kind, clo_span text, void *out_document);

extern const clo_field clo_broker_trust_fields[];
extern const clo_document clo_policy_document;
extern const clo_document clo_manifest_document;
extern const clo_document clo_approval_document;
extern const clo_document clo_roster_document;

/* ---------------------------------------------------------------- weaknesses by name ---------- */

typedef struct {
    uint32_t bit;
    const char *name;
} clo_insecure_row;

/* Ended by a row with bit 0. Builds without the simulator have neither its row nor its name. */
extern const clo_insecure_row clo_insecure_rows[];
extern const char clo_simulator_member[];

#endif
