/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cloister attest measure | sim-init | sim-run: the simulator, for people. Development builds only.
 */
#include "commands.h"

#include "cloister/sim.h"

#include <stdio.h>
#include <stdlib.h>

const cli_option cmd_measure_options[] = {
    {"json", CLI_FLAG, offsetof(cmd_measure_settings, json), NULL, "machine-readable"},
    CLI_OPTIONS_END};
const cli_option cmd_sim_init_options[] = {CLI_OPTIONS_END};
const cli_option cmd_sim_run_options[] = {CLI_OPTIONS_END};

clo_status cmd_measure(const cli_command *command, const void *settings,
                       const cli_arguments *arguments)
{
    const cmd_measure_settings *s = settings;
    uint8_t measurement[32];
    char program[1024], hex[65];
    const char *given = arguments->positional.count ? arguments->positional.item[0] : NULL;
    (void)command;
    CLO_TRY(cli_tee_path(given, program, sizeof program));
    CLO_TRY(cli_measure(program, measurement));
    clo_hex_encode(CLO_SPAN_OF(measurement), hex);
    if (s->json) {
        printf("{\"program\":\"%s\",\"measurement\":\"%s\"}\n", program, hex);
    } else {
        printf("%s\n", hex);
    }
    return CLO_STATUS_OK;
}

static clo_status vendor_folder(const cli_arguments *arguments, char *out_path, size_t size)
{
    const char *home = getenv("HOME");
    if (arguments->positional.count) {
        int got = snprintf(out_path, size, "%s", arguments->positional.item[0]);
        CLO_CHECK(got > 0 && (size_t)got < size, CLO_LIMIT, "the folder's path is too long");
        return CLO_STATUS_OK;
    }
    CLO_CHECK(home, CLO_INVALID, "no folder given and HOME is not set");
    return clo_path_join(out_path, size, home, ".cloister/simulator");
}

clo_status cmd_sim_init(const cli_command *command, const void *settings,
                        const cli_arguments *arguments)
{
    char folder[1024];
    clo_sim_options options = {.evaluation = 0};
    (void)command;
    (void)settings;
    CLO_TRY(vendor_folder(arguments, folder, sizeof folder));
    CLO_TRY(clo_sim_init(folder, &options));
    printf("simulator vendor in %s: evidence under its root proves nothing against someone who can "
           "run programs on this machine\n",
           folder);
    return CLO_STATUS_OK;
}

clo_status cmd_sim_run(const cli_command *command, const void *settings,
                       const cli_arguments *arguments)
{
    char folder[1024];
    (void)command;
    (void)settings;
    CLO_TRY(vendor_folder(arguments, folder, sizeof folder));
    printf("simulated quoting process: %s/%s\n", folder, CLO_SIM_SOCKET);
    (void)fflush(stdout);
    return clo_sim_serve(folder, &cli_stop);
}
