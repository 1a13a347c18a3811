/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See environment.h. libgomp reads OMP_* in its constructor, which is why clearing is not enough.
 */
#include "environment.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Change which code or which trust anchors are loaded. */
static const char *const REFUSED[] = {"OPENSSL_", "SSL_CERT_", "LD_", "GLIBC_TUNABLES", NULL};

/* Threads neither pinned nor spinning: several ranks may share the cores. */
static const char *const FIXED[] = {"OMP_WAIT_POLICY=PASSIVE", "OMP_PROC_BIND=FALSE",
                                    "PATH=/usr/bin:/bin", NULL};

static bool has_prefix(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static clo_status check_refused(const char *variable)
{
    for (size_t i = 0; REFUSED[i]; i++) {
        CLO_CHECK(!has_prefix(variable, REFUSED[i]), CLO_DENIED,
                  "environment variable '%.*s' is set: a TEE role does not start with %s%s",
                  (int)strcspn(variable, "="), variable, REFUSED[i],
                  REFUSED[i][strlen(REFUSED[i]) - 1] == '_' ? "*" : "");
    }
    return CLO_STATUS_OK;
}

static bool is_fixed(void)
{
    size_t i = 0;
    while (environ[i] && FIXED[i] && strcmp(environ[i], FIXED[i]) == 0) {
        i++;
    }
    return !environ[i] && !FIXED[i];
}

clo_status cli_environment_fix(char **argv)
{
    for (size_t i = 0; environ[i]; i++) {
        CLO_TRY(check_refused(environ[i]));
    }
    if (is_fixed()) {
        return CLO_STATUS_OK;
    }
    char *fixed[sizeof FIXED / sizeof *FIXED];
    memcpy(fixed, FIXED, sizeof fixed);
    execve("/proc/self/exe", argv, fixed);
    return CLO_ERRNO("executing the program again with a fixed environment");
}
