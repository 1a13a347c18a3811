/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every allocation of every public call of this room fails once: the call says so, leaves no file
 * behind and leaks nothing (the leak check of the sanitized run tells).
 */
#include <sys/stat.h>
#include <unistd.h>

#include "seal_rig.h"

static long fail_at = -1;
static long allocations;

bool clo_mem_should_fail(void)
{
    return ++allocations == fail_at;
}

typedef struct {
    const char *path;
    clo_key *signer, *recipient;
    clo_buf plain, index, output;
} rig;

static rig shared;

static clo_status seal_file(void)
{
    clo_seal_header header;
    return rig_seal(shared.path, clo_buf_span(&shared.plain), &header, NULL);
}

static clo_status open_file(void)
{
    CLO_AUTO(clo_buf) out = CLO_BUF_INIT;
    CLO_AUTO_PTR(clo_seal_reader) reader = NULL;
    uint8_t digest[32] = {0};
    CLO_TRY(rig_open(shared.path, &reader));
    clo_status status = clo_seal_reader_check_digest(reader, digest);
    CLO_CHECK(status.code == CLO_CRYPTO || status.code == CLO_NOMEM, CLO_BUG, "the wrong digest");
    CLO_CHECK(status.code != CLO_NOMEM, CLO_NOMEM, "as told");
    return rig_read(shared.path, &out);
}

static clo_status sign_into(clo_buf *out_envelope)
{
    clo_index_row row = {.name = "a"};
    clo_index index = {.data_set = "d", .rows = &row, .row_count = 1};
    uint8_t digest[32];
    return clo_index_sign(&index, shared.signer, out_envelope, digest);
}

static clo_status sign_index(void)
{
    CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
    return sign_into(&envelope);
}

static clo_status open_index(void)
{
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    clo_index index;
    return clo_index_open(clo_buf_span(&shared.index), shared.signer, &arena, &index);
}

static clo_status seal_output(void)
{
    clo_output_header header = {.what = "model", .format = "raw", .input_count = 1};
    const clo_key *recipient = shared.recipient;
    return clo_output_seal(shared.path, &header, shared.signer, &recipient, 1,
                           clo_buf_span(&shared.plain));
}

static clo_status open_output(void)
{
    CLO_AUTO(clo_buf) plain = CLO_BUF_INIT;
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    clo_output_header header;
    CLO_TRY(clo_output_peek(clo_buf_span(&shared.output), &arena, &header));
    return clo_output_open(clo_buf_span(&shared.output), shared.signer, shared.recipient, &plain);
}

static void sweep(clo_status (*run)(void), bool writes)
{
    allocations = 0;
    T_OK(run());
    long count = allocations;
    T_CHECK(count > 0);
    if (writes) {
        T_INT(unlink(shared.path), 0);
    }
    for (long i = 1; i <= count; i++) {
        allocations = 0;
        fail_at = i;
        clo_status status = run();
        fail_at = -1;
        T_CODE(status, CLO_NOMEM);
        T_CHECK(!writes || !clo_file_exists(shared.path));
    }
    T_OK(run());
}

static void sealing_a_file(void)
{
    sweep(seal_file, true);
}

static void opening_a_file(void)
{
    T_OK(seal_file());
    sweep(open_file, false);
}

static void signing_an_index(void)
{
    sweep(sign_index, false);
}

static void opening_an_index(void)
{
    clo_buf_clear(&shared.index);
    T_OK(sign_into(&shared.index));
    sweep(open_index, false);
}

static void sealing_an_output(void)
{
    sweep(seal_output, true);
}

static void opening_an_output(void)
{
    T_OK(seal_output());
    clo_buf_clear(&shared.output);
    T_OK(clo_file_read(shared.path, 1 << 20, &shared.output));
    sweep(open_output, false);
}

/* The temporary file goes with the writer: the folder stays empty. */
static void an_unfinished_writer_leaves_nothing_behind(void)
{
    CLO_AUTO(clo_secret) key = CLO_SECRET_INIT;
    CLO_AUTO(clo_buf) bytes = CLO_BUF_INIT;
    clo_seal_header header;
    clo_seal_writer *writer;
    T_OK(clo_seal_header_init(&header));
    T_OK(clo_seal_header_write(&header, &bytes));
    T_OK(rig_data_key(0, &key));
    T_CODE(clo_seal_writer_new("/proc/absent/f", clo_buf_span(&bytes), &key, &writer),
           CLO_NOTFOUND);
    const char *folder = clo_test_folder();
    T_OK(clo_seal_writer_new(rig_path(folder, "f"), clo_buf_span(&bytes), &key, &writer));
    clo_seal_writer_free(writer);
    T_INT(rmdir(folder), 0);
    T_INT(mkdir(folder, 0700), 0);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(sealing_a_file),
        T(opening_a_file),
        T(signing_an_index),
        T(opening_an_index),
        T(sealing_an_output),
        T(opening_an_output),
        T(an_unfinished_writer_leaves_nothing_behind),
    };
    if (!clo_ok(clo_crypto_init()) || !clo_ok(clo_key_generate(CLO_KEY_ED25519, &shared.signer)) ||
        !clo_ok(clo_key_generate(CLO_KEY_X25519, &shared.recipient))) {
        return 1;
    }
    shared.path = rig_path(clo_test_folder(), "f");
    rig_plain(&shared.plain, 2 * RIG_CHUNK + 5);
    int result = clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
    clo_key_free(shared.signer);
    clo_key_free(shared.recipient);
    clo_buf_release(&shared.plain);
    clo_buf_release(&shared.index);
    clo_buf_release(&shared.output);
    return result;
}
