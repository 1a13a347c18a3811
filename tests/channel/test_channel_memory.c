/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every allocation of a gate and a conversation fails once: each time a status says so, nothing
 * leaks (the sanitizer run looks), and no half-open channel passes for an open one.
 */
#include "channel_rig.h"

#include <limits.h>

static long allocations;
static long fail_at = -1; /* -1: none fails */

bool clo_mem_should_fail(void)
{
    return fail_at >= 0 && allocations++ == fail_at;
}

/* Gate, one message, one re-attestation. */
static clo_status converse(rig_pair *pair)
{
    int fds[2];
    rig_socketpair(fds);
    for (int side = 0; side < 2; side++) {
        pair->results[side] = (clo_saved_status){0};
        clo_status begun =
            rig_begin(&pair->ends[side], (clo_tls_side)side, fds[side], &pair->channels[side]);
        if (!clo_ok(begun)) {
            clo_net_close(side == 0 ? fds[1] : -1);
            return begun;
        }
    }
    rig_drive(pair);
    for (int side = 0; side < 2; side++) {
        if (pair->results[side].code != CLO_OK && pair->results[side].code != CLO_DENIED) {
            return clo_status_restore(&pair->results[side]);
        }
    }
    CLO_AUTO(clo_buf) got = CLO_BUF_INIT;
    CLO_TRY(clo_channel_upkeep(pair->channels[0], true));
    CLO_TRY(clo_channel_send(pair->channels[0], clo_span_of_str("x"), clo_deadline_in(500)));
    CLO_TRY(clo_channel_recv(pair->channels[1], &got, clo_deadline_in(500)));
    CLO_TRY(clo_channel_send(pair->channels[1], clo_span_of_str("x"), clo_deadline_in(500)));
    return clo_channel_recv(pair->channels[0], &got, clo_deadline_in(500));
}

static void every_allocation_of_a_conversation_may_fail(void)
{
    CLO_AUTO(rig_pair) pair;
    rig_pair_init(&pair, CLO_ROLE_TRAINER, CLO_ROLE_TRAINER);
    fail_at = LONG_MAX;
    allocations = 0;
    T_OK(converse(&pair));
    long total = allocations;
    T_CHECK(total > 20);
    long step = total > 150 ? total / 150 : 1;
    for (long n = 0; n < total; n += step) {
        rig_pair_close(&pair);
        fail_at = n;
        allocations = 0;
        clo_status status = converse(&pair);
        bool failed = allocations > n;
        fail_at = -1;
        T_CHECK(!failed || !clo_ok(status));
        bool sensible = status.code == CLO_NOMEM || status.code == CLO_CRYPTO ||
                        status.code == CLO_ATTEST || status.code == CLO_DENIED;
        if (failed && !sensible) {
            char text[512];
            clo_status_text(status, text, sizeof text);
            clo_test_fail(__FILE__, __LINE__, "allocation %ld of %ld: %s (%s)", n, total,
                          clo_code_name(status.code), text);
            return;
        }
    }
    fail_at = -1;
}

static void a_listener_may_find_no_memory(void)
{
    rig_end end;
    rig_end_init(&end, CLO_ROLE_BROKER, CLO_SLOT_NONE);
    clo_listener *listener = NULL;
    fail_at = 0;
    allocations = 0;
    T_CODE(clo_listener_open("127.0.0.1:0", &end.self, &end.rules, &listener), CLO_NOMEM);
    fail_at = -1;
    T_CHECK(listener == NULL);
    rig_end_clear(&end);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(every_allocation_of_a_conversation_may_fail),
        T(a_listener_may_find_no_memory),
    };
    rig_start();
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
