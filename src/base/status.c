/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cause chain. Each thread holds one chain of at most eight frames in static storage, so that
 * a failure can be told when memory is gone:
 *
 *     slot   0 .. 5   the innermost six frames: what failed first, and its nearest context
 *     slot   6 .. 7   the newest two; older outer frames between are dropped and shown as "..."
 *
 * A status carries the number of its chain. Numbers are unique in the process (until 2^32 failures
 * have passed), so a status that is read after a later failure, or in another thread, finds no
 * frames and says only its code: a message of another failure is never shown.
 */
#include "cloister/base.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chars.h"

enum { FRAMES = 8, INNERMOST = 6, FRAME_TEXT = 192 };

typedef struct {
    const char *file;
    const char *function;
    int line;
    bool glued; /* the next inner frame continues this one's text: no colon between */
    char text[FRAME_TEXT];
} frame;

typedef struct {
    uint32_t id;
    int count;
    bool dropped;
    frame frames[FRAMES];
} chain;

static _Thread_local chain current;
static _Atomic uint32_t last_id;

static const char *const code_names[CLO_CODE_COUNT] = {
    [CLO_OK] = "ok",
    [CLO_INVALID] = "invalid",
    [CLO_NOMEM] = "nomem",
    [CLO_IO] = "io",
    [CLO_EOF] = "eof",
    [CLO_FORMAT] = "format",
    [CLO_LIMIT] = "limit",
    [CLO_CRYPTO] = "crypto",
    [CLO_ATTEST] = "attest",
    [CLO_POLICY] = "policy",
    [CLO_DENIED] = "denied",
    [CLO_NOTFOUND] = "notfound",
    [CLO_EXISTS] = "exists",
    [CLO_TIMEOUT] = "timeout",
    [CLO_CANCELED] = "canceled",
    [CLO_CLOSED] = "closed",
    [CLO_UNSUPPORTED] = "unsupported",
    [CLO_NUMERIC] = "numeric",
    [CLO_BUG] = "bug",
};

/* What a caller can act on; every other errno is CLO_IO. */
static const struct {
    int error;
    clo_code code;
} errno_codes[] = {
    {ENOMEM, CLO_NOMEM},           {ENOENT, CLO_NOTFOUND},
    {EEXIST, CLO_EXISTS},          {ETIMEDOUT, CLO_TIMEOUT},
    {ECANCELED, CLO_CANCELED},     {ECONNRESET, CLO_CLOSED},
    {EPIPE, CLO_CLOSED},           {ENOSYS, CLO_UNSUPPORTED},
    {EOPNOTSUPP, CLO_UNSUPPORTED}, {EAFNOSUPPORT, CLO_UNSUPPORTED},
    {ENAMETOOLONG, CLO_LIMIT},     {ECONNREFUSED, CLO_CLOSED},
};

static void chain_start(void)
{
    uint32_t id = atomic_fetch_add(&last_id, 1) + 1;
    if (id == 0) { /* 0 is "no chain" */
        id = atomic_fetch_add(&last_id, 1) + 1;
    }
    current.id = id;
    current.count = 0;
    current.dropped = false;
}

static frame *chain_push(const char *file, int line, const char *function)
{
    if (current.count == FRAMES) {
        current.frames[INNERMOST] = current.frames[FRAMES - 1];
        current.dropped = true;
        current.count--;
    }
    frame *f = &current.frames[current.count++];
    *f = (frame){.file = file, .line = line, .function = function};
    return f;
}

static CLO_PRINTF(2, 0) void frame_format(frame *f, const char *format, va_list args)
{
    if (vsnprintf(f->text, sizeof f->text, format, args) < 0) {
        f->text[0] = '\0';
    }
    clo_chars_blank_controls(f->text);
}

static bool chain_is(clo_status status)
{
    return status.id != 0 && status.id == current.id;
}

static clo_code code_of_errno(int error)
{
    for (size_t i = 0; i < sizeof errno_codes / sizeof *errno_codes; i++) {
        if (errno_codes[i].error == error) {
            return errno_codes[i].code;
        }
    }
    return CLO_IO;
}

