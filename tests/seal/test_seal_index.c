/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index of a data set: signed by its owner only, strict in its form, and the files behind it:
 * a swapped, missing, extra, foreign or re-sealed one is refused by name.
 */
#include <unistd.h>

#include "name.h"
#include "seal_rig.h"

typedef struct {
    clo_key *owner;
    clo_index_row rows[3];
    clo_index index;
    const char *folder;
} rig;

static void rig_cleanup(rig *r)
{
    clo_key_free(r->owner);
}

/* Three files of one data set in a folder, and their index. */
static clo_status rig_make(rig *r)
{
    static const char *const names[] = {"train/images", "train/labels", "test/images"};
    r->folder = clo_test_folder();
    CLO_TRY(clo_key_generate(CLO_KEY_ED25519, &r->owner));
    CLO_TRY(clo_dir_make(rig_path(r->folder, "train"), 0700));
    CLO_TRY(clo_dir_make(rig_path(r->folder, "test"), 0700));
    for (size_t i = 0; i < 3; i++) {
        CLO_AUTO(clo_buf) plain = CLO_BUF_INIT;
        clo_seal_header header;
        char path[1024];
        clo_index_row *row = &r->rows[i];
        snprintf(row->name, sizeof row->name, "%s", names[i]);
        rig_plain(&plain, 5000); /* all of one size: only the digest tells them apart */
        row->size = 5000;
        CLO_TRY(clo_index_file_path(r->folder, row, path, sizeof path));
        CLO_TRY(rig_seal(path, clo_buf_span(&plain), &header, row->digest));
        memcpy(row->file_id, header.file_id, 16);
        memcpy(r->index.data_set_id, header.data_set_id, 16);
        memcpy(r->index.key_id, header.key_id, 16);
    }
    snprintf(r->index.data_set, sizeof r->index.data_set, "fashion-mnist");
    r->index.version = 3;
    r->index.rows = r->rows;
    r->index.row_count = 3;
    return CLO_STATUS_OK;
}

static void what_the_owner_signed_comes_back(void)
{
    CLO_AUTO(rig) r = {0};
    CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    clo_index index;
    uint8_t digest[32];
    T_OK(rig_make(&r));
    T_OK(clo_index_sign(&r.index, r.owner, &envelope, digest));
    T_OK(clo_index_open(clo_buf_span(&envelope), r.owner, &arena, &index));
    T_CHECK(memcmp(index.digest, digest, 32) == 0);
    T_STR(index.data_set, "fashion-mnist");
    T_INT(index.version, 3);
    T_INT(index.row_count, 3);
    T_CHECK(memcmp(index.key_id, r.index.key_id, 16) == 0);
    const clo_index_row *row = clo_index_find(&index, "train/labels");
    T_CHECK(row != NULL);
    T_CHECK(memcmp(row, &r.rows[1], sizeof *row) == 0);
    T_CHECK(clo_index_find(&index, "train") == NULL);
    T_CHECK(clo_index_find(&index, "extra") == NULL);
}

static void another_key_or_a_changed_byte_is_refused(void)
{
    CLO_AUTO(rig) r = {0};
    CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    CLO_AUTO_PTR(clo_key) other = NULL;
    clo_index index;
    uint8_t digest[32];
    T_OK(rig_make(&r));
    T_OK(clo_key_generate(CLO_KEY_ED25519, &other));
    T_OK(clo_index_sign(&r.index, r.owner, &envelope, digest));
    T_CODE(clo_index_open(clo_buf_span(&envelope), other, &arena, &index), CLO_CRYPTO);
    for (size_t i = 0; i < envelope.size; i++) {
        envelope.data[i] ^= 1;
        clo_status status = clo_index_open(clo_buf_span(&envelope), r.owner, &arena, &index);
        envelope.data[i] ^= 1;
        if (clo_ok(status)) { /* the hint of the key is not signed and not used */
            T_CHECK(memcmp(index.digest, digest, 32) == 0);
        }
    }
    for (size_t i = 0; i < envelope.size; i += 7) {
        T_CHECK(!clo_ok(clo_index_open(CLO_SPAN(envelope.data, i), r.owner, &arena, &index)));
    }
    T_OK(clo_index_open(clo_buf_span(&envelope), r.owner, &arena, &index));
}

