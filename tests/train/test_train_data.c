/* SPDX-License-Identifier: Apache-2.0 */
/* A data set through its index: what the manifest pins is what is read, and nothing else is. */
#include "test.h"

#include <stdio.h>
#include <string.h>

#include "sealed_set.h"

enum { SAMPLES = 6, SIDE = 4, CLASSES = 3 };

static int fail_at = -1;

bool clo_mem_should_fail(void)
{
    return fail_at >= 0 && fail_at-- == 0;
}

typedef sealed_set fixture;

static void fixture_cleanup(fixture *f)
{
    sealed_set_cleanup(f);
}

static clo_status start(fixture *f)
{
    return start_set(f, SIDE, SAMPLES);
}

static clo_status open_it(fixture *f, const char *path)
{
    CLO_AUTO_PTR(clo_dataset) dataset = NULL;
    CLO_TRY(clo_train_open_data(&f->session, &f->manifest, "train", path, CLASSES, &dataset));
    CLO_CHECK(clo_dataset_count(dataset) == SAMPLES, CLO_BUG, "other samples");
    return CLO_STATUS_OK;
}

static void opens_what_the_manifest_pins_in_one_request(void)
{
    CLO_AUTO(fixture) f = {0};
    T_OK(start(&f));
    T_OK(open_it(&f, NULL)); /* at the manifest's location */
    T_INT(f.session.requests, 1);
    T_OK(open_it(&f, f.index_path));
}

static void refuses_a_use_the_manifest_does_not_name(void)
{
    CLO_AUTO(fixture) f = {0};
    T_OK(start(&f));
    clo_dataset *dataset = NULL;
    T_CODE(clo_train_open_data(&f.session, &f.manifest, "test", NULL, CLASSES, &dataset),
           CLO_NOTFOUND);
}

static void refuses_another_index_of_the_same_owner(void)
{
    CLO_AUTO(fixture) f = {0};
    T_OK(start(&f));
    uint8_t pinned[32];
    memcpy(pinned, f.manifest.data[0].index, sizeof pinned);
    f.index.version = 2;
    T_OK(sign_index(&f));
    memcpy(f.manifest.data[0].index, pinned, sizeof pinned);
    T_CODE(open_it(&f, NULL), CLO_POLICY);
    T_INT(f.session.requests, 0);
}

static void refuses_an_index_of_another_owner(void)
{
    CLO_AUTO(fixture) f = {0};
    T_OK(start(&f));
    CLO_AUTO_PTR(clo_key) other = NULL;
    T_OK(clo_key_generate(CLO_KEY_ED25519, &other));
    T_OK(clo_public_key_of(other, &f.manifest.data[0].owner));
    T_CODE(open_it(&f, NULL), CLO_CRYPTO);
}

static void refuses_an_index_of_another_key(void)
{
    CLO_AUTO(fixture) f = {0};
    T_OK(start(&f));
    f.manifest.data[0].key_id[0] ^= 1;
    T_CODE(open_it(&f, NULL), CLO_POLICY);
    T_INT(f.session.requests, 0);
}

static void swap_files(const fixture *f)
{
    char a[1100];
    char b[1100];
    CLO_AUTO(clo_buf) images = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) labels = CLO_BUF_INIT;
    snprintf(a, sizeof a, "%s/train/images.sealed", f->folder);
    snprintf(b, sizeof b, "%s/train/labels.sealed", f->folder);
    clo_test_read(a, &images);
    clo_test_read(b, &labels);
    T_OK(clo_file_write(a, 0600, clo_buf_span(&labels)));
    T_OK(clo_file_write(b, 0600, clo_buf_span(&images)));
}

static void refuses_swapped_files_before_asking_for_a_key(void)
{
    CLO_AUTO(fixture) f = {0};
    T_OK(start(&f));
    swap_files(&f);
    T_CODE(open_it(&f, NULL), CLO_CRYPTO);
    T_INT(f.session.requests, 0);
    swap_files(&f);
    T_OK(open_it(&f, NULL));
}

