/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLOISTER_BASE_H
#define CLOISTER_BASE_H

/*
 * base: the ground every room stands on. It depends on libc only.
 *
 * What is here, in reading order: the status every fallible function returns; memory; the four
 * shapes of bytes (span, buf, reader, secret); the arena; text codecs; the clock and deadlines;
 * files; threads; sockets; the log; strict JSON.
 *
 * Invariants of the whole library:
 *   - A function that can fail returns clo_status, and writes its out_ parameters only on CLO_OK.
 *   - Every byte from outside is read through clo_reader or clo_json; every size from outside has a
 *     cap; every size computation is overflow-checked (clo_size_mul, clo_size_add).
 *   - Every wait takes a clo_deadline.
 *   - The library writes nothing to the terminal by itself: see the log's sink.
 *
 * Threads: an object belongs to one thread at a time unless its comment says otherwise. Status
 * frames are thread-local. The log sink is the only global state that callers must set up; the
 * floor of the clock and the pages of secrets look after themselves.
 *
 * Numbers are read and written in the C locale: a program must not set LC_NUMERIC.
 *
 * Usage sketch:
 *
 *     clo_status load(const char *path, uint32_t *out_count)
 *     {
 *         CLO_AUTO(clo_buf) file = CLO_BUF_INIT;
 *         CLO_TRY_CTX(clo_file_read(path, 1 << 20, &file), "loading '%s'", path);
 *         clo_reader r = clo_reader_of(clo_buf_span(&file));
 *         uint32_t count = clo_read_u32be(&r);
 *         CLO_TRY(clo_reader_finish(&r, "the header"));
 *         CLO_CHECK(count > 0, CLO_FORMAT, "count is zero");
 *         *out_count = count;
 *         return CLO_STATUS_OK;
 *     }
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLO_API                        __attribute__((visibility("default")))
#define CLO_MUST_USE                   __attribute__((warn_unused_result))
#define CLO_PRINTF(format_at, args_at) __attribute__((format(printf, format_at, args_at)))

/* ---------------------------------------------------------------- status ---------------------- */

/* By what the caller can do about it, not by place: the place is in the message. */
typedef enum {
    CLO_OK = 0,
    CLO_INVALID, /* the caller's argument or configuration is wrong */
    CLO_NOMEM,   /* out of memory, or a cap on memory reached */
    CLO_IO,      /* the operating system refused a read, write, rename ... */
    CLO_EOF,     /* the input ended where it may end */
    CLO_FORMAT,  /* bytes from outside do not have the form they must have */
    CLO_LIMIT,   /* bytes from outside exceed a documented cap */
    CLO_CRYPTO,  /* a MAC, tag or signature does not hold */
    CLO_ATTEST,  /* evidence is bad */
    CLO_POLICY,  /* evidence is good, but not allowed */
    CLO_DENIED,  /* the peer or broker refused */
    CLO_NOTFOUND,
    CLO_EXISTS,
    CLO_TIMEOUT, /* a deadline passed */
    CLO_CANCELED,
    CLO_CLOSED, /* the peer closed the connection */
    CLO_UNSUPPORTED,
    CLO_NUMERIC, /* NaN or infinity where numbers must be finite */
    CLO_BUG,     /* a promise of our own is broken */
    CLO_CODE_COUNT
} clo_code;

/* Returned by value, in one register. `id` ties it to the frames of its cause chain, so that a
 * stale message can never be shown. A struct, so that an int cannot pass for one. */
typedef struct {
    int32_t code;
    uint32_t id;
} clo_status;

#define CLO_STATUS_OK ((clo_status){CLO_OK, 0})

static inline bool clo_ok(clo_status status)
{
    return status.code == CLO_OK;
}

/* "invalid", "crypto" ...; never NULL, also for numbers that are no code. */
const char *clo_code_name(int32_t code);

/* Starts a new cause chain in this thread and returns its status. Use CLO_FAIL. Text rules: lower
 * case, no full stop, what failed first, subject in single quotes, no secrets, no file contents. */
clo_status clo_status_make(clo_code code, const char *file, int line, const char *function,
                           const char *format, ...) CLO_PRINTF(5, 6);