#define HEX16 "00112233445566778899aabbccddeeff"
#define HEX32 HEX16 HEX16
#define START                                                                                      \
    "{\"data_set_id\":\"" HEX16 "\",\"data_set\":\"d\",\"version\":1,\"key_id\":\"" HEX16 "\","
#define ROW(name, id)                                                                              \
    "{\"name\":\"" name "\",\"file_id\":\"" id "\",\"size\":5,\"digest\":\"" HEX32 "\"}"
#define OTHER16 "10112233445566778899aabbccddeeff"

static void only_strict_payloads_are_taken(void)
{
    static const struct {
        const char *payload;
        clo_code code;
    } cases[] = {
        {START "\"files\":[" ROW("a", HEX16) "]}", CLO_OK},
        {START "\"files\":[" ROW("a", HEX16) "," ROW("b/c.d", OTHER16) "]}", CLO_OK},
        {START "\"files\":[]}", CLO_FORMAT},
        {START "\"files\":{}}", CLO_FORMAT},
        {START "\"files\":[1]}", CLO_FORMAT},
        {START "\"more\":1,\"files\":[" ROW("a", HEX16) "]}", CLO_FORMAT},
        {START "\"files\":[" ROW("a", HEX16) "," ROW("a", OTHER16) "]}", CLO_FORMAT},
        {START "\"files\":[" ROW("a", HEX16) "," ROW("b", HEX16) "]}", CLO_FORMAT},
        {START "\"files\":[" ROW("../a", HEX16) "]}", CLO_FORMAT},
        {START "\"files\":[" ROW("/a", HEX16) "]}", CLO_FORMAT},
        {START "\"files\":[" ROW("", HEX16) "]}", CLO_FORMAT},
        {START "\"files\":[" ROW("a", "00") "]}", CLO_FORMAT},
        {START "\"files\":[{\"name\":\"a\",\"file_id\":\"" HEX16
               "\",\"size\":-5,\"digest\":\"" HEX32 "\"}]}",
         CLO_FORMAT},
        {START "\"files\":[{\"name\":\"a\",\"file_id\":\"" HEX16 "\",\"size\":5}]}", CLO_FORMAT},
        {START "\"files\":[{\"name\":\"a\",\"file_id\":\"" HEX16 "\",\"size\":5,\"digest\":\"" HEX32
               "\",\"x\":0}]}",
         CLO_FORMAT},
        {START "\"files\":[" ROW("a", HEX16) "]} ", CLO_OK},
        {START "\"files\":[" ROW("a", HEX16) "]}}", CLO_FORMAT},
        {"[]", CLO_FORMAT},
        {"", CLO_FORMAT},
        {"{\"data_set_id\":\"" HEX16 "\",\"data_set\":\"a/b\",\"version\":1,\"key_id\":\"" HEX16
         "\",\"files\":[" ROW("a", HEX16) "]}",
         CLO_FORMAT},
    };

    CLO_AUTO_PTR(clo_key) owner = NULL;
    T_OK(clo_key_generate(CLO_KEY_ED25519, &owner));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
        CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
        clo_index index;
        T_OK(clo_dsse_sign(owner, CLO_INDEX_TYPE, clo_span_of_str(cases[i].payload), &envelope));
        clo_status status = clo_index_open(clo_buf_span(&envelope), owner, &arena, &index);
        T_STR(clo_code_name(status.code), clo_code_name(cases[i].code));
    }
}

static void another_signed_document_is_no_index(void)
{
    static const char payload[] = START "\"files\":[" ROW("a", HEX16) "]}";
    CLO_AUTO_PTR(clo_key) owner = NULL;
    CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    clo_index index;
    T_OK(clo_key_generate(CLO_KEY_ED25519, &owner));
    T_OK(clo_dsse_sign(owner, CLO_OUTPUT_TYPE, clo_span_of_str(payload), &envelope));
    T_CODE(clo_index_open(clo_buf_span(&envelope), owner, &arena, &index), CLO_FORMAT);
}

