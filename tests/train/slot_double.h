/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_TEST_SLOT_DOUBLE_H
#define CLO_TEST_SLOT_DOUBLE_H

/*
 * A slot's session without a broker: the functions of kms.h that the job uses, defined by the test
 * program and therefore taken before the library's. It releases file keys of one data key and one
 * job key, as the broker would, and can be away.
 */
#include "test.h"

#include <string.h>

#include "cloister/train.h"

struct clo_slot_session {
    clo_secret data_key, job_key;
    uint8_t data_key_id[16], job_key_id[16];
    size_t requests; /* of file keys */
    bool away;       /* the broker cannot be reached */
};

clo_status clo_slot_file_keys(clo_slot_session *session, const clo_span *headers, size_t count,
                              clo_deadline deadline, clo_secret *out_keys)
{
    (void)deadline;
    session->requests++;
    CLO_CHECK(!session->away, CLO_TIMEOUT, "the key broker is away");
    for (size_t i = 0; i < count; i++) {
        clo_seal_header header;
        size_t size;
        CLO_TRY(clo_seal_header_parse(headers[i], &header, &size));
        bool job = memcmp(header.key_id, session->job_key_id, 16) == 0;
        bool data = memcmp(header.key_id, session->data_key_id, 16) == 0;
        CLO_CHECK(job || data, CLO_DENIED, "the key broker refuses: no such key");
        CLO_TRY(clo_seal_file_key(job ? &session->job_key : &session->data_key, headers[i],
                                  &out_keys[i]));
    }
    return CLO_STATUS_OK;
}

void clo_slot_job_key_id(const clo_slot_session *session, uint8_t out_key_id[16])
{
    memcpy(out_key_id, session->job_key_id, 16);
}

static inline clo_status open_session(clo_slot_session *session)
{
    memset(session->data_key_id, 0xda, sizeof session->data_key_id);
    memset(session->job_key_id, 0x70, sizeof session->job_key_id);
    CLO_TRY(clo_secret_alloc(&session->data_key, 32));
    CLO_TRY(clo_random_bytes(session->data_key.data, 32));
    CLO_TRY(clo_secret_alloc(&session->job_key, 32));
    return clo_random_bytes(session->job_key.data, 32);
}

static void clo_slot_session_cleanup(clo_slot_session *session)
{
    clo_secret_clear(&session->data_key);
    clo_secret_clear(&session->job_key);
}

#endif
