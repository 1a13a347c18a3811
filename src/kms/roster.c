/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The roster: who holds the slots of a job now, signed by the broker's identity key. Connections
 * between slots are admitted by its rows, not by what a peer's quote says of itself. A roster is
 * believed for 30 minutes from its issue; epochs only grow.
 */
#include "document.h"

#include <string.h>

/* 256 rows of about 320 bytes, and base64's third on top. */
#define ROSTER_MAX (192 * 1024)
/* Between two hosts' clocks. */
#define CLOCK_SKEW_S 300

static const clo_field floor_fields[] = {
    CLO_ROW(clo_collateral_floors, min_evaluation, U32),
    CLO_ROW(clo_collateral_floors, min_crl_number, U64),
    CLO_ROW(clo_collateral_floors, min_issue, TIME),
    CLO_ROW_END,
};

static const clo_field row_fields[] = {
    CLO_ROW(clo_roster_row, role, ROLE),
    CLO_ROW(clo_roster_row, slot, U32),
    CLO_ROW(clo_roster_row, incarnation, U64),
    CLO_ROW(clo_roster_row, key_id, HEX),
    CLO_ROW(clo_roster_row, platform_id, HEX),
    CLO_ROW(clo_roster_row, measurement, HEX),
    CLO_ROW_END,
};

static const clo_field roster_fields[] = {
    CLO_ROW(clo_roster, manifest, HEX),
    CLO_ROW(clo_roster, epoch, U64),
    CLO_ROW(clo_roster, issued, TIME),
    CLO_ROW_OBJECT(clo_roster, floors, floor_fields),
    CLO_ROW_LIST(clo_roster, rows, row_count, OBJECT, row_fields),
    CLO_ROW_END,
};

static clo_status check_roster(const void *document)
{
    const clo_roster *roster = document;
    for (uint32_t i = 0; i < roster->row_count; i++) {
        const clo_roster_row *row = &roster->rows[i];
        CLO_CHECK(clo_roster_find(roster, row->role, row->slot) == row, CLO_FORMAT,
                  "slot %u of role '%s' has two rows", row->slot, clo_role_name(row->role));
    }
    return CLO_STATUS_OK;
}

const clo_document clo_roster_document = {
    .what = "roster",
    .type = CLO_ROSTER_TYPE,
    .fields = roster_fields,
    .size = sizeof(clo_roster),
    .limit = ROSTER_MAX,
    .check = check_roster,
};

clo_status clo_roster_sign(const clo_roster *roster, const clo_key *broker, clo_buf *out_envelope)
{
    return clo_document_sign(&clo_roster_document, roster, broker, out_envelope);
}

clo_status clo_roster_open(clo_span envelope, const clo_public_key *broker,
                           const uint8_t manifest[32], int64_t now, clo_roster *out_roster)
{
    CLO_AUTO(clo_arena) arena = CLO_ARENA_INIT;
    clo_roster *roster = clo_arena_alloc(&arena, sizeof *roster);
    CLO_CHECK(roster != NULL, CLO_NOMEM, "no memory for a roster");
    CLO_TRY(clo_document_open(&clo_roster_document, envelope, broker, roster, NULL));
    CLO_CHECK(memcmp(roster->manifest, manifest, sizeof roster->manifest) == 0, CLO_POLICY,
              "roster is of another job");
    CLO_CHECK(roster->issued <= now + CLOCK_SKEW_S, CLO_POLICY, "roster is from the future");
    CLO_CHECK(now - roster->issued <= CLO_ROSTER_LIFETIME_S, CLO_POLICY,
              "roster of epoch %llu has expired", (unsigned long long)roster->epoch);
    *out_roster = *roster;
    return CLO_STATUS_OK;
}

const clo_roster_row *clo_roster_find(const clo_roster *roster, clo_role role, uint32_t slot)
{
    for (uint32_t i = 0; i < roster->row_count && i < CLO_WORLD_MAX; i++) {
        if (roster->rows[i].role == role && roster->rows[i].slot == slot) {
            return &roster->rows[i];
        }
    }
    return NULL;
}
