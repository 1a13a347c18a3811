/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_COMM_LIMITS_H
#define CLO_COMM_LIMITS_H

/*
 * comm_limits: the times of a group, as values.
 *
 * Production's answer is const and stands alone in its object file, so that a test program can
 * define the function itself and see connections replaced after a tenth of a second. Nothing at run
 * time can change it.
 */
#include "cloister/comm.h"

typedef struct {
    int64_t renew_ms; /* after which a group's connections are old */
} clo_comm_limits;

const clo_comm_limits *clo_comm_get_limits(void);

#endif
