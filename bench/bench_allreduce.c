/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the attested channel allows an all-reduce of two ranks: two processes on loopback, a gate
 * over the simulator, then reduce-scatter and all-gather of float sums by clo_channel_exchange
 * alone. The collectives of comm can come near these numbers and not pass them.
 *
 * Printed for each size: seconds and GB/s (bytes of the vector over time) of the best round, and
 * the processor seconds a rank spent in the mean, which also mean something on a busy machine.
 *
 * Usage: bench_allreduce [MiB] [rounds]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cloister/channel.h"
#include "cloister/sim.h"

/* Stays in the cache from its arrival to its addition; with its header it fills whole records. */
enum { SEGMENT = 512 * 1024 - 8, DEADLINE_MS = 60 * 1000 };

static const uint8_t measurement[32] = {1};
static char folder[512];

/* ---- a party: quotes are made in this process with the vendor's keys */

static clo_status maker_open(const char *config, void **out_state)
{
    (void)config;
    *out_state = folder;
    return CLO_STATUS_OK;
}

static clo_status maker_quote(void *state, const uint8_t report_data[64], clo_deadline deadline,
                              clo_evidence *out_evidence)
{
    (void)deadline;
    return clo_sim_quote(state, measurement, report_data, out_evidence);
}

static void maker_close(void *state)
{
    (void)state;
}

static const clo_maker_ops maker = {
    .name = "bench",
    .summary = "a vendor in this process",
    .config_help = "",
    .insecure = "insecure_simulator",
    .open = maker_open,
    .quote = maker_quote,
    .close = maker_close,
};
static const clo_maker_ops *const makers[] = {&maker, NULL};

typedef struct {
    clo_key *key;
    clo_cert *cert;
    clo_maker *maker;
    clo_channel_self self;
    clo_channel_rules rules;
    clo_expectation wants;
} party;

static clo_status expect(void *arg, const clo_hello *hello, clo_expectation *out_expectation)
{
    (void)hello;
    *out_expectation = ((party *)arg)->wants;
    return CLO_STATUS_OK;
}

static clo_status party_make(party *p, uint32_t slot)
{
    CLO_TRY(clo_key_generate(CLO_KEY_P256, &p->key));
    clo_cert_request request = {
        .subject_cn = "bench",
        .subject_key = p->key,
        .issuer_key = p->key,
        .not_before = clo_clock_utc() - 60,
        .not_after = clo_clock_utc() + 3600,
        .tls_usages = true,
    };
    CLO_TRY(clo_cert_make(&request, &p->cert));
    CLO_TRY(clo_maker_open(makers, "bench:", &p->maker));
    p->self = (clo_channel_self){.as = CLO_PEER_ATTESTED,
                                 .role = CLO_ROLE_TRAINER,
                                 .slot = slot,
                                 .key = p->key,
                                 .cert = p->cert,
                                 .maker = p->maker};
    p->rules = (clo_channel_rules){.peer_class = CLO_PEER_ATTESTED, .expect = expect, .arg = p};
    p->wants = (clo_expectation){.role = CLO_ROLE_TRAINER, .slot = 1 - slot, .anchor_count = 1};
    CLO_TRY(clo_sim_anchor(folder, &p->wants.anchors[0]));
    clo_appraisal *appraisal = &p->wants.appraisal;
    appraisal->tees[appraisal->tee_count++] = CLO_TEE_SIMULATOR;
    memcpy(appraisal->measurements[appraisal->measurement_count++], measurement, 32);
    appraisal->tcb_statuses[appraisal->tcb_status_count++] = CLO_TCB_UP_TO_DATE;
    return CLO_STATUS_OK;
}

static void party_cleanup(party *p)
{
    clo_maker_close(p->maker);
    clo_cert_free(p->cert);
    clo_key_free(p->key);
}

/* ---- the all-reduce of two */

static void add(float *out, const float *in, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        out[i] += in[i];
    }
}

