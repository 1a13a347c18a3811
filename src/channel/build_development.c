/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the hello says of a build that has the simulator. build_release.c stands in for this file in
 * release builds, which must not even contain the simulator's name.
 */
#include "hello.h"

#include <string.h>

const clo_build_class clo_hello_build = CLO_BUILD_DEVELOPMENT;

/* Makers introduce themselves by the insecure_ option they are; all others stand for hardware. */
bool clo_hello_is_simulator(const clo_maker *maker)
{
    const char *insecure = clo_maker_get_ops(maker)->insecure;
    return insecure != NULL && strcmp(insecure, "insecure_simulator") == 0;
}
