/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of roles. Adding one is adding a row here and a number in channel.h.
 */
#include "role.h"

typedef struct {
    const char *name;
    clo_peer_class as;
} role_row;

static const role_row roles[CLO_ROLE_COUNT] = {
    [CLO_ROLE_BROKER] = {"broker", CLO_PEER_ATTESTED},
    [CLO_ROLE_TRAINER] = {"trainer", CLO_PEER_ATTESTED},
    [CLO_ROLE_EVALUATOR] = {"evaluator", CLO_PEER_ATTESTED},
    [CLO_ROLE_OWNER] = {"owner", CLO_PEER_KEYED},
};

static const role_row *find(clo_role role)
{
    bool known = (unsigned)role < CLO_ROLE_COUNT && roles[role].name != NULL;
    return known ? &roles[role] : NULL;
}

const char *clo_role_name(clo_role role)
{
    const role_row *row = find(role);
    return row == NULL ? "none" : row->name;
}

clo_status clo_role_parse(clo_span name, clo_role *out_role)
{
    for (unsigned i = 0; i < CLO_ROLE_COUNT; i++) {
        if (roles[i].name != NULL && clo_span_equals_str(name, roles[i].name)) {
            *out_role = (clo_role)i;
            return CLO_STATUS_OK;
        }
    }
    CLO_FAIL(CLO_FORMAT, "'%.*s' is not a role", (int)(name.size < 32 ? name.size : 32),
             name.size > 0 ? (const char *)name.data : "");
}

clo_peer_class clo_role_class(clo_role role)
{
    const role_row *row = find(role);
    return row == NULL ? (clo_peer_class)0 : row->as;
}
