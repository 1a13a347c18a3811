/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's clock cannot go back behind the collateral of evidence that was accepted. A program of
 * its own, because a clock's floor never comes down again; the host's clock is this file's.
 */
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "channel_rig.h"

enum { DAY = 86400, AHEAD = 40 * DAY };

static int64_t host_ahead; /* of this machine's own clock */

int clock_gettime(clockid_t id, struct timespec *out)
{
    long failed = syscall(SYS_clock_gettime, id, out);
    if (id == CLOCK_REALTIME) {
        out->tv_sec += host_ahead;
    }
    return (int)failed;
}

/* What we take for the time when the host says that it is `AHEAD` seconds earlier than before. */
static int64_t utc_when_set_back(void)
{
    host_ahead = 0;
    int64_t utc = clo_clock_utc();
    host_ahead = AHEAD;
    return utc;
}

static void connect_once(rig_pair *pair, bool refused)
{
    rig_pair_init(pair, CLO_ROLE_TRAINER, CLO_ROLE_TRAINER);
    pair->ends[CLO_TLS_SERVER].refuse_admission = refused;
    rig_connect(pair);
}

static void evidence_that_was_refused_moves_no_clock(void)
{
    CLO_AUTO(rig_pair) pair;
    int64_t now = clo_clock_utc();
    T_CHECK(utc_when_set_back() <= now - AHEAD + 60);
    connect_once(&pair, true);
    T_CHECK(pair.results[CLO_TLS_SERVER].code == CLO_DENIED);
    T_CHECK(utc_when_set_back() <= now - AHEAD + 60);
}

static void evidence_that_was_accepted_keeps_the_clock_behind_its_issue(void)
{
    CLO_AUTO(rig_pair) pair;
    connect_once(&pair, false);
    rig_must(clo_status_restore(&pair.results[0]), "open");
    rig_must(clo_status_restore(&pair.results[1]), "open");
    int64_t issue = clo_channel_peer(pair.channels[0])->verdict.claims.earliest_issue;
    T_CHECK(issue > clo_clock_utc() - 2 * DAY);
    T_INT(utc_when_set_back(), issue);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(evidence_that_was_refused_moves_no_clock),
        T(evidence_that_was_accepted_keeps_the_clock_behind_its_issue),
    };
    host_ahead = AHEAD;
    rig_start();
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
