/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The status and its cause chain: what is told, to whom, and that a stale message is never told.
 */
#include <errno.h>
#include <string.h>

#include "test.h"

static clo_status fails_inside(void)
{
    CLO_FAIL(CLO_CRYPTO, "tag does not match");
}

static clo_status adds_context(const char *path)
{
    CLO_TRY_CTX(fails_inside(), "reading '%s'", path);
    return CLO_STATUS_OK;
}

static clo_status wraps_times(int times)
{
    if (times == 0) {
        return fails_inside();
    }
    CLO_TRY_CTX(wraps_times(times - 1), "level %d", times);
    return CLO_STATUS_OK;
}

static clo_status checks(bool condition)
{
    CLO_CHECK(condition, CLO_POLICY, "not %s", "allowed");
    return CLO_STATUS_OK;
}

static clo_status thread_fails(void *arg)
{
    (void)arg;
    CLO_TRY_CTX(fails_inside(), "in the thread");
    return CLO_STATUS_OK;
}

static const char *text_of(clo_status status)
{
    static char text[2048];
    clo_status_text(status, text, sizeof text);
    return text;
}

static void success_is_ok_and_has_no_chain(void)
{
    T_CHECK(clo_ok(CLO_STATUS_OK));
    T_CHECK(clo_ok(checks(true)));
    T_STR(text_of(CLO_STATUS_OK), "ok");
}

static void chain_is_told_outermost_first(void)
{
    clo_status status = adds_context("model.clo");
    T_INT(status.code, CLO_CRYPTO);
    T_STR(text_of(status), "reading 'model.clo': tag does not match");
    T_STR(text_of(checks(false)), "not allowed");
}

static void wrapping_success_stays_success(void)
{
    T_CHECK(clo_ok(clo_status_wrap(CLO_STATUS_OK, "f", 1, "g", "context")));
}

static void stale_chain_is_never_told(void)
{
    clo_status old = adds_context("old");
    clo_status fresh = checks(false);
    T_STR(text_of(old), "crypto");
    T_STR(text_of(fresh), "not allowed");
    clo_status wrapped = clo_status_wrap(old, "f", 1, "g", "outer");
    T_INT(wrapped.code, CLO_CRYPTO);
    T_STR(text_of(wrapped), "outer: crypto");
}

static void eight_frames_are_kept_and_the_gap_is_shown(void)
{
    T_STR(text_of(wraps_times(7)), "level 7: level 6: level 5: level 4: level 3: level 2: level 1: "
                                   "tag does not match");
    T_STR(text_of(wraps_times(9)), "level 9: level 8: ...: level 5: level 4: level 3: level 2: "
                                   "level 1: tag does not match");
    T_STR(text_of(wraps_times(100)),
          "level 100: level 99: ...: level 5: level 4: level 3: level 2: "
          "level 1: tag does not match");
}

static void success_code_of_a_failure_becomes_bug(void)
{
    T_CODE(clo_status_make(CLO_OK, "f", 1, "g", "never"), CLO_BUG);
}

static void text_is_cut_at_the_size_and_terminated(void)
{
    char text[12];
    memset(text, 'x', sizeof text);
    clo_status status = adds_context("model.clo");
    clo_status_text(status, text, sizeof text);
    T_STR(text, "reading 'mo");
    clo_status_text(status, text, 1);
    T_STR(text, "");
    text[0] = 'x';
    clo_status_text(status, text, 0);
    T_INT(text[0], 'x');
}

