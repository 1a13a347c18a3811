/* SPDX-License-Identifier: Apache-2.0 */
/* Names that are safe to join to a folder and to print; the rule stands in name.h. */
#include "name.h"

#include <string.h>

static bool is_plain(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

bool clo_seal_name_ok(clo_span name, size_t size, size_t pieces)
{
    size_t slashes = 0;
    bool plain = false; /* the piece so far has more than dots */
    for (size_t i = 0; i < name.size; i++) {
        uint8_t c = name.data[i];
        if (c == '/' && !plain) {
            return false;
        }
        if (c != '/' && c != '.' && !is_plain(c)) {
            return false;
        }
        slashes += c == '/';
        plain = c != '/' && (plain || c != '.');
    }
    return plain && name.size < size && slashes < pieces;
}

clo_status clo_seal_name_take(clo_span name, const char *what, size_t size, size_t pieces,
                              char *out_text)
{
    CLO_CHECK(clo_seal_name_ok(name, size, pieces), CLO_FORMAT,
              "%s is no name: expected letters, digits, . _ -%s, less than %zu of them", what,
              pieces > 1 ? " and single slashes" : "", size);
    memcpy(out_text, name.data, name.size);
    out_text[name.size] = '\0';
    return CLO_STATUS_OK;
}
