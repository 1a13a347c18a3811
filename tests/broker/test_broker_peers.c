/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Slots among themselves while hours pass: a connection outlives the certificate and the roster
 * that it began with, but not its peer's row, and neither lets anybody new in. The clock's floor is
 * raised, so the tests run in the order of time.
 */
#include "served_rig.h"

#include <sys/socket.h>

enum { HOUR = 3600, ASKS_MS = 2100 /* a slot asks the broker every two seconds */ };

static rig_world world;
static clo_slot_session *slots[2];

typedef struct {
    int fd;
    clo_tls_side side;
    clo_slot_session *session;
    clo_channel *channel;
} slot_end;

static clo_status open_end(void *arg)
{
    slot_end *end = arg;
    clo_channel_rules rules = clo_slot_peer_rules(end->session);
    clo_channel_self self = clo_slot_self(end->session);
    clo_address peer = {"test"};
    return clo_channel_open(end->side, end->fd, &peer, &self, &rules, RIG_DEADLINE, &end->channel);
}

/* The two slots' connection; the client's status is returned. */
static clo_status connect_slots(slot_end ends[2])
{
    int fds[2];
    clo_thread *thread = NULL;
    clo_saved_status client;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0) {
        abort();
    }
    for (int i = 0; i < 2; i++) {
        ends[i] = (slot_end){.fd = fds[i], .side = (clo_tls_side)i, .session = slots[i]};
    }
    rig_must(clo_thread_start(open_end, &ends[CLO_TLS_SERVER], "server", &thread), "thread");
    clo_status_save(open_end(&ends[CLO_TLS_CLIENT]), &client);
    clo_saved_status server;
    clo_status_save(clo_thread_join(thread), &server);
    bool is_reason = client.code != CLO_OK && client.code != CLO_DENIED;
    return clo_status_restore(is_reason ? &client : &server);
}

static void slot_ends_close(slot_end ends[2])
{
    clo_channel_close(CLO_TAKE(ends[0].channel));
    clo_channel_close(CLO_TAKE(ends[1].channel));
}

/* Evidence asked for at both ends, and messages that let the answers pass. */
static clo_status attest_again(slot_end ends[2])
{
    CLO_AUTO(clo_buf) got = CLO_BUF_INIT;
    for (int i = 0; i < 2; i++) {
        CLO_TRY(clo_channel_upkeep(ends[i].channel, true));
    }
    for (int i = 0; i < 4; i++) {
        clo_channel *from = ends[i % 2].channel;
        clo_channel *to = ends[1 - i % 2].channel;
        CLO_TRY(clo_channel_send(from, clo_span_of_str("step"), RIG_DEADLINE));
        CLO_TRY(clo_channel_recv(to, &got, RIG_DEADLINE));
    }
    return CLO_STATUS_OK;
}

static clo_status ask_broker(bool *out_changed)
{
    bool changed[2];
    clo_sleep_ms(ASKS_MS);
    CLO_TRY(clo_slot_upkeep(slots[0], RIG_DEADLINE, &changed[0]));
    CLO_TRY(clo_slot_upkeep(slots[1], RIG_DEADLINE, &changed[1]));
    *out_changed = changed[0] || changed[1];
    return CLO_STATUS_OK;
}

static bool says(clo_status status, int32_t code, const char *part)
{
    char text[1024];
    clo_status_text(status, text, sizeof text);
    bool right = status.code == code && strstr(text, part) != NULL;
    if (!right) {
        fprintf(stderr, "# expected %s with '%s', found: %s\n", clo_code_name(code), part, text);
    }
    return right;
}

/* ---- tests, in the order of time */

static slot_end standing[2];

static void a_connection_outlives_its_certificate_and_its_roster(void)
{
    T_OK(connect_slots(standing));
    T_OK(attest_again(standing));
    T_INT(clo_channel_peer(standing[0].channel)->round, 1);
    clo_clock_raise_floor(clo_clock_utc() + HOUR + 60);
    T_CHECK(clo_clock_utc() > clo_cert_not_after(clo_slot_cert(slots[0])));
    T_OK(attest_again(standing));
    T_INT(clo_channel_peer(standing[0].channel)->round, 2);
    T_INT(clo_channel_peer(standing[1].channel)->round, 2);
}

