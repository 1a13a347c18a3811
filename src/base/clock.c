/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time, which is the host's and never trusted: monotonic time drives deadlines, wall time only ever
 * moves up from a floor (build date, signed times seen). Dates are the proleptic Gregorian calendar
 * without leap seconds, computed here because libc's functions read the environment (TZ).
 *
 * The floor is one atomic number: any thread may raise it.
 */
#include "cloister/base.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

/* CLO_BUILD_EPOCH: Unix seconds of the source's last commit, from CMake. */
static _Atomic int64_t utc_floor = CLO_BUILD_EPOCH;

static const int64_t seconds_a_day = 86400;
static const int64_t first_second = -62167219200; /* 0000-01-01T00:00:00Z */
static const int64_t last_second = 253402300799;  /* 9999-12-31T23:59:59Z */

enum { DAYS_IN_ERA = 146097, YEARS_IN_ERA = 400, DAYS_TO_1970 = 719468, TIME_TEXT = 20 };

typedef struct {
    int64_t year;
    int64_t month;
    int64_t day;
} date;

/* Days since 1970-01-01. Years are counted from March, so that the leap day is the last; an era is
 * the 400 years after which the calendar repeats. */
static int64_t days_of_date(date d)
{
    int64_t year = d.month <= 2 ? d.year - 1 : d.year;
    int64_t era = (year >= 0 ? year : year - (YEARS_IN_ERA - 1)) / YEARS_IN_ERA;
    int64_t year_of_era = year - era * YEARS_IN_ERA;
    int64_t day_of_year = (153 * ((d.month + 9) % 12) + 2) / 5 + d.day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * DAYS_IN_ERA + day_of_era - DAYS_TO_1970;
}

static date date_of_days(int64_t days)
{
    days += DAYS_TO_1970;
    int64_t era = (days >= 0 ? days : days - (DAYS_IN_ERA - 1)) / DAYS_IN_ERA;
    int64_t day_of_era = days - era * DAYS_IN_ERA;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t march_month = (5 * day_of_year + 2) / 153;
    int64_t month = march_month < 10 ? march_month + 3 : march_month - 9;
    return (date){year_of_era + era * YEARS_IN_ERA + (month <= 2), month,
                  day_of_year - (153 * march_month + 2) / 5 + 1};
}

/* Two or four digits at `at`; -1 when one is none. */
static int64_t digits(clo_span text, size_t at, size_t count)
{
    int64_t value = 0;
    for (size_t i = at; i < at + count; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return -1;
        }
        value = value * 10 + (text.data[i] - '0');
    }
    return value;
}

static bool within(int64_t value, int64_t low, int64_t high)
{
    return value >= low && value <= high;
}

/* The separators of YYYY-MM-DDTHH:MM:SSZ stand where they must. */
static bool has_form(clo_span text)
{
    static const char form[] = "0000-00-00T00:00:00Z";
    if (text.size != TIME_TEXT) {
        return false;
    }
    for (size_t i = 0; i < TIME_TEXT; i++) {
        if (form[i] != '0' && text.data[i] != (uint8_t)form[i]) {
            return false;
        }
    }
    return true;
}

int64_t clo_clock_ms(void)
{
    return clo_clock_ns() / 1000000;
}

int64_t clo_clock_ns(void)
{
    struct timespec now;
    CLO_ASSERT(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t clo_clock_utc(void)
{
    struct timespec now;
    CLO_ASSERT(clock_gettime(CLOCK_REALTIME, &now) == 0);
    int64_t lowest = atomic_load(&utc_floor);
    return now.tv_sec > lowest ? now.tv_sec : lowest;
}

void clo_clock_raise_floor(int64_t unix_seconds)
{
    int64_t lowest = atomic_load(&utc_floor);
    while (unix_seconds > lowest &&
           !atomic_compare_exchange_weak(&utc_floor, &lowest, unix_seconds)) {
    }
}

void clo_time_format(int64_t unix_seconds, char out_text[21])
{
    if (unix_seconds < first_second) {
        unix_seconds = first_second;
    }
    if (unix_seconds > last_second) {
        unix_seconds = last_second;
    }
    int64_t days = (unix_seconds - first_second) / seconds_a_day + first_second / seconds_a_day;
    int64_t second = unix_seconds - days * seconds_a_day;
    date d = date_of_days(days);
    /* The moduli change nothing; they show the compiler that the fields have their widths. */
    snprintf(out_text, TIME_TEXT + 1, "%04u-%02u-%02uT%02u:%02u:%02uZ", (unsigned)d.year % 10000,
             (unsigned)d.month % 100, (unsigned)d.day % 100, (unsigned)(second / 3600) % 100,
             (unsigned)(second / 60) % 60, (unsigned)second % 60);
}

clo_status clo_time_parse(clo_span text, int64_t *out_unix_seconds)
{
    CLO_CHECK(has_form(text), CLO_FORMAT, "a time not of the form 2026-11-20T09:55:12Z");
    date d = {digits(text, 0, 4), digits(text, 5, 2), digits(text, 8, 2)};
    int64_t hour = digits(text, 11, 2);
    int64_t minute = digits(text, 14, 2);
    int64_t second = digits(text, 17, 2);
    bool good = d.year >= 0 && within(d.month, 1, 12) && within(d.day, 1, 31) &&
                within(hour, 0, 23) && within(minute, 0, 59) && within(second, 0, 59);
    CLO_CHECK(good, CLO_FORMAT, "a time with a field out of range");
    int64_t days = days_of_date(d);
    date back = date_of_days(days);
    CLO_CHECK(back.month == d.month && back.day == d.day, CLO_FORMAT,
              "a time on a day its month does not have");
    *out_unix_seconds = days * seconds_a_day + hour * 3600 + minute * 60 + second;
    return CLO_STATUS_OK;
}

clo_deadline clo_deadline_in(int64_t milliseconds)
{
    int64_t at;
    if (__builtin_add_overflow(clo_clock_ms(), milliseconds < 0 ? 0 : milliseconds, &at)) {
        at = INT64_MAX;
    }
    return (clo_deadline){at};
}

clo_deadline clo_deadline_sooner(clo_deadline a, clo_deadline b)
{
    return a.at_ms < b.at_ms ? a : b;
}

int clo_deadline_left_ms(clo_deadline deadline)
{
    int64_t now = clo_clock_ms();
    if (deadline.at_ms <= now) {
        return 0;
    }
    int64_t left = deadline.at_ms - now;
    return left > INT_MAX ? INT_MAX : (int)left;
}

bool clo_deadline_passed(clo_deadline deadline)
{
    return clo_deadline_left_ms(deadline) == 0;
}

void clo_sleep_ms(int64_t milliseconds)
{
    int64_t until = clo_deadline_in(milliseconds).at_ms;
    struct timespec at = {(time_t)(until / 1000), (long)(until % 1000) * 1000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR) {
    }
}
