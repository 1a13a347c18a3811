/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Alone in its object file: a test program that defines clo_mem_should_fail itself wins at link
 * time, because this object is then never taken from the archive.
 */
#include "cloister/base.h"

bool clo_mem_should_fail(void)
{
    return false;
}
