/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Outputs: opened by each recipient and nobody else, only when the expected job signed them, and
 * what attackers can do who hold the file, or even a recipient's own key.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "output_header.h"
#include "seal_rig.h"
#include "sink.h"

enum { PLAIN = 70000 };

typedef struct {
    clo_key *signer, *first, *second, *stranger;
    clo_output_header header;
    const char *path;
    clo_buf plain, file;
} rig;

static void rig_cleanup(rig *r)
{
    clo_key_free(r->signer);
    clo_key_free(r->first);
    clo_key_free(r->second);
    clo_key_free(r->stranger);
    clo_buf_release(&r->plain);
    clo_buf_release(&r->file);
}

static clo_status rig_make(rig *r, clo_key_kind signer, size_t size)
{
    CLO_TRY(clo_key_generate(signer, &r->signer));
    CLO_TRY(clo_key_generate(CLO_KEY_X25519, &r->first));
    CLO_TRY(clo_key_generate(CLO_KEY_X25519, &r->second));
    CLO_TRY(clo_key_generate(CLO_KEY_X25519, &r->stranger));
    r->header = (clo_output_header){.what = "model", .format = "safetensors", .input_count = 2};
    memset(r->header.manifest, 0x11, 32);
    memset(r->header.transcript, 0x22, 32);
    memset(r->header.inputs[1], 0x33, 32);
    r->header.certificates = clo_span_of_str("-----BEGIN CERTIFICATE-----\n...\n");
    r->path = rig_path(clo_test_folder(), "model.sealed");
    rig_plain(&r->plain, size);
    const clo_key *recipients[] = {r->first, r->second};
    CLO_TRY(
        clo_output_seal(r->path, &r->header, r->signer, recipients, 2, clo_buf_span(&r->plain)));
    return clo_file_read(r->path, 1 << 20, &r->file);
}

static clo_status open_by(const rig *r, const clo_key *recipient, clo_buf *out)
{
    return clo_output_open(clo_buf_span(&r->file), r->signer, recipient, out);
}

static void each_recipient_opens_it_and_nobody_else(void)
{
    const clo_key_kind kinds[] = {CLO_KEY_P256, CLO_KEY_ED25519};
    for (size_t i = 0; i < 2; i++) {
        CLO_AUTO(rig) r = {0};
        CLO_AUTO(clo_buf) one = CLO_BUF_INIT;
        CLO_AUTO(clo_buf) two = CLO_BUF_INIT;
        CLO_AUTO(clo_buf) none = CLO_BUF_INIT;
        T_OK(rig_make(&r, kinds[i], PLAIN));
        T_OK(open_by(&r, r.first, &one));
        T_OK(open_by(&r, r.second, &two));
        T_CHECK(clo_span_equal(clo_buf_span(&one), clo_buf_span(&r.plain)));
        T_CHECK(clo_span_equal(clo_buf_span(&two), clo_buf_span(&r.plain)));
        T_CODE(open_by(&r, r.stranger, &none), CLO_DENIED);
        T_INT(none.size, 0);
    }
}

static void sizes_around_chunks_come_back(void)
{
    static const size_t sizes[] = {0, 1, 65535, 65536, 65537, 131072, 131073};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        CLO_AUTO(rig) r = {0};
        CLO_AUTO(clo_buf) back = CLO_BUF_INIT;
        T_OK(rig_make(&r, CLO_KEY_ED25519, sizes[i]));
        T_OK(open_by(&r, r.first, &back));
        T_CHECK(clo_span_equal(clo_buf_span(&back), clo_buf_span(&r.plain)));
    }
}

