/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the host can do to a sealed file: every byte of a file of three chunks changed in four ways,
 * every truncation, bytes behind the end, chunks moved, dropped, doubled or taken from another file
 * under the same data key, a file that changes while it is open, wrong keys and commitments.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "seal_rig.h"

enum { PLAIN = 2 * RIG_CHUNK + 200, STEP = RIG_CHUNK + RIG_TAG, HEADER = 107 };

typedef struct {
    const char *path;
    clo_buf plain, sealed;
    size_t body; /* where chunk 0 starts */
} rig;

static void rig_cleanup(rig *r)
{
    clo_buf_release(&r->plain);
    clo_buf_release(&r->sealed);
}

static clo_status rig_make(rig *r)
{
    clo_seal_header header;
    r->path = rig_path(clo_test_folder(), "f");
    r->body = HEADER + RIG_COMMIT;
    rig_plain(&r->plain, PLAIN);
    CLO_TRY(rig_seal(r->path, clo_buf_span(&r->plain), &header, NULL));
    return clo_file_read(r->path, 1 << 20, &r->sealed);
}

static clo_status put(const char *path, clo_span bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    clo_status status = clo_fd_write_all(fd, bytes);
    close(fd);
    return status;
}

static clo_status put_byte(const rig *r, size_t at, uint8_t value)
{
    int fd = open(r->path, O_WRONLY | O_CLOEXEC);
    ssize_t count = pwrite(fd, &value, 1, (off_t)at);
    close(fd);
    CLO_CHECK(count == 1, CLO_IO, "pwrite");
    return CLO_STATUS_OK;
}

static bool is_zero(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

/* Opens and reads all; after a failure nothing of the plain text may stand in the buffer. */
static clo_status read_all(const rig *r, bool *out_gave_nothing)
{
    static uint8_t out[PLAIN + 2 * RIG_CHUNK];
    CLO_AUTO_PTR(clo_seal_reader) reader = NULL;
    memset(out, 0, sizeof out);
    *out_gave_nothing = true;
    CLO_TRY(rig_open(r->path, &reader));
    size_t size = (size_t)clo_seal_reader_size(reader);
    CLO_CHECK(size <= sizeof out, CLO_BUG, "the file grew");
    clo_status status = clo_seal_reader_read(reader, 0, out, size);
    *out_gave_nothing = is_zero(out, sizeof out);
    return status;
}

static void no_byte_can_be_changed(void)
{
    CLO_AUTO(rig) r = {0};
    bool nothing;
    T_OK(rig_make(&r));
    T_CHECK(r.sealed.size < 16384);
    for (size_t at = 0; at < r.sealed.size; at++) {
        uint8_t byte = r.sealed.data[at];
        const uint8_t values[] = {byte ^ 0x01, byte ^ 0x80, byte ^ 0xff, 0};
        for (size_t k = 0; k < sizeof values; k++) {
            if (values[k] == byte) {
                continue;
            }
            T_OK(put_byte(&r, at, values[k]));
            clo_status status = read_all(&r, &nothing);
            T_CHECK(!clo_ok(status) && nothing);
            if (at >= HEADER) { /* in a header, the form may be broken before the key is */
                T_CODE(status, CLO_CRYPTO);
            }
        }
        T_OK(put_byte(&r, at, byte));
    }
    T_OK(read_all(&r, &nothing));
}

static void no_length_but_its_own_is_taken(void)
{
    CLO_AUTO(rig) r = {0};
    bool nothing;
    T_OK(rig_make(&r));
    for (size_t size = r.sealed.size; size-- > 0;) {
        T_INT(truncate(r.path, (off_t)size), 0);
        clo_status status = read_all(&r, &nothing);
        T_CHECK(status.code == CLO_CRYPTO || status.code == CLO_FORMAT);
        T_CHECK(nothing);
    }
    for (size_t more = 1; more <= 40; more++) {
        CLO_AUTO(clo_buf) longer = CLO_BUF_INIT;
        clo_put_span(&longer, clo_buf_span(&r.sealed));
        for (size_t i = 0; i < more; i++) {
            clo_put_u8(&longer, (uint8_t)i);
        }
        T_OK(put(r.path, clo_buf_span(&longer)));
        clo_status status = read_all(&r, &nothing);
        T_CHECK(!clo_ok(status) && nothing);
    }
}

/* The file made of these chunks of it, in this order. */
static clo_status put_chunks(const rig *r, const char *order)
{
    CLO_AUTO(clo_buf) bytes = CLO_BUF_INIT;
    clo_put_span(&bytes, CLO_SPAN(r->sealed.data, r->body));
    for (; *order != '\0'; order++) {
        size_t at = r->body + (size_t)(*order - '0') * STEP;
        size_t left = r->sealed.size - at;
        clo_put_span(&bytes, CLO_SPAN(r->sealed.data + at, left < STEP ? left : STEP));
    }
    return put(r->path, clo_buf_span(&bytes));
}

static void chunks_cannot_be_moved_dropped_or_doubled(void)
{
    static const char *const orders[] = {"",    "0",   "1",   "2",    "01",   "02",   "12",  "10",
                                         "102", "002", "112", "0012", "0122", "0112", "1022"};
    CLO_AUTO(rig) r = {0};
    bool nothing;
    T_OK(rig_make(&r));
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        T_OK(put_chunks(&r, orders[i]));
        clo_status status = read_all(&r, &nothing);
        T_CHECK(status.code == CLO_CRYPTO || status.code == CLO_FORMAT);
        T_CHECK(nothing);
    }
    T_OK(put_chunks(&r, "012"));
    T_OK(read_all(&r, &nothing));
}