/* Adds an outer frame to the chain of `inner`, keeping its code. At most eight frames are kept: the
 * innermost six and the newest. Use CLO_TRY_CTX. */
clo_status clo_status_wrap(clo_status inner, const char *file, int line, const char *function,
                           const char *format, ...) CLO_PRINTF(5, 6);

/* Writes the chain, outermost first ("starting rank 1: reading 'x': chunk 3: tag does not match"),
 * always NUL-terminated; a status whose frames are gone gives its code's name. */
void clo_status_text(clo_status status, char *out_text, size_t size);

/* The converter for errno, the only one. `doing` as in "open". */
clo_status clo_status_from_errno(int error, const char *file, int line, const char *function,
                                 const char *format, ...) CLO_PRINTF(5, 6);

/* A chain that can cross threads and outlive later failures: save copies, restore makes a new
 * one. */
typedef struct {
    int32_t code;
    char text[768];
} clo_saved_status;

void clo_status_save(clo_status status, clo_saved_status *out_saved);
clo_status clo_status_restore(const clo_saved_status *saved);

/* The four guards; each returns from the calling function. */
#define CLO_FAIL(code, ...) return clo_status_make(code, __FILE__, __LINE__, __func__, __VA_ARGS__)

#define CLO_TRY(expression)                                                                        \
    do {                                                                                           \
        clo_status clo_try_status = (expression);                                                  \
        if (!clo_ok(clo_try_status)) {                                                             \
            return clo_try_status;                                                                 \
        }                                                                                          \
    } while (0)

#define CLO_TRY_CTX(expression, ...)                                                               \
    do {                                                                                           \
        clo_status clo_try_status = (expression);                                                  \
        if (!clo_ok(clo_try_status)) {                                                             \
            return clo_status_wrap(clo_try_status, __FILE__, __LINE__, __func__, __VA_ARGS__);     \
        }                                                                                          \
    } while (0)

#define CLO_CHECK(condition, code, ...)                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            CLO_FAIL(code, __VA_ARGS__);                                                           \
        }                                                                                          \
    } while (0)

#define CLO_ERRNO(...) clo_status_from_errno(errno, __FILE__, __LINE__, __func__, __VA_ARGS__)

/* For broken promises of our own, on in release too; aborts. Never for input from outside. */
#define CLO_ASSERT(condition)                                                                      \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0)) {                                                   \
            clo_assert_failed(#condition, __FILE__, __LINE__);                                     \
        }                                                                                          \
    } while (0)

_Noreturn void clo_assert_failed(const char *condition, const char *file, int line);

/* ---------------------------------------------------------------- memory ---------------------- */

/* All allocation goes through these; raw malloc is banned outside base/mem.c. The memory is zeroed.
 * NULL when out of memory or when the product overflows. free accepts NULL. */
void *clo_alloc(size_t size);
void *clo_alloc_array(size_t count, size_t size);
/* 64-byte aligned, transparent huge pages advised when large; freed by clo_free as well. */
void *clo_alloc_aligned(size_t size);
/* Keeps the contents, zeroes what is new, wipes what is left behind. NULL leaves `memory` valid. */
void *clo_realloc_array(void *memory, size_t old_count, size_t count, size_t size);
void clo_free(void *memory);
/* A copy of at most 1 MiB of text; NULL when out of memory. */
char *clo_strdup(const char *text);

/* Asked before every allocation. Production's answer is always false; a test program defines its
 * own to make the n-th allocation fail. */
bool clo_mem_should_fail(void);

/* False on overflow, and *out is then unset. */
bool clo_size_mul(size_t a, size_t b, size_t *out);
bool clo_size_add(size_t a, size_t b, size_t *out);

/* Zeroing that the compiler may not remove. */
void clo_wipe(void *memory, size_t size);
/* Compares without data-dependent branches or addresses; sizes are public. */
bool clo_equal_ct(const void *a, const void *b, size_t size);

/* Scope cleanup: CLO_AUTO(clo_buf) b = CLO_BUF_INIT;  CLO_AUTO_PTR(clo_key) key = NULL;
 * a type T offers T_cleanup(T *) or T_free_ptr(T **), made by CLO_DEFINE_AUTO_PTR. */
