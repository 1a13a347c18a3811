/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_ATTEST_QE_IDENTITY_H
#define CLO_ATTEST_QE_IDENTITY_H

/*
 * QE identity: how the vendor's quoting enclave looks, version 2.
 *
 *     { id, version, issueDate, nextUpdate, tcbEvaluationDataNumber, miscselect, miscselectMask,
 *       attributes, attributesMask, mrsigner, isvprodid,
 *       tcbLevels: [ { tcb: { isvsvn }, tcbDate, tcbStatus, advisoryIDs? } ] }
 *
 * Hex strings are in memory order: they are compared as bytes and never turned into numbers.
 *
 * Ownership: levels live in the arena; `text` must outlive them.
 */
#include "quote_v3.h"
#include "tcb_info.h"

typedef struct {
    uint16_t isv_svn;
    clo_tcb_say say;
} clo_qe_level;

typedef struct {
    bool for_qe; /* the id is "QE": not TD_QE, not QVE */
    uint32_t version;
    int64_t issue, next_update;
    uint32_t evaluation;
    uint8_t misc_select[4], misc_mask[4];
    uint8_t attributes[16], attributes_mask[16];
    uint8_t signer[32];
    uint16_t product;
    clo_qe_level *levels;
    uint32_t level_count;
} clo_qe_identity;

clo_status clo_qe_identity_parse(clo_span text, clo_arena *arena, clo_qe_identity *out_identity);

/* CLO_ATTEST naming what differs between the identity and a QE report. */
clo_status clo_qe_identity_check(const clo_qe_identity *identity, const clo_report_body *report);

/* The highest level with isvsvn at most `isv_svn`; NULL when there is none. */
const clo_qe_level *clo_qe_identity_match(const clo_qe_identity *identity, uint16_t isv_svn);

#endif
