/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_ATTEST_SIM_MEASURE_H
#define CLO_ATTEST_SIM_MEASURE_H

/*
 * What a program consists of, as one digest:
 *
 *     SHA-256("cloister simulator measurement v1\0" || SHA-256(executable)
 *             || u32 n || the SHA-256 of the n distinct other files mapped, sorted)
 *
 * It has two sources that agree for a program that maps nothing but what its loader maps: a running
 * process (sim_process.c), and the file on disk (sim_loader.c). Both put files into a
 * clo_sim_parts and finish it the same way. Where a file stands and what it is called does not
 * count; only its contents do.
 *
 * Ownership: parts and cache own their bytes until cleanup. Threads: each belongs to one thread.
 */
#include "cloister/sim.h"

#include <sys/stat.h>

/* A descriptor closed at the end of its scope; -1 is none. */
typedef int clo_sim_fd;
void clo_sim_fd_cleanup(clo_sim_fd *fd);

/* Digests of files already read, found by everything that changes when contents do. One file is a
 * few hundred bytes of table; the table starts over when it is full. */
typedef struct {
    clo_buf entries;
} clo_sim_cache;

#define CLO_SIM_CACHE_INIT ((clo_sim_cache){CLO_BUF_INIT})
void clo_sim_cache_cleanup(clo_sim_cache *cache);

typedef struct {
    uint8_t program[32];
    clo_buf others; /* digests, 32 bytes each, in no order */
    clo_sim_cache *cache;
} clo_sim_parts;

#define CLO_SIM_PARTS_INIT(cache) ((clo_sim_parts){{0}, CLO_BUF_INIT, (cache)})
void clo_sim_parts_cleanup(clo_sim_parts *parts);

/* The executable itself; `name` is for messages. */
clo_status clo_sim_parts_program(clo_sim_parts *parts, int fd, const char *name);
/* Another mapped file; the same contents again do not count twice. */
clo_status clo_sim_parts_add(clo_sim_parts *parts, int fd, const char *name);
clo_status clo_sim_parts_add_path(clo_sim_parts *parts, const char *path);
clo_status clo_sim_parts_finish(clo_sim_parts *parts, uint8_t out_measurement[32]);

/* The same as clo_sim_measure_process, with a cache that outlives the call. */
clo_status clo_sim_process_measure(clo_sim_cache *cache, int pid, uint8_t out_measurement[32]);

#endif
