/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_TEST_SEALED_SET_H
#define CLO_TEST_SEALED_SET_H

/*
 * A sealed data set in a folder of its own, with owner, signed index and manifest, as an owner
 * would make it with the tools.
 */
#include "test.h"

#include <stdio.h>
#include <string.h>

#include "slot_double.h"

typedef struct {
    clo_slot_session session;
    clo_manifest manifest;
    clo_key *owner;
    clo_index index;
    clo_index_row rows[2];
    char folder[400], index_path[480];
} sealed_set;

static inline void sealed_set_cleanup(sealed_set *f)
{
    clo_key_free(f->owner);
    clo_slot_session_cleanup(&f->session);
}

/* Seals a file of the data set and fills its row. */
static inline clo_status seal_part(sealed_set *f, const char *name, clo_span plain,
                                   clo_index_row *row)
{
    CLO_AUTO(clo_buf) header_bytes = CLO_BUF_INIT;
    CLO_AUTO(clo_secret) key = CLO_SECRET_INIT;
    CLO_AUTO_PTR(clo_seal_writer) writer = NULL;
    char path[1100];
    clo_seal_header header;
    CLO_TRY(clo_seal_header_init(&header));
    memcpy(header.key_id, f->session.data_key_id, 16);
    memcpy(header.data_set_id, f->index.data_set_id, 16);
    header.parts = 1;
    CLO_TRY(clo_seal_header_write(&header, &header_bytes));
    CLO_TRY(clo_seal_file_key(&f->session.data_key, clo_buf_span(&header_bytes), &key));
    snprintf(path, sizeof path, "%s/%s.sealed", f->folder, name);
    CLO_TRY(clo_seal_writer_new(path, clo_buf_span(&header_bytes), &key, &writer));
    CLO_TRY(clo_seal_writer_write(writer, plain));
    snprintf(row->name, sizeof row->name, "%s", name);
    memcpy(row->file_id, header.file_id, 16);
    row->size = plain.size;
    return clo_seal_writer_finish(writer, row->digest);
}

/* Samples of noise around a bright row a class: something can be learned from them. */
static inline void put_samples(clo_buf *images, clo_buf *labels, uint32_t side, uint32_t count)
{
    clo_put_u32be(images, 0x803);
    clo_put_u32be(images, count);
    clo_put_u32be(images, side);
    clo_put_u32be(images, side);
    clo_put_u32be(labels, 0x801);
    clo_put_u32be(labels, count);
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < side * side; k++) {
            uint32_t noise = clo_random_u32(9, i, k) >> 25;
            clo_put_u8(images, (uint8_t)(noise + (k / side % 3 == i % 3 ? 128 : 0)));
        }
        clo_put_u8(labels, (uint8_t)(i % 3));
    }
}

static inline clo_status seal_parts(sealed_set *f, uint32_t side, uint32_t count)
{
    CLO_AUTO(clo_buf) images = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) labels = CLO_BUF_INIT;
    char folder[600];
    put_samples(&images, &labels, side, count);
    CLO_TRY(clo_path_join(folder, sizeof folder, f->folder, "train"));
    CLO_TRY(clo_dir_make(folder, 0700));
    CLO_TRY(seal_part(f, "train/images", clo_buf_span(&images), &f->rows[0]));
    return seal_part(f, "train/labels", clo_buf_span(&labels), &f->rows[1]);
}

/* Signs the index as it is now; the manifest pins it. */
static inline clo_status sign_index(sealed_set *f)
{
    CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
    CLO_TRY(clo_index_sign(&f->index, f->owner, &envelope, f->manifest.data[0].index));
    return clo_file_write(f->index_path, 0600, clo_buf_span(&envelope));
}

/* `count` square images, and a manifest that pins them as its training data. */
static inline clo_status start_set(sealed_set *f, uint32_t side, uint32_t count)
{
    CLO_TRY(open_session(&f->session));
    CLO_TRY(clo_key_generate(CLO_KEY_ED25519, &f->owner));
    snprintf(f->folder, sizeof f->folder, "%s", clo_test_folder());
    snprintf(f->index_path, sizeof f->index_path, "%s/index.dsse", f->folder);
    memset(f->index.data_set_id, 0xd5, sizeof f->index.data_set_id);
    memcpy(f->index.key_id, f->session.data_key_id, 16);
    snprintf(f->index.data_set, sizeof f->index.data_set, "tiny");
    f->index.version = 1;
    f->index.rows = f->rows;
    f->index.row_count = 2;
    clo_manifest_data *data = &f->manifest.data[0];
    f->manifest.data_count = 1;
    snprintf(data->use, sizeof data->use, "train");
    snprintf(data->split, sizeof data->split, "train");
    snprintf(data->location, sizeof data->location, "%s", f->index_path);
    memcpy(data->key_id, f->session.data_key_id, 16);
    CLO_TRY(clo_public_key_of(f->owner, &data->owner));
    CLO_TRY(seal_parts(f, side, count));
    return sign_index(f);
}

#endif