#define CLO_AUTO(type)     __attribute__((cleanup(type##_cleanup))) type
#define CLO_AUTO_PTR(type) __attribute__((cleanup(type##_free_ptr))) type *
#define CLO_DEFINE_AUTO_PTR(type, free_function)                                                   \
    static inline void type##_free_ptr(type **pointer)                                             \
    {                                                                                              \
        free_function(*pointer);                                                                   \
        *pointer = NULL;                                                                           \
    }                                                                                              \
    struct clo_swallow_semicolon
/* Hands over what a CLO_AUTO_PTR holds. */
#define CLO_TAKE(pointer)                                                                          \
    __extension__({                                                                                \
        __typeof__(pointer) clo_taken = (pointer);                                                 \
        (pointer) = NULL;                                                                          \
        clo_taken;                                                                                 \
    })

/* ---------------------------------------------------------------- bytes ----------------------- */

/* Borrowed bytes: valid as long as what they were borrowed from. {NULL, 0} is the empty span. */
typedef struct {
    const uint8_t *data;
    size_t size;
} clo_span;

#define CLO_SPAN(pointer, count) ((clo_span){(const uint8_t *)(pointer), (count)})
#define CLO_SPAN_OF(array)       CLO_SPAN(array, sizeof(array))
#define CLO_SPAN_EMPTY           ((clo_span){NULL, 0})

clo_span clo_span_of_str(const char *text);
bool clo_span_equal(clo_span a, clo_span b); /* not for secrets */
bool clo_span_equals_str(clo_span a, const char *text);
bool clo_span_starts_with(clo_span a, clo_span prefix);

/* Owned, growable bytes with a limit given at creation. Appending never fails by itself: a failed
 * append sets `failed`, later ones do nothing, and clo_buf_check says so once at the end. Wiped
 * when it grows and when it is released, so it may hold plaintext. Keys belong into clo_secret;
 * texts and messages that carry keys on their way there, into a buffer made by CLO_BUF_SECRET,
 * whose memory is that of clo_secret (locked where possible, never dumped, zero in a forked child).
 * That one takes at most 16 MiB, whatever its limit. */
typedef struct {
    uint8_t *data;
    size_t size;
    size_t capacity;
    size_t limit; /* 0: CLO_BUF_DEFAULT_LIMIT */
    bool failed;
    bool over_limit; /* why: the limit, else memory */
    bool secret;     /* grows in secret memory; set while the buffer is empty */
} clo_buf;

#define CLO_BUF_DEFAULT_LIMIT ((size_t)64 << 20)
#define CLO_BUF_INIT          ((clo_buf){NULL, 0, 0, 0, false, false, false})
#define CLO_BUF_LIMIT(bytes)  ((clo_buf){NULL, 0, 0, (bytes), false, false, false})
#define CLO_BUF_SECRET(bytes) ((clo_buf){NULL, 0, 0, (bytes), false, false, true})

/* Wipes, frees; ready for use again, with its limit and its kind of memory. */
void clo_buf_release(clo_buf *buf);
/* Size 0, no failure; keeps the memory and the limit. What was written is wiped at release. */
void clo_buf_clear(clo_buf *buf);
clo_status clo_buf_check(const clo_buf *buf); /* CLO_LIMIT or CLO_NOMEM if an append failed */
clo_status clo_buf_reserve(clo_buf *buf, size_t more);
/* Room for `size` more bytes at the end, counted as appended; NULL when that failed. */
uint8_t *clo_buf_grow(clo_buf *buf, size_t size);

static inline clo_span clo_buf_span(const clo_buf *buf)
{
    return (clo_span){buf->data, buf->size};
}

static inline void clo_buf_cleanup(clo_buf *buf)
{
    clo_buf_release(buf);
}

