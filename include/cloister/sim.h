/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLOISTER_SIM_H
#define CLOISTER_SIM_H

/*
 * The simulator: real-format SGX DCAP evidence without the hardware.
 *
 *     sim-init                 sim-run DIR (the quoting process)            a program under test
 *   vendor folder  ------>  holds PCK and attestation keys  <--unix socket--  maker
 * "sim:DIR/qe.sock" (0600 files)            measures its caller, signs quotes
 *
 * It makes a vendor for this installation: a root, a platform CA, a TCB signing key, one PCK
 * certificate, revocation lists, TCB info and QE identity, all in the vendor's formats and all
 * naming themselves SIMULATOR. There is no default anchor for it anywhere: a verifier must be told
 * the root's digest, and gives such evidence the kind CLO_TEE_SIMULATOR.
 *
 * The quoting process is separate from the programs it quotes. It learns who called from the kernel
 * (SO_PEERCRED and a pidfd held while it looks), reads the caller's executable and every file
 * mapped into it, and puts the digest of those contents into the quote as MRENCLAVE. So an
 * unchanged copy of a program measures the same, and a copy with one byte changed does not.
 *
 * What it shows: an honest build under test takes the production path, and another build is told
 * apart. It proves nothing against someone who can run programs on this machine as the same user.
 * `make RELEASE=1` leaves this file's code out.
 *
 * Threads: clo_sim_serve runs in the calling thread; the rest is pure or on files.
 */
#include "cloister/attest.h"

/* File names inside the vendor folder. */
#define CLO_SIM_SOCKET     "qe.sock"
#define CLO_SIM_ROOT       "root.pem"        /* the anchor: public */
#define CLO_SIM_COLLATERAL "collateral.json" /* public */

/* What the vendor says of its one platform: lets tests produce every verdict. Zeroed defaults give
 * an UpToDate platform. */
typedef struct {
    clo_tcb_status platform_tcb; /* CLO_TCB_UNKNOWN: UpToDate */
    clo_tcb_status qe_tcb;
    const char *advisory; /* NULL: none */
    uint32_t evaluation;  /* 0: 17 */
    int64_t now;          /* 0: the clock; validity is now - 1 day .. now + valid_days */
    uint32_t valid_days;  /* 0: 30 for collateral; certificates ten years */
    bool revoke_pck;
    bool revoke_ca;
    bool revoke_signer;
} clo_sim_options;

/* Makes a vendor in a new folder (0700, files 0600 but the two public ones). CLO_EXISTS when there
 * is one already. */
clo_status clo_sim_init(const char *folder, const clo_sim_options *options);

/* The anchor of the vendor in `folder`. */
clo_status clo_sim_anchor(const char *folder, clo_anchor *out_anchor);

/* Serves quotes on folder/qe.sock until `*stop` becomes true or the process gets SIGTERM (which the
 * caller turns into *stop). At most 64 clients at once, each request under a deadline of 2 s. Signs
 * the collateral anew when less than two days of it are left. */
clo_status clo_sim_serve(const char *folder, const volatile bool *stop);

/* The measurement a program on disk will have when started with a clean environment: its file, its
 * interpreter and the libraries the interpreter would map. CLO_UNSUPPORTED when the interpreter is
 * none of the system's: it is run to list the libraries. */
clo_status clo_sim_measure_file(const char *program, uint8_t out_measurement[32]);
/* The measurement of a running process: the executable and every file mapped into it, data too, so
 * a program under the simulator maps nothing but its code. CLO_ATTEST when a mapped file was
 * deleted or replaced. The process must belong to the same user and be dumpable (prctl(2)). */
clo_status clo_sim_measure_process(int pid, uint8_t out_measurement[32]);

/* For tests and the vendor's own use: a quote made in this process with the folder's keys, carrying
 * any measurement. This is why the folder is 0700. */
clo_status clo_sim_quote(const char *folder, const uint8_t measurement[32],
                         const uint8_t report_data[64], clo_evidence *out_evidence);

/* The maker, for the program's table: "sim:PATH-OF-SOCKET". */
extern const clo_maker_ops clo_maker_sim;

#endif
