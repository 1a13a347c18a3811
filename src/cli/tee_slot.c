/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Enrolment as the slot commands do it.
 */
#include "tee_slot.h"

#include "train_flags.h"

static clo_status check_hints(const clo_manifest *manifest, const tee_train_settings *s)
{
    CLO_CHECK(s->world == 0 || s->world == manifest->world_size, CLO_INVALID,
              "the world size given is %llu, the job's is %u", (unsigned long long)s->world,
              manifest->world_size);
    CLO_CHECK(s->rank < manifest->world_size, CLO_INVALID,
              "rank %llu does not fit the job's world size %u", (unsigned long long)s->rank,
              manifest->world_size);
    CLO_CHECK(s->broker, CLO_INVALID, "--broker is missing");
    CLO_CHECK(s->maker, CLO_INVALID, "--maker is missing");
    CLO_CHECK(s->threads >= 1 && s->threads <= 1024, CLO_INVALID,
              "--threads is %llu, expected 1 to 1024", (unsigned long long)s->threads);
    return CLO_STATUS_OK;
}

static void tell_enrolled(const tee_slot *slot)
{
    const clo_roster_row *row = clo_slot_row(slot->session);
    const clo_peer *broker = clo_slot_broker(slot->session);
    cli_event event;
    clo_json_writer *w = cli_event_begin(&event, "enrolled");
    clo_json_put_str(w, "job", slot->manifest.job);
    clo_json_put_str(w, "role", clo_role_name(row->role));
    clo_json_put_u64(w, "slot", row->slot);
    clo_json_put_u64(w, "incarnation", row->incarnation);
    clo_json_put_hex(w, "measurement", CLO_SPAN_OF(row->measurement));
    clo_json_begin_object(w, "broker");
    clo_json_put_str(w, "tee", clo_tee_name(broker->verdict.claims.tee));
    clo_json_put_hex(w, "evidence", CLO_SPAN_OF(broker->evidence_digest));
    clo_json_put_str(w, "tcb", clo_tcb_name(broker->verdict.claims.tcb));
    clo_json_put_bool(w, "accepted", broker->verdict.accepted);
    clo_json_end_object(w);
    cli_event_end(&event);
}

clo_status tee_slot_enrol(clo_role role, const char *job_path, const tee_train_settings *settings,
                          tee_slot *out_slot)
{
    CLO_TRY(cli_read_manifest(job_path, &out_slot->envelope, &out_slot->manifest));
    CLO_TRY(check_hints(&out_slot->manifest, settings));
    for (size_t i = 0; i < settings->set.count; i++) {
        CLO_TRY(cli_train_flag_set(settings->set.item[i], &out_slot->manifest));
    }
    CLO_TRY(clo_maker_open(cli_makers, settings->maker, &out_slot->maker));
    CLO_TRY(clo_mutex_new(&out_slot->maker_lock));
    clo_slot_options options = {
        .broker_address = settings->broker,
        .local_interface = settings->interface,
        .manifest_envelope = clo_buf_span(&out_slot->envelope),
        .manifest = &out_slot->manifest,
        .role = role,
        .slot = (uint32_t)settings->rank,
        .insecure_flags = cli_maker_flags(out_slot->maker),
        .maker = out_slot->maker,
        .maker_lock = out_slot->maker_lock,
    };
    cli_stop_at_once = true;
    CLO_TRY_CTX(clo_slot_enrol(&options, clo_deadline_in((int64_t)settings->timeout * 1000),
                               &out_slot->session),
                "enrolling as %s %u of job '%s'", clo_role_name(role), options.slot,
                out_slot->manifest.job);
    tell_enrolled(out_slot);
    return CLO_STATUS_OK;
}

void tee_slot_cleanup(tee_slot *slot)
{
    clo_slot_leave(slot->session);
    clo_maker_close(slot->maker);
    clo_mutex_free(slot->maker_lock);
    clo_buf_release(&slot->envelope);
}