static void nothing_is_signed_that_would_not_open(void)
{
    CLO_AUTO(rig) r = {0};
    CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
    uint8_t digest[32];
    T_OK(rig_make(&r));
    r.index.row_count = 0;
    T_CODE(clo_index_sign(&r.index, r.owner, &envelope, digest), CLO_INVALID);
    r.index.row_count = CLO_INDEX_ROW_MAX + 1;
    T_CODE(clo_index_sign(&r.index, r.owner, &envelope, digest), CLO_INVALID);
    r.index.row_count = 3;
    snprintf(r.rows[2].name, sizeof r.rows[2].name, "train/images");
    T_CODE(clo_index_sign(&r.index, r.owner, &envelope, digest), CLO_INVALID);
    snprintf(r.rows[2].name, sizeof r.rows[2].name, "a//b");
    T_CODE(clo_index_sign(&r.index, r.owner, &envelope, digest), CLO_INVALID);
    memset(r.rows[2].name, 'x', sizeof r.rows[2].name);
    T_CODE(clo_index_sign(&r.index, r.owner, &envelope, digest), CLO_INVALID);
    snprintf(r.rows[2].name, sizeof r.rows[2].name, "fine");
    r.index.data_set[0] = '\0';
    T_CODE(clo_index_sign(&r.index, r.owner, &envelope, digest), CLO_INVALID);
    T_INT(envelope.size, 0);
}

static void the_most_rows_an_index_can_have_fit(void)
{
    static clo_index_row rows[CLO_INDEX_ROW_MAX];
    CLO_AUTO_PTR(clo_key) owner = NULL;
    CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    clo_index index = {.data_set = "d", .rows = rows, .row_count = CLO_INDEX_ROW_MAX};
    clo_index opened;
    uint8_t digest[32];
    for (size_t i = 0; i < CLO_INDEX_ROW_MAX; i++) {
        memset(rows[i].name, 'n', CLO_INDEX_NAME_MAX - 6);
        snprintf(rows[i].name + CLO_INDEX_NAME_MAX - 6, 6, "%05zu", i);
        rows[i].size = INT64_MAX;
        memcpy(rows[i].file_id, &i, sizeof i);
    }
    T_OK(clo_key_generate(CLO_KEY_ED25519, &owner));
    T_OK(clo_index_sign(&index, owner, &envelope, digest));
    T_OK(clo_index_open(clo_buf_span(&envelope), owner, &arena, &opened));
    T_INT(opened.row_count, CLO_INDEX_ROW_MAX);
    T_INT(opened.rows[1023].size, INT64_MAX);
}

static void names_stay_inside_their_folder(void)
{
    static const char *const good[] = {"a", "a/b", "A-b_c.d/9", "a.b/..c", ".hidden", "a/b/c/d"};
    static const char *const bad[] = {"",    "/",        "a/",   "/a",    "a//b", ".",
                                      "..",  "a/..",     "../a", "a/./b", "a b",  "a\\b",
                                      "a\n", "\xc3\xa4", "...",  "a:b"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        T_CHECK(clo_seal_name_ok(clo_span_of_str(good[i]), 64, 64));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        T_CHECK(!clo_seal_name_ok(clo_span_of_str(bad[i]), 64, 64));
    }
    T_CHECK(!clo_seal_name_ok(CLO_SPAN("a\0b", 3), 64, 64));
    T_CHECK(!clo_seal_name_ok(clo_span_of_str("abcd"), 4, 64));
    T_CHECK(clo_seal_name_ok(clo_span_of_str("abc"), 4, 64));
    T_CHECK(!clo_seal_name_ok(clo_span_of_str("a/b"), 64, 1));
}

static clo_status open_row(const rig *r, size_t row)
{
    CLO_AUTO_PTR(clo_seal_reader) reader = NULL;
    CLO_TRY(clo_index_open_file(&r->index, &r->rows[row], r->folder, &reader));
    CLO_TRY(rig_unlock(reader, 0));
    uint8_t byte;
    return clo_seal_reader_read(reader, 0, &byte, 1);
}