static void refuses_a_flipped_byte_and_a_missing_file(void)
{
    CLO_AUTO(fixture) f = {0};
    T_OK(start(&f));
    char path[1100];
    CLO_AUTO(clo_buf) file = CLO_BUF_INIT;
    snprintf(path, sizeof path, "%s/train/images.sealed", f.folder);
    clo_test_read(path, &file);
    file.data[file.size - 1] ^= 1; /* of the last tag */
    T_OK(clo_file_write(path, 0600, clo_buf_span(&file)));
    T_CODE(open_it(&f, NULL), CLO_CRYPTO);
    file.data[file.size - 1] ^= 1;
    file.data[file.size - 40] ^= 1; /* of the last chunk: its tag no longer holds */
    T_OK(clo_file_write(path, 0600, clo_buf_span(&file)));
    T_CODE(open_it(&f, NULL), CLO_CRYPTO);
    T_CHECK(remove(path) == 0);
    T_CODE(open_it(&f, NULL), CLO_NOTFOUND);
}

static void refuses_a_file_that_was_sealed_again(void)
{
    CLO_AUTO(fixture) f = {0};
    T_OK(start(&f));
    CLO_AUTO(clo_buf) images = CLO_BUF_INIT;
    clo_index_row row;
    (void)clo_buf_grow(&images, (size_t)f.rows[0].size);
    T_OK(seal_part(&f, "train/images", clo_buf_span(&images), &row));
    T_CODE(open_it(&f, NULL), CLO_CRYPTO); /* another file id */
    T_INT(f.session.requests, 0);
}

static void refuses_rows_that_lie(void)
{
    CLO_AUTO(fixture) f = {0};
    T_OK(start(&f));
    f.rows[1].size++;
    T_OK(sign_index(&f));
    T_CODE(open_it(&f, NULL), CLO_CRYPTO);
    f.rows[1].size--;
    f.rows[1].digest[7] ^= 1;
    T_OK(sign_index(&f));
    T_CODE(open_it(&f, NULL), CLO_CRYPTO);
    f.rows[1].digest[7] ^= 1;
    f.index.row_count = 1;
    T_OK(sign_index(&f));
    T_CODE(open_it(&f, NULL), CLO_NOTFOUND);
    f.index.row_count = 2;
    T_OK(sign_index(&f));
    T_OK(open_it(&f, NULL));
}

static void says_what_the_broker_refuses(void)
{
    CLO_AUTO(fixture) f = {0};
    T_OK(start(&f));
    f.session.data_key_id[3] ^= 1;
    T_CODE(open_it(&f, NULL), CLO_DENIED);
    f.session.data_key_id[3] ^= 1;
    f.session.data_key.data[0] ^= 1;
    T_CODE(open_it(&f, NULL), CLO_CRYPTO);
}

static void survives_any_failing_allocation(void)
{
    CLO_AUTO(fixture) f = {0};
    T_OK(start(&f));
    int failures = 0;
    for (int n = 0; n < 2000; n++) {
        fail_at = n;
        clo_status status = open_it(&f, NULL);
        fail_at = -1;
        if (clo_ok(status)) {
            break;
        }
        T_INT(status.code, CLO_NOMEM);
        failures++;
    }
    T_CHECK(failures > 20 && failures < 2000);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(opens_what_the_manifest_pins_in_one_request),
        T(refuses_a_use_the_manifest_does_not_name),
        T(refuses_another_index_of_the_same_owner),
        T(refuses_an_index_of_another_owner),
        T(refuses_an_index_of_another_key),
        T(refuses_swapped_files_before_asking_for_a_key),
        T(refuses_a_flipped_byte_and_a_missing_file),
        T(refuses_a_file_that_was_sealed_again),
        T(refuses_rows_that_lie),
        T(says_what_the_broker_refuses),
        T(survives_any_failing_allocation),
    };
    if (!clo_ok(clo_crypto_init())) {
        return 2;
    }
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
