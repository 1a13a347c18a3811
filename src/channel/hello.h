/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_CHANNEL_HELLO_H
#define CLO_CHANNEL_HELLO_H

/*
 * hello: what each side says of itself before it shows evidence. All of it is a claim; it counts
 * because the digest of the frame is inside the evidence.
 *
 *     version u16 | purpose u8 | nonce[32] | role u8 | slot u32 | incarnation u64 | manifest[32]
 *     | evidence kinds u32 | insecure flags u32 | build class u8              (89 bytes,
 * big-endian)
 */
#include "cloister/channel.h"

#define CLO_HELLO_VERSION 1
#define CLO_HELLO_SIZE    89

/* Of this build (build_development.c, build_release.c): one that can open insecure_ options is not
 * a release; and whether a maker is the simulator's, which no release has. */
extern const clo_build_class clo_hello_build;
bool clo_hello_is_simulator(const clo_maker *maker);

/* What this end says: the nonce is fresh; kinds and the simulator's flag come from the maker, so
 * that no caller can forget them. */
clo_status clo_hello_make(const clo_channel_self *self, clo_hello *out_hello);

void clo_hello_write(const clo_hello *hello, clo_buf *out);
/* Form only: sizes, versions, known enum values, and that a role fits its way of showing itself.
 * Whether this peer is wanted is the expectation's business. */
clo_status clo_hello_parse(clo_span payload, clo_hello *out_hello);

/* Whether the hello meets what the listener or connector demands; cheap, before any evidence. */
clo_status clo_hello_check_class(const clo_hello *hello, clo_peer_class expected);
clo_status clo_hello_check_self(const clo_hello *peer, const clo_hello *own);
clo_status clo_hello_check_expected(const clo_hello *hello, const clo_expectation *expectation);

#endif
