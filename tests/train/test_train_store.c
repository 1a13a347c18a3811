/* SPDX-License-Identifier: Apache-2.0 */
/* Sealed checkpoints: the last two, in turn; damage, other jobs, a broker that is away. */
#include "test.h"

#include <stdio.h>
#include <string.h>

#include "slot_double.h"
#include "tiny.h"

#include "checkpoint_store.h"

static int fail_at = -1;

bool clo_mem_should_fail(void)
{
    return fail_at >= 0 && fail_at-- == 0;
}

typedef struct {
    clo_slot_session session;
    clo_manifest manifest;
    clo_graph *graph;
    clo_epoch_result results[4];
    clo_train_state state;
    clo_checkpoint_store store;
    char folder[512];
} fixture;

static void fixture_cleanup(fixture *f)
{
    clo_checkpoint_store_cleanup(&f->store);
    clo_store_free(f->state.store);
    clo_graph_free(f->graph);
    clo_slot_session_cleanup(&f->session);
}

static clo_status start(fixture *f)
{
    CLO_TRY(open_session(&f->session));
    memset(f->manifest.digest, 0x11, sizeof f->manifest.digest);
    CLO_TRY(clo_graph_new(&f->graph));
    CLO_TRY(build_tiny(f->graph));
    CLO_TRY(clo_store_new(f->graph, &f->state.store));
    clo_store_initialize(f->state.store, 1);
    f->state.results = f->results;
    f->state.result_capacity = 4;
    f->state.epoch = 1;
    CLO_TRY(clo_path_join(f->folder, sizeof f->folder, clo_test_folder(), "job"));
    CLO_TRY(clo_checkpoint_store_open(&f->session, &f->manifest, f->folder, &f->store));
    return clo_checkpoint_store_prepare(&f->store);
}

static clo_status save(fixture *f)
{
    f->state.generation++;
    f->state.step += 10;
    return clo_checkpoint_store_save(&f->store, &f->state);
}

/* The step of the checkpoint that a resumed run would take; 0: none. */
static clo_status load(fixture *f, uint64_t *out_step)
{
    CLO_AUTO(clo_buf) plain = CLO_BUF_LIMIT(CLO_CHECKPOINT_MAX);
    clo_train_state state = f->state;
    state.step = 0;
    CLO_TRY(clo_checkpoint_store_load(&f->store, &plain));
    if (plain.size > 0) {
        CLO_TRY(clo_checkpoint_read(clo_buf_span(&plain), f->manifest.digest, &state));
    }
    *out_step = state.step;
    return CLO_STATUS_OK;
}

static const char *path_of(const fixture *f, int number)
{
    static char path[600];
    snprintf(path, sizeof path, "%s/checkpoint-%d.sealed", f->folder, number);
    return path;
}

static void flip_byte(const char *path, size_t at)
{
    CLO_AUTO(clo_buf) file = CLO_BUF_INIT;
    clo_test_read(path, &file);
    file.data[at < file.size ? at : file.size - 1] ^= 1;
    T_OK(clo_file_write(path, 0600, clo_buf_span(&file)));
}

static void has_nothing_before_the_first_save(void)
{
    CLO_AUTO(fixture) f = {0};
    T_OK(start(&f));
    uint64_t step = 1;
    T_OK(load(&f, &step));
    T_INT(step, 0);
}

static void loads_the_newest_of_the_last_two(void)
{
    CLO_AUTO(fixture) f = {0};
    T_OK(start(&f));
    uint8_t before[32] = {0};
    for (uint64_t i = 1; i <= 5; i++) {
        uint64_t step;
        T_OK(save(&f));
        T_CHECK(memcmp(before, f.state.previous, 32) != 0);
        memcpy(before, f.state.previous, 32);
        T_OK(load(&f, &step));
        T_INT(step, 10 * i);
        T_INT(clo_file_exists(path_of(&f, 0)), i > 1);
        T_CHECK(clo_file_exists(path_of(&f, 1)));
    }
}

static void each_file_names_the_digest_of_the_one_before(void)
{
    CLO_AUTO(fixture) f = {0};
    CLO_AUTO(clo_buf) plain = CLO_BUF_LIMIT(CLO_CHECKPOINT_MAX);
    T_OK(start(&f));
    T_OK(save(&f));
    uint8_t first[32];
    memcpy(first, f.state.previous, sizeof first);
    T_OK(save(&f));
    T_OK(clo_checkpoint_store_load(&f.store, &plain));
    T_CHECK(memcmp(plain.data + 22 + 32 + 8, first, 32) == 0);
}

static void keeps_nothing_readable_on_disk(void)
{
    CLO_AUTO(fixture) f = {0};
    CLO_AUTO(clo_buf) file = CLO_BUF_INIT;
    T_OK(start(&f));
    T_OK(save(&f));
    clo_test_read(path_of(&f, 1), &file);
    T_CHECK(memmem(file.data, file.size, "fc1.weight", 10) == NULL);
    T_CHECK(memmem(file.data, file.size, clo_store_values(f.state.store), 16) == NULL);
}

