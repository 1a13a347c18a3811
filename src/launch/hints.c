/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rank hints from the environment of the launcher that started us. A launcher is one row of a
 * table: the names of its variables. The first row whose world-size variable is set is believed;
 * nothing is mixed between launchers.
 */
#include "cloister/launch.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORLD_LIMIT 65536u

typedef struct {
    const char *name;
    const char *world, *rank;
    const char *local_world; /* NULL: the launcher has none */
} launcher;

/* Slurm starts a job's batch script itself as task 0 of 1, so it stands behind the ones that set
 * their variables only for ranks. */
static const launcher LAUNCHERS[] = {
    {"torchrun", "WORLD_SIZE", "RANK", "LOCAL_WORLD_SIZE"},
    {"openmpi", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"},
    {"pmi", "PMI_SIZE", "PMI_RANK", "MPI_LOCALNRANKS"},
    {"slurm", "SLURM_NTASKS", "SLURM_PROCID", "SLURM_NTASKS_PER_NODE"},
};

static const char *variable(const char *name)
{
    const char *text = name ? getenv(name) : NULL;
    return text && *text ? text : NULL;
}

static clo_status read_number(const char *name, uint64_t max, uint32_t *out_value)
{
    uint64_t value = 0;
    CLO_CHECK(clo_ok(clo_parse_u64(variable(name), max, &value)), CLO_INVALID,
              "environment variable '%s' is '%.32s', expected a number of at most %llu", name,
              variable(name), (unsigned long long)max);
    *out_value = (uint32_t)value;
    return CLO_STATUS_OK;
}

static clo_status read_launcher(const launcher *row, clo_launch_hints *hints)
{
    CLO_CHECK(variable(row->rank), CLO_INVALID, "'%s' is set but '%s' is not", row->world,
              row->rank);
    CLO_TRY(read_number(row->world, WORLD_LIMIT, &hints->world));
    CLO_CHECK(hints->world > 0, CLO_INVALID, "environment variable '%s' is 0, expected at least 1",
              row->world);
    CLO_TRY(read_number(row->rank, WORLD_LIMIT, &hints->rank));
    CLO_CHECK(hints->rank < hints->world, CLO_INVALID,
              "'%s' is %u, expected less than '%s', which is %u", row->rank, hints->rank,
              row->world, hints->world);
    if (variable(row->local_world)) {
        CLO_TRY(read_number(row->local_world, WORLD_LIMIT, &hints->local_world));
    }
    hints->launcher = row->name;
    hints->has_world = true;
    return CLO_STATUS_OK;
}

static clo_status read_ranks(clo_launch_hints *hints)
{
    for (size_t i = 0; i < sizeof LAUNCHERS / sizeof *LAUNCHERS; i++) {
        if (variable(LAUNCHERS[i].world)) {
            return read_launcher(&LAUNCHERS[i], hints);
        }
    }
    CLO_CHECK(!variable("RANK"), CLO_INVALID, "'RANK' is set but 'WORLD_SIZE' is not");
    return CLO_STATUS_OK;
}

static clo_status read_master(clo_launch_hints *hints)
{
    const char *host = variable("MASTER_ADDR");
    if (!host) {
        return CLO_STATUS_OK;
    }
    uint32_t port = 29500;
    if (variable("MASTER_PORT")) {
        CLO_TRY(read_number("MASTER_PORT", 65535, &port));
    }
    bool bare_ipv6 = strchr(host, ':') && host[0] != '[';
    CLO_AUTO(clo_buf) text = CLO_BUF_LIMIT(sizeof hints->master - 1);
    clo_put_format(&text, bare_ipv6 ? "[%s]:%u" : "%s:%u", host, port);
    CLO_CHECK(!text.over_limit, CLO_INVALID, "environment variable 'MASTER_ADDR' is too long");
    CLO_TRY(clo_buf_check(&text));
    memcpy(hints->master, text.data, text.size);
    return CLO_STATUS_OK;
}

static clo_status read_interface(clo_launch_hints *hints)
{
    const char *name = variable("GLOO_TCP_IFACE");
    if (!name) {
        return CLO_STATUS_OK;
    }
    size_t size = strlen(name);
    CLO_CHECK(size < sizeof hints->local_interface, CLO_INVALID,
              "environment variable 'GLOO_TCP_IFACE' has %zu characters, expected less than %zu",
              size, sizeof hints->local_interface);
    memcpy(hints->local_interface, name, size);
    return CLO_STATUS_OK;
}

clo_status clo_launch_read_hints(clo_launch_hints *out_hints)
{
    clo_launch_hints hints = {.local_world = 1};
    CLO_TRY(read_ranks(&hints));
    CLO_TRY(read_master(&hints));
    CLO_TRY(read_interface(&hints));
    if (variable("OMP_NUM_THREADS")) {
        uint32_t threads = 0;
        CLO_TRY(read_number("OMP_NUM_THREADS", 1024, &threads));
        hints.threads = (int)threads;
    }
    hints.gloo_transport = variable("GLOO_DEVICE_TRANSPORT") != NULL;
    *out_hints = hints;
    return CLO_STATUS_OK;
}

int clo_launch_threads(const clo_launch_hints *hints, uint32_t local_ranks)
{
    if (hints->threads > 0) {
        return hints->threads;
    }
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    long threads = cores / (long)(local_ranks ? local_ranks : 1);
    return threads > 1 ? (int)threads : 1;
}
