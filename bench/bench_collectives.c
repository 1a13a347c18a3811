/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All-reduce of floats between processes of this machine, over attested TLS:
 *
 *     bench_collectives [WORLD [LARGEST_MB]]      default 2 256
 *
 * For each size: the median time of a call at rank 0 over rounds that fill about a second, the size
 * divided by it, and the processor time of rank 0 per call, which also means something on a busy
 * machine. bench_allreduce shows what the channel alone allows.
 */
#include <sys/resource.h>

#include "comm_rig.h"

enum { ROUNDS_MAX = 4096, ROUND_NS = 1000000000, SMALLEST = 1024 };

static int by_value(const void *left, const void *right)
{
    const double *a = left;
    const double *b = right;
    return (*a > *b) - (*a < *b);
}

static double processor_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

/* The rounds that fit the time, as rank 0 measures them: all must do as many. */
static clo_status agree_on_rounds(clo_group *group, float *data, size_t count, uint64_t *out_rounds)
{
    int64_t start = clo_clock_ns();
    CLO_TRY(clo_group_all_reduce(group, data, count, sizeof *data, rig_add_floats));
    CLO_TRY(clo_group_all_reduce(group, data, count, sizeof *data, rig_add_floats));
    uint64_t rounds = (uint64_t)(2 * (int64_t)ROUND_NS / (clo_clock_ns() - start));
    rounds = rounds < 5 ? 5 : rounds > ROUNDS_MAX ? ROUNDS_MAX : rounds;
    *out_rounds = rounds;
    return clo_group_broadcast(group, 0, out_rounds, sizeof *out_rounds);
}

static clo_status measure(clo_group *group, float *data, size_t size)
{
    static double seconds[ROUNDS_MAX];
    uint64_t rounds;
    size_t count = size / sizeof *data;
    CLO_TRY(agree_on_rounds(group, data, count, &rounds));
    double processor = processor_seconds();
    for (uint64_t i = 0; i < rounds; i++) {
        int64_t start = clo_clock_ns();
        CLO_TRY(clo_group_all_reduce(group, data, count, sizeof *data, rig_add_floats));
        seconds[i] = (double)(clo_clock_ns() - start) * 1e-9;
    }
    processor = (processor_seconds() - processor) / (double)rounds;
    qsort(seconds, rounds, sizeof *seconds, by_value);
    if (clo_group_rank(group) == 0) {
        printf(
            "%12zu bytes  %10.1f us (best %10.1f, %5llu rounds)  %6.3f GB/s  processor %10.1f us\n",
            size, seconds[rounds / 2] * 1e6, seconds[0] * 1e6, (unsigned long long)rounds,
            (double)size / seconds[rounds / 2] * 1e-9, processor * 1e6);
        fflush(stdout);
    }
    return CLO_STATUS_OK;
}

static clo_status bench(rig_member *member, clo_group *group)
{
    size_t largest = *(size_t *)member->arg;
    float *data = clo_alloc_aligned(largest);
    CLO_CHECK(data != NULL, CLO_NOMEM, "%zu bytes", largest);
    clo_status status = CLO_STATUS_OK;
    for (size_t size = SMALLEST; size <= largest && clo_ok(status); size *= 4) {
        status = measure(group, data, size);
    }
    clo_free(data);
    return status;
}

int main(int argc, char **argv)
{
    uint64_t world = 2;
    uint64_t megabytes = 256;
    if (argc > 1) {
        rig_must(clo_parse_u64(argv[1], RIG_RANKS, &world), "WORLD");
    }
    if (argc > 2) {
        rig_must(clo_parse_u64(argv[2], 1024, &megabytes), "LARGEST_MB");
    }
    size_t largest = (size_t)megabytes << 20;
    CLO_AUTO(comm_rig) rig;
    rig_start();
    rig_init(&rig, (uint32_t)world, bench, &largest);
    rig_spawn(&rig);
    rig_reap(&rig);
    for (uint32_t rank = 0; rank < world; rank++) {
        rig_must(clo_status_restore(&rig.members[rank].result), "rank");
    }
    return 0;
}