static void chunks_of_another_file_of_the_key_do_not_fit(void)
{
    CLO_AUTO(rig) r = {0};
    CLO_AUTO(clo_buf) other = CLO_BUF_INIT;
    clo_seal_header header;
    bool nothing;
    T_OK(rig_make(&r));
    const char *path = rig_path(clo_test_folder(), "other");
    T_OK(rig_seal(path, clo_buf_span(&r.plain), &header, NULL));
    T_OK(clo_file_read(path, 1 << 20, &other));
    T_INT(other.size, r.sealed.size);
    const size_t cuts[] = {HEADER, r.body, r.body + STEP, r.body + 2 * STEP};
    for (size_t i = 0; i < 4; i++) {
        CLO_AUTO(clo_buf) mixed = CLO_BUF_INIT;
        clo_put_span(&mixed, CLO_SPAN(r.sealed.data, cuts[i]));
        clo_put_span(&mixed, CLO_SPAN(other.data + cuts[i], other.size - cuts[i]));
        T_OK(put(r.path, clo_buf_span(&mixed)));
        T_CODE(read_all(&r, &nothing), CLO_CRYPTO);
        T_CHECK(nothing);
    }
}

static void a_bad_chunk_spoils_itself_only(void)
{
    static uint8_t out[PLAIN];
    CLO_AUTO(rig) r = {0};
    CLO_AUTO_PTR(clo_seal_reader) reader = NULL;
    T_OK(rig_make(&r));
    T_OK(put_byte(&r, r.body + 5, r.sealed.data[r.body + 5] ^ 1));
    T_OK(rig_open(r.path, &reader));
    T_OK(clo_seal_reader_read(reader, RIG_CHUNK, out, PLAIN - RIG_CHUNK));
    T_CHECK(memcmp(out, r.plain.data + RIG_CHUNK, PLAIN - RIG_CHUNK) == 0);
    memset(out, 0xa5, sizeof out);
    T_CODE(clo_seal_reader_read(reader, 4000, out, 1), CLO_CRYPTO);
    T_INT(out[0], 0);
    T_CODE(clo_seal_reader_read(reader, RIG_CHUNK - 1, out, 2), CLO_CRYPTO);
    T_OK(clo_seal_reader_read(reader, RIG_CHUNK, out, 1));
}

static void a_file_that_shrinks_while_open_is_refused(void)
{
    uint8_t byte;
    CLO_AUTO(rig) r = {0};
    CLO_AUTO_PTR(clo_seal_reader) reader = NULL;
    T_OK(rig_make(&r));
    T_OK(rig_open(r.path, &reader));
    T_INT(truncate(r.path, (off_t)r.body + 100), 0);
    T_CODE(clo_seal_reader_read(reader, RIG_CHUNK, &byte, 1), CLO_CRYPTO);
    T_CODE(clo_seal_reader_read(reader, 0, &byte, 1), CLO_CRYPTO);
    uint8_t digest[32] = {0};
    T_CODE(clo_seal_reader_check_digest(reader, digest), CLO_CRYPTO);
}

static clo_status unlock_text(const rig *r, uint8_t first, char *text, size_t size)
{
    CLO_AUTO_PTR(clo_seal_reader) reader = NULL;
    CLO_TRY(clo_seal_reader_open(r->path, &reader));
    clo_status status = rig_unlock(reader, first);
    clo_status_text(status, text, size);
    uint8_t byte;
    CLO_CHECK(clo_ok(status) || clo_seal_reader_read(reader, 0, &byte, 1).code == CLO_INVALID,
              CLO_BUG, "a locked file was read");
    return (clo_status){status.code, 0};
}

