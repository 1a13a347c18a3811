/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The strict JSON reader: what it takes, what it refuses and where, typed access.
 */
#include <stdio.h>
#include <string.h>

#include "test.h"

static clo_arena arena;

static clo_status parse(const char *text, const clo_json **out_root)
{
    clo_arena_release(&arena);
    return clo_json_parse(clo_span_of_str(text), &arena, out_root);
}

static const clo_json *parsed(const char *text)
{
    const clo_json *root = NULL;
    return clo_ok(parse(text, &root)) ? root : NULL;
}

static const char *error_of(const char *text)
{
    static char message[512];
    const clo_json *root;
    clo_status_text(parse(text, &root), message, sizeof message);
    return message;
}

static const char *const good_texts[] = {"null",
                                         " true ",
                                         "false",
                                         "0",
                                         "-0",
                                         "12",
                                         "-1.5e+3",
                                         "1E5",
                                         "1e-2",
                                         "0.1",
                                         "\"\"",
                                         "[]",
                                         "{}",
                                         "[1,2,[3,{}]]",
                                         "{\"a\":1,\"b\":{\"a\":2}}",
                                         "\t\n\r [ ] \n",
                                         "\"\\u00e9\\ud83d\\ude00\"",
                                         "\"\x7f\xc3\xa9\xf4\x8f\xbf\xbf\"",
                                         "{\"\":1}",
                                         "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]"};

static const char *const bad_texts[] = {"",
                                        " ",
                                        "nul",
                                        "nulll",
                                        "True",
                                        "[",
                                        "]",
                                        "{",
                                        "}",
                                        "[1",
                                        "[1,",
                                        "[1,]",
                                        "[,1]",
                                        "[1 2]",
                                        "{\"a\"}",
                                        "{\"a\":}",
                                        "{\"a\":1,}",
                                        "{,}",
                                        "{a:1}",
                                        "{'a':1}",
                                        "{\"a\":1 \"b\":2}",
                                        "{1:2}",
                                        "01",
                                        "-01",
                                        "00",
                                        "-",
                                        "+1",
                                        ".5",
                                        "1.",
                                        "1.e1",
                                        "1e",
                                        "1e+",
                                        "0x1",
                                        "1_000",
                                        "NaN",
                                        "Infinity",
                                        "-Infinity",
                                        "1 2",
                                        "[] []",
                                        "\"",
                                        "\"abc",
                                        "\"\\\"",
                                        "\"\\x41\"",
                                        "\"\\u12\"",
                                        "\"\\u12g4\"",
                                        "\"\\ud800\"",
                                        "\"\\ud800x\"",
                                        "\"\\ud800\\n\"",
                                        "\"\\ud800\\u0041\"",
                                        "\"\\udc00\"",
                                        "\"\\udc00\\ud800\"",
                                        "\"\\u0000\"",
                                        "\"a\nb\"",
                                        "\"a\tb\"",
                                        "\"\x01\"",
                                        "\"\x80\"",
                                        "\"\xc0\x80\"",
                                        "\"\xed\xa0\x80\"",
                                        "\"\xf5\x80\x80\x80\"",
                                        "\"\xc3\"",
                                        "\"\\",
                                        "\xef\xbb\xbf{}",
                                        "// c\n1",
                                        "/* c */1",
                                        "[1]\x0c",
                                        "{\"a\":1,\"a\":2}",
                                        "{\"a\":1,\"b\":2,\"\\u0061\":3}",
                                        "{\"\":1,\"\":2}"};

static void well_formed_texts_are_taken(void)
{
    const clo_json *root;
    for (size_t i = 0; i < sizeof good_texts / sizeof *good_texts; i++) {
        T_OK(parse(good_texts[i], &root));
    }
}

static void malformed_texts_are_refused(void)
{
    for (size_t i = 0; i < sizeof bad_texts / sizeof *bad_texts; i++) {
        const clo_json *root = NULL;
        T_CODE(parse(bad_texts[i], &root), CLO_FORMAT);
        T_CHECK(root == NULL);
    }
    const clo_json *root = NULL;
    T_CODE(clo_json_parse(CLO_SPAN("1\0", 2), &arena, &root), CLO_FORMAT);
    T_CODE(clo_json_parse(CLO_SPAN("\"a\0b\"", 5), &arena, &root), CLO_FORMAT);
}

static void every_cut_of_a_text_is_refused(void)
{
    static const char text[] =
        "{\"a\":[1.5e3,true,null,\"\\u00e9\\ud83d\\ude00\"],\"b\":{\"c\":\"\xc3\xa9\"}}";
    const clo_json *root = NULL;
    for (size_t size = 0; size < sizeof text - 1; size++) {
        clo_arena_release(&arena);
        T_CODE(clo_json_parse(CLO_SPAN(text, size), &arena, &root), CLO_FORMAT);
    }
    clo_arena_release(&arena);
    T_OK(clo_json_parse(CLO_SPAN(text, sizeof text - 1), &arena, &root));
}

