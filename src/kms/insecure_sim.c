/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of the weaknesses that documents may accept, in builds that have the simulator.
 * insecure_none.c stands in for this file in release builds, which must not even contain the name.
 */
#include "document.h"

const char clo_simulator_member[] = "insecure_simulator";

const clo_insecure_row clo_insecure_rows[] = {
    {CLO_INSECURE_SIMULATOR, clo_simulator_member},
    {CLO_INSECURE_ROOT_OPERATOR, "insecure_root_operator"},
    {CLO_INSECURE_NO_ANCHOR, "insecure_no_anchor"},
    {0, NULL},
};

bool clo_simulator_is_built(void)
{
    return true;
}