void clo_put_u8(clo_buf *buf, uint8_t value);
void clo_put_u16be(clo_buf *buf, uint16_t value);
void clo_put_u32be(clo_buf *buf, uint32_t value);
void clo_put_u64be(clo_buf *buf, uint64_t value);
void clo_put_u16le(clo_buf *buf, uint16_t value);
void clo_put_u32le(clo_buf *buf, uint32_t value);
void clo_put_u64le(clo_buf *buf, uint64_t value);
void clo_put_bytes(clo_buf *buf, const void *bytes, size_t size);
void clo_put_span(clo_buf *buf, clo_span span);
/* u32 big-endian length, then the bytes: the form of every variable field in our own formats. */
void clo_put_var(clo_buf *buf, clo_span span);
void clo_put_str(clo_buf *buf, const char *text);
void clo_put_format(clo_buf *buf, const char *format, ...) CLO_PRINTF(2, 3);
/* The bytes with a NUL behind them that does not count; NULL when out of memory, and when an
 * earlier append failed, so that half a text is never taken for a whole one. */
const char *clo_buf_str(clo_buf *buf);

/* The cursor. Its error is sticky: read all fields, then check once with clo_reader_finish or
 * clo_reader_check. A read that does not fit returns zero or an empty span and moves nothing. */
typedef struct {
    clo_span in;
    size_t at;
    bool failed;
    size_t failed_at;
} clo_reader;

clo_reader clo_reader_of(clo_span span);
uint8_t clo_read_u8(clo_reader *r);
uint16_t clo_read_u16be(clo_reader *r);
uint32_t clo_read_u32be(clo_reader *r);
uint64_t clo_read_u64be(clo_reader *r);
uint16_t clo_read_u16le(clo_reader *r);
uint32_t clo_read_u32le(clo_reader *r);
uint64_t clo_read_u64le(clo_reader *r);
clo_span clo_read_span(clo_reader *r, size_t size);
void clo_read_copy(clo_reader *r, void *out, size_t size); /* zeroes `out` when it fails */
clo_span clo_read_var(clo_reader *r, size_t limit);        /* fails above `limit` */
size_t clo_reader_left(const clo_reader *r);
/* CLO_FORMAT naming `what` and the offset if any read failed. */
clo_status clo_reader_check(const clo_reader *r, const char *what);
/* The same, and CLO_FORMAT if bytes are left over. */
clo_status clo_reader_finish(const clo_reader *r, const char *what);

/* Keys and nothing else. On its own locked pages where the limit allows, never dumped, wiped when
 * cleared; compared with clo_equal_ct only; there is no function that prints one. */
typedef struct {
    uint8_t *data;
    size_t size;
} clo_secret;

#define CLO_SECRET_INIT ((clo_secret){NULL, 0})

/* Zeroed, 64-byte aligned; 1 byte to 16 MiB, else CLO_INVALID: an empty key is never meant. */
clo_status clo_secret_alloc(clo_secret *out_secret, size_t size);
clo_status clo_secret_copy(clo_span from, clo_secret *out_secret);
void clo_secret_clear(clo_secret *secret);

static inline clo_span clo_secret_span(const clo_secret *secret)
{
    return (clo_span){secret->data, secret->size};
}

static inline void clo_secret_cleanup(clo_secret *secret)
{
    clo_secret_clear(secret);
}

/* Memory for one request, one parse, one graph: freed whole. Allocations are zeroed, 16-byte
 * aligned, and NULL beyond the limit. */
typedef struct clo_arena_block clo_arena_block;

typedef struct {
    clo_arena_block *blocks;
    size_t used;
    size_t limit; /* 0: 256 MiB */
} clo_arena;

#define CLO_ARENA_INIT ((clo_arena){NULL, 0, 0})

void *clo_arena_alloc(clo_arena *arena, size_t size);
void *clo_arena_array(clo_arena *arena, size_t count, size_t size);
char *clo_arena_str(clo_arena *arena, clo_span text); /* NUL-terminated copy */
void clo_arena_release(clo_arena *arena);

static inline void clo_arena_cleanup(clo_arena *arena)
{
    clo_arena_release(arena);
}

/* ---------------------------------------------------------------- text ------------------------ */

