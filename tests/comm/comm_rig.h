/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_COMM_RIG_H
#define CLO_COMM_RIG_H

/*
 * comm_rig: a group of ranks on this machine, over the simulator and the real gate, without a
 * broker: the rules admit any slot of the rig's job.
 *
 *     rig_member   one rank: identity, options, and what became of it
 *     rig_run      every member in a thread of its own
 *     rig_spawn    every member in a process of its own, for ranks that are killed
 *
 * Fixture functions abort the program when the machine fails them; the code under test is only ever
 * asked through T_ macros.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cloister/comm.h"
#include "cloister/sim.h"
#include "test.h"

#define RIG_UNUSED __attribute__((unused))

enum { RIG_RANKS = 4, RIG_CONNECT_MS = 15000, RIG_STEP_MS = 10000 };

static inline void rig_must(clo_status status, const char *what)
{
    if (!clo_ok(status)) {
        char text[1024];
        clo_status_text(status, text, sizeof text);
        fprintf(stderr, "rig: %s: %s\n", what, text);
        abort();
    }
}

/* ---------------------------------------------------------------- the simulator --------------- */

static char rig_folder[512];
static clo_anchor rig_anchor;
static const uint8_t rig_measurement[32] = {0x11, 0x22};

static inline clo_status rig_maker_open(const char *config, void **out_state)
{
    (void)config;
    *out_state = NULL;
    return CLO_STATUS_OK;
}

static inline clo_status rig_maker_quote(void *state, const uint8_t report_data[64],
                                         clo_deadline deadline, clo_evidence *out_evidence)
{
    (void)state;
    (void)deadline;
    return clo_sim_quote(rig_folder, rig_measurement, report_data, out_evidence);
}

static inline void rig_maker_close(void *state)
{
    (void)state;
}

static const clo_maker_ops rig_maker_ops = {
    .name = "rig",
    .summary = "the simulator's vendor, in this process",
    .config_help = "",
    .insecure = "insecure_simulator",
    .open = rig_maker_open,
    .quote = rig_maker_quote,
    .close = rig_maker_close,
};

static const clo_maker_ops *const rig_makers[] = {&rig_maker_ops, NULL};

static inline void rig_start(void)
{
    rig_must(clo_crypto_init(), "crypto");
    snprintf(rig_folder, sizeof rig_folder, "%s/vendor", clo_test_folder());
    rig_must(clo_sim_init(rig_folder, &(clo_sim_options){0}), "vendor");
    rig_must(clo_sim_anchor(rig_folder, &rig_anchor), "anchor");
}

/* ---------------------------------------------------------------- members --------------------- */

typedef struct rig_member rig_member;
typedef clo_status (*rig_body)(rig_member *member, clo_group *group);

struct rig_member {
    clo_key *key;
    clo_cert *cert;
    clo_maker *maker;
    clo_group_options options;
    clo_expectation wants; /* its slot is set to the peer's: any slot of the job is admitted */
    rig_body body;
    void *arg;
    int64_t start_after_ms;
    clo_saved_status result;
    int64_t ended_ms; /* clo_clock_ms when the body returned */
};

static inline clo_status rig_expect(void *arg, const clo_hello *hello, clo_expectation *out)
{
    rig_member *member = arg;
    *out = member->wants;
    out->slot = hello->slot;
    return CLO_STATUS_OK;
}

static inline clo_appraisal rig_appraisal(void)
{
    clo_appraisal appraisal = {
        .tees = {CLO_TEE_SIMULATOR},
        .tee_count = 1,
        .measurement_count = 1,
        .tcb_statuses = {CLO_TCB_UP_TO_DATE},
        .tcb_status_count = 1,
    };
    memcpy(appraisal.measurements[0], rig_measurement, 32);
    return appraisal;
}

static inline void rig_make_cert(const clo_key *key, clo_cert **out_cert)
{
    clo_cert_request request = {
        .subject_cn = "rig",
        .subject_key = key,
        .issuer_key = key,
        .not_before = clo_clock_utc() - 60,
        .not_after = clo_clock_utc() + 3600,
        .tls_usages = true,
    };
    rig_must(clo_cert_make(&request, out_cert), "certificate");
}

static inline void rig_member_init(rig_member *member, uint32_t rank, uint32_t world,
                                   const char *master)
{
    *member = (rig_member){0};
    rig_must(clo_key_generate(CLO_KEY_P256, &member->key), "key");
    rig_make_cert(member->key, &member->cert);
    rig_must(clo_maker_open(rig_makers, "rig:", &member->maker), "maker");
    member->wants = (clo_expectation){
        .role = CLO_ROLE_TRAINER,
        .appraisal = rig_appraisal(),
        .anchors = {rig_anchor},
        .anchor_count = 1,
    };
    member->options = (clo_group_options){
        .self = {.as = CLO_PEER_ATTESTED,
                 .role = CLO_ROLE_TRAINER,
                 .slot = rank,
                 .incarnation = 1,
                 .manifest = {7},
                 .key = member->key,
                 .cert = member->cert,
                 .maker = member->maker},
        .rules = {CLO_PEER_ATTESTED, rig_expect, NULL, member},
        .rank = rank,
        .world = world,
        .master_address = master,
        .connect_timeout_ms = RIG_CONNECT_MS,
        .step_timeout_ms = RIG_STEP_MS,
    };
}

static inline void rig_member_clear(rig_member *member)
{
    clo_maker_close(member->maker);
    clo_cert_free(member->cert);
    clo_key_free(member->key);
    *member = (rig_member){0};
}

