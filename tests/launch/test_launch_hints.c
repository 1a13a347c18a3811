/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rank hints: every launcher's variables, the ones that must not be mixed, and the texts of what is
 * refused. Each test starts from an environment without any of them.
 */
#include "cloister/launch.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const VARIABLES[] = {
    "WORLD_SIZE",
    "RANK",
    "LOCAL_RANK",
    "LOCAL_WORLD_SIZE",
    "MASTER_ADDR",
    "MASTER_PORT",
    "OMPI_COMM_WORLD_SIZE",
    "OMPI_COMM_WORLD_RANK",
    "OMPI_COMM_WORLD_LOCAL_SIZE",
    "PMI_SIZE",
    "PMI_RANK",
    "MPI_LOCALNRANKS",
    "SLURM_NTASKS",
    "SLURM_PROCID",
    "SLURM_NTASKS_PER_NODE",
    "GLOO_TCP_IFACE",
    "GLOO_DEVICE_TRANSPORT",
    "OMP_NUM_THREADS",
};

/* Pairs of name and value, ended by NULL, are the whole of what hints are read from. */
static void set_environment(const char *const *pairs)
{
    for (size_t i = 0; i < sizeof VARIABLES / sizeof *VARIABLES; i++) {
        unsetenv(VARIABLES[i]);
    }
    for (; *pairs; pairs += 2) {
        setenv(pairs[0], pairs[1], 1);
    }
}

#define ENVIRONMENT(...) set_environment((const char *const[]){__VA_ARGS__, NULL})

static clo_launch_hints hints;

/* The status of reading, and its text. */
static char refusal[1024];

static clo_status read_refused(void)
{
    hints = (clo_launch_hints){.world = 4711};
    clo_status status = clo_launch_read_hints(&hints);
    clo_status_text(status, refusal, sizeof refusal);
    return status;
}

/* ---------------------------------------------------------------- who am I -------------------- */

static void no_variables_give_no_hints(void)
{
    set_environment((const char *const[]){NULL});
    T_OK(clo_launch_read_hints(&hints));
    T_CHECK(hints.launcher == NULL && !hints.has_world);
    T_INT(hints.local_world, 1);
    T_STR(hints.master, "");
    T_STR(hints.local_interface, "");
    T_INT(hints.threads, 0);
    T_CHECK(!hints.gloo_transport);
}

typedef struct {
    const char *launcher, *world, *rank, *local_world;
} launcher_row;

