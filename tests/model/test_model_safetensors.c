/* SPDX-License-Identifier: Apache-2.0 */
/*
 * safetensors: what is written reads back; everything on the format's abuse list is refused and
 * leaves the store as it was; a file cut anywhere is refused; memory may run out anywhere.
 */
#include "test.h"

#include <stdio.h>
#include <string.h>

#include "cloister/model.h"

static size_t allocations;
static size_t fail_at = SIZE_MAX;

bool clo_mem_should_fail(void)
{
    return allocations++ == fail_at;
}

static clo_status small_store(clo_store **out_store)
{
    CLO_AUTO_PTR(clo_graph) graph = NULL;
    CLO_TRY(clo_graph_new(&graph));
    clo_graph_param(graph, "w", CLO_SHAPE(2, 3), CLO_INIT_UNIFORM(3));
    clo_graph_param(graph, "b", CLO_SHAPE(2), CLO_INIT_UNIFORM(3));
    CLO_TRY(clo_store_new(graph, out_store));
    clo_store_initialize(*out_store, 5);
    return CLO_STATUS_OK;
}

static float value_of(clo_store *store, const char *name, size_t index)
{
    return clo_store_values(store)[clo_store_find(store, name)->offset + index];
}

static void what_is_written_reads_back(void)
{
    static const char *const metadata[] = {"format", "pt", "epoch", "3", NULL};
    CLO_AUTO_PTR(clo_store) store = NULL;
    CLO_AUTO_PTR(clo_store) other = NULL;
    CLO_AUTO(clo_buf) file = CLO_BUF_INIT;
    T_OK(small_store(&store));
    T_OK(small_store(&other));
    clo_store_initialize(other, 6);
    T_OK(clo_safetensors_write(store, metadata, &file));
    T_OK(clo_safetensors_read(clo_buf_span(&file), other));
    for (size_t i = 0; i < 6; i++) {
        T_CHECK(value_of(store, "w", i) == value_of(other, "w", i));
    }
    T_CHECK(value_of(store, "b", 1) == value_of(other, "b", 1));
}

/* Bytes for bytes, as another implementation must read them. */
static void the_file_has_the_published_form(void)
{
    static const char *const metadata[] = {"format", "pt", NULL};
    CLO_AUTO_PTR(clo_store) store = NULL;
    CLO_AUTO(clo_buf) file = CLO_BUF_INIT;
    T_OK(small_store(&store));
    T_OK(clo_safetensors_write(store, metadata, &file));
    clo_reader r = clo_reader_of(clo_buf_span(&file));
    uint64_t size = clo_read_u64le(&r);
    clo_span header = clo_read_span(&r, (size_t)size);
    T_INT(size % 8, 0);
    T_CHECK(clo_span_starts_with(
        header, clo_span_of_str("{\"__metadata__\":{\"format\":\"pt\"},"
                                "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
                                "\"w\":{\"dtype\":\"F32\",\"shape\":[2,3],"
                                "\"data_offsets\":[8,32]}}")));
    T_INT(clo_reader_left(&r), 32);
}

static void put_file(clo_buf *out, const char *header, size_t data)
{
    clo_put_u64le(out, strlen(header));
    clo_put_str(out, header);
    for (size_t i = 0; i < data; i++) {
        clo_put_u8(out, 0);
    }
}

static const char good[] = "{\"w\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[8,32]},"
                           "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}";

static void order_of_the_header_is_free(void)
{
    CLO_AUTO_PTR(clo_store) store = NULL;
    CLO_AUTO(clo_buf) file = CLO_BUF_INIT;
    T_OK(small_store(&store));
    put_file(&file, good, 32);
    T_OK(clo_safetensors_read(clo_buf_span(&file), store));
    T_CHECK(value_of(store, "w", 5) == 0.0f && value_of(store, "b", 0) == 0.0f);
}

#define W "\"w\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[8,32]}"
#define B "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}"

