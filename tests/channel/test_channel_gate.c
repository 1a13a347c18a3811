/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate between honest implementations: who is let through, and that each demand of either end
 * is really made. Every refusal is a table row that changes one thing of a pair that is accepted.
 */
#include "channel_rig.h"

static rig_end *client_of(rig_pair *pair)
{
    return &pair->ends[CLO_TLS_CLIENT];
}

static rig_end *server_of(rig_pair *pair)
{
    return &pair->ends[CLO_TLS_SERVER];
}

static void two_attested_ends_open_and_talk(void)
{
    CLO_AUTO(rig_pair) pair;
    rig_pair_init(&pair, CLO_ROLE_TRAINER, CLO_ROLE_TRAINER);
    rig_connect(&pair);
    T_RESULT(pair.results[0], CLO_OK);
    T_RESULT(pair.results[1], CLO_OK);
    T_OK(clo_channel_send(pair.channels[0], clo_span_of_str("hello"), clo_deadline_in(1000)));
    CLO_AUTO(clo_buf) got = CLO_BUF_INIT;
    T_OK(clo_channel_recv(pair.channels[1], &got, clo_deadline_in(1000)));
    T_CHECK(clo_span_equals_str(clo_buf_span(&got), "hello"));
}

static void each_end_knows_whom_it_met(void)
{
    CLO_AUTO(rig_pair) pair;
    rig_pair_init(&pair, CLO_ROLE_TRAINER, CLO_ROLE_TRAINER);
    rig_connect(&pair);
    T_RESULT(pair.results[1], CLO_OK);
    const clo_peer *peer = clo_channel_peer(pair.channels[1]);
    uint8_t key_id[32];
    uint8_t platform[32];
    clo_key_id(client_of(&pair)->key, key_id);
    clo_claims_platform_id(&peer->verdict.claims, platform);
    T_INT(peer->hello.slot, 1);
    T_INT(peer->as, CLO_PEER_ATTESTED);
    T_CHECK(memcmp(peer->key_id, key_id, 32) == 0);
    T_CHECK(memcmp(peer->platform_id, platform, 32) == 0);
    T_CHECK(memcmp(peer->verdict.claims.measurement, rig_measurement, 32) == 0);
    T_INT(peer->verdict.claims.tee, CLO_TEE_SIMULATOR);
    T_CHECK((peer->hello.insecure_flags & CLO_INSECURE_SIMULATOR) != 0);
    T_INT(client_of(&pair)->admitted, 1);
    T_INT(server_of(&pair)->admitted, 1);
}

static void both_ends_share_a_session_id_and_no_two_sessions_do(void)
{
    uint8_t ids[2][2][32];
    for (int i = 0; i < 2; i++) {
        CLO_AUTO(rig_pair) pair;
        rig_pair_init(&pair, CLO_ROLE_TRAINER, CLO_ROLE_TRAINER);
        rig_connect(&pair);
        T_RESULT(pair.results[0], CLO_OK);
        clo_channel_session_id(pair.channels[0], ids[i][0]);
        clo_channel_session_id(pair.channels[1], ids[i][1]);
    }
    T_CHECK(memcmp(ids[0][0], ids[0][1], 32) == 0);
    T_CHECK(memcmp(ids[0][0], ids[1][0], 32) != 0);
}

static void a_keyed_owner_is_let_in_and_gets_evidence(void)
{
    CLO_AUTO(rig_pair) pair;
    rig_pair_init(&pair, CLO_ROLE_OWNER, CLO_ROLE_BROKER);
    rig_connect(&pair);
    T_RESULT(pair.results[0], CLO_OK);
    T_RESULT(pair.results[1], CLO_OK);
    T_INT(clo_channel_get_stats(pair.channels[0]).attestations_verified, 1);
    T_INT(clo_channel_get_stats(pair.channels[1]).attestations_verified, 0);
    T_INT(server_of(&pair)->admitted, 1);
    T_CHECK(!clo_channel_peer(pair.channels[1])->verdict.has_claims);
}

static void a_broker_may_have_any_slot_for_one_who_expects_none(void)
{
    CLO_AUTO(rig_pair) pair;
    rig_pair_init(&pair, CLO_ROLE_TRAINER, CLO_ROLE_BROKER);
    server_of(&pair)->self.slot = 5;
    rig_connect(&pair);
    T_RESULT(pair.results[0], CLO_OK);
}

