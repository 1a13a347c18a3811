/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The boundary between two steps, where nothing is under way: the only place where a rank may stop,
 * learn of a new roster, or replace its connections.
 *
 *     caller's upkeep -> strategy's upkeep -> [each CLO_STOP_STRIDE steps, with others: ask all]
 *                                                stop?    all checkpoint and end
 *                                                renew?   all replace their connections
 *
 * What a rank says is a few bits; one collective tells every rank what all of them say, so all take
 * the same way from there.
 */
#include "loop.h"

#include <stdio.h>

enum { SAYS_STOP = 1, SAYS_DUE = 2, SAYS_HELD = 4 };

static uint32_t say(const clo_train_loop *loop)
{
    static const uint32_t of_renewal[] = {
        [CLO_RENEWAL_NONE] = 0, [CLO_RENEWAL_DUE] = SAYS_DUE, [CLO_RENEWAL_HELD] = SAYS_HELD};
    const clo_train_hooks *hooks = &loop->hooks;
    uint32_t stop = hooks->stop != NULL && *hooks->stop ? SAYS_STOP : 0;
    return stop | (hooks->renewal != NULL ? of_renewal[hooks->renewal(hooks->arg)] : 0);
}

static clo_status check_stop(const clo_train_loop *loop, const uint32_t *said)
{
    char names[128];
    uint32_t count = clo_loop_name_ranks(loop, said, SAYS_STOP, names, sizeof names);
    CLO_CHECK(count == 0, CLO_CANCELED, "stopped after step %llu, as %s was told",
              (unsigned long long)loop->state.step, names);
    return CLO_STATUS_OK;
}

static bool is_renewal_agreed(const clo_train_loop *loop, const uint32_t *said)
{
    return clo_loop_name_ranks(loop, said, SAYS_DUE, NULL, 0) > 0 &&
           clo_loop_name_ranks(loop, said, SAYS_HELD, NULL, 0) == 0;
}

static clo_status ask_all(clo_train_loop *loop)
{
    uint32_t said[CLO_WORLD_MAX];
    CLO_TRY(clo_loop_ask(loop, say(loop), said));
    CLO_TRY(check_stop(loop, said));
    return is_renewal_agreed(loop, said) ? loop->hooks.renew(loop->hooks.arg) : CLO_STATUS_OK;
}

clo_status clo_loop_boundary(clo_train_loop *loop)
{
    const clo_strategy *strategy = loop->options.strategy;
    bool peers_changed = false;
    char phase[64];
    if (loop->hooks.between != NULL) {
        CLO_TRY(loop->hooks.between(loop->hooks.arg, &peers_changed));
    }
    snprintf(phase, sizeof phase, "epoch %llu step %llu", (unsigned long long)loop->state.epoch,
             (unsigned long long)loop->state.step);
    CLO_TRY(strategy->ops->between(strategy->state, phase, peers_changed));
    bool alone = strategy->world == 1;
    return alone || loop->state.step % CLO_STOP_STRIDE == 0 ? ask_all(loop) : CLO_STATUS_OK;
}