static void errors_name_line_and_column(void)
{
    T_STR(error_of("{\n  \"a\": 1,\n  \"b\" 2\n}"), "line 3 column 7: expected ':'");
    T_STR(error_of("[1, 02]"), "line 1 column 6: a number with a leading zero");
    T_STR(error_of("[\"\xc3\xa9\", x]"), "line 1 column 7: expected a value");
    T_STR(error_of("{\"a\":1,\n \"a\":2}"), "line 2 column 6: a second member of the same name");
    T_STR(error_of("[1"), "line 1 column 3: expected ',' or ']'");
    T_STR(error_of("\"abc"), "line 1 column 5: a string without end");
}

static void tree_has_the_shape_of_the_text(void)
{
    const clo_json *root = parsed("{ \"tcb\": [1, 2], \"ok\" : true }");
    T_CHECK(root != NULL && root->type == CLO_JSON_OBJECT && root->count == 2);
    const clo_json *tcb = root->child;
    T_CHECK(clo_span_equals_str(tcb->name, "tcb") && tcb->type == CLO_JSON_ARRAY);
    T_INT(tcb->count, 2);
    T_CHECK(clo_span_equals_str(tcb->child->string, "1"));
    T_CHECK(clo_span_equals_str(tcb->child->next->raw, "2") && tcb->child->next->next == NULL);
    T_CHECK(tcb->next->boolean && tcb->next->next == NULL);
}

static void values_remember_their_exact_bytes(void)
{
    const clo_json *root = parsed(" { \"a\" : { \"x\" :\t[ 1 ,2 ] } , \"b\":\"q\\n\" } ");
    T_CHECK(root != NULL);
    T_CHECK(clo_span_equals_str(root->child->raw, "{ \"x\" :\t[ 1 ,2 ] }"));
    T_CHECK(clo_span_equals_str(root->child->next->raw, "\"q\\n\""));
    T_CHECK(clo_span_equals_str(root->child->next->string, "q\n"));
    T_CHECK(root->raw.data[0] == '{' && root->raw.data[root->raw.size - 1] == '}');
}

static void escapes_become_characters(void)
{
    const clo_json *root =
        parsed("[\"a\\\"\\\\\\/\\b\\f\\n\\r\\tz\",\"\\u0041\\u00e9\\u20AC\\uD83D\\uDE00\"]");
    T_CHECK(root != NULL);
    T_CHECK(clo_span_equals_str(root->child->string, "a\"\\/\b\f\n\r\tz"));
    T_CHECK(
        clo_span_equals_str(root->child->next->string, "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"));
}

static void depth_ends_at_thirty_two(void)
{
    char text[80] = "";
    const clo_json *root;
    memset(text, '[', 32);
    memset(text + 32, ']', 32);
    T_OK(parse(text, &root));
    memset(text, '[', 33);
    memset(text + 33, ']', 33);
    T_CODE(parse(text, &root), CLO_LIMIT);
    CLO_AUTO(clo_buf) deep = CLO_BUF_INIT;
    for (int i = 0; i < 1000000; i++) {
        clo_put_str(&deep, "[");
    }
    clo_arena_release(&arena);
    T_CODE(clo_json_parse(clo_buf_span(&deep), &arena, &root), CLO_LIMIT);
}

/* "[0,0,...]" with `values` values, the array's own counted. */
static void put_flat_array(clo_buf *out, int values)
{
    clo_put_str(out, "[0");
    for (int i = 2; i < values; i++) {
        clo_put_str(out, ",0");
    }
    clo_put_str(out, "]");
}

static void values_end_at_sixty_five_thousand(void)
{
    CLO_AUTO(clo_buf) text = CLO_BUF_INIT;
    const clo_json *root;
    put_flat_array(&text, 65536);
    clo_arena_release(&arena);
    T_OK(clo_json_parse(clo_buf_span(&text), &arena, &root));
    T_INT(root->count, 65535);
    clo_buf_clear(&text);
    put_flat_array(&text, 65537);
    clo_arena_release(&arena);
    T_CODE(clo_json_parse(clo_buf_span(&text), &arena, &root), CLO_LIMIT);
}

