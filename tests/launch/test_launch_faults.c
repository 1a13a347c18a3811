/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every allocation of launch fails once: the call says CLO_NOMEM or did its work without, no child
 * is left, and the descriptors are as before.
 */
#include "process_rig.h"
#include "test.h"

static int fail_at = -1; /* counts down; the allocation that meets 0 fails */

bool clo_mem_should_fail(void)
{
    if (fail_at < 0) {
        return false;
    }
    return fail_at-- == 0;
}

static void ignore_line(void *arg, size_t process, clo_stream stream, clo_span line)
{
    (void)arg;
    (void)process;
    (void)stream;
    (void)line;
}

static clo_status run_two(void)
{
    clo_process *processes[2] = {NULL, NULL};
    clo_process_group_options options = {.line = ignore_line, .grace_ms = 1000};
    clo_status status = CLO_STATUS_OK;
    for (size_t i = 0; i < 2 && clo_ok(status); i++) {
        status = rig_start("echo one; echo two >&2", true, true, &processes[i]);
    }
    if (clo_ok(status)) {
        status = clo_process_group_run(processes, 2, &options, clo_deadline_in(RIG_PATIENCE_MS));
    }
    for (size_t i = 0; i < 2; i++) {
        clo_process_stop(processes[i], 1000);
    }
    return status;
}

/* Lines that find no memory are lost; everything else is told. */
static void a_group_survives_every_failed_allocation(void)
{
    int before = rig_open_descriptors(), refused = 0, at = 0;
    bool met = true;
    for (; met && at < 100; at++) {
        fail_at = at;
        clo_status status = run_two();
        met = fail_at < 0;
        fail_at = -1;
        T_CHECK(clo_ok(status) || status.code == CLO_NOMEM);
        T_INT(rig_open_descriptors(), before);
        refused += !clo_ok(status);
    }
    T_CHECK(!met);
    T_CHECK(refused >= 3);
    T_OK(run_two());
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {T(a_group_survives_every_failed_allocation)};
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
