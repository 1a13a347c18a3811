/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_TEST_ATTEST_SCENE_H
#define CLO_TEST_ATTEST_SCENE_H

/*
 * A scene: a simulated vendor's evidence, the request that verifies it and the policy that
 * appraises it, all healthy. A test breaks one thing at one of three moments and looks at the
 * verdict:
 *
 *     scene_init -> (spec) -> scene_mint: vendor -> (vendor) -> evidence -> (evidence) ->
 * scene_judge
 *
 * Everything is `static inline`: each test program is one file.
 */
#include "test.h"

#include "sim_vendor.h"

#include <string.h>

#define SCENE_NOW ((int64_t)1790000000)
#define SCENE_DAY ((int64_t)86400)

typedef struct {
    clo_sim_spec spec;
    clo_sim_vendor vendor;
    clo_evidence evidence;
    clo_verify_request request;
    clo_appraisal appraisal;
    clo_verdict verdict;
    clo_buf scratch; /* what spans in the spec point to */
} scene;

typedef void (*scene_break)(scene *s);

/* Allows what the healthy vendor makes: its measurement, every status, no advisory. */
static inline void scene_allow(clo_appraisal *a)
{
    memset(a, 0, sizeof *a);
    a->tees[a->tee_count++] = CLO_TEE_SIMULATOR;
    a->measurement_count = 1;
    for (int i = CLO_TCB_UP_TO_DATE; i < CLO_TCB_COUNT; i++) {
        a->tcb_statuses[a->tcb_status_count++] = (clo_tcb_status)i;
    }
}

static inline void scene_init(scene *s)
{
    memset(s, 0, sizeof *s);
    s->vendor = CLO_SIM_VENDOR_INIT;
    s->evidence = CLO_EVIDENCE_INIT;
    clo_sim_spec_init(&s->spec, SCENE_NOW);
    scene_allow(&s->appraisal);
}

static inline void scene_cleanup(scene *s)
{
    clo_sim_vendor_cleanup(&s->vendor);
    clo_evidence_cleanup(&s->evidence);
    clo_buf_release(&s->scratch);
}

/* Makes vendor, evidence and request; the breaks may be NULL. */
static inline clo_status scene_mint(scene *s, scene_break vendor, scene_break evidence)
{
    CLO_TRY(clo_sim_vendor_make(&s->spec, &s->vendor));
    if (vendor != NULL) {
        vendor(s);
    }
    CLO_TRY(clo_sim_evidence_make(&s->vendor, &s->spec, &s->evidence));
    s->request.at = SCENE_NOW;
    s->request.anchors[0] = clo_sim_vendor_anchor(&s->vendor);
    s->request.anchor_count = 1;
    if (evidence != NULL) {
        evidence(s);
    }
    return CLO_STATUS_OK;
}

/* Verifies and appraises. */
static inline clo_status scene_judge(scene *s)
{
    s->request.quote = clo_buf_span(&s->evidence.quote);
    s->request.collateral = clo_buf_span(&s->evidence.collateral);
    CLO_TRY(clo_evidence_verify(&s->request, &s->verdict));
    clo_appraise(&s->appraisal, s->request.at, &s->verdict);
    return CLO_STATUS_OK;
}

#endif