/* ---------------------------------------------------------------- rigs ------------------------ */

typedef struct {
    clo_address master;
    uint32_t world; /* members; an impostor may stand beside the ranks */
    rig_member members[RIG_RANKS + 1];
    pid_t pids[RIG_RANKS + 1];
    int pipes[RIG_RANKS + 1];
} comm_rig;

/* A port that was free a moment ago. */
static inline void rig_pick_master(clo_address *out_address)
{
    int fd;
    rig_must(clo_net_listen("127.0.0.1:0", &fd), "port");
    rig_must(clo_net_local(fd, out_address), "address");
    clo_net_close(fd);
}

static inline void rig_init(comm_rig *rig, uint32_t world, rig_body body, void *arg)
{
    *rig = (comm_rig){.world = world};
    rig_pick_master(&rig->master);
    for (uint32_t rank = 0; rank < world; rank++) {
        rig_member_init(&rig->members[rank], rank, world, rig->master.text);
        rig->members[rank].body = body;
        rig->members[rank].arg = arg;
    }
}

static inline void comm_rig_cleanup(comm_rig *rig)
{
    for (uint32_t rank = 0; rank < rig->world; rank++) {
        rig_member_clear(&rig->members[rank]);
    }
}

static inline clo_status rig_member_run(rig_member *member)
{
    CLO_AUTO_PTR(clo_group) group = NULL;
    clo_sleep_ms(member->start_after_ms);
    CLO_TRY(clo_group_join(&member->options, &group));
    clo_status status = member->body == NULL ? CLO_STATUS_OK : member->body(member, group);
    member->ended_ms = clo_clock_ms();
    return status;
}

static inline clo_status rig_member_main(void *arg)
{
    rig_member *member = arg;
    clo_status_save(rig_member_run(member), &member->result);
    if (member->ended_ms == 0) {
        member->ended_ms = clo_clock_ms();
    }
    return CLO_STATUS_OK;
}

/* All members to their end, in threads. */
static inline RIG_UNUSED void rig_run(comm_rig *rig)
{
    clo_thread *threads[RIG_RANKS + 1] = {NULL};
    for (uint32_t rank = 0; rank < rig->world; rank++) {
        rig_must(clo_thread_start(rig_member_main, &rig->members[rank], "rank", &threads[rank]),
                 "thread");
    }
    for (uint32_t rank = 0; rank < rig->world; rank++) {
        rig_must(clo_thread_join(threads[rank]), "join");
    }
}

/* ---------------------------------------------------------------- processes ------------------- */

/* What a process tells its parent when it ends by itself. */
typedef struct {
    clo_saved_status result;
    int64_t ended_ms;
} rig_report;

static inline _Noreturn void rig_child(rig_member *member, int pipe)
{
    rig_member_main(member);
    rig_report report = {member->result, member->ended_ms};
    rig_must(clo_fd_write_all(pipe, CLO_SPAN(&report, sizeof report)), "report");
    _exit(0);
}

static inline RIG_UNUSED void rig_spawn(comm_rig *rig)
{
    for (uint32_t rank = 0; rank < rig->world; rank++) {
        int fds[2];
        fflush(NULL);
        if (pipe(fds) != 0 || (rig->pids[rank] = fork()) < 0) {
            abort();
        }
        if (rig->pids[rank] == 0) {
            close(fds[0]);
            rig_child(&rig->members[rank], fds[1]);
        }
        close(fds[1]);
        rig->pipes[rank] = fds[0];
    }
}

/* Takes the report of one process and waits for its end; one that was killed has none: its code
 * stays CLO_OK and ended_ms 0. */
static inline void rig_reap_one(comm_rig *rig, uint32_t rank)
{
    rig_report report = {0};
    size_t have = 0;
    ssize_t count = 1;
    while (count > 0 && have < sizeof report) {
        count = read(rig->pipes[rank], (char *)&report + have, sizeof report - have);
        have += count > 0 ? (size_t)count : 0;
    }
    close(rig->pipes[rank]);
    waitpid(rig->pids[rank], NULL, 0);
    if (have == sizeof report) {
        rig->members[rank].result = report.result;
        rig->members[rank].ended_ms = report.ended_ms;
    }
}

static inline RIG_UNUSED void rig_reap(comm_rig *rig)
{
    for (uint32_t rank = 0; rank < rig->world; rank++) {
        rig_reap_one(rig, rank);
    }
}

/* ---------------------------------------------------------------- results --------------------- */

#define T_RESULT_OK(member)    T_OK(clo_status_restore(&(member).result))
#define T_RESULT(member, code) T_CODE(clo_status_restore(&(member).result), code)
/* The text of a member's failure must hold `part`. */
#define T_SAYS(member, part)                                                                       \
    do {                                                                                           \
        if (strstr((member).result.text, part) == NULL) {                                          \
            clo_test_fail(__FILE__, __LINE__, "expected '%s' in '%s'", part,                       \
                          (member).result.text);                                                   \
            return;                                                                                \
        }                                                                                          \
    } while (0)

/* ---------------------------------------------------------------- data ------------------------ */

static inline RIG_UNUSED void rig_add_floats(void *out, const void *in, size_t count)
{
    float *sums = out;
    const float *values = in;
    for (size_t i = 0; i < count; i++) {
        sums[i] += values[i];
    }
}

static inline RIG_UNUSED void rig_add_u64(void *out, const void *in, size_t count)
{
    uint64_t *sums = out;
    const uint64_t *values = in;
    for (size_t i = 0; i < count; i++) {
        sums[i] += values[i];
    }
}

#endif
