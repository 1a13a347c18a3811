/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of the weaknesses that documents may accept, in release builds: an empty name switches
 * the member for simulator roots off in every table, so a document that has it is refused.
 */
#include "document.h"

const char clo_simulator_member[] = "";

const clo_insecure_row clo_insecure_rows[] = {
    {CLO_INSECURE_ROOT_OPERATOR, "insecure_root_operator"},
    {CLO_INSECURE_NO_ANCHOR, "insecure_no_anchor"},
    {0, NULL},
};

bool clo_simulator_is_built(void)
{
    return false;
}
