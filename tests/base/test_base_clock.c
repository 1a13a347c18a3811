/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time: the calendar against libc's, the floor, deadlines; and the log's sink.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "test.h"

static struct {
    int lines;
    clo_log_level level;
    char module[32];
    char line[1100];
} heard;

static void hear(clo_log_level level, const char *module, const char *line, void *arg)
{
    int *count = arg;
    (*count)++;
    heard.lines++;
    heard.level = level;
    snprintf(heard.module, sizeof heard.module, "%s", module);
    snprintf(heard.line, sizeof heard.line, "%s", line);
}

static void calendar_agrees_with_libc_over_ten_thousand_years(void)
{
    for (int64_t at = -62167219200; at <= 253402300799; at += 7654321) {
        time_t seconds = (time_t)at;
        struct tm parts;
        char expected[40];
        char text[21];
        T_CHECK(gmtime_r(&seconds, &parts) != NULL);
        snprintf(expected, sizeof expected, "%04d-%02d-%02dT%02d:%02d:%02dZ", parts.tm_year + 1900,
                 parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
        clo_time_format(at, text);
        T_STR(text, expected);
        int64_t back = 1;
        T_OK(clo_time_parse(clo_span_of_str(text), &back));
        T_INT(back, at);
    }
}

static void known_moments_read_as_they_should(void)
{
    int64_t at;
    T_OK(clo_time_parse(clo_span_of_str("1970-01-01T00:00:00Z"), &at));
    T_INT(at, 0);
    T_OK(clo_time_parse(clo_span_of_str("2000-02-29T23:59:59Z"), &at));
    T_INT(at, 951868799);
    T_OK(clo_time_parse(clo_span_of_str("2026-11-20T09:55:12Z"), &at));
    T_INT(at, 1795168512);
}

static void moments_that_are_none_are_refused(void)
{
    static const char *const wrong[] = {"",
                                        "2026-11-20",
                                        "2026-11-20T09:55:12",
                                        "2026-11-20T09:55:12Zx",
                                        "2026-11-20t09:55:12Z",
                                        "2026-11-20 09:55:12Z",
                                        "2026-11-20T09:55:12+",
                                        "2026-13-20T09:55:12Z",
                                        "2026-00-20T09:55:12Z",
                                        "2026-11-00T09:55:12Z",
                                        "2026-11-31T09:55:12Z",
                                        "2026-02-29T09:55:12Z",
                                        "1900-02-29T09:55:12Z",
                                        "2026-11-20T24:00:00Z",
                                        "2026-11-20T09:60:12Z",
                                        "2026-11-20T09:55:60Z",
                                        "202x-11-20T09:55:12Z",
                                        "-026-11-20T09:55:12Z",
                                        "2026-11-20T 9:55:12Z"};
    int64_t at = 7;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        T_CODE(clo_time_parse(clo_span_of_str(wrong[i]), &at), CLO_FORMAT);
    }
    T_INT(at, 7);
}

static void moments_beyond_four_digits_are_clamped(void)
{
    char text[21];
    clo_time_format(INT64_MAX, text);
    T_STR(text, "9999-12-31T23:59:59Z");
    clo_time_format(INT64_MIN, text);
    T_STR(text, "0000-01-01T00:00:00Z");
}

static void utc_never_falls_below_the_floor(void)
{
    int64_t now = clo_clock_utc();
    T_CHECK(now >= 1767225600);
    clo_clock_raise_floor(now - 1000);
    T_CHECK(clo_clock_utc() >= now && clo_clock_utc() < now + 100);
    clo_clock_raise_floor(now + 5000);
    T_CHECK(clo_clock_utc() >= now + 5000);
    clo_clock_raise_floor(now + 1); /* a floor is never lowered */
    T_CHECK(clo_clock_utc() >= now + 5000);
}

static void monotonic_time_moves_and_sleep_sleeps(void)
{
    int64_t before = clo_clock_ns();
    clo_sleep_ms(20);
    int64_t passed = clo_clock_ns() - before;
    T_CHECK(passed >= 19000000);
    clo_sleep_ms(0);
    clo_sleep_ms(-5);
}

static void deadlines_pass_and_saturate(void)
{
    T_CHECK(clo_deadline_passed(clo_deadline_in(0)));
    T_CHECK(clo_deadline_passed(clo_deadline_in(-100)));
    T_CHECK(clo_deadline_passed(clo_deadline_in(INT64_MIN)));
    clo_deadline far = clo_deadline_in(INT64_MAX);
    T_CHECK(!clo_deadline_passed(far));
    T_INT(clo_deadline_left_ms(far), INT_MAX);
    clo_deadline near = clo_deadline_in(60000);
    T_CHECK(clo_deadline_left_ms(near) > 50000 && clo_deadline_left_ms(near) <= 60000);
    T_INT(clo_deadline_sooner(far, near).at_ms, near.at_ms);
    T_INT(clo_deadline_sooner(near, far).at_ms, near.at_ms);
}

static void log_reaches_the_sink_up_to_its_ceiling(void)
{
    int count = 0;
    clo_log(CLO_LOG_ERROR, "base", "nobody listens");
    clo_log_set_sink(hear, &count, CLO_LOG_INFO);
    clo_log(CLO_LOG_INFO, "base", "opened rank=%d", 3);
    T_STR(heard.line, "opened rank=3");
    T_STR(heard.module, "base");
    T_INT(heard.level, CLO_LOG_INFO);
    clo_log(CLO_LOG_DEBUG, "base", "too fine");
    T_INT(heard.lines, 1);
    T_INT(count, 1);
    clo_log_set_sink(NULL, NULL, CLO_LOG_DEBUG);
    clo_log(CLO_LOG_ERROR, "base", "nobody listens");
    T_INT(heard.lines, 1);
}

static void log_lines_are_single_and_bounded(void)
{
    int count = 0;
    char large[3000];
    memset(large, 'a', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    clo_log_set_sink(hear, &count, CLO_LOG_DEBUG);
    clo_log(CLO_LOG_WARN, "base", "a\nb\x1b");
    T_STR(heard.line, "a?b?");
    clo_log(CLO_LOG_WARN, "base", "%s", large);
    T_INT(strlen(heard.line), 1023);
    clo_log_set_sink(NULL, NULL, CLO_LOG_ERROR);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(calendar_agrees_with_libc_over_ten_thousand_years),
        T(known_moments_read_as_they_should),
        T(moments_that_are_none_are_refused),
        T(moments_beyond_four_digits_are_clamped),
        T(utc_never_falls_below_the_floor),
        T(monotonic_time_moves_and_sleep_sleeps),
        T(deadlines_pass_and_saturate),
        T(log_reaches_the_sink_up_to_its_ceiling),
        T(log_lines_are_single_and_bounded),
    };
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