/* Lower case. `out_text` takes 2 * size + 1 bytes. */
void clo_hex_encode(clo_span bytes, char *out_text);
void clo_put_hex(clo_buf *buf, clo_span bytes);
/* Exactly `size` bytes from 2 * size digits of either case, else CLO_FORMAT. */
clo_status clo_hex_decode(clo_span text, uint8_t *out_bytes, size_t size);
/* Any even number of digits up to `limit` bytes, appended. */
clo_status clo_hex_append(clo_span text, size_t limit, clo_buf *out);
/* RFC 4648 standard alphabet with padding. Decoding is strict: no white space, zero spare bits. */
void clo_put_base64(clo_buf *buf, clo_span bytes);
clo_status clo_base64_append(clo_span text, size_t limit, clo_buf *out);
/* Decimal digits only, no sign, no white space, at most `max`. */
clo_status clo_parse_u64(const char *text, uint64_t max, uint64_t *out_value);
clo_status clo_parse_double(const char *text, double *out_value); /* finite only */
/* The name nearest to `word` in a list ended by NULL (edit distance at most 3), or NULL. */
const char *clo_nearest(const char *word, const char *const *names);

/* ---------------------------------------------------------------- clock ----------------------- */

int64_t clo_clock_ms(void); /* monotonic */
int64_t clo_clock_ns(void); /* monotonic */
/* Unix seconds. All time is the host's: the value never falls below the floor, which starts at the
 * build date and is raised by clo_clock_raise_floor with signed times seen. Any thread. */
int64_t clo_clock_utc(void);
void clo_clock_raise_floor(int64_t unix_seconds);

/* "2026-11-20T09:55:12Z", exactly. `out_text` takes 21 bytes. */
void clo_time_format(int64_t unix_seconds, char out_text[21]);
clo_status clo_time_parse(clo_span text, int64_t *out_unix_seconds);

/* A moment by which something must be done. Every wait takes one. */
typedef struct {
    int64_t at_ms;
} clo_deadline;

clo_deadline clo_deadline_in(int64_t milliseconds);
clo_deadline clo_deadline_sooner(clo_deadline a, clo_deadline b);
int clo_deadline_left_ms(clo_deadline deadline); /* for poll: 0 when passed */
bool clo_deadline_passed(clo_deadline deadline);
void clo_sleep_ms(int64_t milliseconds);

/* ---------------------------------------------------------------- files ----------------------- */

/* The whole file appended to `out`; CLO_LIMIT above `limit` bytes (or above what `out` may hold),
 * CLO_NOTFOUND, CLO_IO; CLO_INVALID for what is no regular file, which could block for ever. */
clo_status clo_file_read(const char *path, size_t limit, clo_buf *out);
/* Writes beside the target, fsyncs, renames, fsyncs the folder: the old or the new file, whole.
 * The mode is set as given, whatever the umask. */
clo_status clo_file_write(const char *path, unsigned mode, clo_span bytes);
bool clo_file_exists(const char *path);
clo_status clo_dir_make(const char *path, unsigned mode); /* with parents; existing is fine */
/* With everything below; symbolic links are removed, never followed; missing is fine. */
clo_status clo_dir_remove_tree(const char *path);
/* A new folder with mode 0700: `prefix` (a path) and six random characters. */
clo_status clo_dir_make_temp(const char *prefix, char *out_path, size_t size);
/* "a/b" of "a" and "b"; CLO_LIMIT when it does not fit. */
clo_status clo_path_join(char *out_path, size_t size, const char *folder, const char *name);

/* The two halves of an atomic write, for writers that stream. begin opens a temporary file beside
 * `path`; commit makes it `path`; abort (also after a failed commit) removes it. */
typedef struct {
    int fd;
    unsigned mode;
    char path[1024];
    char temp[1056]; /* empty: nothing to remove */
} clo_atomic_file;

#define CLO_ATOMIC_FILE_INIT ((clo_atomic_file){.fd = -1})

clo_status clo_atomic_begin(const char *path, unsigned mode, clo_atomic_file *out_file);
clo_status clo_atomic_commit(clo_atomic_file *file);
void clo_atomic_abort(clo_atomic_file *file); /* does nothing after a successful commit */

static inline void clo_atomic_file_cleanup(clo_atomic_file *file)
{
    clo_atomic_abort(file);
}

