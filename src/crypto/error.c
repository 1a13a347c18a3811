/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one converter for OpenSSL's errors. OpenSSL keeps a queue per thread; a stale entry left in
 * it would be blamed on a later, innocent call, so it is emptied here and whenever an answer needs
 * no reason. Only OpenSSL's constant reason texts are used, never its data strings: those may quote
 * input.
 */
#include "crypto_internal.h"

#include <openssl/err.h>
#include <stdio.h>

/* The innermost reason is put first in the queue; that is the one worth telling. */
static unsigned long drain(bool *out_no_memory)
{
    unsigned long first = 0;
    *out_no_memory = false;
    for (unsigned long error = ERR_get_error(); error != 0; error = ERR_get_error()) {
        first = first != 0 ? first : error;
        *out_no_memory = *out_no_memory || ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE;
    }
    return first;
}

clo_status clo_status_from_openssl(clo_code code, const char *file, int line, const char *function,
                                   const char *format, ...)
{
    char text[160];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    bool no_memory;
    unsigned long error = drain(&no_memory);
    const char *reason = error != 0 ? ERR_reason_error_string(error) : NULL;
    return clo_status_make(no_memory ? CLO_NOMEM : code, file, line, function, "%s%s%s", text,
                           reason != NULL ? ": " : "", reason != NULL ? reason : "");
}

void clo_openssl_forget(void)
{
    ERR_clear_error();
}