static clo_status all_reduce(clo_channel *channel, uint32_t rank, float *data, size_t count,
                             float *scratch)
{
    clo_deadline deadline = clo_deadline_in(DEADLINE_MS);
    size_t half = count / 2;
    float *mine = data + (rank == 0 ? 0 : half);
    float *theirs = data + (rank == 0 ? half : 0);
    size_t step = SEGMENT / sizeof *data;
    for (size_t at = 0; at < half; at += step) {
        size_t here = half - at < step ? half - at : step;
        size_t size = here * sizeof *data;
        CLO_TRY(clo_channel_exchange(channel, CLO_SPAN(theirs + at, size), channel, scratch, size,
                                     deadline));
        add(mine + at, scratch, here);
    }
    return clo_channel_exchange(channel, CLO_SPAN(mine, half * sizeof *data), channel, theirs,
                                half * sizeof *data, deadline);
}

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static clo_status measure(clo_channel *channel, uint32_t rank, size_t count, int rounds)
{
    float *data = clo_alloc_aligned(count * sizeof *data);
    float *scratch = clo_alloc_aligned(SEGMENT);
    CLO_CHECK(data != NULL && scratch != NULL, CLO_NOMEM, "%zu floats", count);
    for (size_t i = 0; i < count; i++) {
        data[i] = 1.0f;
    }
    int64_t best = INT64_MAX;
    double cpu = cpu_seconds();
    for (int round = 0; round < rounds; round++) {
        int64_t before = clo_clock_ns();
        CLO_TRY(all_reduce(channel, rank, data, count, scratch));
        int64_t took = clo_clock_ns() - before;
        best = took < best ? took : best;
    }
    cpu = (cpu_seconds() - cpu) / rounds;
    float wanted = (float)(1ull << rounds); /* each round doubles every element */
    CLO_CHECK(data[0] >= wanted && data[0] <= wanted && data[count - 1] >= wanted, CLO_BUG,
              "the sum is %g, expected %g", (double)data[0], (double)wanted);
    double size = (double)count * sizeof *data;
    if (rank == 0) {
        printf("%10.0f bytes  %9.6f s  %6.3f GB/s  processor %9.6f s a rank\n", size,
               (double)best / 1e9, size / (double)best, cpu);
    }
    clo_free(scratch);
    clo_free(data);
    return CLO_STATUS_OK;
}

static clo_status run_rank(uint32_t rank, const char *address, clo_listener *listener, party *p,
                           size_t mib, int rounds)
{
    CLO_AUTO_PTR(clo_channel) channel = NULL;
    clo_deadline deadline = clo_deadline_in(DEADLINE_MS);
    if (rank == 0) {
        CLO_TRY(clo_listener_accept(listener, NULL, deadline, &channel));
    } else {
        CLO_TRY(clo_channel_connect(address, NULL, &p->self, &p->rules, deadline, &channel));
    }
    CLO_TRY(measure(channel, rank, 256, 20)); /* 1 KiB; few enough doublings for a float */
    return measure(channel, rank, mib * (1 << 20) / sizeof(float), rounds);
}

static clo_status run(size_t mib, int rounds)
{
    CLO_AUTO(party) first = {0};
    CLO_AUTO(party) second = {0};
    CLO_AUTO_PTR(clo_listener) listener = NULL;
    clo_address address;
    CLO_TRY(clo_crypto_init());
    CLO_TRY(clo_sim_init(folder, &(clo_sim_options){0}));
    CLO_TRY(party_make(&first, 0));
    CLO_TRY(party_make(&second, 1));
    CLO_TRY(clo_listener_open("127.0.0.1:0", &first.self, &first.rules, &listener));
    clo_listener_address(listener, &address);
    pid_t child = fork();
    if (child == 0) {
        _exit(!clo_ok(run_rank(1, address.text, NULL, &second, mib, rounds)));
    }
    clo_status status = run_rank(0, address.text, listener, &first, mib, rounds);
    waitpid(child, NULL, 0);
    return status;
}

int main(int argc, char **argv)
{
    char text[1024] = "no folder";
    char parent[256];
    size_t mib = argc > 1 ? (size_t)atoi(argv[1]) : 256;
    int rounds = argc > 2 ? atoi(argv[2]) : 5;
    clo_status status = clo_dir_make_temp("/tmp/bench_allreduce", parent, sizeof parent);
    if (clo_ok(status)) {
        snprintf(folder, sizeof folder, "%s/vendor", parent);
        status = run(mib, rounds);
        clo_status_text(status, text, sizeof text);
        (void)clo_dir_remove_tree(parent);
    }
    if (!clo_ok(status)) {
        fprintf(stderr, "bench_allreduce: %s\n", text);
        return 1;
    }
    return 0;
}
