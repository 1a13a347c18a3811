/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_ATTEST_SIM_WIRE_H
#define CLO_ATTEST_SIM_WIRE_H

/*
 * What a program and the quoting process say to each other, big-endian, one request a connection:
 *
 *     request   u32 magic | u32 version | report_data[64]
 *     answer    u32 magic | u32 result  | u32 size | size bytes: the quote, or why there is none
 *
 * The request carries no identity: who asks is what the kernel says of the other end.
 */
#include "cloister/sim.h"

enum {
    CLO_SIM_MAGIC = 0x434c5351, /* "CLSQ" */
    CLO_SIM_WIRE_VERSION = 1,
    CLO_SIM_REQUEST_SIZE = 8 + CLO_REPORT_DATA_SIZE,
    CLO_SIM_ANSWER_HEAD = 12,
    CLO_SIM_REASON_MAX = 512,
    CLO_SIM_REQUEST_MS = 2000
};

typedef enum { CLO_SIM_QUOTED = 0, CLO_SIM_REFUSED = 1 } clo_sim_result;

#endif