static void wrong_key_and_wrong_commitment_look_the_same(void)
{
    char key[512], commitment[512], size[512];
    CLO_AUTO(rig) r = {0};
    CLO_AUTO(clo_secret) shorter = CLO_SECRET_INIT;
    CLO_AUTO_PTR(clo_seal_reader) reader = NULL;
    T_OK(rig_make(&r));
    T_CODE(unlock_text(&r, 1, key, sizeof key), CLO_CRYPTO);
    T_OK(put_byte(&r, HEADER, r.sealed.data[HEADER] ^ 1));
    T_CODE(unlock_text(&r, 0, commitment, sizeof commitment), CLO_CRYPTO);
    T_STR(key, commitment);
    T_OK(clo_secret_alloc(&shorter, 31));
    T_OK(clo_seal_reader_open(r.path, &reader));
    clo_status status = clo_seal_reader_unlock(reader, &shorter);
    clo_status_text(status, size, sizeof size);
    T_CODE(status, CLO_CRYPTO);
    T_STR(key, size);
    T_OK(put_byte(&r, HEADER, r.sealed.data[HEADER]));
    T_OK(unlock_text(&r, 0, key, sizeof key));
}

static void nothing_is_read_before_unlocking_nor_unlocked_twice(void)
{
    uint8_t byte = 0;
    CLO_AUTO(rig) r = {0};
    CLO_AUTO_PTR(clo_seal_reader) reader = NULL;
    T_OK(rig_make(&r));
    T_OK(clo_seal_reader_open(r.path, &reader));
    T_CODE(clo_seal_reader_read(reader, 0, &byte, 1), CLO_INVALID);
    T_CODE(rig_unlock(reader, 5), CLO_CRYPTO);
    T_CODE(clo_seal_reader_read(reader, 0, &byte, 1), CLO_INVALID);
    T_OK(rig_unlock(reader, 0)); /* after a wrong key the right one still opens */
    T_CODE(rig_unlock(reader, 0), CLO_INVALID);
    T_OK(clo_seal_reader_read(reader, 0, &byte, 1));
    T_INT(byte, 1);
}

static void the_digest_names_one_file(void)
{
    uint8_t digest[32], other[32];
    clo_seal_header header;
    CLO_AUTO(clo_buf) plain = CLO_BUF_INIT;
    CLO_AUTO_PTR(clo_seal_reader) reader = NULL;
    const char *folder = clo_test_folder();
    rig_plain(&plain, PLAIN);
    T_OK(rig_seal(rig_path(folder, "a"), clo_buf_span(&plain), &header, digest));
    T_OK(rig_seal(rig_path(folder, "b"), clo_buf_span(&plain), &header, other));
    T_OK(clo_seal_reader_open(rig_path(folder, "a"), &reader));
    T_OK(clo_seal_reader_check_digest(reader, digest));
    T_CODE(clo_seal_reader_check_digest(reader, other), CLO_CRYPTO);
    digest[31] ^= 1;
    T_CODE(clo_seal_reader_check_digest(reader, digest), CLO_CRYPTO);
}

static void refuses_what_is_no_regular_file(void)
{
    clo_seal_reader *reader;
    const char *folder = clo_test_folder();
    const char *fifo = rig_path(folder, "fifo");
    T_INT(mkfifo(fifo, 0600), 0);
    T_CODE(clo_seal_reader_open(fifo, &reader), CLO_FORMAT);
    T_CODE(clo_seal_reader_open("/dev/zero", &reader), CLO_FORMAT);
    T_CHECK(!clo_ok(clo_seal_reader_open(folder, &reader)));
    T_CODE(clo_seal_reader_open(rig_path(folder, "absent"), &reader), CLO_NOTFOUND);
    T_CODE(clo_seal_reader_open("", &reader), CLO_INVALID);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(no_byte_can_be_changed),
        T(no_length_but_its_own_is_taken),
        T(chunks_cannot_be_moved_dropped_or_doubled),
        T(chunks_of_another_file_of_the_key_do_not_fit),
        T(a_bad_chunk_spoils_itself_only),
        T(a_file_that_shrinks_while_open_is_refused),
        T(wrong_key_and_wrong_commitment_look_the_same),
        T(nothing_is_read_before_unlocking_nor_unlocked_twice),
        T(the_digest_names_one_file),
        T(refuses_what_is_no_regular_file),
    };
    clo_status ready = clo_crypto_init();
    return clo_ok(ready) ? clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests) : 1;
}
