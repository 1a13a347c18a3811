/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The collateral container and its two documents. The documents are parsed only behind a vendor's
 * signature, but a parser that trusts signatures for its safety is no parser.
 */
#include "collateral.h"
#include "qe_identity.h"
#include "tcb_info.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_tcb_info(clo_span text)
{
    static const uint8_t components[16] = {7, 7, 7, 7, 255, 255, 1};
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    clo_tcb_info info;
    if (clo_ok(clo_tcb_info_parse(text, &arena, &info))) {
        (void)clo_tcb_info_match(&info, components, 13);
    }
}

static void read_qe_identity(clo_span text)
{
    static const clo_report_body report = {.product = 1, .svn = 8};
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    clo_qe_identity identity;
    if (clo_ok(clo_qe_identity_parse(text, &arena, &identity))) {
        (void)clo_qe_identity_check(&identity, &report);
        (void)clo_qe_identity_match(&identity, report.svn);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    clo_span input = CLO_SPAN(data, size);
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    clo_collateral collateral;
    read_tcb_info(input);
    read_qe_identity(input);
    if (clo_ok(clo_collateral_parse(input, &arena, &collateral))) {
        read_tcb_info(collateral.tcb_info.text);
        read_qe_identity(collateral.qe_identity.text);
    }
    return 0;
}
