/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_ATTEST_TCB_INFO_H
#define CLO_ATTEST_TCB_INFO_H

/*
 * TCB info: the vendor's list of TCB levels for one kind of processor (FMSPC), versions 2 and 3.
 *
 *     { id, version, issueDate, nextUpdate, fmspc, pceId, tcbType, tcbEvaluationDataNumber,
 *       tcbLevels: [ { tcb: { 16 component SVNs, pcesvn }, tcbDate, tcbStatus, advisoryIDs? } ] }
 *
 * Invariants: every level is checked, also those that will not match. Unknown members are passed
 * over (the vendor adds some); a status that is not known is kept as CLO_TCB_UNKNOWN and refused
 * when its level matches.
 *
 * Ownership: levels live in the arena; `text` must outlive them.
 */
#include "cloister/attest.h"

#define CLO_MAX_LEVELS 256

/* What a level says, whatever it is a level of. */
typedef struct {
    int64_t date;
    clo_tcb_status status;
    clo_span status_text;       /* as it is spelled, for messages */
    const clo_json *advisories; /* array of strings that fit a claim; NULL: none */
} clo_tcb_say;

/* Reads tcbDate, tcbStatus and advisoryIDs of a level of either document. */
clo_status clo_tcb_say_parse(const clo_json *level, clo_tcb_say *out_say);

typedef struct {
    uint8_t components[16];
    uint16_t pce_svn;
    clo_tcb_say say;
} clo_tcb_level;

typedef struct {
    uint32_t version;
    bool for_sgx; /* version 3 says so by id; version 2 is for SGX only */
    int64_t issue, next_update;
    uint8_t fmspc[6], pce_id[2];
    bool has_pce_id; /* absent in some of version 2 */
    uint32_t evaluation;
    clo_tcb_level *levels;
    uint32_t level_count;
} clo_tcb_info;

clo_status clo_tcb_info_parse(clo_span text, clo_arena *arena, clo_tcb_info *out_info);

/* The highest level whose 16 components and PCE SVN the platform reaches; NULL when there is none.
 * The order is by components, then PCE SVN; the document's order means nothing. */
const clo_tcb_level *clo_tcb_info_match(const clo_tcb_info *info, const uint8_t components[16],
                                        uint16_t pce_svn);

/* The platform's status under the quoting enclave's: an old enclave makes it out of date. */
clo_tcb_status clo_tcb_converge(clo_tcb_status platform, clo_tcb_status qe);

#endif
