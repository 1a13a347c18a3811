/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_KMS_LINK_H
#define CLO_KMS_LINK_H

/*
 * The client's end of a connection to the key broker, shared by owners and slots: which broker is
 * believed at the gate, and one request with its answer.
 *
 * Invariants:
 *   - A broker is believed when its evidence satisfies the trust's appraisal, its weaknesses are
 *     all accepted by name (a development build counts as one: it can simulate), and its TLS
 * certificate was issued by the pinned identity key. Only the first contact of an owner goes
 * without the pin, and checks it afterwards.
 *
 * Ownership: the trust is borrowed; the check must outlive the channel, which calls it again when
 * evidence is renewed. Threads: one at a time.
 */
#include "cloister/kms_protocol.h"

typedef struct {
    const clo_broker_trust *trust;
    bool first_contact; /* the identity is not pinned yet */
    clo_buf cert;       /* the certificate admitted, DER */
} clo_broker_check;

#define CLO_BROKER_CHECK_INIT(trust_) ((clo_broker_check){(trust_), false, CLO_BUF_LIMIT(16384)})

clo_channel_rules clo_broker_rules(clo_broker_check *check);
/* Whether `der` was issued by the identity key, for the broker's connections, and is valid at
 * `now`: a job CA, which the identity issues as well, is refused. */
clo_status clo_broker_check_cert(clo_span der, const clo_public_key *identity, int64_t now);

typedef struct {
    clo_channel *channel;
    uint64_t counter;
} clo_link;

/* One request. `message` keeps the answer that *out_body borrows from; where the answer holds keys,
 * it is a buffer of secret memory. The broker's refusal comes back with its code and text. */
clo_status clo_link_call(clo_link *link, clo_op op, clo_span body, clo_deadline deadline,
                         clo_buf *message, clo_span *out_body);
/* The file keys of a list of headers; the answer of both kinds of asker. Clears all on failure. */
clo_status clo_link_file_keys(clo_link *link, clo_op op, const clo_span *headers, size_t count,
                              clo_deadline deadline, clo_secret *out_keys);

/* The anchors a document names, and the built-in one. */
void clo_expect_anchors(const clo_anchor *anchors, uint32_t count, clo_expectation *expectation);

#endif
