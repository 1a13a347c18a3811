/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the hello says of a release build: it has no simulator, so every maker stands for hardware.
 * A peer that shows simulator evidence all the same is refused like any that its hello belies.
 */
#include "hello.h"

const clo_build_class clo_hello_build = CLO_BUILD_RELEASE;

bool clo_hello_is_simulator(const clo_maker *maker)
{
    (void)maker;
    return false;
}