static void the_header_can_be_looked_at_before(void)
{
    CLO_AUTO(rig) r = {0};
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    clo_output_header header;
    T_OK(rig_make(&r, CLO_KEY_ED25519, 10));
    T_OK(clo_output_peek(clo_buf_span(&r.file), &arena, &header));
    T_STR(header.what, "model");
    T_STR(header.format, "safetensors");
    T_INT(header.input_count, 2);
    T_CHECK(memcmp(header.inputs, r.header.inputs, sizeof header.inputs) == 0);
    T_CHECK(memcmp(header.manifest, r.header.manifest, 32) == 0);
    T_CHECK(memcmp(header.transcript, r.header.transcript, 32) == 0);
    T_CHECK(clo_span_equal(header.certificates, r.header.certificates));
    struct stat info;
    T_INT(stat(r.path, &info), 0);
    T_INT(info.st_mode & 0777, 0600);
}

static void only_the_expected_signer_is_taken(void)
{
    CLO_AUTO(rig) r = {0};
    CLO_AUTO(clo_buf) out = CLO_BUF_INIT;
    CLO_AUTO_PTR(clo_key) other = NULL;
    T_OK(rig_make(&r, CLO_KEY_P256, 100));
    T_OK(clo_key_generate(CLO_KEY_P256, &other));
    T_CODE(clo_output_open(clo_buf_span(&r.file), other, r.first, &out), CLO_CRYPTO);
    T_INT(out.size, 0);
}

static void no_byte_can_be_changed(void)
{
    CLO_AUTO(rig) r = {0};
    CLO_AUTO(clo_buf) out = CLO_BUF_INIT;
    T_OK(rig_make(&r, CLO_KEY_ED25519, 100));
    for (size_t i = 0; i < r.file.size; i++) {
        static const uint8_t masks[] = {0x01, 0x80, 0xff};
        for (size_t k = 0; k < sizeof masks; k++) {
            r.file.data[i] ^= masks[k];
            clo_status status = open_by(&r, r.first, &out);
            r.file.data[i] ^= masks[k];
            T_CHECK(!clo_ok(status));
            T_INT(out.size, 0);
        }
    }
    T_OK(open_by(&r, r.first, &out));
}

static void no_length_but_its_own_is_taken(void)
{
    CLO_AUTO(rig) r = {0};
    CLO_AUTO(clo_buf) out = CLO_BUF_INIT;
    T_OK(rig_make(&r, CLO_KEY_ED25519, 100));
    const size_t size = r.file.size;
    for (r.file.size = 0; r.file.size < size; r.file.size++) {
        T_CHECK(!clo_ok(open_by(&r, r.first, &out)));
    }
    clo_put_u8(&r.file, 0);
    T_CODE(open_by(&r, r.first, &out), CLO_CRYPTO);
    T_INT(out.size, 0);
}

/* What somebody with a recipient's key knows: the payload and the file key. */
static clo_status learn(const rig *r, const clo_key *recipient, clo_arena *arena,
                        clo_output_parts *parts, clo_output_payload *payload, clo_secret *file_key)
{
    CLO_AUTO(clo_buf) json = CLO_BUF_INIT;
    uint8_t associated[96], id[32];
    size_t row = 0;
    CLO_TRY(clo_output_parts_parse(clo_buf_span(&r->file), parts));
    CLO_TRY(clo_dsse_open(parts->envelope, CLO_OUTPUT_TYPE, r->signer, &json));
    CLO_TRY(clo_output_payload_parse(clo_buf_span(&json), arena, payload));
    clo_key_id(recipient, id);
    while (row < payload->recipient_count && memcmp(payload->recipients[row].key, id, 32) != 0) {
        row++;
    }
    clo_key_id(r->signer, associated);
    memcpy(associated + 32, r->header.manifest, 32);
    memcpy(associated + 64, r->header.transcript, 32);
    return clo_hpke_open(recipient, payload->recipients[row].enc,
                         clo_span_of_str("cloister output key v1"), CLO_SPAN_OF(associated),
                         CLO_SPAN_OF(payload->recipients[row].sealed), file_key);
}

