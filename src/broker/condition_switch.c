/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a condition counts. Alone in its object file, so that a test's definition wins at link
 * time; in a program every condition counts.
 */
#include "decision.h"

bool clo_condition_is_on(clo_condition condition)
{
    (void)condition;
    return true;
}
