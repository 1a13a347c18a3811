/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Collateral comes to its end while a connection stands. A program of its own: the clock's floor is
 * raised over weeks, and never comes down again.
 */
#include "channel_rig.h"

enum { DAY = 86400 };

static clo_deadline soon(void)
{
    return clo_deadline_in(3000);
}

static void open_pair(rig_pair *pair)
{
    rig_pair_init(pair, CLO_ROLE_TRAINER, CLO_ROLE_TRAINER);
    rig_connect(pair);
    rig_must(clo_status_restore(&pair->results[0]), "open");
    rig_must(clo_status_restore(&pair->results[1]), "open");
}

static clo_status talk(rig_pair *pair)
{
    CLO_AUTO(clo_buf) got = CLO_BUF_INIT;
    CLO_TRY(clo_channel_send(pair->channels[0], clo_span_of_str("step"), soon()));
    CLO_TRY(clo_channel_recv(pair->channels[1], &got, soon()));
    CLO_TRY(clo_channel_send(pair->channels[1], clo_span_of_str("done"), soon()));
    return clo_channel_recv(pair->channels[0], &got, soon());
}

static int64_t expiry_of(const rig_pair *pair)
{
    return clo_channel_peer(pair->channels[0])->verdict.claims.earliest_expiry;
}

/* The quoting process signs the collateral anew at its start, when less than two days of it are
 * left; this one stops at once. */
static void renew_collateral(void)
{
    volatile bool stop = true;
    rig_must(clo_sim_serve(rig_folder, &stop), "renewal");
}

/* ---- the log */

static char last_warning[512];
static int warnings;

static void take_line(clo_log_level level, const char *module, const char *line, void *arg)
{
    (void)arg;
    if (level == CLO_LOG_WARN && strcmp(module, "channel") == 0) {
        warnings++;
        snprintf(last_warning, sizeof last_warning, "%s", line);
    }
}

static int take_warnings(void)
{
    int count = warnings;
    warnings = 0;
    return count;
}

/* ---- tests, in the order of time */

static void nothing_is_asked_or_said_while_the_end_is_far(void)
{
    CLO_AUTO(rig_pair) pair;
    open_pair(&pair);
    clo_clock_raise_floor(expiry_of(&pair) - DAY - 60);
    T_OK(clo_channel_upkeep(pair.channels[0], true));
    T_OK(talk(&pair));
    T_OK(clo_channel_upkeep(pair.channels[0], false));
    T_OK(talk(&pair));
    T_INT(clo_channel_peer(pair.channels[0])->round, 1);
    T_INT(take_warnings(), 0);
}

static void the_last_day_is_warned_of_once(void)
{
    CLO_AUTO(rig_pair) pair;
    char end[21];
    open_pair(&pair);
    T_INT(take_warnings(), 0);
    clo_clock_raise_floor(expiry_of(&pair) - DAY + 60);
    for (uint32_t round = 1; round <= 3; round++) {
        T_OK(clo_channel_upkeep(pair.channels[0], true));
        T_OK(talk(&pair));
        T_INT(clo_channel_peer(pair.channels[0])->round, round);
    }
    T_INT(take_warnings(), 1);
    clo_time_format(expiry_of(&pair), end);
    T_CHECK(strstr(last_warning, end) != NULL);
}

static void a_connection_made_on_the_last_day_is_warned_of(void)
{
    CLO_AUTO(rig_pair) pair;
    open_pair(&pair);
    T_INT(take_warnings(), 2); /* at both ends */
}

static void a_peer_with_newer_collateral_is_asked_at_the_end_and_stays(void)
{
    CLO_AUTO(rig_pair) pair;
    open_pair(&pair);
    int64_t end = expiry_of(&pair);
    renew_collateral();
    clo_clock_raise_floor(end);
    T_OK(clo_channel_upkeep(pair.channels[0], false)); /* its last second */
    T_OK(talk(&pair));
    T_INT(clo_channel_peer(pair.channels[0])->round, 0);
    clo_clock_raise_floor(end + 1);
    T_OK(clo_channel_upkeep(pair.channels[0], false));
    T_OK(talk(&pair));
    T_INT(clo_channel_peer(pair.channels[0])->round, 1);
    T_CHECK(expiry_of(&pair) > end + DAY);
    T_OK(clo_channel_upkeep(pair.channels[0], false));
    T_OK(talk(&pair));
    T_INT(clo_channel_peer(pair.channels[0])->round, 1);
}

static void a_peer_without_newer_collateral_is_closed_at_the_end(void)
{
    CLO_AUTO(rig_pair) pair;
    open_pair(&pair);
    clo_clock_raise_floor(expiry_of(&pair) + 1);
    T_OK(clo_channel_upkeep(pair.channels[0], false));
    clo_status status = talk(&pair);
    char text[512];
    clo_status_text(status, text, sizeof text);
    T_CHECK(!clo_ok(status) && clo_channel_is_broken(pair.channels[0]));
    T_CHECK(strstr(text, "re-attestation round 1") != NULL);
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(nothing_is_asked_or_said_while_the_end_is_far),
        T(the_last_day_is_warned_of_once),
        T(a_connection_made_on_the_last_day_is_warned_of),
        T(a_peer_with_newer_collateral_is_asked_at_the_end_and_stays),
        T(a_peer_without_newer_collateral_is_closed_at_the_end),
    };
    rig_start();
    clo_log_set_sink(take_line, NULL, CLO_LOG_WARN);
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