/* Writes head, commitment and chunks of `plain` under `key` into r->file. */
static clo_status write_body(rig *r, clo_span head, const clo_secret *key, clo_span plain)
{
    CLO_AUTO(clo_seal_sink) sink = CLO_SEAL_SINK_INIT;
    CLO_AUTO(clo_buf) copy = CLO_BUF_INIT;
    clo_put_span(&copy, head);
    int fd = open(r->path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    clo_status status =
        clo_seal_sink_begin(&sink, fd, clo_buf_span(&copy), CLO_SEAL_LOG2_CHUNK, key);
    if (clo_ok(status)) {
        status = clo_seal_sink_write(&sink, plain);
    }
    if (clo_ok(status)) {
        status = clo_seal_sink_finish(&sink, NULL);
    }
    close(fd);
    CLO_TRY(status);
    clo_buf_clear(&r->file);
    return clo_file_read(r->path, 1 << 20, &r->file);
}

static void a_recipient_cannot_forge_contents_for_another(void)
{
    CLO_AUTO(rig) r = {0};
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    CLO_AUTO(clo_secret) key = CLO_SECRET_INIT;
    CLO_AUTO(clo_buf) out = CLO_BUF_INIT;
    clo_output_parts parts;
    clo_output_payload payload;
    T_OK(rig_make(&r, CLO_KEY_ED25519, 100));
    T_OK(learn(&r, r.first, &arena, &parts, &payload, &key));
    T_OK(write_body(&r, parts.head, &key, clo_span_of_str("forged by the first")));
    T_CODE(open_by(&r, r.second, &out), CLO_CRYPTO);
    T_INT(out.size, 0);
    T_OK(clo_output_parts_parse(clo_buf_span(&r.file), &parts));
    T_OK(write_body(&r, parts.head, &key, clo_buf_span(&r.plain)));
    T_OK(open_by(&r, r.second, &out)); /* the control: the same steps with the true contents */
}

/* An attacker signs the job's recipients into a header of his own, with the contents as they are.
 */
static void recipients_cannot_be_moved_under_another_signer(void)
{
    CLO_AUTO(rig) r = {0};
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    CLO_AUTO(clo_secret) key = CLO_SECRET_INIT;
    CLO_AUTO(clo_buf) out = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) json = CLO_BUF_INIT;
    CLO_AUTO_PTR(clo_key) attacker = NULL;
    clo_output_parts parts;
    clo_output_payload payload;
    T_OK(rig_make(&r, CLO_KEY_ED25519, 100));
    T_OK(clo_key_generate(CLO_KEY_ED25519, &attacker));
    T_OK(learn(&r, r.first, &arena, &parts, &payload, &key));
    T_OK(clo_output_payload_write(&payload, &json));
    const clo_key *const signers[] = {r.signer, attacker};
    for (size_t i = 0; i < 2; i++) {
        CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
        CLO_AUTO(clo_buf) head = CLO_BUF_INIT;
        T_OK(clo_dsse_sign(signers[i], CLO_OUTPUT_TYPE, clo_buf_span(&json), &envelope));
        clo_output_head_write(clo_buf_span(&envelope), &head);
        T_OK(write_body(&r, clo_buf_span(&head), &key, clo_buf_span(&r.plain)));
        clo_status status = clo_output_open(clo_buf_span(&r.file), signers[i], r.second, &out);
        T_CODE(status, i == 0 ? CLO_OK : CLO_CRYPTO);
    }
}

