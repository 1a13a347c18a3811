/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cloister keygen PREFIX: an owner's two key pairs. Ed25519 signs, X25519 receives outputs.
 */
#include "commands.h"

#include <stdio.h>

const cli_option cmd_keygen_options[] = {
    {"json", CLI_FLAG, offsetof(cmd_keygen_settings, json), NULL, "machine-readable"},
    CLI_OPTIONS_END};

static clo_status make_pair(clo_key_kind kind, const char *prefix, const char *suffix)
{
    char private_path[1024], public_path[1024];
    CLO_AUTO_PTR(clo_key) key = NULL;
    int a = snprintf(private_path, sizeof private_path, "%s%s.key", prefix, suffix);
    int b = snprintf(public_path, sizeof public_path, "%s%s.pub", prefix, suffix);
    CLO_CHECK(a > 0 && a < 1024 && b > 0 && b < 1024, CLO_LIMIT, "the prefix is too long");
    CLO_CHECK(!clo_file_exists(private_path), CLO_EXISTS, "'%s' is already there", private_path);
    CLO_TRY(clo_key_generate(kind, &key));
    return clo_key_write_files(key, private_path, public_path);
}

clo_status cmd_keygen(const cli_command *command, const void *settings,
                      const cli_arguments *arguments)
{
    const cmd_keygen_settings *s = settings;
    const char *prefix = arguments->positional.item[0];
    (void)command;
    CLO_TRY(make_pair(CLO_KEY_ED25519, prefix, ""));
    CLO_TRY(make_pair(CLO_KEY_X25519, prefix, "-receive"));
    if (s->json) {
        printf("{\"sign\":\"%s.key\",\"receive\":\"%s-receive.key\"}\n", prefix, prefix);
        return CLO_STATUS_OK;
    }
    printf("%s.key signs, %s-receive.key receives outputs; keep both private\n", prefix, prefix);
    return CLO_STATUS_OK;
}
