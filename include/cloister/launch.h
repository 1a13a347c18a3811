/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLOISTER_LAUNCH_H
#define CLOISTER_LAUNCH_H

/*
 * launch: who am I among the ranks, and the processes that a command starts on this machine.
 *
 * Everything here is outside the TEE. What it learns from the environment are hints of *where*
 * things are (rank, addresses, threads); cloister-tee gets them as arguments and trusts none: slots
 * come from the broker, hyper-parameters from the manifest.
 *
 * Invariants: a child never outlives its parent (it gets SIGTERM when the parent dies); every wait
 * has a deadline; a child's environment is what the caller gives, no more.
 *
 * Threads: one thread.
 */
#include "cloister/base.h"

/* ---------------------------------------------------------------- hints ----------------------- */

/* Which launcher started us, as read from its variables; one row a launcher in src/launch/hints.c:
 * torchrun and the samples (WORLD_SIZE, RANK, LOCAL_RANK, LOCAL_WORLD_SIZE), Slurm (SLURM_NTASKS,
 * SLURM_PROCID ...), Open MPI (OMPI_COMM_WORLD_*), PMI (PMI_SIZE, PMI_RANK). */
typedef struct {
    const char *launcher; /* "torchrun", "slurm" ...; NULL: none */
    bool has_world;
    uint32_t world, rank;
    uint32_t local_world;     /* ranks on this machine; 1 when not told */
    char master[160];         /* "MASTER_ADDR:MASTER_PORT"; empty when MASTER_ADDR is not set */
    char local_interface[64]; /* GLOO_TCP_IFACE; empty: any */
    int threads;              /* OMP_NUM_THREADS; 0: not set */
    bool gloo_transport;      /* GLOO_DEVICE_TRANSPORT is set: accepted, changes nothing */
} clo_launch_hints;

/* CLO_INVALID names the variable, what it holds and what it may hold. A world size without a rank
 * (or the reverse) is an error. */
clo_status clo_launch_read_hints(clo_launch_hints *out_hints);

/* The hint, or cores / local ranks, at least 1. */
int clo_launch_threads(const clo_launch_hints *hints, uint32_t local_ranks);

/* ---------------------------------------------------------------- processes ------------------- */

typedef struct clo_process clo_process;

typedef struct {
    const char *program;            /* path */
    const char *const *arguments;   /* NULL-terminated, without argv[0] */
    const char *const *environment; /* NULL: the caller's own */
    bool capture_out, capture_err;  /* else inherited */
} clo_process_options;

clo_status clo_process_start(const clo_process_options *options, clo_process **out_process);
/* Non-blocking read ends of the captured streams; -1 when not captured. */
int clo_process_out(const clo_process *process);
int clo_process_err(const clo_process *process);
int clo_process_id(const clo_process *process);
/* CLO_TIMEOUT while it still runs. The exit code is 128 + n after signal n. */
clo_status clo_process_wait(clo_process *process, clo_deadline deadline, int *out_exit_code);
/* SIGTERM, and SIGKILL after `grace_ms`; then frees. Does nothing to one that ended. NULL is fine.
 */
void clo_process_stop(clo_process *process, int64_t grace_ms);
void clo_process_signal(clo_process *process, int signal_number);

static inline void clo_process_end(clo_process *process)
{
    clo_process_stop(process, 3000);
}

CLO_DEFINE_AUTO_PTR(clo_process, clo_process_end);

/* ---------------------------------------------------------------- groups of processes --------- */

typedef enum { CLO_STREAM_OUT, CLO_STREAM_ERR } clo_stream;

/* One line of a process, without its newline. */
typedef void (*clo_line_fn)(void *arg, size_t process, clo_stream stream, clo_span line);

/* Reads lines from several processes until all have ended. Lines are at most 64 KiB, without the
 * newline. When one process ends with an error the others get `grace_ms` to end by themselves (they
 * learn of it through their connections), then SIGTERM. */
typedef struct {
    clo_line_fn line;
    void (*ended)(void *arg, size_t process, int exit_code); /* may be NULL */
    const volatile bool *stop;                               /* true: SIGTERM to all */
    int64_t grace_ms;
    void *arg;
} clo_process_group_options;

/* CLO_OK when all ended with code 0; else CLO_DENIED naming the first that did not. CLO_TIMEOUT
 * stops them all. */
clo_status clo_process_group_run(clo_process **processes, size_t count,
                                 const clo_process_group_options *options, clo_deadline deadline);

#endif
