/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See terminal.h.
 */
#include "terminal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define BAR_CELLS 24

static bool line_shown;

bool cli_is_terminal(int fd)
{
    const char *term = getenv("TERM");
    return isatty(fd) && term && strcmp(term, "dumb") != 0;
}

static void print_bar(double done)
{
    int full = (int)(done * BAR_CELLS + 0.5);
    for (int i = 0; i < BAR_CELLS; i++) {
        (void)fputs(i < full ? "\u2588" : "\u2591", stderr);
    }
}

/* Columns of the terminal, 80 when it does not say. */
static int terminal_width(void)
{
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

void cli_progress_show(const cli_progress *progress)
{
    int width = terminal_width();
    double batches = progress->batches ? (double)progress->batches : 1.0;
    double done = (double)(progress->epoch - 1) + (double)progress->batch / batches;
    done /= progress->epochs ? (double)progress->epochs : 1.0;
    (void)fputs("\r\033[K", stderr);
    if (width >= 90) {
        print_bar(done > 1.0 ? 1.0 : done);
    }
    (void)fprintf(stderr, " epoch %llu/%llu", (unsigned long long)progress->epoch,
                  (unsigned long long)progress->epochs);
    if (progress->has_loss) {
        (void)fprintf(stderr, "  loss %.4f", progress->loss);
    }
    (void)fprintf(stderr, "  %.0f samples/s", progress->samples_per_second);
    if (progress->seconds_left >= 0.0 && width >= 70) {
        long left = (long)(progress->seconds_left + 0.5);
        (void)fprintf(stderr, "  %ld:%02ld left", left / 60, left % 60);
    }
    (void)fflush(stderr);
    line_shown = true;
}

void cli_progress_clear(void)
{
    if (line_shown) {
        (void)fputs("\r\033[K", stderr);
        (void)fflush(stderr);
        line_shown = false;
    }
}

/* Local time with a literal Z, as the samples' logging has it. */
static void print_time(void)
{
    time_t now = (time_t)clo_clock_utc();
    struct tm local;
    char text[32];
    if (localtime_r(&now, &local) && strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &local)) {
        printf("%s INFO     ", text);
    }
}

void cli_log_step(const cli_progress *progress)
{
    print_time();
    printf("Train Epoch: %llu [%llu/%llu (%.0f%%)]", (unsigned long long)progress->epoch,
           (unsigned long long)progress->batch, (unsigned long long)progress->batches,
           100.0 * (double)progress->batch / (double)(progress->batches ? progress->batches : 1));
    if (progress->has_loss) {
        printf("\tloss=%.4f", progress->loss);
    }
    (void)putchar('\n');
    (void)fflush(stdout);
}

void cli_log_test(double accuracy, double loss)
{
    print_time();
    printf("{metricName: accuracy, metricValue: %.4f};{metricName: loss, metricValue: %.4f}\n\n",
           accuracy, loss);
    (void)fflush(stdout);
}

static void put_pair(uint8_t top, uint8_t bottom, bool color, clo_buf *out)
{
    static const char shades[] = " .:-=+*#%@";
    if (color) {
        clo_put_format(out, "\033[38;5;%d;48;5;%dm\u2580", 232 + top * 23 / 255,
                       232 + bottom * 23 / 255);
    } else {
        clo_put_u8(out, (uint8_t)shades[(top + bottom) * 9 / 510]);
    }
}

void cli_picture(const uint8_t *pixels, int height, int width, bool color, clo_buf *out)
{
    for (int y = 0; y + 1 < height; y += 2) {
        clo_put_bytes(out, "    ", 4);
        for (int x = 0; x < width; x++) {
            put_pair(pixels[y * width + x], pixels[(y + 1) * width + x], color, out);
        }
        clo_put_format(out, "%s\n", color ? "\033[0m" : "");
    }
}