static void refuses_wrong_recipients_and_headers(void)
{
    CLO_AUTO(rig) r = {0};
    const clo_key *many[CLO_OUTPUT_RECIPIENT_MAX + 1];
    T_OK(rig_make(&r, CLO_KEY_ED25519, 100));
    const char *path = rig_path(clo_test_folder(), "o");
    clo_span plain = clo_span_of_str("x");
    for (size_t i = 0; i < CLO_OUTPUT_RECIPIENT_MAX + 1; i++) {
        many[i] = r.first;
    }
    T_CODE(clo_output_seal(path, &r.header, r.signer, many, 0, plain), CLO_INVALID);
    T_CODE(clo_output_seal(path, &r.header, r.signer, many, CLO_OUTPUT_RECIPIENT_MAX + 1, plain),
           CLO_INVALID);
    T_OK(clo_output_seal(path, &r.header, r.signer, many, CLO_OUTPUT_RECIPIENT_MAX, plain));
    const char *other = rig_path(clo_test_folder(), "p");
    many[0] = r.signer; /* a signing key receives nothing */
    T_CODE(clo_output_seal(other, &r.header, r.signer, many, 1, plain), CLO_INVALID);
    many[0] = r.first;
    clo_output_header header = r.header;
    header.what[0] = '\0';
    T_CODE(clo_output_seal(other, &header, r.signer, many, 1, plain), CLO_INVALID);
    header = r.header;
    memset(header.format, 'x', sizeof header.format);
    T_CODE(clo_output_seal(other, &header, r.signer, many, 1, plain), CLO_INVALID);
    header = r.header;
    header.input_count = 17;
    T_CODE(clo_output_seal(other, &header, r.signer, many, 1, plain), CLO_INVALID);
    header = r.header;
    header.certificates.size = CLO_OUTPUT_CERTIFICATES_MAX + 1;
    T_CODE(clo_output_seal(other, &header, r.signer, many, 1, plain), CLO_INVALID);
    T_CHECK(!clo_file_exists(other));
}

static void only_strict_payloads_are_taken(void)
{
    static const char *const changes[][2] = {
        {"\"what\":\"model\"", "\"what\":\"mo del\""},
        {"\"what\":\"model\"", "\"what\":\"\""},
        {"\"what\":\"model\"", "\"what\":\"model\",\"more\":1"},
        {"\"format\":\"safetensors\"", "\"format\":1"},
        {"\"inputs\":[", "\"inputs\":[1,"},
        {"\"inputs\":[", "\"inputs\":[\"00\","},
        {"\"recipients\":[", "\"recipients\":[{},"},
        {"\"recipients\":[", "\"recipients\":[[],"},
        {"\"mac\":\"", "\"mac\":\"00"},
    };
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    CLO_AUTO(clo_buf) good = CLO_BUF_INIT;
    clo_output_payload payload = {
        .header = {.what = "model", .format = "safetensors", .input_count = 1},
        .recipient_count = 1};
    clo_output_payload parsed;
    T_OK(clo_output_payload_write(&payload, &good));
    T_OK(clo_output_payload_parse(clo_buf_span(&good), &arena, &parsed));
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        CLO_AUTO(clo_buf) bad = CLO_BUF_INIT;
        size_t length = strlen(changes[i][0]);
        const uint8_t *at = memmem(good.data, good.size, changes[i][0], length);
        T_CHECK(at != NULL);
        size_t before = (size_t)(at - good.data);
        clo_put_bytes(&bad, good.data, before);
        clo_put_str(&bad, changes[i][1]);
        clo_put_bytes(&bad, at + length, good.size - before - length);
        T_CHECK(!clo_ok(clo_output_payload_parse(clo_buf_span(&bad), &arena, &parsed)));
    }
    payload.recipient_count = 0;
    clo_buf_clear(&good);
    T_OK(clo_output_payload_write(&payload, &good));
    T_CODE(clo_output_payload_parse(clo_buf_span(&good), &arena, &parsed), CLO_LIMIT);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(each_recipient_opens_it_and_nobody_else),
        T(sizes_around_chunks_come_back),
        T(the_header_can_be_looked_at_before),
        T(only_the_expected_signer_is_taken),
        T(no_byte_can_be_changed),
        T(no_length_but_its_own_is_taken),
        T(a_recipient_cannot_forge_contents_for_another),
        T(recipients_cannot_be_moved_under_another_signer),
        T(refuses_wrong_recipients_and_headers),
        T(only_strict_payloads_are_taken),
    };
    clo_status ready = clo_crypto_init();
    return clo_ok(ready) ? clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests) : 1;
}