static void an_expired_roster_lets_nobody_new_in(void)
{
    slot_end ends[2];
    bool right = says(connect_slots(ends), CLO_POLICY, "has expired: it lets nobody new in");
    slot_ends_close(ends);
    T_CHECK(right);
}

/* A connection made from here would show the certificate of the hour before. */
static clo_channel_self old_self;

static void the_hour_is_over_for_who_begins_with_its_certificate(void)
{
    bool changed = true;
    const clo_cert *before = clo_slot_cert(slots[0]);
    old_self = clo_slot_self(slots[0]);
    T_OK(ask_broker(&changed)); /* a newer roster, of the same rows, and newer certificates */
    T_CHECK(!changed);
    T_CHECK(clo_slot_cert(slots[0]) != before);
    T_CHECK(clo_clock_utc() < clo_cert_not_after(clo_slot_cert(slots[0])));
    int fds[2];
    clo_thread *thread = NULL;
    clo_channel *channel = NULL;
    clo_address peer = {"test"};
    T_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    slot_end server = {.fd = fds[1], .side = CLO_TLS_SERVER, .session = slots[1]};
    clo_channel_rules rules = clo_slot_peer_rules(slots[0]);
    T_OK(clo_thread_start(open_end, &server, "server", &thread));
    clo_status client =
        clo_channel_open(CLO_TLS_CLIENT, fds[0], &peer, &old_self, &rules, RIG_DEADLINE, &channel);
    clo_code client_code = (clo_code)client.code;
    bool right = says(clo_thread_join(thread), CLO_POLICY, "job certificate has expired");
    clo_channel_close(channel);
    clo_channel_close(server.channel);
    T_INT(client_code, CLO_DENIED);
    T_CHECK(right);
}

static void the_renewed_certificate_begins_a_new_connection(void)
{
    slot_end ends[2];
    clo_status status = connect_slots(ends);
    clo_status again = clo_ok(status) ? attest_again(ends) : status;
    slot_ends_close(ends);
    T_OK(again);
}

static void a_row_that_changed_hands_ends_the_old_connection(void)
{
    clo_slot_session *other = NULL;
    bool changed = false;
    T_OK(attest_again(standing));                /* the control */
    clo_clock_raise_floor(clo_clock_utc() + 60); /* the lease of slot 1 is over */
    T_OK(rig_enrol(&world, 1, &other));          /* another process has it */
    clo_sleep_ms(ASKS_MS);
    clo_status status = clo_slot_upkeep(slots[0], RIG_DEADLINE, &changed);
    clo_status attested = attest_again(standing);
    clo_code code = (clo_code)attested.code;
    clo_slot_leave(other);
    T_OK(status);
    T_CHECK(changed);
    T_CHECK(code == CLO_POLICY || code == CLO_DENIED);
    T_CHECK(clo_channel_is_broken(standing[0].channel));
}

static void start(void)
{
    CLO_AUTO(clo_buf) envelope = CLO_BUF_INIT;
    rig_keys_make();
    rig_vendor_make();
    rig_world_start(&world);
    clo_approval approval = rig_approval(&world.manifest, world.key_id);
    approval.policy_version = world.policy.version;
    approval.expires += 4 * HOUR;
    rig_must(clo_approval_sign(&approval, rig_keys.owner, &envelope), "approval");
    rig_must(clo_owner_approve(world.owner, clo_buf_span(&envelope), RIG_DEADLINE), "approval");
    rig_must(rig_enrol(&world, 0, &slots[0]), "slot 0");
    rig_must(rig_enrol(&world, 1, &slots[1]), "slot 1");
    rig_must(clo_slot_wait_roster(slots[0], RIG_DEADLINE), "roster");
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(a_connection_outlives_its_certificate_and_its_roster),
        T(an_expired_roster_lets_nobody_new_in),
        T(the_hour_is_over_for_who_begins_with_its_certificate),
        T(the_renewed_certificate_begins_a_new_connection),
        T(a_row_that_changed_hands_ends_the_old_connection),
    };
    start();
    int code = clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
    slot_ends_close(standing);
    clo_slot_leave(slots[1]);
    clo_slot_leave(slots[0]);
    rig_world_end(&world);
    rig_keys_free();
    return code;
}