static void many_members_cost_no_more_than_sorting(void)
{
    CLO_AUTO(clo_buf) text = CLO_BUF_INIT;
    const clo_json *root;
    clo_put_str(&text, "{");
    for (int i = 0; i < 60000; i++) {
        clo_put_format(&text, "\"aaaaaaaaaaaaaaaaaaaaaaaa%d\":0,", i);
    }
    size_t size = text.size;
    clo_put_str(&text, "\"b\":0}");
    clo_arena_release(&arena);
    int64_t before = clo_clock_ms();
    T_OK(clo_json_parse(clo_buf_span(&text), &arena, &root));
    T_CHECK(clo_clock_ms() - before < 3000);
    text.size = size;
    clo_put_str(&text, "\"aaaaaaaaaaaaaaaaaaaaaaaa31415\":0}");
    clo_arena_release(&arena);
    T_CODE(clo_json_parse(clo_buf_span(&text), &arena, &root), CLO_FORMAT);
}

static void tree_too_large_for_its_arena_is_refused(void)
{
    CLO_AUTO(clo_arena) small = CLO_ARENA_INIT;
    const clo_json *root;
    small.limit = 400;
    T_CODE(clo_json_parse(clo_span_of_str("[1,2,3,4,5,6,7,8]"), &small, &root), CLO_NOMEM);
    clo_arena_release(&small);
    T_OK(clo_json_parse(clo_span_of_str("[1]"), &small, &root));
}

/* Whichever of the tree's parts meets the arena's end first, nothing is given out. */
static void every_size_of_arena_is_survived(void)
{
    static const char text[] = "{\"a\":\"\\n and more\",\"b\":[1,{\"c\":2,\"d\":\"\\t\"}]}";
    size_t refused = 0;
    for (size_t limit = 16; limit < 4000; limit += 16) {
        CLO_AUTO(clo_arena) small = CLO_ARENA_INIT;
        const clo_json *root = NULL;
        small.limit = limit;
        clo_status status = clo_json_parse(clo_span_of_str(text), &small, &root);
        T_CHECK(clo_ok(status) ? root != NULL : status.code == CLO_NOMEM && root == NULL);
        refused += !clo_ok(status);
    }
    T_CHECK(refused > 20 && refused < 200);
}

static void members_are_read_by_type(void)
{
    const clo_json *o = parsed("{\"s\":\"text\",\"n\":42,\"d\":-0.5,\"b\":true,\"h\":\"00ff\","
                               "\"e\":\"Zm9v\",\"t\":\"2026-11-20T09:55:12Z\",\"z\":null,"
                               "\"max\":18446744073709551615}");
    clo_span text;
    uint64_t number;
    double real;
    bool boolean = false;
    int64_t moment;
    uint8_t bytes[2];
    const clo_json *value;
    CLO_AUTO(clo_buf) buf = CLO_BUF_INIT;
    T_CHECK(o != NULL);
    T_OK(clo_json_str(o, "s", &text));
    T_CHECK(clo_span_equals_str(text, "text"));
    T_OK(clo_json_u64(o, "n", 42, &number));
    T_INT(number, 42);
    T_OK(clo_json_u64(o, "max", UINT64_MAX, &number));
    T_CHECK(number == UINT64_MAX);
    T_OK(clo_json_double(o, "d", &real));
    T_NEAR(real, -0.5, 0);
    T_OK(clo_json_double(o, "n", &real));
    T_OK(clo_json_bool(o, "b", &boolean));
    T_CHECK(boolean);
    T_OK(clo_json_hex(o, "h", bytes, 2));
    T_CHECK(bytes[0] == 0 && bytes[1] == 0xff);
    T_OK(clo_json_base64(o, "e", 3, &buf));
    T_STR(clo_buf_str(&buf), "foo");
    T_OK(clo_json_time(o, "t", &moment));
    T_INT(moment, 1795168512);
    T_OK(clo_json_member(o, "z", CLO_JSON_NULL, &value));
}