static void falls_back_when_the_newest_is_damaged_and_fails_when_both_are(void)
{
    CLO_AUTO(fixture) f = {0};
    T_OK(start(&f));
    T_OK(save(&f));
    T_OK(save(&f));
    uint64_t step;
    flip_byte(path_of(&f, 0), SIZE_MAX); /* generation 2 */
    T_OK(load(&f, &step));
    T_INT(step, 10);
    flip_byte(path_of(&f, 1), 300);
    clo_status status = load(&f, &step);
    T_CHECK(status.code == CLO_CRYPTO);
}

static void refuses_the_folder_of_another_job_before_asking_for_a_key(void)
{
    CLO_AUTO(fixture) f = {0};
    T_OK(start(&f));
    T_OK(save(&f));
    size_t requests = f.session.requests;
    uint64_t step;
    memset(f.manifest.digest, 0x22, sizeof f.manifest.digest);
    T_CODE(load(&f, &step), CLO_INVALID);
    T_INT(f.session.requests, requests);
}

static void refuses_a_checkpoint_of_another_key(void)
{
    CLO_AUTO(fixture) f = {0};
    T_OK(start(&f));
    T_OK(save(&f));
    uint64_t step;
    f.session.job_key.data[0] ^= 1;
    T_CODE(load(&f, &step), CLO_CRYPTO);
    f.session.job_key.data[0] ^= 1;
    T_OK(load(&f, &step));
}

static void saves_once_more_while_the_broker_is_away(void)
{
    CLO_AUTO(fixture) f = {0};
    T_OK(start(&f));
    T_OK(save(&f));
    f.session.away = true;
    T_OK(save(&f));                /* its key was got ahead of time */
    T_CODE(save(&f), CLO_TIMEOUT); /* there is none for this one */
    f.session.away = false;
    uint64_t step;
    T_OK(load(&f, &step));
    T_INT(step, 20);
    T_OK(save(&f));
    T_OK(load(&f, &step));
    T_INT(step, 40);
}

static void passes_over_nothing_for_a_reason_that_is_not_the_files(void)
{
    CLO_AUTO(fixture) f = {0};
    T_OK(start(&f));
    T_OK(save(&f));
    T_OK(save(&f));
    uint64_t step;
    f.session.away = true;
    T_CODE(load(&f, &step), CLO_TIMEOUT);
    f.session.away = false;
    int failures = 0;
    for (int n = 0; n < 500; n++) {
        fail_at = n;
        clo_status status = load(&f, &step);
        fail_at = -1;
        if (clo_ok(status)) {
            break;
        }
        T_INT(status.code, CLO_NOMEM);
        failures++;
    }
    T_CHECK(failures > 5 && failures < 500);
    T_INT(step, 20);
}

static void a_save_that_runs_out_of_memory_leaves_what_was_there(void)
{
    CLO_AUTO(fixture) f = {0};
    T_OK(start(&f));
    T_OK(save(&f));
    int failures = 0;
    for (int n = 0; n < 500; n++) {
        uint64_t step;
        uint64_t before = f.state.step;
        fail_at = n;
        clo_status status = save(&f);
        bool failed = fail_at == -1; /* also when only the next key could not be got */
        fail_at = -1;
        T_OK(load(&f, &step));
        T_INT(step, clo_ok(status) ? f.state.step : before);
        if (!failed) {
            break;
        }
        T_CHECK(clo_ok(status) || status.code == CLO_NOMEM);
        f.state.generation -= clo_ok(status) ? 0 : 1;
        f.state.step = step;
        failures++;
    }
    T_CHECK(failures > 2 && failures < 500);
}

static void never_seals_two_files_under_one_key(void)
{
    CLO_AUTO(fixture) f = {0};
    T_OK(start(&f));
    uint8_t id[3][16];
    for (int i = 0; i < 3; i++) {
        T_OK(save(&f));
        CLO_AUTO_PTR(clo_seal_reader) reader = NULL;
        T_OK(clo_seal_reader_open(path_of(&f, (i + 1) % 2), &reader));
        memcpy(id[i], clo_seal_reader_header(reader)->file_id, 16);
    }
    T_CHECK(memcmp(id[0], id[1], 16) != 0 && memcmp(id[1], id[2], 16) != 0);
    T_CHECK(memcmp(id[0], id[2], 16) != 0);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(has_nothing_before_the_first_save),
        T(loads_the_newest_of_the_last_two),
        T(each_file_names_the_digest_of_the_one_before),
        T(keeps_nothing_readable_on_disk),
        T(falls_back_when_the_newest_is_damaged_and_fails_when_both_are),
        T(refuses_the_folder_of_another_job_before_asking_for_a_key),
        T(refuses_a_checkpoint_of_another_key),
        T(saves_once_more_while_the_broker_is_away),
        T(passes_over_nothing_for_a_reason_that_is_not_the_files),
        T(a_save_that_runs_out_of_memory_leaves_what_was_there),
        T(never_seals_two_files_under_one_key),
    };
    if (!clo_ok(clo_crypto_init())) {
        return 2;
    }
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
