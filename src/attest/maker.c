/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makers of evidence, chosen by "name:config" from the program's table. A backend only sees 64
 * bytes of report data; what they stand for is decided here, and that the quote carries them is
 * checked here, so that a backend cannot hand out an old quote by mistake.
 */
#include "cloister/attest.h"

#include <string.h>

enum { MAX_MAKERS = 16, NAME_MAX_SIZE = 32 };

struct clo_maker {
    const clo_maker_ops *ops;
    void *state;
};

static clo_status fail_unknown(const clo_maker_ops *const *table, const char *name)
{
    const char *names[MAX_MAKERS + 1] = {NULL};
    CLO_AUTO(clo_buf) list = CLO_BUF_LIMIT(512);
    for (size_t i = 0; i < MAX_MAKERS && table[i] != NULL; i++) {
        names[i] = table[i]->name;
        clo_put_format(&list, "%s'%s'", i == 0 ? "" : ", ", table[i]->name);
    }
    const char *nearest = clo_nearest(name, names);
    const char *text = clo_buf_str(&list);
    CLO_FAIL(CLO_NOTFOUND, "maker '%s' of evidence is not among %s%s%s%s", name,
             text != NULL ? text : "those there are", nearest != NULL ? "; did you mean '" : "",
             nearest != NULL ? nearest : "", nearest != NULL ? "'?" : "");
}

static const clo_maker_ops *find_ops(const clo_maker_ops *const *table, const char *name)
{
    for (size_t i = 0; table[i] != NULL; i++) {
        if (strcmp(table[i]->name, name) == 0) {
            return table[i];
        }
    }
    return NULL;
}

clo_status clo_maker_open(const clo_maker_ops *const *table, const char *name_and_config,
                          clo_maker **out_maker)
{
    char name[NAME_MAX_SIZE] = "";
    size_t size = strcspn(name_and_config, ":");
    CLO_CHECK(size > 0 && size < sizeof name, CLO_INVALID,
              "maker of evidence '%s' does not have the form name:config", name_and_config);
    memcpy(name, name_and_config, size);
    const clo_maker_ops *ops = find_ops(table, name);
    if (ops == NULL) {
        return fail_unknown(table, name);
    }
    CLO_AUTO_PTR(clo_maker) maker = clo_alloc(sizeof *maker);
    CLO_CHECK(maker != NULL, CLO_NOMEM, "out of memory for a maker of evidence");
    const char *config = name_and_config + size + (name_and_config[size] == ':');
    CLO_TRY_CTX(ops->open(config, &maker->state), "maker '%s'", name);
    maker->ops = ops;
    if (ops->insecure != NULL) {
        clo_log(CLO_LOG_WARN, "attest", "%s: evidence maker '%s': %s", ops->insecure, ops->name,
                ops->summary);
    }
    *out_maker = CLO_TAKE(maker);
    return CLO_STATUS_OK;
}

void clo_maker_close(clo_maker *maker)
{
    if (maker != NULL && maker->ops != NULL) {
        maker->ops->close(maker->state);
    }
    clo_free(maker);
}

const clo_maker_ops *clo_maker_get_ops(const clo_maker *maker)
{
    return maker->ops;
}

clo_status clo_maker_quote(clo_maker *maker, clo_purpose purpose, clo_span layout,
                           clo_deadline deadline, clo_evidence *out_evidence)
{
    uint8_t asked[CLO_REPORT_DATA_SIZE], got[CLO_REPORT_DATA_SIZE];
    CLO_TRY(clo_report_data(purpose, layout, asked));
    CLO_AUTO(clo_evidence) made = CLO_EVIDENCE_INIT;
    CLO_TRY_CTX(maker->ops->quote(maker->state, asked, deadline, &made), "maker '%s'",
                maker->ops->name);
    CLO_TRY_CTX(clo_quote_peek_report_data(clo_buf_span(&made.quote), got), "maker '%s'",
                maker->ops->name);
    CLO_CHECK(memcmp(asked, got, sizeof got) == 0, CLO_ATTEST,
              "maker '%s' gave a quote over other report data than it was asked for",
              maker->ops->name);
    clo_evidence_cleanup(out_evidence);
    *out_evidence = made;
    made = CLO_EVIDENCE_INIT;
    return CLO_STATUS_OK;
}