static const struct {
    const char *what;
    const char *header;
    size_t data;
    clo_code code;
} abuse[] = {
    {"no brace", " {" W "," B "}", 32, CLO_FORMAT},
    {"no object", "[]", 0, CLO_FORMAT},
    {"empty header", "", 0, CLO_FORMAT},
    {"broken JSON", "{" W "," B, 32, CLO_FORMAT},
    {"duplicate name", "{" W "," W "}", 56, CLO_FORMAT},
    {"data left over", "{" W "," B "}", 33, CLO_FORMAT},
    {"data missing", "{" W "," B "}", 31, CLO_FORMAT},
    {"hole at the start", "{" W "}", 32, CLO_FORMAT},
    {"overlap", "{" W ",\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}", 32,
     CLO_FORMAT},
    {"shape too large", "{\"w\":{\"dtype\":\"F32\",\"shape\":[7],\"data_offsets\":[0,24]}}", 24,
     CLO_FORMAT},
    {"shape overflows",
     "{\"w\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,0]}}", 0,
     CLO_FORMAT},
    {"offsets reversed", "{\"w\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[8,0]}}", 8,
     CLO_FORMAT},
    {"offset beyond the file", "{\"w\":{\"dtype\":\"U8\",\"shape\":[9],\"data_offsets\":[0,9]}}", 8,
     CLO_FORMAT},
    {"negative dimension", "{\"w\":{\"dtype\":\"U8\",\"shape\":[-1],\"data_offsets\":[0,0]}}", 0,
     CLO_FORMAT},
    {"fraction", "{\"w\":{\"dtype\":\"U8\",\"shape\":[1.0],\"data_offsets\":[0,1]}}", 1,
     CLO_FORMAT},
    {"exponent", "{\"w\":{\"dtype\":\"U8\",\"shape\":[1e0],\"data_offsets\":[0,1]}}", 1,
     CLO_FORMAT},
    {"three offsets", "{\"w\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1,1]}}", 1,
     CLO_FORMAT},
    {"unknown type", "{\"w\":{\"dtype\":\"F31\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0,
     CLO_FORMAT},
    {"unknown member",
     "{\"w\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0],\"extra\":1}}", 0, CLO_FORMAT},
    {"member missing", "{\"w\":{\"dtype\":\"U8\",\"shape\":[0]}}", 0, CLO_FORMAT},
    {"entry no object", "{\"w\":3}", 0, CLO_FORMAT},
    {"too many dimensions",
     "{\"w\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}", 1, CLO_LIMIT},
    {"metadata no object", "{\"__metadata__\":[]," W "," B "}", 32, CLO_FORMAT},
    {"metadata no text", "{\"__metadata__\":{\"a\":1}," W "," B "}", 32, CLO_FORMAT},
    {"parameter missing", "{" B "}", 8, CLO_FORMAT},
    {"parameter unknown",
     "{" W "," B ",\"z\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[32,33]}}", 33,
     CLO_FORMAT},
    {"other type", "{\"w\":{\"dtype\":\"I32\",\"shape\":[2,3],\"data_offsets\":[8,32]}," B "}", 32,
     CLO_FORMAT},
    {"other shape", "{\"w\":{\"dtype\":\"F32\",\"shape\":[3,2],\"data_offsets\":[8,32]}," B "}", 32,
     CLO_FORMAT},
};

static void the_abuse_list_is_refused(void)
{
    CLO_AUTO_PTR(clo_store) store = NULL;
    T_OK(small_store(&store));
    float kept = value_of(store, "w", 0);
    for (size_t i = 0; i < sizeof abuse / sizeof *abuse; i++) {
        CLO_AUTO(clo_buf) file = CLO_BUF_INIT;
        put_file(&file, abuse[i].header, abuse[i].data);
        clo_status status = clo_safetensors_read(clo_buf_span(&file), store);
        if (status.code != (int32_t)abuse[i].code) {
            printf("# %s\n", abuse[i].what);
        }
        T_CODE(status, abuse[i].code);
        T_CHECK(value_of(store, "w", 0) == kept);
    }
}

