/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLOISTER_SEAL_H
#define CLOISTER_SEAL_H

/*
 * seal: files at rest. Three forms, one chunk format (docs/design/sealed-file.md):
 *
 *   sealed file   header | commit[32] | chunk 0, tag | chunk 1, tag | ... | final chunk, tag
 *   index         what belongs to a data set, signed by its owner (DSSE)
 *   output        a signed header that carries the key, HPKE-wrapped to each recipient, then the
 * same commit and chunks
 *
 * Invariants:
 *   - A file key belongs to one header: it is derived with the header's digest, so a changed header
 *     has another key, and every nonce under a key is used once.
 *   - No plaintext leaves before its chunk's tag has been checked, and none at all before the final
 *     chunk has been: the length is authenticated first.
 *   - The commitment is compared, in constant time, before the policy in the header is looked at; a
 *     wrong key and a wrong commitment give the same error.
 *   - A sealed file is never changed in place; writers produce a new file or nothing.
 *
 * Threads: a writer belongs to one thread; a reader may be used by one thread at a time.
 */
#include "cloister/crypto.h"

/* ---------------------------------------------------------------- header ---------------------- */

#define CLO_SEAL_VERSION        1
#define CLO_SEAL_POLICY_MAX     (64 * 1024)
#define CLO_SEAL_HEADER_MAX     (CLO_SEAL_POLICY_MAX + 256)
#define CLO_SEAL_LOG2_CHUNK_MIN 12
#define CLO_SEAL_LOG2_CHUNK_MAX 24
#define CLO_SEAL_LOG2_CHUNK     16 /* what we write */

typedef struct {
    uint8_t file_id[16];
    uint8_t data_set_id[16];
    uint32_t part, parts; /* part i of n, i from 0 */
    uint8_t key_id[16];   /* of the data key in the broker */
    uint32_t key_version;
    uint8_t log2_chunk; /* 12..24 */
    uint8_t salt[32];
    clo_span policy; /* the owner's signed policy envelope; may be empty (checkpoints) */
} clo_seal_header;

/* A header with a fresh file id and salt, and our chunk size. */
clo_status clo_seal_header_init(clo_seal_header *out_header);
clo_status clo_seal_header_write(const clo_seal_header *header, clo_buf *out);
/* Parses a header at the start of `bytes`, which may go on behind it; borrows the policy from it.
 * CLO_FORMAT, or CLO_UNSUPPORTED for another version. */
clo_status clo_seal_header_parse(clo_span bytes, clo_seal_header *out_header, size_t *out_size);

/* The key of the file with exactly these header bytes: HKDF-SHA256(data key, salt = the header's
 * salt, info = "cloister file key v1" || SHA-256(header)). Only the broker has data keys. */
clo_status clo_seal_file_key(const clo_secret *data_key, clo_span header, clo_secret *out_file_key);

/* ---------------------------------------------------------------- writing --------------------- */

typedef struct clo_seal_writer clo_seal_writer;

/* Starts a file at `path` (mode 0600) that appears there only when finish succeeds. The file key is
 * copied. Free aborts an unfinished file. */
clo_status clo_seal_writer_new(const char *path, clo_span header, const clo_secret *file_key,
                               clo_seal_writer **out_writer);
clo_status clo_seal_writer_write(clo_seal_writer *writer, clo_span plain);
/* `out_digest` (may be NULL): SHA-256(header || all tags), what an index pins. */
clo_status clo_seal_writer_finish(clo_seal_writer *writer, uint8_t out_digest[32]);
void clo_seal_writer_free(clo_seal_writer *writer);
CLO_DEFINE_AUTO_PTR(clo_seal_writer, clo_seal_writer_free);

/* ---------------------------------------------------------------- reading --------------------- */

typedef struct clo_seal_reader clo_seal_reader;

/* Opens the file and reads its header; nothing is decrypted. */
clo_status clo_seal_reader_open(const char *path, clo_seal_reader **out_reader);
void clo_seal_reader_free(clo_seal_reader *reader);
CLO_DEFINE_AUTO_PTR(clo_seal_reader, clo_seal_reader_free);

const clo_seal_header *clo_seal_reader_header(const clo_seal_reader *reader);
clo_span clo_seal_reader_header_bytes(const clo_seal_reader *reader); /* for the key request */

