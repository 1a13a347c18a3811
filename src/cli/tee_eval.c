/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job's last checkpoint on its sealed test set, in a slot of role evaluator: owners' policies say
 * whether that role may ask.
 */
#include "tee_slot.h"

#include "cloister/train.h"

clo_status tee_eval(const cli_command *command, const void *settings,
                    const cli_arguments *arguments)
{
    const tee_train_settings *s = settings;
    CLO_AUTO(tee_slot) slot = TEE_SLOT_INIT;
    clo_epoch_result result;
    cli_event event;
    CLO_TRY(tee_slot_enrol(command->role, arguments->positional.item[0], s, &slot));
    clo_train_job_options options = {
        .session = slot.session,
        .manifest = &slot.manifest,
        .test_index = s->test_index,
        .out_folder = s->out,
        .threads = (int)s->threads,
    };
    CLO_TRY(clo_train_job_evaluate(&options, &result));
    clo_json_writer *w = cli_event_begin(&event, "evaluated");
    clo_json_put_u64(w, "epoch", result.epoch);
    clo_json_put_double(w, "test_accuracy", result.test_accuracy);
    clo_json_put_double(w, "test_loss", result.test_loss);
    clo_json_put_double(w, "seconds", result.seconds);
    cli_event_end(&event);
    return CLO_STATUS_OK;
}
