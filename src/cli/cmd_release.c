/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands that need the simulator, in builds that leave it out: they say so.
 */
#include "commands.h"

#define NEEDS_SIMULATOR(name)                                                                      \
    const cli_option cmd_##name##_options[] = {CLI_OPTIONS_END};                                   \
    clo_status cmd_##name(const cli_command *command, const void *settings,                        \
                          const cli_arguments *arguments)                                          \
    {                                                                                              \
        (void)settings;                                                                            \
        (void)arguments;                                                                           \
        CLO_FAIL(CLO_UNSUPPORTED, "'%s' needs the simulator, which this release build leaves out", \
                 command->words);                                                                  \
    }

NEEDS_SIMULATOR(measure)
NEEDS_SIMULATOR(sim_init)
NEEDS_SIMULATOR(sim_run)
NEEDS_SIMULATOR(demo)

void cmd_demo_defaults(void *settings)
{
    (void)settings;
}