static void long_message_is_cut_to_its_frame(void)
{
    char path[400];
    memset(path, 'a', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    clo_status status = adds_context(path);
    T_INT(strlen(text_of(status)), 191 + strlen(": tag does not match"));
}

static void control_characters_are_blanked(void)
{
    T_STR(text_of(adds_context("a\nb\x1b[1mc\x7f")), "reading 'a?b?[1mc?': tag does not match");
    T_STR(text_of(adds_context("\xc3\xa9")), "reading '\xc3\xa9': tag does not match");
}

static void every_code_has_a_name(void)
{
    for (int32_t code = 0; code < CLO_CODE_COUNT; code++) {
        T_CHECK(clo_code_name(code) != NULL && clo_code_name(code)[0] != '\0');
        T_CHECK(strcmp(clo_code_name(code), "unknown") != 0);
    }
    T_STR(clo_code_name(-1), "unknown");
    T_STR(clo_code_name(CLO_CODE_COUNT), "unknown");
    T_STR(clo_code_name(INT32_MIN), "unknown");
}

static clo_status from_errno(int error)
{
    errno = error;
    return CLO_ERRNO("open '%s'", "x");
}

static void errno_becomes_a_code_and_a_reason(void)
{
    static const struct {
        int error;
        clo_code code;
    } rows[] = {{ENOENT, CLO_NOTFOUND},   {EEXIST, CLO_EXISTS},       {ENOMEM, CLO_NOMEM},
                {ETIMEDOUT, CLO_TIMEOUT}, {ECANCELED, CLO_CANCELED},  {ECONNRESET, CLO_CLOSED},
                {EPIPE, CLO_CLOSED},      {ECONNREFUSED, CLO_CLOSED}, {ENOSYS, CLO_UNSUPPORTED},
                {EACCES, CLO_IO},         {ENOSPC, CLO_IO},           {0, CLO_IO}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_CODE(from_errno(rows[i].error), rows[i].code);
    }
    T_STR(text_of(from_errno(ENOENT)), "open 'x': no such file or directory");
    T_STR(text_of(from_errno(99999)), "open 'x': error 99999");
}

static void saved_chain_outlives_later_failures(void)
{
    clo_saved_status saved;
    clo_status_save(adds_context("kept"), &saved);
    (void)checks(false);
    clo_status status = clo_status_restore(&saved);
    T_INT(status.code, CLO_CRYPTO);
    T_STR(text_of(status), "reading 'kept': tag does not match");
    clo_status_save(CLO_STATUS_OK, &saved);
    T_OK(clo_status_restore(&saved));
}

static void saved_chain_of_any_length_comes_back_whole(void)
{
    static const size_t lengths[] = {0, 1, 190, 191, 192, 382, 383, 766, 767};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        clo_saved_status saved = {.code = CLO_IO};
        for (size_t j = 0; j < lengths[i]; j++) {
            saved.text[j] = (char)('a' + j % 26);
        }
        T_STR(text_of(clo_status_restore(&saved)), saved.text);
    }
}

static void restored_chain_takes_more_context(void)
{
    clo_saved_status saved;
    clo_status_save(adds_context("kept"), &saved);
    clo_status status = clo_status_wrap(clo_status_restore(&saved), "f", 1, "g", "rank 1");
    T_STR(text_of(status), "rank 1: reading 'kept': tag does not match");
}

static void another_threads_status_tells_only_its_code(void)
{
    clo_thread *thread;
    clo_status mine = checks(false);
    T_OK(clo_thread_start(thread_fails, NULL, "fails", &thread));
    T_STR(text_of(mine), "not allowed");
    clo_status status = clo_thread_join(thread);
    T_INT(status.code, CLO_CRYPTO);
    T_STR(text_of(status), "in the thread: tag does not match");
    T_STR(text_of(mine), "policy");
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(success_is_ok_and_has_no_chain),
        T(chain_is_told_outermost_first),
        T(wrapping_success_stays_success),
        T(stale_chain_is_never_told),
        T(eight_frames_are_kept_and_the_gap_is_shown),
        T(success_code_of_a_failure_becomes_bug),
        T(text_is_cut_at_the_size_and_terminated),
        T(long_message_is_cut_to_its_frame),
        T(control_characters_are_blanked),
        T(every_code_has_a_name),
        T(errno_becomes_a_code_and_a_reason),
        T(saved_chain_outlives_later_failures),
        T(saved_chain_of_any_length_comes_back_whole),
        T(restored_chain_takes_more_context),
        T(another_threads_status_tells_only_its_code),
    };
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
