/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_BASE_CHARS_H
#define CLO_BASE_CHARS_H

/*
 * Characters. UTF-8 as RFC 3629 has it: shortest form only, no surrogates, nothing above U+10FFFF;
 * shared by the JSON reader, which refuses what is not UTF-8, and the JSON writer, which replaces
 * it. And the one rule for text that goes to a terminal or a log.
 *
 * Pure functions; any thread.
 */
#include "cloister/base.h"

/* The number of bytes (1 to 4) of the well-formed sequence at text.data[at]; 0 when there is none.
 * `at` is below text.size. */
size_t clo_utf8_sequence(clo_span text, size_t at);

/* Writes the 1 to 4 bytes of a code point, which is no surrogate and at most 0x10ffff; returns
 * their number. */
size_t clo_utf8_encode(uint32_t code_point, uint8_t out_bytes[4]);

/* Turns control characters into '?': messages and log lines may quote names from outside, which
 * must not reach a terminal as commands or start a line of their own. */
void clo_chars_blank_controls(char *text);

#endif
