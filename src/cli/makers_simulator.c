/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The evidence makers of a development build.
 */
#include "cloister/sim.h"
#include "people.h"

#include <stdio.h>
#include <stdlib.h>

const clo_maker_ops *const cli_makers[] = {&clo_maker_sim, NULL};

const char cli_simulator_root_option[] = "simulator-root";
const char cli_simulator_root_help[] = "accept a simulator vendor's evidence: insecure_simulator";

uint32_t cli_maker_flags(const clo_maker *maker)
{
    return clo_maker_get_ops(maker)->insecure ? CLO_INSECURE_SIMULATOR : 0;
}

clo_status cli_default_maker(char *out_text, size_t size)
{
    const char *home = getenv("HOME");
    CLO_CHECK(home, CLO_INVALID, "no evidence maker named (--maker) and HOME is not set");
    int got = snprintf(out_text, size, "sim:%s/.cloister/simulator/" CLO_SIM_SOCKET, home);
    CLO_CHECK(got > 0 && (size_t)got < size, CLO_LIMIT, "the home folder's path is too long");
    return CLO_STATUS_OK;
}

clo_status cli_measure(const char *program, uint8_t out_measurement[32])
{
    return clo_sim_measure_file(program, out_measurement);
}
