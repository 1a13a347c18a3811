/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_TEST_ATTEST_VECTORS_H
#define CLO_TEST_ATTEST_VECTORS_H

/*
 * Reading recorded evidence from ../shared/vectors/sgx for the tests of this room. Everything is
 * `static inline`: each test program is one file.
 */
#include "test.h"

#include "cloister/attest.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VECTOR_FILE_MAX (1u << 20)

/* A file under ../shared/vectors; false when it is not there. */
static inline bool vector_read(const char *relative, clo_buf *out)
{
    char path[512];
    (void)snprintf(path, sizeof path, "vectors/%s", relative);
    const char *found = clo_test_shared(path);
    return found != NULL && clo_file_exists(found) &&
           clo_ok(clo_file_read(found, VECTOR_FILE_MAX, out));
}

typedef struct {
    clo_buf quote, collateral, expect_text;
    clo_arena arena;
    const clo_json *expect;
} vector_case;

static inline void vector_case_cleanup(vector_case *c)
{
    clo_buf_release(&c->quote);
    clo_buf_release(&c->collateral);
    clo_buf_release(&c->expect_text);
    clo_arena_release(&c->arena);
}

/* sgx/<folder>: false when it has no quote.bin or no expectation. Collateral may be absent. */
static inline bool vector_load(const char *folder, vector_case *c)
{
    char path[256];
    (void)snprintf(path, sizeof path, "sgx/%s/quote.bin", folder);
    bool found = vector_read(path, &c->quote);
    (void)snprintf(path, sizeof path, "sgx/%s/collateral.json", folder);
    (void)vector_read(path, &c->collateral);
    (void)snprintf(path, sizeof path, "sgx/%s/expect.json", folder);
    return found && vector_read(path, &c->expect_text) &&
           clo_ok(clo_json_parse(clo_buf_span(&c->expect_text), &c->arena, &c->expect));
}

/* The folders of sgx/ in order of name; 0 without ../shared. */
static inline size_t vector_folders(char (*out)[64], size_t max)
{
    const char *root = clo_test_shared("vectors/sgx");
    struct dirent **entries = NULL;
    int count = root != NULL ? scandir(root, &entries, NULL, alphasort) : 0;
    size_t found = 0;
    for (int i = 0; i < count; i++) {
        if (entries[i]->d_name[0] != '.' && found < max) {
            (void)snprintf(out[found++], 64, "%.63s", entries[i]->d_name);
        }
        free(entries[i]);
    }
    free(entries);
    return found;
}

/* A request under Intel's root. */
static inline clo_verify_request vector_request(clo_span quote, clo_span collateral, int64_t at)
{
    clo_verify_request request = {.quote = quote, .collateral = collateral, .at = at};
    request.anchors[request.anchor_count++] = CLO_ANCHOR_INTEL_SGX;
    return request;
}

#endif
