/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several children at once: their captured output, cut into lines, goes to one callback; the first
 * failure starts the grace of the others.
 */
#include "cloister/launch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define GROUP_MAX      64
#define LINE_MAX_BYTES (64 * 1024)

typedef struct {
    int fd; /* -1: ended or not captured */
    size_t process;
    clo_stream stream;
    clo_buf line;
} line_source;

typedef struct {
    clo_process **processes;
    size_t count;
    const clo_process_group_options *options;
    line_source sources[2 * GROUP_MAX];
    bool ended[GROUP_MAX];
    size_t running;
    size_t first_failed;
    int first_code;
    clo_deadline grace;
    bool ending, terminated;
} group_state;

static void take_lines(group_state *state, line_source *source, clo_span bytes)
{
    for (size_t i = 0; i < bytes.size; i++) {
        if (bytes.data[i] == '\n' || source->line.size == LINE_MAX_BYTES) {
            state->options->line(state->options->arg, source->process, source->stream,
                                 clo_buf_span(&source->line));
            clo_buf_clear(&source->line);
        }
        if (bytes.data[i] != '\n') {
            clo_put_u8(&source->line, bytes.data[i]);
        }
    }
}

static void read_source(group_state *state, line_source *source)
{
    uint8_t bytes[4096];
    ssize_t got = read(source->fd, bytes, sizeof bytes);
    if (got > 0) {
        take_lines(state, source, CLO_SPAN(bytes, (size_t)got));
        return;
    }
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (source->line.size > 0) {
        take_lines(state, source, CLO_SPAN("\n", 1));
    }
    source->fd = -1;
}

static void read_ready(group_state *state, int wait_ms)
{
    struct pollfd polls[2 * GROUP_MAX];
    size_t at[2 * GROUP_MAX];
    nfds_t count = 0;
    for (size_t i = 0; i < 2 * state->count; i++) {
        if (state->sources[i].fd >= 0) {
            at[count] = i;
            polls[count++] = (struct pollfd){state->sources[i].fd, POLLIN, 0};
        }
    }
    if (poll(polls, count, wait_ms) <= 0) {
        return;
    }
    for (nfds_t i = 0; i < count; i++) {
        if (polls[i].revents) {
            read_source(state, &state->sources[at[i]]);
        }
    }
}

static void begin_ending(group_state *state, int64_t grace_ms)
{
    if (!state->ending) {
        state->ending = true;
        state->grace = clo_deadline_in(grace_ms);
    }
}

static void note_ended(group_state *state, size_t i, int code)
{
    state->ended[i] = true;
    state->running--;
    if (state->options->ended) {
        state->options->ended(state->options->arg, i, code);
    }
    if (code != 0 && state->first_code == 0) {
        state->first_failed = i;
        state->first_code = code;
        begin_ending(state, state->options->grace_ms);
    }
}

/* A process has ended when its streams have, so that all its lines come first; one whose streams
 * somebody else still holds has, once the group was told to end. */
static void reap_all(group_state *state)
{
    for (size_t i = 0; i < state->count; i++) {
        int code = 0;
        bool drained =
            state->terminated || (state->sources[2 * i].fd < 0 && state->sources[2 * i + 1].fd < 0);
        if (!state->ended[i] && drained &&
            clo_ok(clo_process_wait(state->processes[i], clo_deadline_in(0), &code))) {
            note_ended(state, i, code);
        }
    }
}

static void signal_all(group_state *state, int signal_number)
{
    for (size_t i = 0; i < state->count; i++) {
        if (!state->ended[i]) {
            clo_process_signal(state->processes[i], signal_number);
        }
    }
}

/* Grace, then SIGTERM, then (10 s later) SIGKILL. */
static void press(group_state *state)
{
    if (state->options->stop && *state->options->stop && !state->terminated) {
        begin_ending(state, 0);
    }
    if (!state->ending || !clo_deadline_passed(state->grace)) {
        return;
    }
    signal_all(state, state->terminated ? SIGKILL : SIGTERM);
    state->terminated = true;
    state->grace = clo_deadline_in(10000);
}

static void open_sources(group_state *state)
{
    for (size_t i = 0; i < state->count; i++) {
        int fds[2] = {clo_process_out(state->processes[i]), clo_process_err(state->processes[i])};
        for (size_t s = 0; s < 2; s++) {
            state->sources[2 * i + s] = (line_source){
                .fd = fds[s],
                .process = i,
                .stream = s == 0 ? CLO_STREAM_OUT : CLO_STREAM_ERR,
                .line = CLO_BUF_LIMIT(LINE_MAX_BYTES + 1),
            };
        }
    }
}

clo_status clo_process_group_run(clo_process **processes, size_t count,
                                 const clo_process_group_options *options, clo_deadline deadline)
{
    CLO_CHECK(count <= GROUP_MAX, CLO_LIMIT, "%zu processes, at most %d", count, GROUP_MAX);
    group_state *state = clo_alloc(sizeof *state);
    CLO_CHECK(state, CLO_NOMEM, "no memory for %zu processes", count);
    state->processes = processes;
    state->count = state->running = count;
    state->options = options;
    open_sources(state);
    bool late = false;
    while (state->running > 0) {
        read_ready(state, 20);
        reap_all(state);
        if (!late && clo_deadline_passed(deadline)) {
            late = true;
            begin_ending(state, 0);
        }
        press(state);
    }
    size_t failed = state->first_failed;
    int code = state->first_code;
    for (size_t i = 0; i < 2 * count; i++) {
        clo_buf_release(&state->sources[i].line);
    }
    clo_free(state);
    CLO_CHECK(!late, CLO_TIMEOUT, "the processes did not end in time");
    CLO_CHECK(code == 0, CLO_DENIED, "process %zu of %zu ended with code %d", failed + 1, count,
              code);
    return CLO_STATUS_OK;
}