/* ---- one change, one refusal */

static void other_role(rig_pair *pair)
{
    client_of(pair)->self.role = CLO_ROLE_EVALUATOR;
}

static void other_slot(rig_pair *pair)
{
    client_of(pair)->self.slot = 3;
}

static void no_slot(rig_pair *pair)
{
    client_of(pair)->self.slot = CLO_SLOT_NONE;
}

static void our_slot(rig_pair *pair)
{
    client_of(pair)->self.slot = 2;
    server_of(pair)->wants.slot = 2;
}

static void other_manifest(rig_pair *pair)
{
    client_of(pair)->self.manifest[31] = 1;
}

static void empty_appraisal(rig_pair *pair)
{
    server_of(pair)->wants.appraisal = (clo_appraisal){0};
}

static void no_measurements(rig_pair *pair)
{
    server_of(pair)->wants.appraisal.measurement_count = 0;
}

static void other_measurement(rig_pair *pair)
{
    server_of(pair)->wants.appraisal.measurements[0][0] ^= 1;
}

static void simulator_not_allowed(rig_pair *pair)
{
    server_of(pair)->wants.appraisal.tees[0] = CLO_TEE_SGX;
}

static void no_anchors(rig_pair *pair)
{
    server_of(pair)->wants.anchor_count = 0;
}

static void anchor_of_intel_only(rig_pair *pair)
{
    server_of(pair)->wants.anchors[0] = CLO_ANCHOR_INTEL_SGX;
}

static void simulator_root_as_sgx(rig_pair *pair)
{
    server_of(pair)->wants.anchors[0].tee = CLO_TEE_SGX;
    server_of(pair)->wants.appraisal.tees[0] = CLO_TEE_SGX;
}

static void floor_above(rig_pair *pair)
{
    server_of(pair)->wants.floors.min_evaluation = 1000000;
}

static void client_not_admitted(rig_pair *pair)
{
    server_of(pair)->refuse_admission = true;
}

static void server_not_admitted(rig_pair *pair)
{
    client_of(pair)->refuse_admission = true;
}

static void server_other_measurement(rig_pair *pair)
{
    client_of(pair)->wants.appraisal.measurements[0][0] ^= 1;
}

static void server_empty_appraisal(rig_pair *pair)
{
    client_of(pair)->wants.appraisal = (clo_appraisal){0};
}

static void server_other_role(rig_pair *pair)
{
    client_of(pair)->wants.role = CLO_ROLE_BROKER;
}

static void same_key(rig_pair *pair)
{
    client_of(pair)->self.key = server_of(pair)->key;
    client_of(pair)->self.cert = server_of(pair)->cert;
}

typedef struct {
    const char *name;
    void (*change)(rig_pair *pair);
    clo_code client, server; /* what each end returns */
    bool server_showed;      /* whether the server made evidence at all */
} refusal;

static const refusal refusals[] = {
    {"other role", other_role, CLO_DENIED, CLO_POLICY, false},
    {"other slot", other_slot, CLO_DENIED, CLO_POLICY, false},
    {"no slot", no_slot, CLO_DENIED, CLO_POLICY, false},
    {"our own slot", our_slot, CLO_DENIED, CLO_POLICY, false},
    {"other manifest", other_manifest, CLO_DENIED, CLO_POLICY, false},
    {"empty appraisal", empty_appraisal, CLO_DENIED, CLO_POLICY, false},
    {"no measurements", no_measurements, CLO_DENIED, CLO_POLICY, false},
    {"other measurement", other_measurement, CLO_DENIED, CLO_POLICY, false},
    {"simulator not allowed", simulator_not_allowed, CLO_DENIED, CLO_POLICY, false},
    {"no anchors", no_anchors, CLO_DENIED, CLO_ATTEST, false},
    {"anchor of Intel only", anchor_of_intel_only, CLO_DENIED, CLO_ATTEST, false},
    {"simulator root as SGX", simulator_root_as_sgx, CLO_DENIED, CLO_ATTEST, false},
    {"collateral floor above", floor_above, CLO_DENIED, CLO_ATTEST, false},
    {"client not admitted", client_not_admitted, CLO_DENIED, CLO_DENIED, false},
    {"server not admitted", server_not_admitted, CLO_DENIED, CLO_DENIED, true},
    {"server's measurement", server_other_measurement, CLO_POLICY, CLO_DENIED, true},
    {"server's empty appraisal", server_empty_appraisal, CLO_POLICY, CLO_DENIED, true},
    {"server's role", server_other_role, CLO_POLICY, CLO_DENIED, false},
    {"the same key at both ends", same_key, CLO_ATTEST, CLO_ATTEST, false},
};

