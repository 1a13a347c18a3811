/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The evidence makers of a release build: none of them is insecure.
 */
#include "people.h"

const clo_maker_ops *const cli_makers[] = {NULL};

const char cli_simulator_root_option[] = "";
const char cli_simulator_root_help[] = "";

uint32_t cli_maker_flags(const clo_maker *maker)
{
    (void)maker;
    return 0;
}

clo_status cli_default_maker(char *out_text, size_t size)
{
    (void)out_text;
    (void)size;
    CLO_FAIL(CLO_INVALID, "no evidence maker named: --maker NAME:CONFIG");
}

clo_status cli_measure(const char *program, uint8_t out_measurement[32])
{
    (void)out_measurement;
    CLO_FAIL(CLO_UNSUPPORTED, "this build has no way to measure '%s': give --measurement", program);
}
