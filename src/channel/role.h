/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_CHANNEL_ROLE_H
#define CLO_CHANNEL_ROLE_H

/*
 * role: which role may show itself in which way. One const table; a role that is not in it does not
 * exist, and a keyed role never holds a slot.
 */
#include "cloister/channel.h"

/* The class a role belongs to; 0 for numbers that are no role. */
clo_peer_class clo_role_class(clo_role role);

#endif
