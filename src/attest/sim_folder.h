/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_ATTEST_SIM_FOLDER_H
#define CLO_ATTEST_SIM_FOLDER_H

/*
 * The vendor's folder, read back:
 *
 *     root.key platform-ca.key pck.key tcb-signing.key     0600   PKCS#8 PEM
 *     root.pem                                             0644   the anchor
 *     platform-ca.pem pck.pem tcb-signing.pem              0600
 *     vendor.json                                          0600   what the vendor says (options)
 *     collateral.json                                      0644   as evidence carries it
 *     qe.sock                                              0600   while the quoting process runs
 *
 * Invariant: the folder is 0700 and ours, or nothing is read from it. A folder without vendor.json,
 * which is written last, holds no vendor.
 *
 * Ownership: a home owns its vendor until cleanup, and its description borrows from itself: it may
 * not be copied. Threads: a home belongs to one thread.
 */
#include "cloister/sim.h"
#include "sim_vendor.h"

typedef struct {
    clo_sim_vendor vendor;
    clo_sim_spec spec;
    char advisory[20]; /* "": none */
    uint32_t valid_days;
} clo_sim_home;

#define CLO_SIM_HOME_INIT ((clo_sim_home){.vendor = CLO_SIM_VENDOR_INIT})

clo_status clo_sim_home_load(const char *folder, clo_sim_home *out_home);
void clo_sim_home_cleanup(clo_sim_home *home);
/* Signs the collateral anew when it ends within two days, or is absent. */
clo_status clo_sim_home_refresh(const char *folder, clo_sim_home *home);

/* A path inside a folder. */
typedef struct {
    char text[1024];
} clo_sim_path;

clo_status clo_sim_path_make(const char *folder, const char *name, clo_sim_path *out_path);

#endif