static const launcher_row LAUNCHERS[] = {
    {"torchrun", "WORLD_SIZE", "RANK", "LOCAL_WORLD_SIZE"},
    {"openmpi", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"},
    {"pmi", "PMI_SIZE", "PMI_RANK", "MPI_LOCALNRANKS"},
    {"slurm", "SLURM_NTASKS", "SLURM_PROCID", "SLURM_NTASKS_PER_NODE"},
};

#define EACH_LAUNCHER(row)                                                                         \
    for (const launcher_row *row = LAUNCHERS;                                                      \
         row < LAUNCHERS + sizeof LAUNCHERS / sizeof *LAUNCHERS; row++)

static void each_launcher_tells_world_rank_and_local_world(void)
{
    EACH_LAUNCHER(row)
    {
        ENVIRONMENT(row->world, "8", row->rank, "7", row->local_world, "2");
        T_OK(clo_launch_read_hints(&hints));
        T_STR(hints.launcher, row->launcher);
        T_CHECK(hints.has_world);
        T_INT(hints.world, 8);
        T_INT(hints.rank, 7);
        T_INT(hints.local_world, 2);
    }
}

static void one_rank_here_is_meant_when_a_launcher_does_not_say(void)
{
    EACH_LAUNCHER(row)
    {
        ENVIRONMENT(row->world, "8", row->rank, "0");
        T_OK(clo_launch_read_hints(&hints));
        T_INT(hints.local_world, 1);
    }
}

static void torchrun_inside_slurm_is_believed_alone(void)
{
    ENVIRONMENT("SLURM_NTASKS", "16", "SLURM_PROCID", "9", "SLURM_NTASKS_PER_NODE", "4",
                "WORLD_SIZE", "3", "RANK", "2");
    T_OK(clo_launch_read_hints(&hints));
    T_STR(hints.launcher, "torchrun");
    T_INT(hints.world, 3);
    T_INT(hints.rank, 2);
    T_INT(hints.local_world, 1);
}

static void the_rank_of_another_launcher_does_not_fill_a_gap(void)
{
    ENVIRONMENT("WORLD_SIZE", "3", "SLURM_PROCID", "2", "PMI_RANK", "1");
    T_CODE(read_refused(), CLO_INVALID);
    T_STR(refusal, "'WORLD_SIZE' is set but 'RANK' is not");
}

static void a_world_without_a_rank_is_refused(void)
{
    EACH_LAUNCHER(row)
    {
        ENVIRONMENT(row->world, "3");
        T_CODE(read_refused(), CLO_INVALID);
        T_CHECK(strstr(refusal, row->world) && strstr(refusal, row->rank));
    }
}

static void a_rank_without_a_world_is_refused(void)
{
    ENVIRONMENT("RANK", "0");
    T_CODE(read_refused(), CLO_INVALID);
    T_STR(refusal, "'RANK' is set but 'WORLD_SIZE' is not");
}

static void an_empty_variable_counts_as_not_set(void)
{
    ENVIRONMENT("WORLD_SIZE", "", "RANK", "", "MASTER_ADDR", "", "OMP_NUM_THREADS", "",
                "GLOO_TCP_IFACE", "");
    T_OK(clo_launch_read_hints(&hints));
    T_CHECK(!hints.has_world);
    T_STR(hints.master, "");
}

static void a_rank_outside_the_world_is_refused_with_both_numbers(void)
{
    ENVIRONMENT("WORLD_SIZE", "3", "RANK", "3");
    T_CODE(read_refused(), CLO_INVALID);
    T_STR(refusal, "'RANK' is 3, expected less than 'WORLD_SIZE', which is 3");
    ENVIRONMENT("WORLD_SIZE", "3", "RANK", "2");
    T_OK(clo_launch_read_hints(&hints));
}

static void a_world_of_nobody_is_refused(void)
{
    ENVIRONMENT("WORLD_SIZE", "0", "RANK", "0");
    T_CODE(read_refused(), CLO_INVALID);
    T_STR(refusal, "environment variable 'WORLD_SIZE' is 0, expected at least 1");
}

static void what_is_no_number_is_refused_by_the_variable_s_name(void)
{
    static const char *const wrong[] = {"three", "-1",    "3 ",
                                        "0x3",   "65537", "99999999999999999999999"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ENVIRONMENT("WORLD_SIZE", wrong[i], "RANK", "0");
        T_CODE(read_refused(), CLO_INVALID);
        T_CHECK(strstr(refusal, "environment variable 'WORLD_SIZE'"));
        ENVIRONMENT("WORLD_SIZE", "3", "RANK", wrong[i]);
        T_CODE(read_refused(), CLO_INVALID);
        T_CHECK(strstr(refusal, "environment variable 'RANK'"));
        ENVIRONMENT("WORLD_SIZE", "3", "RANK", "0", "LOCAL_WORLD_SIZE", wrong[i]);
        T_CODE(read_refused(), CLO_INVALID);
        T_CHECK(strstr(refusal, "environment variable 'LOCAL_WORLD_SIZE'"));
    }
}

static void a_refusal_leaves_the_caller_s_hints_alone(void)
{
    ENVIRONMENT("WORLD_SIZE", "3", "RANK", "1", "MASTER_ADDR", "node", "MASTER_PORT", "none");
    T_CODE(read_refused(), CLO_INVALID);
    T_INT(hints.world, 4711);
}

/* ---------------------------------------------------------------- where ----------------------- */

static void rank_0_is_where_the_master_variables_say(void)
{
    ENVIRONMENT("MASTER_ADDR", "10.0.0.2", "MASTER_PORT", "7000");
    T_OK(clo_launch_read_hints(&hints));
    T_STR(hints.master, "10.0.0.2:7000");
    ENVIRONMENT("MASTER_ADDR", "node-1");
    T_OK(clo_launch_read_hints(&hints));
    T_STR(hints.master, "node-1:29500");
}

static void a_bare_ipv6_address_gets_its_brackets_and_another_keeps_them(void)
{
    ENVIRONMENT("MASTER_ADDR", "fd00::2", "MASTER_PORT", "7000");
    T_OK(clo_launch_read_hints(&hints));
    T_STR(hints.master, "[fd00::2]:7000");
    ENVIRONMENT("MASTER_ADDR", "[fd00::2]", "MASTER_PORT", "7000");
    T_OK(clo_launch_read_hints(&hints));
    T_STR(hints.master, "[fd00::2]:7000");
}

static void a_port_alone_says_nothing(void)
{
    ENVIRONMENT("MASTER_PORT", "7000");
    T_OK(clo_launch_read_hints(&hints));
    T_STR(hints.master, "");
}

static void a_port_above_65535_is_refused(void)
{
    ENVIRONMENT("MASTER_ADDR", "node", "MASTER_PORT", "65535");
    T_OK(clo_launch_read_hints(&hints));
    T_STR(hints.master, "node:65535");
    ENVIRONMENT("MASTER_ADDR", "node", "MASTER_PORT", "65536");
    T_CODE(read_refused(), CLO_INVALID);
    T_CHECK(strstr(refusal, "environment variable 'MASTER_PORT'"));
}

static void names_of_hosts_and_interfaces_are_taken_whole_or_refused(void)
{
    char name[200];
    memset(name, 'n', sizeof name);
    name[sizeof hints.master - 1 - strlen(":29500")] = '\0';
    ENVIRONMENT("MASTER_ADDR", name);
    T_OK(clo_launch_read_hints(&hints));
    T_INT(strlen(hints.master), sizeof hints.master - 1);
    memcpy(name + strlen(name), "n", 2);
    ENVIRONMENT("MASTER_ADDR", name);
    T_CODE(read_refused(), CLO_INVALID);
    T_CHECK(strstr(refusal, "MASTER_ADDR"));

    name[sizeof hints.local_interface - 1] = '\0';
    ENVIRONMENT("GLOO_TCP_IFACE", name);
    T_OK(clo_launch_read_hints(&hints));
    T_STR(hints.local_interface, name);
    memcpy(name + strlen(name), "n", 2);
    ENVIRONMENT("GLOO_TCP_IFACE", name);
    T_CODE(read_refused(), CLO_INVALID);
    T_CHECK(strstr(refusal, "GLOO_TCP_IFACE"));
}

static void the_transport_of_gloo_is_noticed(void)
{
    ENVIRONMENT("GLOO_DEVICE_TRANSPORT", "TCP_TLS");
    T_OK(clo_launch_read_hints(&hints));
    T_CHECK(hints.gloo_transport);
}

/* ---------------------------------------------------------------- threads --------------------- */

static void threads_are_the_hint_or_a_share_of_the_cores(void)
{
    ENVIRONMENT("OMP_NUM_THREADS", "6");
    T_OK(clo_launch_read_hints(&hints));
    T_INT(clo_launch_threads(&hints, 1), 6);
    T_INT(clo_launch_threads(&hints, 64), 6);
    clo_launch_hints none = {0};
    int cores = clo_launch_threads(&none, 1);
    T_CHECK(cores >= 1);
    T_INT(clo_launch_threads(&none, 0), cores);
    T_INT(clo_launch_threads(&none, 2), cores / 2 > 1 ? cores / 2 : 1);
    T_INT(clo_launch_threads(&none, 1000000), 1);
}

static void threads_that_are_no_number_are_refused(void)
{
    ENVIRONMENT("OMP_NUM_THREADS", "4,2");
    T_CODE(read_refused(), CLO_INVALID);
    T_CHECK(strstr(refusal, "environment variable 'OMP_NUM_THREADS'"));
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(no_variables_give_no_hints),
        T(each_launcher_tells_world_rank_and_local_world),
        T(one_rank_here_is_meant_when_a_launcher_does_not_say),
        T(torchrun_inside_slurm_is_believed_alone),
        T(the_rank_of_another_launcher_does_not_fill_a_gap),
        T(a_world_without_a_rank_is_refused),
        T(a_rank_without_a_world_is_refused),
        T(an_empty_variable_counts_as_not_set),
        T(a_rank_outside_the_world_is_refused_with_both_numbers),
        T(a_world_of_nobody_is_refused),
        T(what_is_no_number_is_refused_by_the_variable_s_name),
        T(a_refusal_leaves_the_caller_s_hints_alone),
        T(rank_0_is_where_the_master_variables_say),
        T(a_bare_ipv6_address_gets_its_brackets_and_another_keeps_them),
        T(a_port_alone_says_nothing),
        T(a_port_above_65535_is_refused),
        T(names_of_hosts_and_interfaces_are_taken_whole_or_refused),
        T(the_transport_of_gloo_is_noticed),
        T(threads_are_the_hint_or_a_share_of_the_cores),
        T(threads_that_are_no_number_are_refused),
    };
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