static void one_wrong_thing_closes_the_gate_at_both_ends(void)
{
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        CLO_AUTO(rig_pair) pair;
        rig_pair_init(&pair, CLO_ROLE_TRAINER, CLO_ROLE_TRAINER);
        refusals[i].change(&pair);
        rig_connect(&pair);
        bool as_wanted = pair.results[0].code == (int32_t)refusals[i].client &&
                         pair.results[1].code == (int32_t)refusals[i].server;
        if (!as_wanted) {
            clo_test_fail(__FILE__, __LINE__, "%s: client %s (%s), server %s (%s)",
                          refusals[i].name, clo_code_name(pair.results[0].code),
                          pair.results[0].text, clo_code_name(pair.results[1].code),
                          pair.results[1].text);
            return;
        }
        T_INT(clo_channel_get_stats(pair.channels[1]).attestations_made, refusals[i].server_showed);
        T_INT(clo_channel_get_stats(pair.channels[0]).bytes_sent, 0);
        T_INT(clo_channel_get_stats(pair.channels[1]).bytes_sent, 0);
    }
}

static void a_refused_peer_is_told_no_reason(void)
{
    CLO_AUTO(rig_pair) pair;
    rig_pair_init(&pair, CLO_ROLE_TRAINER, CLO_ROLE_TRAINER);
    other_measurement(&pair);
    rig_connect(&pair);
    T_RESULT(pair.results[0], CLO_DENIED);
    T_CHECK(strstr(pair.results[1].text, "POLICY_MEASUREMENT") != NULL);
    T_CHECK(strstr(pair.results[0].text, "MEASUREMENT") == NULL);
    T_CHECK(strstr(pair.results[0].text, "not accepted") != NULL);
}

static void a_failed_channel_keeps_its_reason_and_sends_nothing(void)
{
    CLO_AUTO(rig_pair) pair;
    rig_pair_init(&pair, CLO_ROLE_TRAINER, CLO_ROLE_TRAINER);
    other_slot(&pair);
    rig_connect(&pair);
    T_RESULT(pair.results[1], CLO_POLICY);
    bool done;
    T_CODE(clo_channel_step(pair.channels[1], &done), CLO_POLICY);
    T_CODE(clo_channel_send(pair.channels[1], clo_span_of_str("x"), clo_deadline_in(100)),
           CLO_POLICY);
    CLO_AUTO(clo_buf) got = CLO_BUF_INIT;
    T_CODE(clo_channel_recv(pair.channels[1], &got, clo_deadline_in(100)), CLO_POLICY);
    T_CODE(clo_channel_upkeep(pair.channels[1], true), CLO_POLICY);
    T_CHECK(clo_channel_is_broken(pair.channels[1]));
}

static void nothing_can_be_said_before_the_gate_is_open(void)
{
    CLO_AUTO(rig_pair) pair;
    rig_pair_init(&pair, CLO_ROLE_TRAINER, CLO_ROLE_TRAINER);
    int fds[2];
    rig_socketpair(fds);
    T_OK(rig_begin(client_of(&pair), CLO_TLS_CLIENT, fds[0], &pair.channels[0]));
    T_CODE(clo_channel_send(pair.channels[0], clo_span_of_str("x"), clo_deadline_in(10)),
           CLO_INVALID);
    CLO_AUTO(clo_buf) got = CLO_BUF_INIT;
    T_CODE(clo_channel_recv(pair.channels[0], &got, clo_deadline_in(10)), CLO_INVALID);
    clo_net_close(fds[1]);
}

/* ---- classes */

static void a_key_that_is_not_pinned_is_refused_before_any_evidence(void)
{
    CLO_AUTO(rig_pair) pair;
    rig_pair_init(&pair, CLO_ROLE_OWNER, CLO_ROLE_BROKER);
    server_of(&pair)->refuse_admission = true;
    rig_connect(&pair);
    T_RESULT(pair.results[0], CLO_DENIED);
    T_RESULT(pair.results[1], CLO_DENIED);
    T_INT(clo_channel_get_stats(pair.channels[1]).attestations_made, 0);
}

