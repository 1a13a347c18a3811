/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every allocation of every public call fails once: the call must say CLO_NOMEM, write no result,
 * leak nothing (the sanitizer build looks) and work again afterwards.
 */
#include <stdio.h>
#include <string.h>

#include "test.h"

static int fail_at = -1; /* counts down; the allocation that meets 0 fails */

bool clo_mem_should_fail(void)
{
    if (fail_at < 0) {
        return false;
    }
    return fail_at-- == 0;
}

static const char *fixture; /* a file of 100 KB */

static clo_status fill_buffer(clo_buf empty)
{
    CLO_AUTO(clo_buf) buf = empty;
    for (int i = 0; i < 300; i++) {
        clo_put_var(&buf, clo_span_of_str("field"));
        clo_put_format(&buf, "%d", i);
        clo_put_hex(&buf, clo_span_of_str("x"));
        clo_put_base64(&buf, clo_span_of_str("x"));
    }
    CLO_TRY(clo_buf_check(&buf));
    return clo_buf_str(&buf) == NULL ? clo_buf_check(&buf) : CLO_STATUS_OK;
}

static clo_status uses_buffers(void)
{
    return fill_buffer(CLO_BUF_INIT);
}

static clo_status uses_secret_buffers(void)
{
    return fill_buffer(CLO_BUF_SECRET(0));
}

static clo_status uses_decoders(void)
{
    CLO_AUTO(clo_buf) buf = CLO_BUF_INIT;
    CLO_AUTO(clo_buf) other = CLO_BUF_INIT;
    CLO_TRY(clo_hex_append(clo_span_of_str("0102"), 100, &buf));
    CLO_TRY(clo_base64_append(clo_span_of_str("Zm9v"), 100, &other));
    return CLO_STATUS_OK;
}

static clo_status uses_secrets(void)
{
    CLO_AUTO(clo_secret) small = CLO_SECRET_INIT;
    CLO_AUTO(clo_secret) large = CLO_SECRET_INIT;
    CLO_AUTO(clo_secret) copy = CLO_SECRET_INIT;
    CLO_TRY(clo_secret_alloc(&small, 32));
    CLO_TRY(clo_secret_alloc(&large, 10000));
    return clo_secret_copy(clo_secret_span(&small), &copy);
}

static clo_status uses_plain_memory(void)
{
    char *copy = clo_strdup("text");
    CLO_CHECK(copy != NULL, CLO_NOMEM, "no copy");
    char *grown = clo_realloc_array(copy, 5, 50, 1);
    bool kept = strcmp(grown == NULL ? copy : grown, "text") == 0;
    clo_free(grown == NULL ? copy : grown);
    CLO_CHECK(kept, CLO_BUG, "contents lost");
    CLO_CHECK(grown != NULL, CLO_NOMEM, "not grown");
    void *aligned = clo_alloc_aligned(100);
    CLO_CHECK(aligned != NULL, CLO_NOMEM, "not aligned");
    clo_free(aligned);
    return CLO_STATUS_OK;
}

static clo_status uses_arenas(void)
{
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    for (int i = 0; i < 20; i++) {
        CLO_CHECK(clo_arena_alloc(&arena, 3000) != NULL, CLO_NOMEM, "no arena");
    }
    CLO_CHECK(clo_arena_str(&arena, clo_span_of_str("x")) != NULL, CLO_NOMEM, "no text");
    return CLO_STATUS_OK;
}

static clo_status uses_files(void)
{
    CLO_AUTO(clo_buf) buf = CLO_BUF_INIT;
    clo_status status = clo_file_read(fixture, 1 << 20, &buf);
    CLO_CHECK(clo_ok(status) || buf.size == 0, CLO_BUG, "a part was kept");
    return status;
}

static clo_status does_nothing(void *arg)
{
    (void)arg;
    return CLO_STATUS_OK;
}

static clo_status uses_threads(void)
{
    clo_thread *thread;
    clo_mutex *mutex;
    clo_cond *cond;
    CLO_TRY(clo_thread_start(does_nothing, NULL, "nothing", &thread));
    CLO_TRY(clo_thread_join(thread));
    CLO_TRY(clo_mutex_new(&mutex));
    clo_mutex_free(mutex);
    CLO_TRY(clo_cond_new(&cond));
    clo_cond_free(cond);
    return CLO_STATUS_OK;
}

/* A name, so that the look-up in a thread is made. What it finds does not matter here. */
static clo_status uses_names(void)
{
    int fd;
    clo_status status = clo_net_connect("localhost:1", NULL, clo_deadline_in(2000), &fd);
    if (clo_ok(status)) {
        clo_net_close(fd);
    }
    return status.code == CLO_NOMEM ? status : CLO_STATUS_OK;
}

static clo_status uses_json(void)
{
    static char text[20000];
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    CLO_AUTO(clo_buf) buf = CLO_BUF_INIT;
    const clo_json *root = NULL;
    size_t at = (size_t)snprintf(text, sizeof text, "{\"a\":\"\\n\",\"b\":[0");
    while (at < sizeof text - 10) {
        at += (size_t)snprintf(text + at, sizeof text - at, ",\"\\t\"");
    }
    snprintf(text + at, sizeof text - at, "]}");
    clo_status status = clo_json_parse(clo_span_of_str(text), &arena, &root);
    CLO_CHECK(clo_ok(status) == (root != NULL), CLO_BUG, "a result with a failure");
    CLO_TRY(status);
    clo_json_writer w = clo_json_writer_of(&buf);
    clo_json_put_raw(&w, NULL, root->raw);
    return clo_buf_check(&buf);
}

/* Fails the n-th allocation for n = 0, 1, ... until the call succeeds because it makes no more. */
static void sweep(clo_status (*call)(void))
{
    enum { MOST = 1000 };

    T_OK(call());
    int n = 0;
    for (; n < MOST; n++) {
        fail_at = n;
        clo_status status = call();
        bool met = fail_at < 0;
        fail_at = -1;
        if (!met) {
            T_OK(status);
            break;
        }
        T_CODE(status, CLO_NOMEM);
    }
    T_CHECK(n > 0 && n < MOST);
    T_OK(call());
}

static void buffers_survive_every_failed_allocation(void)
{
    sweep(uses_buffers);
    sweep(uses_secret_buffers);
    sweep(uses_decoders);
}

static void memory_survives_every_failed_allocation(void)
{
    sweep(uses_plain_memory);
    sweep(uses_secrets);
    sweep(uses_arenas);
}

static void files_survive_every_failed_allocation(void)
{
    static uint8_t bytes[100000];
    char path[1200];
    T_OK(clo_path_join(path, sizeof path, clo_test_folder(), "file"));
    T_OK(clo_file_write(path, 0600, CLO_SPAN_OF(bytes)));
    fixture = path;
    sweep(uses_files);
}

static void threads_survive_every_failed_allocation(void)
{
    sweep(uses_threads);
    sweep(uses_names);
}

static void json_survives_every_failed_allocation(void)
{
    sweep(uses_json);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(buffers_survive_every_failed_allocation), T(memory_survives_every_failed_allocation),
        T(files_survive_every_failed_allocation),   T(threads_survive_every_failed_allocation),
        T(json_survives_every_failed_allocation),
    };
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