/* Compares SHA-256(header || all tags) with what an index says. CLO_CRYPTO when it differs. */
clo_status clo_seal_reader_check_digest(clo_seal_reader *reader, const uint8_t digest[32]);

/* Takes the key: checks the commitment, then decrypts the last chunk as final, which fixes the
 * length. CLO_CRYPTO. */
clo_status clo_seal_reader_unlock(clo_seal_reader *reader, const clo_secret *file_key);

/* Plain bytes: as the file's size says before unlock, proved after it. */
uint64_t clo_seal_reader_size(const clo_seal_reader *reader);
/* After unlock. */
/* Exactly `size` plain bytes from `offset`; CLO_INVALID outside the file, CLO_CRYPTO, CLO_IO. The
 * chunk read last is kept, so small sequential reads decrypt each chunk once. */
clo_status clo_seal_reader_read(clo_seal_reader *reader, uint64_t offset, void *out, size_t size);

/* ---------------------------------------------------------------- index ----------------------- */

#define CLO_INDEX_TYPE        "application/vnd.cloister.index+json"
#define CLO_INDEX_FILE_MAX    (1 << 20)
#define CLO_INDEX_NAME_MAX    64
#define CLO_INDEX_ROW_MAX     1024
#define CLO_INDEX_FILE_SUFFIX ".sealed"

typedef struct {
    char name[CLO_INDEX_NAME_MAX]; /* "train/images": letters, digits, . _ - and single slashes */
    uint8_t file_id[16];
    uint64_t size;      /* plain bytes */
    uint8_t digest[32]; /* SHA-256(header || all tags) */
} clo_index_row;

/* A data set. The file of a row lies at <folder of the index>/<name>.sealed. */
typedef struct {
    uint8_t data_set_id[16];
    char data_set[CLO_INDEX_NAME_MAX];
    uint64_t version;
    uint8_t key_id[16];
    clo_index_row *rows; /* in the arena given to parse, or the caller's */
    size_t row_count;
    uint8_t digest[32]; /* SHA-256 of the payload: what a manifest pins; set by parse */
} clo_index;

clo_status clo_index_sign(const clo_index *index, const clo_key *owner, clo_buf *out_envelope,
                          uint8_t out_digest[32]);
/* CLO_CRYPTO when `owner` did not sign it. */
clo_status clo_index_open(clo_span envelope, const clo_key *owner, clo_arena *arena,
                          clo_index *out_index);
const clo_index_row *clo_index_find(const clo_index *index, const char *name); /* NULL: absent */
/* Where the file of a row lies. */
clo_status clo_index_file_path(const char *folder, const clo_index_row *row, char *out_path,
                               size_t size);
/* Opens the file of a row and checks that it is the one the owner signed: file id, data set, key,
 * size and digest. CLO_CRYPTO when another file stands there; nothing is decrypted. */
clo_status clo_index_open_file(const clo_index *index, const clo_index_row *row, const char *folder,
                               clo_seal_reader **out_reader);

/* ---------------------------------------------------------------- outputs --------------------- */

#define CLO_OUTPUT_TYPE          "application/vnd.cloister.output+json"
#define CLO_OUTPUT_RECIPIENT_MAX 16

/* What an output says of itself: signed by the attested job key, so `open` can demand it. */
typedef struct {
    char what[32];        /* "model" */
    char format[32];      /* "safetensors" */
    uint8_t manifest[32]; /* digests */
    uint8_t transcript[32];
    uint8_t inputs[16][32]; /* index digests of the data that went in */
    size_t input_count;
    clo_span certificates; /* PEM: the job leaf, then the job CA, then ... opaque here */
} clo_output_header;

/* Seals `plain` to each recipient (X25519 public keys, at least one) and writes it atomically. */
clo_status clo_output_seal(const char *path, const clo_output_header *header, const clo_key *signer,
                           const clo_key *const *recipients, size_t recipient_count,
                           clo_span plain);
/* The header before any check, in `arena`: to find the certificates whose leaf must have signed. */
clo_status clo_output_peek(clo_span file, clo_arena *arena, clo_output_header *out_header);
/* Checks the signature by `signer`, which covers the contents too, unwraps with `recipient`,
 * decrypts all, and appends it. CLO_CRYPTO; CLO_DENIED when the output was not sealed to this
 * recipient. */
clo_status clo_output_open(clo_span file, const clo_key *signer, const clo_key *recipient,
                           clo_buf *out_plain);

#endif