static void an_attested_listener_refuses_a_keyed_peer(void)
{
    CLO_AUTO(rig_pair) pair;
    rig_pair_init(&pair, CLO_ROLE_OWNER, CLO_ROLE_BROKER);
    server_of(&pair)->rules.peer_class = CLO_PEER_ATTESTED;
    rig_connect(&pair);
    T_RESULT(pair.results[0], CLO_DENIED);
    T_RESULT(pair.results[1], CLO_POLICY);
    T_INT(server_of(&pair)->expected, 0);
}

static void a_keyed_listener_refuses_an_attested_peer(void)
{
    CLO_AUTO(rig_pair) pair;
    rig_pair_init(&pair, CLO_ROLE_TRAINER, CLO_ROLE_BROKER);
    server_of(&pair)->rules.peer_class = CLO_PEER_KEYED;
    rig_connect(&pair);
    T_RESULT(pair.results[0], CLO_DENIED);
    T_RESULT(pair.results[1], CLO_POLICY);
}

static clo_status begin_with(rig_end *end, clo_tls_side side)
{
    int fds[2];
    rig_socketpair(fds);
    clo_channel *channel = NULL;
    clo_status status = rig_begin(end, side, fds[0], &channel);
    clo_channel_close(channel);
    clo_net_close(fds[1]);
    return status;
}

static void configurations_that_would_fail_open_cannot_be_made(void)
{
    CLO_AUTO(rig_pair) pair;
    rig_pair_init(&pair, CLO_ROLE_OWNER, CLO_ROLE_BROKER);
    rig_end *server = server_of(&pair);
    rig_end *client = client_of(&pair);
    T_OK(begin_with(server, CLO_TLS_SERVER));
    T_OK(begin_with(client, CLO_TLS_CLIENT));
    server->rules.admit = NULL;
    T_CODE(begin_with(server, CLO_TLS_SERVER), CLO_INVALID);
    server->rules.admit = rig_admit;
    T_CODE(begin_with(server, CLO_TLS_CLIENT), CLO_INVALID);
    server->rules.peer_class = (clo_peer_class)0;
    T_CODE(begin_with(server, CLO_TLS_SERVER), CLO_INVALID);
    server->rules.peer_class = CLO_PEER_ATTESTED;
    server->rules.expect = NULL;
    T_CODE(begin_with(server, CLO_TLS_SERVER), CLO_INVALID);
    T_CODE(begin_with(client, CLO_TLS_SERVER), CLO_INVALID);
    client->self.role = CLO_ROLE_TRAINER;
    T_CODE(begin_with(client, CLO_TLS_CLIENT), CLO_INVALID);
    client->self.role = CLO_ROLE_NONE;
    client->self.as = (clo_peer_class)0;
    T_CODE(begin_with(client, CLO_TLS_CLIENT), CLO_INVALID);
}

static void roles_have_names_that_parse_back(void)
{
    for (unsigned i = 1; i < CLO_ROLE_COUNT; i++) {
        clo_role role;
        T_OK(clo_role_parse(clo_span_of_str(clo_role_name((clo_role)i)), &role));
        T_INT(role, i);
    }
    clo_role role;
    T_CODE(clo_role_parse(clo_span_of_str("none"), &role), CLO_FORMAT);
    T_CODE(clo_role_parse(CLO_SPAN_EMPTY, &role), CLO_FORMAT);
    T_STR(clo_role_name((clo_role)99), "none");
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(two_attested_ends_open_and_talk),
        T(each_end_knows_whom_it_met),
        T(both_ends_share_a_session_id_and_no_two_sessions_do),
        T(a_keyed_owner_is_let_in_and_gets_evidence),
        T(a_broker_may_have_any_slot_for_one_who_expects_none),
        T(one_wrong_thing_closes_the_gate_at_both_ends),
        T(a_refused_peer_is_told_no_reason),
        T(a_failed_channel_keeps_its_reason_and_sends_nothing),
        T(nothing_can_be_said_before_the_gate_is_open),
        T(a_key_that_is_not_pinned_is_refused_before_any_evidence),
        T(an_attested_listener_refuses_a_keyed_peer),
        T(a_keyed_listener_refuses_an_attested_peer),
        T(configurations_that_would_fail_open_cannot_be_made),
        T(roles_have_names_that_parse_back),
    };
    rig_start();
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