static void a_header_longer_than_the_file_or_100_mib_is_refused(void)
{
    CLO_AUTO_PTR(clo_store) store = NULL;
    static const uint64_t sizes[] = {9, ((uint64_t)100 << 20) + 1, UINT64_MAX};
    T_OK(small_store(&store));
    for (size_t i = 0; i < 3; i++) {
        CLO_AUTO(clo_buf) file = CLO_BUF_INIT;
        clo_put_u64le(&file, sizes[i]);
        clo_put_str(&file, "{}      ");
        T_CODE(clo_safetensors_read(clo_buf_span(&file), store), i == 0 ? CLO_FORMAT : CLO_LIMIT);
    }
}

static void every_truncation_is_refused(void)
{
    CLO_AUTO_PTR(clo_store) store = NULL;
    CLO_AUTO(clo_buf) file = CLO_BUF_INIT;
    T_OK(small_store(&store));
    T_OK(clo_safetensors_write(store, NULL, &file));
    for (size_t size = 0; size < file.size; size++) {
        T_CODE(clo_safetensors_read(CLO_SPAN(file.data, size), store), CLO_FORMAT);
    }
    T_OK(clo_safetensors_read(clo_buf_span(&file), store));
}

static void the_first_difference_is_named(void)
{
    CLO_AUTO_PTR(clo_store) store = NULL;
    CLO_AUTO(clo_buf) file = CLO_BUF_INIT;
    char text[768];
    T_OK(small_store(&store));
    put_file(&file, "{\"w\":{\"dtype\":\"F32\",\"shape\":[3,2],\"data_offsets\":[8,32]}," B "}",
             32);
    clo_status status = clo_safetensors_read(clo_buf_span(&file), store);
    clo_status_text(status, text, sizeof text);
    T_CHECK(strstr(text, "parameter 'w' has shape [3, 2], expected [2, 3]") != NULL);
}

static void entries_are_listed_in_the_order_of_the_data(void)
{
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    CLO_AUTO(clo_buf) file = CLO_BUF_INIT;
    clo_safetensor *tensors;
    size_t count;
    put_file(&file, good, 32);
    T_OK(clo_safetensors_list(clo_buf_span(&file), &arena, &tensors, &count));
    T_INT(count, 2);
    T_CHECK(clo_span_equals_str(tensors[0].name, "b") && tensors[0].data.size == 8);
    T_STR(tensors[1].dtype, "F32");
    T_INT(tensors[1].shape.dim[1], 3);
}

static void short_memory_is_a_clean_refusal(void)
{
    CLO_AUTO_PTR(clo_store) store = NULL;
    CLO_AUTO(clo_buf) file = CLO_BUF_INIT;
    T_OK(small_store(&store));
    T_OK(clo_safetensors_write(store, NULL, &file));
    clo_status status = clo_status_make(CLO_NOMEM, __FILE__, __LINE__, __func__, "start");
    for (size_t n = 0; !clo_ok(status); n++) {
        CLO_AUTO(clo_buf) out = CLO_BUF_INIT;
        allocations = 0;
        fail_at = n;
        status = clo_safetensors_read(clo_buf_span(&file), store);
        if (clo_ok(status)) {
            status = clo_safetensors_write(store, NULL, &out);
        }
        fail_at = SIZE_MAX;
        T_CHECK(clo_ok(status) || status.code == CLO_NOMEM);
        T_CHECK(n < 1000);
    }
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(what_is_written_reads_back),
        T(the_file_has_the_published_form),
        T(order_of_the_header_is_free),
        T(the_abuse_list_is_refused),
        T(a_header_longer_than_the_file_or_100_mib_is_refused),
        T(every_truncation_is_refused),
        T(the_first_difference_is_named),
        T(entries_are_listed_in_the_order_of_the_data),
        T(short_memory_is_a_clean_refusal),
    };
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
