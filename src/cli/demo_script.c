/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running the program's own commands from the demo; see demo.h.
 */
#include "demo.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define OUTPUT_LIMIT (4u << 20)

void demo_phase_begin(demo_state *demo, const char *name, const char *heading)
{
    int64_t now = clo_clock_ms();
    if (demo->phase_started && demo->phase_count > 0) {
        demo->phases[demo->phase_count - 1].seconds = (double)(now - demo->phase_started) * 1e-3;
    }
    demo->phase_started = 0;
    if (name && demo->phase_count < DEMO_PHASES_MAX) {
        demo_phase *phase = &demo->phases[demo->phase_count++];
        (void)snprintf(phase->name, sizeof phase->name, "%s", name);
        demo->phase_started = now;
        printf("\n%zu. %s\n", demo->phase_count, heading);
        (void)fflush(stdout);
    }
}

static void show_words(const char *const *words)
{
    printf("   $ cloister");
    for (size_t i = 0; words[i]; i++) {
        printf(" %s", words[i]);
    }
    printf("\n");
    (void)fflush(stdout);
}

typedef struct {
    clo_buf *out, *err;
} captured;

static void keep(void *arg, size_t process, clo_stream stream, clo_span line)
{
    captured *to = arg;
    clo_buf *buf = stream == CLO_STREAM_OUT ? to->out : to->err;
    (void)process;
    if (buf) {
        clo_put_span(buf, line);
        clo_put_u8(buf, '\n');
    }
}

clo_status demo_run(demo_state *demo, const demo_command *command, int *out_code)
{
    if (command->show) {
        show_words(command->words);
    }
    clo_process_options options = {
        .program = demo->self,
        .arguments = command->words,
        .capture_out = command->out != NULL,
        .capture_err = command->err != NULL,
    };
    captured to = {command->out, command->err};
    clo_process_group_options group = {.line = keep, .stop = &cli_stop, .arg = &to};
    CLO_AUTO_PTR(clo_process) process = NULL;
    CLO_TRY(clo_process_start(&options, &process));
    clo_status status =
        clo_process_group_run(&process, 1, &group, clo_deadline_in(command->timeout_ms));
    CLO_CHECK(clo_ok(status) || status.code == CLO_DENIED, status.code,
              "'cloister %s' did not end in time", command->words[0]);
    CLO_CHECK(!cli_stop, CLO_CANCELED, "interrupted");
    return clo_process_wait(process, clo_deadline_in(1000), out_code);
}

clo_status demo_do(demo_state *demo, const char *const *words, clo_buf *out)
{
    CLO_AUTO(clo_buf) err = CLO_BUF_LIMIT(OUTPUT_LIMIT);
    demo_command command = {words, true, 60000, out, &err};
    int code = 0;
    CLO_TRY(demo_run(demo, &command, &code));
    size_t size = err.size > 0 && err.data[err.size - 1] == '\n' ? err.size - 1 : err.size;
    CLO_CHECK(code == 0, cli_code_of_exit(code), "'cloister %s' ended with code %d: %.*s", words[0],
              code, size > 600 ? 600 : (int)size, err.data ? (const char *)err.data : "");
    return CLO_STATUS_OK;
}

clo_status demo_start(demo_state *demo, const char *const *words, clo_process **out_process)
{
    show_words(words);
    clo_process_options options = {
        .program = demo->self, .arguments = words, .capture_out = true, .capture_err = true};
    return clo_process_start(&options, out_process);
}

void demo_drain(int fd, clo_buf *text)
{
    uint8_t bytes[4096];
    ssize_t got;
    while ((got = read(fd, bytes, sizeof bytes)) > 0) {
        clo_put_bytes(text, bytes, (size_t)got);
    }
}

clo_status demo_wait_text(int fd, const char *wanted, clo_buf *text, clo_deadline deadline)
{
    for (;;) {
        demo_drain(fd, text);
        const char *all = clo_buf_str(text);
        CLO_CHECK(all, CLO_NOMEM, "no memory for a process's output");
        if (strstr(all, wanted)) {
            return CLO_STATUS_OK;
        }
        CLO_CHECK(!cli_stop, CLO_CANCELED, "interrupted");
        CLO_CHECK(!clo_deadline_passed(deadline), CLO_TIMEOUT, "waited for '%s' in vain", wanted);
        clo_sleep_ms(10);
    }
}

clo_status demo_free_port(unsigned *out_port)
{
    int fd = -1;
    clo_address address;
    CLO_TRY(clo_net_listen("127.0.0.1:0", &fd));
    clo_status status = clo_net_local(fd, &address);
    clo_net_close(fd);
    CLO_TRY(status);
    uint64_t port = 0;
    CLO_TRY(clo_parse_u64(strrchr(address.text, ':') + 1, 65535, &port));
    *out_port = (unsigned)port;
    return CLO_STATUS_OK;
}
