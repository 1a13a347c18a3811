/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_CLI_ENVIRONMENT_H
#define CLO_CLI_ENVIRONMENT_H

/*
 * The environment of cloister-tee. The host's variables reach libraries before main does, so a TEE
 * role runs under one fixed environment only: variables that change what code or trust is loaded
 * are refused by name; all others are dropped by executing the same program again with the fixed
 * list. Real protection is the measured image, which passes no environment; this keeps an honest
 * host's mistake from going unnoticed.
 */
#include "cloister/base.h"

/* Returns CLO_OK when the environment is the fixed one; does not return when it executes the
 * program again; CLO_DENIED names a refused variable. */
clo_status cli_environment_fix(char **argv);

#endif