/* Full transfers: short counts and EINTR are handled; a short file is CLO_FORMAT. */
clo_status clo_fd_write_all(int fd, clo_span bytes);
clo_status clo_fd_pread_all(int fd, void *out, size_t size, uint64_t offset);
/* Sleeps until the descriptor is ready for `events` (poll's bits) or the deadline: CLO_TIMEOUT. A
 * deadline that has passed is CLO_TIMEOUT also when the descriptor is ready, so that a peer that
 * drips bytes cannot hold a loop. Errors and hang-ups count as ready: the next call tells them. */
clo_status clo_fd_wait(int fd, short events, clo_deadline deadline);

/* ---------------------------------------------------------------- threads --------------------- */

typedef struct clo_thread clo_thread;
typedef struct clo_mutex clo_mutex;
typedef struct clo_cond clo_cond;

/* `run` gets `arg` and its status, with its chain, is kept until join, which frees the thread.
 * Signals are left to the threads the program made itself. */
clo_status clo_thread_start(clo_status (*run)(void *arg), void *arg, const char *name,
                            clo_thread **out_thread);
clo_status clo_thread_join(clo_thread *thread); /* NULL is fine: CLO_OK */

clo_status clo_mutex_new(clo_mutex **out_mutex);
void clo_mutex_free(clo_mutex *mutex);
void clo_mutex_lock(clo_mutex *mutex);
void clo_mutex_unlock(clo_mutex *mutex);

clo_status clo_cond_new(clo_cond **out_cond);
void clo_cond_free(clo_cond *cond);
void clo_cond_wake_all(clo_cond *cond);
/* Returns false when the deadline passed; true may be spurious. The mutex is held on return. */
bool clo_cond_wait(clo_cond *cond, clo_mutex *mutex, clo_deadline deadline);

/* ---------------------------------------------------------------- sockets --------------------- */

/* Addresses are text: "127.0.0.1:7443", "[::1]:7443", "host:port", "unix:/path". Every socket made
 * here is non-blocking, close-on-exec, and TCP_NODELAY where it is TCP. The caller closes them.
 * A wrong form is CLO_INVALID, a name nobody knows CLO_NOTFOUND, nobody listening CLO_CLOSED. A
 * Unix socket is made with mode 0600, in place of one that nobody listens on any more. */
typedef struct {
    char text[128];
} clo_address;

clo_status clo_net_listen(const char *address, int *out_fd);
/* The address a listener got (for port 0). */
clo_status clo_net_local(int fd, clo_address *out_address);
/* `out_peer` may be NULL. */
clo_status clo_net_accept(int listener, clo_deadline deadline, int *out_fd, clo_address *out_peer);
/* Tries every resolved address in turn until one answers or the deadline passes. `local_interface`
 * (NULL: any) binds the socket to that interface's address first. */
clo_status clo_net_connect(const char *address, const char *local_interface, clo_deadline deadline,
                           int *out_fd);
void clo_net_close(int fd); /* -1 is fine */

/* ---------------------------------------------------------------- log ------------------------- */

typedef enum { CLO_LOG_ERROR, CLO_LOG_WARN, CLO_LOG_INFO, CLO_LOG_DEBUG } clo_log_level;

/* One sink for the process, none by default. `line` has no newline and no secrets: callers promise
 * it. Set before threads start. */
typedef void (*clo_log_sink)(clo_log_level level, const char *module, const char *line, void *arg);
void clo_log_set_sink(clo_log_sink sink, void *arg, clo_log_level ceiling);
void clo_log(clo_log_level level, const char *module, const char *format, ...) CLO_PRINTF(3, 4);

/* ---------------------------------------------------------------- JSON ------------------------ */

/*
 * A strict reader (RFC 8259): UTF-8 checked, duplicate names refused, trailing bytes refused, no
 * NUL in strings (a C string would end there), depth at most 32 and 65536 values (CLO_LIMIT).
 * Values remember the exact bytes they were parsed from (`raw`), because signatures
 * in attestation collateral cover those. Numbers stay text until asked for; integers are exact.
 *
 *     { "tcb": [1, 2] }        object node -> member "tcb" (array node) -> element 1 -> element 2
 */
