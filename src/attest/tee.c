/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kinds of TEE and the statuses of a TCB, by name. A kind without a name does not exist in this
 * build: a release build has no simulator, so that neither a policy can name it nor an anchor stand
 * for it.
 */
#include "cloister/attest.h"

static const char *const tee_names[CLO_TEE_COUNT] = {
#if CLO_INSECURE
    [CLO_TEE_SIMULATOR] = "simulator",
#endif
    [CLO_TEE_SGX] = "sgx",
};

/* Intel's spelling, in order of severity. */
static const char *const tcb_names[CLO_TCB_COUNT] = {
    [CLO_TCB_UP_TO_DATE] = "UpToDate",
    [CLO_TCB_SW_HARDENING_NEEDED] = "SWHardeningNeeded",
    [CLO_TCB_CONFIGURATION_NEEDED] = "ConfigurationNeeded",
    [CLO_TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED] = "ConfigurationAndSWHardeningNeeded",
    [CLO_TCB_OUT_OF_DATE] = "OutOfDate",
    [CLO_TCB_OUT_OF_DATE_CONFIGURATION_NEEDED] = "OutOfDateConfigurationNeeded",
    [CLO_TCB_REVOKED] = "Revoked",
};

/* Index of `name`, or 0: both tables leave 0 unnamed. */
static uint32_t find_name(const char *const *names, uint32_t count, clo_span name)
{
    for (uint32_t i = 1; i < count; i++) {
        if (names[i] != NULL && clo_span_equals_str(name, names[i])) {
            return i;
        }
    }
    return 0;
}

const char *clo_tee_name(clo_tee_kind kind)
{
    const char *name = (unsigned)kind < CLO_TEE_COUNT ? tee_names[kind] : NULL;
    return name != NULL ? name : "none";
}

clo_status clo_tee_parse(clo_span name, clo_tee_kind *out_kind)
{
    uint32_t found = find_name(tee_names, CLO_TEE_COUNT, name);
    CLO_CHECK(found != 0, CLO_FORMAT, "kind of TEE is not known to this build");
    *out_kind = (clo_tee_kind)found;
    return CLO_STATUS_OK;
}

const char *clo_tcb_name(clo_tcb_status status)
{
    const char *name = (unsigned)status < CLO_TCB_COUNT ? tcb_names[status] : NULL;
    return name != NULL ? name : "unknown";
}

clo_status clo_tcb_parse(clo_span name, clo_tcb_status *out_status)
{
    uint32_t found = find_name(tcb_names, CLO_TCB_COUNT, name);
    CLO_CHECK(found != 0, CLO_FORMAT, "TCB status is not a known one");
    *out_status = (clo_tcb_status)found;
    return CLO_STATUS_OK;
}