static void the_files_it_names_open(void)
{
    CLO_AUTO(rig) r = {0};
    T_OK(rig_make(&r));
    for (size_t i = 0; i < 3; i++) {
        T_OK(open_row(&r, i));
    }
}

static void swapped_files_are_refused(void)
{
    CLO_AUTO(rig) r = {0};
    T_OK(rig_make(&r));
    const char *images = rig_path(r.folder, "train/images.sealed");
    const char *labels = rig_path(r.folder, "train/labels.sealed");
    const char *aside = rig_path(r.folder, "aside");
    T_INT(rename(images, aside) | rename(labels, images) | rename(aside, labels), 0);
    T_CODE(open_row(&r, 0), CLO_CRYPTO);
    T_CODE(open_row(&r, 1), CLO_CRYPTO);
    T_OK(open_row(&r, 2));
    T_INT(rename(images, aside) | rename(labels, images) | rename(aside, labels), 0);
    T_OK(open_row(&r, 0));
}

static void a_missing_file_is_told_by_name(void)
{
    char text[512];
    CLO_AUTO(rig) r = {0};
    T_OK(rig_make(&r));
    T_INT(unlink(rig_path(r.folder, "train/labels.sealed")), 0);
    clo_status status = open_row(&r, 1);
    clo_status_text(status, text, sizeof text);
    T_CODE(status, CLO_NOTFOUND);
    T_CHECK(strstr(text, "train/labels") != NULL);
}

/* Sealed anew with the right data key, the same id and contents: a valid file, but not the one. */
static void a_file_sealed_again_is_refused(void)
{
    CLO_AUTO(rig) r = {0};
    CLO_AUTO(clo_buf) plain = CLO_BUF_INIT;
    clo_seal_header header;
    const char *path;
    T_OK(rig_make(&r));
    path = rig_path(r.folder, "train/images.sealed");
    rig_plain(&plain, 5000);
    T_OK(clo_seal_header_init(&header));
    header.log2_chunk = RIG_LOG2;
    memcpy(header.file_id, r.rows[0].file_id, 16);
    memcpy(header.data_set_id, r.index.data_set_id, 16);
    memcpy(header.key_id, r.index.key_id, 16);
    header.policy = clo_span_of_str("a laxer policy");
    T_OK(rig_seal_header(path, &header, clo_buf_span(&plain), 1000, NULL));
    T_CODE(open_row(&r, 0), CLO_CRYPTO);
}

static void what_a_row_says_must_hold(void)
{
    CLO_AUTO(rig) r = {0};
    T_OK(rig_make(&r));
    r.rows[0].size++;
    T_CODE(open_row(&r, 0), CLO_CRYPTO);
    r.rows[0].size--;
    r.rows[0].digest[0] ^= 1;
    T_CODE(open_row(&r, 0), CLO_CRYPTO);
    r.rows[0].digest[0] ^= 1;
    r.rows[0].file_id[0] ^= 1;
    T_CODE(open_row(&r, 0), CLO_CRYPTO);
    r.rows[0].file_id[0] ^= 1;
    r.index.data_set_id[0] ^= 1;
    T_CODE(open_row(&r, 0), CLO_CRYPTO);
    r.index.data_set_id[0] ^= 1;
    r.index.key_id[0] ^= 1;
    T_CODE(open_row(&r, 0), CLO_CRYPTO);
    r.index.key_id[0] ^= 1;
    T_OK(open_row(&r, 0));
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(what_the_owner_signed_comes_back),
        T(another_key_or_a_changed_byte_is_refused),
        T(only_strict_payloads_are_taken),
        T(another_signed_document_is_no_index),
        T(nothing_is_signed_that_would_not_open),
        T(the_most_rows_an_index_can_have_fit),
        T(names_stay_inside_their_folder),
        T(the_files_it_names_open),
        T(swapped_files_are_refused),
        T(a_missing_file_is_told_by_name),
        T(a_file_sealed_again_is_refused),
        T(what_a_row_says_must_hold),
    };
    clo_status ready = clo_crypto_init();
    return clo_ok(ready) ? clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests) : 1;
}
