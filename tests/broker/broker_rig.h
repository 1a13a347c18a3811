/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_BROKER_RIG_H
#define CLO_BROKER_RIG_H

/*
 * broker_rig: kms_rig's people, a simulator's vendor, and makers of evidence for any program (a
 * measurement chosen by the test). rig_served is a broker served by a thread of this program.
 *
 * Fixture functions abort the program when the machine fails them; the code under test is only ever
 * asked through T_ macros.
 */
#include "../kms/kms_rig.h"
#include "broker_state.h"
#include "cloister/sim.h"

static char rig_vendor[512];
static uint8_t rig_measurement[32];
static unsigned rig_quotes; /* made so far; atomic */

static inline clo_status rig_maker_open(const char *config, void **out_state)
{
    (void)config;
    uint8_t *measurement = clo_alloc(32);
    CLO_CHECK(measurement != NULL, CLO_NOMEM, "a measurement");
    memcpy(measurement, rig_measurement, 32);
    *out_state = measurement;
    return CLO_STATUS_OK;
}

static inline clo_status rig_maker_quote(void *state, const uint8_t report_data[64],
                                         clo_deadline deadline, clo_evidence *out_evidence)
{
    (void)deadline;
    __atomic_fetch_add(&rig_quotes, 1, __ATOMIC_RELAXED);
    return clo_sim_quote(rig_vendor, state, report_data, out_evidence);
}

static const clo_maker_ops rig_maker_ops = {
    .name = "rig",
    .summary = "the simulator's vendor, in this process",
    .config_help = "",
    .insecure = "insecure_simulator",
    .open = rig_maker_open,
    .quote = rig_maker_quote,
    .close = clo_free,
};

static const clo_maker_ops *const rig_makers[] = {&rig_maker_ops, NULL};

/* Evidence of the program with this measurement. */
static inline RIG_UNUSED clo_maker *rig_maker(const uint8_t measurement[32])
{
    clo_maker *maker = NULL;
    memcpy(rig_measurement, measurement, 32);
    rig_must(clo_maker_open(rig_makers, "rig:", &maker), "maker");
    return maker;
}

static inline RIG_UNUSED void rig_vendor_make(void)
{
    snprintf(rig_vendor, sizeof rig_vendor, "%s/vendor", clo_test_folder());
    rig_must(clo_sim_init(rig_vendor, &(clo_sim_options){0}), "vendor");
    rig_must(clo_sim_anchor(rig_vendor, &rig_anchor), "anchor");
}

/* A new folder's store, made and opened. */
static inline RIG_UNUSED clo_store *rig_store(char out_folder[600])
{
    char root_path[700];
    clo_store *store = NULL;
    clo_broker_root root = {"file", root_path};
    rig_must(clo_dir_make_temp(clo_test_folder(), out_folder, 600), "folder");
    snprintf(root_path, sizeof root_path, "%.599s.root", out_folder);
    rig_must(clo_broker_init(out_folder, &root), "init");
    rig_must(clo_store_open(out_folder, &root, &store), "open");
    return store;
}

#endif