static void members_of_a_wrong_type_or_value_are_refused(void)
{
    const clo_json *o = parsed("{\"s\":\"text\",\"n\":42,\"d\":-0.5,\"e\":1e2,\"m\":-1,\"b\":true,"
                               "\"huge\":18446744073709551616,\"wide\":1e999}");
    clo_span text;
    uint64_t number = 7;
    double real;
    bool boolean;
    int64_t moment;
    uint8_t bytes[2];
    CLO_AUTO(clo_buf) buf = CLO_BUF_INIT;
    T_CHECK(o != NULL);
    T_CODE(clo_json_str(o, "n", &text), CLO_FORMAT);
    T_CODE(clo_json_str(o, "missing", &text), CLO_FORMAT);
    T_CODE(clo_json_u64(o, "s", 100, &number), CLO_FORMAT);
    T_CODE(clo_json_u64(o, "d", 100, &number), CLO_FORMAT);
    T_CODE(clo_json_u64(o, "e", 1000, &number), CLO_FORMAT);
    T_CODE(clo_json_u64(o, "m", 100, &number), CLO_FORMAT);
    T_CODE(clo_json_u64(o, "n", 41, &number), CLO_LIMIT);
    T_CODE(clo_json_u64(o, "huge", UINT64_MAX, &number), CLO_LIMIT);
    T_INT(number, 7);
    T_CODE(clo_json_double(o, "s", &real), CLO_FORMAT);
    T_CODE(clo_json_double(o, "wide", &real), CLO_FORMAT);
    T_CODE(clo_json_bool(o, "n", &boolean), CLO_FORMAT);
    T_CODE(clo_json_time(o, "s", &moment), CLO_FORMAT);
    T_CODE(clo_json_hex(o, "s", bytes, 2), CLO_FORMAT);
    T_CODE(clo_json_base64(o, "b", 10, &buf), CLO_FORMAT);
    char message[256];
    clo_status_text(clo_json_str(o, "n", &text), message, sizeof message);
    T_STR(message, "member 'n' is a number, expected a string");
}

static void numbers_of_absurd_length_are_refused_when_asked_for(void)
{
    CLO_AUTO(clo_buf) text = CLO_BUF_INIT;
    double real;
    clo_put_str(&text, "{\"n\":1");
    for (int i = 0; i < 200; i++) {
        clo_put_str(&text, "0");
    }
    clo_put_str(&text, "}");
    const clo_json *o = parsed(clo_buf_str(&text));
    T_CHECK(o != NULL);
    T_CODE(clo_json_double(o, "n", &real), CLO_FORMAT);
}

static void nothing_is_found_in_what_is_no_object(void)
{
    clo_span text;
    const clo_json *array = parsed("[{\"a\":\"x\"}]");
    T_CHECK(array != NULL && clo_json_find(array, "a") == NULL);
    T_CHECK(clo_json_find(NULL, "a") == NULL);
    T_CODE(clo_json_str(array, "a", &text), CLO_FORMAT);
    T_OK(clo_json_str(array->child, "a", &text));
}

static void misspelt_members_are_named_with_the_nearest(void)
{
    static const char *const names[] = {"roles", "until", NULL};
    char message[256];
    const clo_json *o = parsed("{\"roles\":1,\"util\":2}");
    T_CHECK(o != NULL);
    clo_status_text(clo_json_only(o, names), message, sizeof message);
    T_STR(message, "unknown member 'util', did you mean 'until'");
    o = parsed("{\"something else\":2}");
    T_CHECK(o != NULL);
    clo_status_text(clo_json_only(o, names), message, sizeof message);
    T_STR(message, "unknown member 'something else'");
    o = parsed("{\"until\":1}");
    T_CHECK(o != NULL);
    T_OK(clo_json_only(o, names));
    T_CODE(clo_json_only(parsed("[]"), names), CLO_FORMAT);
}

static void real_collateral_is_parsed_and_its_bytes_kept(void)
{
    const char *path = clo_test_shared("vectors/json-negative/report-data_v3-tcbinfo_sgx.json");
    if (path == NULL) {
        T_SKIP("no shared vectors");
    }
    CLO_AUTO(clo_buf) file = CLO_BUF_INIT;
    const clo_json *root;
    clo_test_read(path, &file);
    clo_arena_release(&arena);
    T_OK(clo_json_parse(clo_buf_span(&file), &arena, &root));
    T_CHECK(root->type == CLO_JSON_OBJECT && root->count > 0);
    const clo_json *again;
    T_OK(clo_json_parse(root->child->raw, &arena, &again));
    T_INT(again->count, root->child->count);
}

static void done(void)
{
    clo_arena_release(&arena);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(well_formed_texts_are_taken),
        T(malformed_texts_are_refused),
        T(every_cut_of_a_text_is_refused),
        T(errors_name_line_and_column),
        T(tree_has_the_shape_of_the_text),
        T(values_remember_their_exact_bytes),
        T(escapes_become_characters),
        T(depth_ends_at_thirty_two),
        T(values_end_at_sixty_five_thousand),
        T(many_members_cost_no_more_than_sorting),
        T(tree_too_large_for_its_arena_is_refused),
        T(every_size_of_arena_is_survived),
        T(members_are_read_by_type),
        T(members_of_a_wrong_type_or_value_are_refused),
        T(numbers_of_absurd_length_are_refused_when_asked_for),
        T(nothing_is_found_in_what_is_no_object),
        T(misspelt_members_are_named_with_the_nearest),
        T(real_collateral_is_parsed_and_its_bytes_kept),
    };
    int result = clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
    done();
    return result;
}
