/* SPDX-License-Identifier: Apache-2.0 */
/* The programs by batch size: see step_program.h. */
#include "step_program.h"

static clo_step_program *find(clo_step_programs *programs, size_t batch, bool training)
{
    for (size_t i = 0; i < programs->count; i++) {
        clo_step_program *program = &programs->programs[i];
        if (program->batch == batch && program->training == training) {
            return program;
        }
    }
    return NULL;
}

static clo_status compile(const clo_step_programs *programs, clo_step_program *program)
{
    clo_program_options options = CLO_PROGRAM_OPTIONS_INIT;
    options.batch = (int64_t)program->batch;
    options.threads = programs->threads;
    options.training = program->training;
    CLO_TRY_CTX(clo_program_compile(programs->graph, programs->store, &options, &program->program),
                "compiling for a batch of %zu", program->batch);
    program->images = clo_program_input(program->program, CLO_IO_IMAGES);
    program->labels = clo_program_input(program->program, CLO_IO_LABELS);
    program->logits = clo_program_output(program->program, CLO_IO_LOGITS);
    program->loss = clo_program_output(program->program, CLO_IO_LOSS);
    bool complete = program->images.data != NULL && program->labels.data != NULL &&
                    program->logits.data != NULL && program->loss.data != NULL;
    CLO_CHECK(complete, CLO_INVALID, "the model lacks one of the values '%s', '%s', '%s', '%s'",
              CLO_IO_IMAGES, CLO_IO_LABELS, CLO_IO_LOGITS, CLO_IO_LOSS);
    return CLO_STATUS_OK;
}

clo_status clo_step_programs_get(clo_step_programs *programs, size_t batch, bool training,
                                 clo_step_program **out_program)
{
    clo_step_program *known = find(programs, batch, training);
    if (known == NULL) {
        CLO_CHECK(programs->count < CLO_STEP_PROGRAM_MAX, CLO_LIMIT,
                  "more than %d batch sizes in one run", CLO_STEP_PROGRAM_MAX);
        clo_step_program program = {.batch = batch, .training = training};
        clo_status status = compile(programs, &program);
        if (!clo_ok(status)) {
            clo_program_free(program.program);
            return status;
        }
        known = &programs->programs[programs->count++];
        *known = program;
    }
    *out_program = known;
    return CLO_STATUS_OK;
}

clo_status clo_step_programs_prepare(clo_step_programs *programs, size_t share, size_t batch,
                                     bool training)
{
    clo_step_program *ignored;
    if (share >= batch) {
        CLO_TRY(clo_step_programs_get(programs, batch, training, &ignored));
    }
    if (share % batch > 0) {
        CLO_TRY(clo_step_programs_get(programs, share % batch, training, &ignored));
    }
    return CLO_STATUS_OK;
}

void clo_step_programs_clear(clo_step_programs *programs)
{
    for (size_t i = 0; i < programs->count; i++) {
        clo_program_free(programs->programs[i].program);
    }
    programs->count = 0;
}