typedef enum {
    CLO_JSON_NULL,
    CLO_JSON_BOOL,
    CLO_JSON_NUMBER,
    CLO_JSON_STRING,
    CLO_JSON_ARRAY,
    CLO_JSON_OBJECT
} clo_json_type;

typedef struct clo_json clo_json;

struct clo_json {
    clo_json_type type;
    clo_span raw;    /* the bytes of the value in the input, without white space around */
    clo_span name;   /* of an object's member, unescaped */
    clo_span string; /* of a string, unescaped; number text of a number */
    bool boolean;
    uint32_t count;        /* elements or members */
    const clo_json *child; /* first element or member */
    const clo_json *next;  /* next sibling */
};

/* The tree lives in `arena` and borrows from `text`. CLO_FORMAT names line and column. */
clo_status clo_json_parse(clo_span text, clo_arena *arena, const clo_json **out_root);

/* Typed access with an error that names the member. A member that is absent or of another type, and
 * a number that is negative or no integer where one is asked for, is CLO_FORMAT; a value above its
 * maximum is CLO_LIMIT. Callers add the object's place with CLO_TRY_CTX ("policy.roles"). */
const clo_json *clo_json_find(const clo_json *object, const char *name); /* NULL when absent */
clo_status clo_json_member(const clo_json *object, const char *name, clo_json_type type,
                           const clo_json **out_value);
clo_status clo_json_str(const clo_json *object, const char *name, clo_span *out_text);
clo_status clo_json_u64(const clo_json *object, const char *name, uint64_t max,
                        uint64_t *out_value);
clo_status clo_json_double(const clo_json *object, const char *name, double *out_value);
clo_status clo_json_bool(const clo_json *object, const char *name, bool *out_value);
clo_status clo_json_time(const clo_json *object, const char *name, int64_t *out_unix_seconds);
/* A string of hex digits for exactly `size` bytes. */
clo_status clo_json_hex(const clo_json *object, const char *name, uint8_t *out, size_t size);
clo_status clo_json_base64(const clo_json *object, const char *name, size_t limit, clo_buf *out);
/* CLO_FORMAT naming the first member that is not in the list (ended by NULL), and the nearest known
 * name: a misspelt key is an error, never ignored. */
clo_status clo_json_only(const clo_json *object, const char *const *names);

/* Writing: values go to a buf; commas and colons are placed by the writer, so the output is always
 * well formed if begin and end match. Doubles are written to round-trip, NaN and infinities as
 * null; what is no UTF-8 in a text becomes U+FFFD. Depth at most 32. A name outside an object, a
 * missing one inside, a second value at the top: broken promises (CLO_ASSERT). */
typedef struct {
    clo_buf *out;
    uint32_t depth;
    bool first[33];
    bool in_object[33];
} clo_json_writer;

clo_json_writer clo_json_writer_of(clo_buf *out);
void clo_json_begin_object(clo_json_writer *w, const char *name); /* name NULL inside arrays */
void clo_json_end_object(clo_json_writer *w);
void clo_json_begin_array(clo_json_writer *w, const char *name);
void clo_json_end_array(clo_json_writer *w);
void clo_json_put_str(clo_json_writer *w, const char *name, const char *text);
void clo_json_put_text(clo_json_writer *w, const char *name, clo_span text);
void clo_json_put_hex(clo_json_writer *w, const char *name, clo_span bytes);
void clo_json_put_base64(clo_json_writer *w, const char *name, clo_span bytes);
void clo_json_put_u64(clo_json_writer *w, const char *name, uint64_t value);
void clo_json_put_double(clo_json_writer *w, const char *name, double value);
void clo_json_put_bool(clo_json_writer *w, const char *name, bool value);
void clo_json_put_time(clo_json_writer *w, const char *name, int64_t unix_seconds);
void clo_json_put_null(clo_json_writer *w, const char *name);
/* JSON text made elsewhere, placed as it is. */
void clo_json_put_raw(clo_json_writer *w, const char *name, clo_span json);

#endif