/* Appends, cutting where `size` ends. */
static size_t append(char *out, size_t size, size_t at, const char *text)
{
    size_t length = strlen(text);
    size_t room = size - 1 - at;
    if (length > room) {
        length = room;
    }
    memcpy(out + at, text, length);
    out[at + length] = '\0';
    return at + length;
}

const char *clo_code_name(int32_t code)
{
    if (code < 0 || code >= CLO_CODE_COUNT) {
        return "unknown";
    }
    return code_names[code];
}

clo_status clo_status_make(clo_code code, const char *file, int line, const char *function,
                           const char *format, ...)
{
    chain_start();
    va_list args;
    va_start(args, format);
    frame_format(chain_push(file, line, function), format, args);
    va_end(args);
    /* A failure that calls itself fine would be taken for success. */
    return (clo_status){code == CLO_OK ? CLO_BUG : code, current.id};
}

clo_status clo_status_wrap(clo_status inner, const char *file, int line, const char *function,
                           const char *format, ...)
{
    if (clo_ok(inner)) {
        return inner;
    }
    if (!chain_is(inner)) {
        inner = clo_status_make((clo_code)inner.code, file, line, function, "%s",
                                clo_code_name(inner.code));
    }
    va_list args;
    va_start(args, format);
    frame_format(chain_push(file, line, function), format, args);
    va_end(args);
    return inner;
}

void clo_status_text(clo_status status, char *out_text, size_t size)
{
    if (size == 0) {
        return;
    }
    out_text[0] = '\0';
    if (!chain_is(status)) {
        append(out_text, size, 0, clo_code_name(status.code));
        return;
    }
    size_t at = 0;
    for (int i = current.count - 1; i >= 0; i--) {
        const frame *f = &current.frames[i];
        at = append(out_text, size, at, f->text);
        if (i == INNERMOST && current.dropped) {
            at = append(out_text, size, at, ": ...");
        }
        if (i > 0 && !f->glued) {
            at = append(out_text, size, at, ": ");
        }
    }
}

clo_status clo_status_from_errno(int error, const char *file, int line, const char *function,
                                 const char *format, ...)
{
    chain_start();
    frame *reason = chain_push(file, line, function);
    const char *text = strerrordesc_np(error);
    if (text == NULL) {
        snprintf(reason->text, sizeof reason->text, "error %d", error);
    } else {
        snprintf(reason->text, sizeof reason->text, "%s", text);
    }
    if (reason->text[0] >= 'A' && reason->text[0] <= 'Z' && reason->text[1] >= 'a') {
        reason->text[0] = (char)(reason->text[0] - 'A' + 'a');
    }
    va_list args;
    va_start(args, format);
    frame_format(chain_push(file, line, function), format, args);
    va_end(args);
    return (clo_status){code_of_errno(error), current.id};
}

void clo_status_save(clo_status status, clo_saved_status *out_saved)
{
    out_saved->code = status.code;
    clo_status_text(status, out_saved->text, sizeof out_saved->text);
}

clo_status clo_status_restore(const clo_saved_status *saved)
{
    if (saved->code == CLO_OK) {
        return CLO_STATUS_OK;
    }
    chain_start();
    size_t length = strnlen(saved->text, sizeof saved->text - 1);
    size_t pieces = length == 0 ? 1 : (length + FRAME_TEXT - 2) / (FRAME_TEXT - 1);
    for (size_t i = pieces; i-- > 0;) { /* the innermost frame holds the end of the text */
        size_t at = i * (FRAME_TEXT - 1);
        size_t count = length - at < FRAME_TEXT - 1 ? length - at : FRAME_TEXT - 1;
        frame *f = chain_push(__FILE__, __LINE__, __func__);
        f->glued = true;
        memcpy(f->text, saved->text + at, count);
    }
    return (clo_status){saved->code, current.id};
}

void clo_assert_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "cloister: broken promise: %s (%s:%d)\n", condition, file, line);
    abort();
}
