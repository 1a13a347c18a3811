/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The quoting process and its maker, over the socket: the whole loop to an accepted verdict, and
 * what it does with callers that speak wrongly, too little, too slowly or in crowds.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cloister/sim.h"
#include "sim_folder.h"
#include "sim_wire.h"
#include "test.h"

static const clo_maker_ops *const makers[] = {&clo_maker_sim, NULL};

typedef struct {
    char folder[512];
    char config[600];
    char address[600];
    volatile bool stop;
    clo_thread *thread;
} quoter;

static clo_status run_quoter(void *arg)
{
    quoter *q = arg;
    return clo_sim_serve(q->folder, &q->stop);
}

static void quoter_cleanup(quoter *q)
{
    q->stop = true;
    clo_status status = clo_thread_join(q->thread);
    (void)status;
    q->thread = NULL;
}

static clo_status quoter_start(quoter *q)
{
    snprintf(q->folder, sizeof q->folder, "%s/vendor", clo_test_folder());
    snprintf(q->config, sizeof q->config, "sim:%s/qe.sock", q->folder);
    snprintf(q->address, sizeof q->address, "unix:%s/qe.sock", q->folder);
    CLO_TRY(clo_sim_init(q->folder, NULL));
    CLO_TRY(clo_thread_start(run_quoter, q, "quoter", &q->thread));
    for (int i = 0; i < 200; i++) {
        int fd;
        if (clo_ok(clo_net_connect(q->address, NULL, clo_deadline_in(1000), &fd))) {
            clo_net_close(fd);
            return CLO_STATUS_OK;
        }
        clo_sleep_ms(10);
    }
    CLO_FAIL(CLO_TIMEOUT, "the quoting process does not start");
}

static clo_status ask(const quoter *q, clo_span layout, clo_evidence *out_evidence)
{
    CLO_AUTO_PTR(clo_maker) maker = NULL;
    CLO_TRY(clo_maker_open(makers, q->config, &maker));
    return clo_maker_quote(maker, CLO_PURPOSE_USER_DATA, layout, clo_deadline_in(5000),
                           out_evidence);
}

static void makes_evidence_that_verifies_with_the_measurement_of_the_caller(void)
{
    CLO_AUTO(quoter) q = {.stop = false};
    CLO_AUTO(clo_evidence) evidence = CLO_EVIDENCE_INIT;
    static clo_verdict verdict;
    uint8_t own[32], expected[64];
    T_OK(quoter_start(&q));
    T_OK(ask(&q, clo_span_of_str("hello"), &evidence));
    clo_verify_request request = {.quote = clo_buf_span(&evidence.quote),
                                  .collateral = clo_buf_span(&evidence.collateral),
                                  .at = clo_clock_utc(),
                                  .anchor_count = 1};
    T_OK(clo_sim_anchor(q.folder, &request.anchors[0]));
    T_OK(clo_evidence_verify(&request, &verdict));
    T_OK(clo_verdict_status(&verdict));
    T_INT(verdict.claims.tee, CLO_TEE_SIMULATOR);
    T_OK(clo_sim_measure_file("/proc/self/exe", own));
    T_CHECK(memcmp(own, verdict.claims.measurement, 32) == 0);
    T_OK(clo_report_data(CLO_PURPOSE_USER_DATA, clo_span_of_str("hello"), expected));
    T_CHECK(memcmp(expected, verdict.claims.report_data, 64) == 0);
}

static void another_process_is_measured_as_itself(void)
{
    CLO_AUTO(quoter) q = {.stop = false};
    int ends[2];
    uint8_t got[32], own[32];
    T_OK(quoter_start(&q));
    T_INT(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) { /* maps nothing else than its parent, whose threads it does not have */
        CLO_AUTO(clo_evidence) evidence = CLO_EVIDENCE_INIT;
        uint8_t measurement[32] = {0};
        if (clo_ok(ask(&q, CLO_SPAN_EMPTY, &evidence)) &&
            clo_ok(clo_quote_peek_measurement(clo_buf_span(&evidence.quote), measurement))) {
            ssize_t written = write(ends[1], measurement, sizeof measurement);
            (void)written;
        }
        _exit(0);
    }
    close(ends[1]);
    ssize_t count = read(ends[0], got, sizeof got);
    close(ends[0]);
    waitpid(child, NULL, 0);
    T_INT(count, 32);
    T_OK(clo_sim_measure_process(getpid(), own));
    T_CHECK(memcmp(got, own, 32) == 0);
}

static clo_status exchange(const quoter *q, clo_span request, uint8_t *out, size_t size,
                           size_t *out_count)
{
    int fd;
    clo_deadline deadline = clo_deadline_in(5000);
    CLO_TRY(clo_net_connect(q->address, NULL, deadline, &fd));
    if (request.size > 0) {
        ssize_t sent = send(fd, request.data, request.size, MSG_NOSIGNAL);
        (void)sent;
    }
    clo_status status = clo_fd_wait(fd, POLLIN, deadline);
    ssize_t count = recv(fd, out, size, 0);
    clo_net_close(fd);
    *out_count = count < 0 ? 0 : (size_t)count;
    return status;
}

static void refuses_what_is_no_request(void)
{
    CLO_AUTO(quoter) q = {.stop = false};
    uint8_t answer[1024];
    size_t count;
    T_OK(quoter_start(&q));
    uint8_t request[CLO_SIM_REQUEST_SIZE] = {0x43, 0x4c, 0x53, 0x51, 0, 0, 0, 1};
    T_OK(exchange(&q, CLO_SPAN_OF(request), answer, sizeof answer, &count));
    T_CHECK(count >= CLO_SIM_ANSWER_HEAD);
    T_INT(answer[7], CLO_SIM_QUOTED);
    for (int i = 0; i < 2; i++) {
        uint8_t wrong[CLO_SIM_REQUEST_SIZE];
        memcpy(wrong, request, sizeof wrong);
        wrong[i == 0 ? 0 : 7] ^= 0xff;
        T_OK(exchange(&q, CLO_SPAN_OF(wrong), answer, sizeof answer, &count));
        T_CHECK(count > CLO_SIM_ANSWER_HEAD);
        T_INT(answer[7], CLO_SIM_REFUSED);
    }
}

static void a_slow_caller_is_dropped_and_keeps_nobody_waiting(void)
{
    CLO_AUTO(quoter) q = {.stop = false};
    CLO_AUTO(clo_evidence) evidence = CLO_EVIDENCE_INIT;
    uint8_t answer[16];
    size_t count = 1;
    int idle[10];
    T_OK(quoter_start(&q));
    for (int i = 0; i < 10; i++) {
        T_OK(clo_net_connect(q.address, NULL, clo_deadline_in(1000), &idle[i]));
    }
    int64_t start = clo_clock_ms();
    T_OK(ask(&q, CLO_SPAN_EMPTY, &evidence));
    T_CHECK(clo_clock_ms() - start < 1500);
    T_OK(exchange(&q, clo_span_of_str("half a request"), answer, sizeof answer, &count));
    T_INT(count, 0);
    T_CHECK(clo_clock_ms() - start >= CLO_SIM_REQUEST_MS - 100);
    for (int i = 0; i < 10; i++) {
        clo_net_close(idle[i]);
    }
}

static void more_callers_than_places_are_served_in_the_end(void)
{
    CLO_AUTO(quoter) q = {.stop = false};
    CLO_AUTO(clo_evidence) evidence = CLO_EVIDENCE_INIT;
    int idle[70];
    T_OK(quoter_start(&q));
    for (int i = 0; i < 70; i++) {
        T_OK(clo_net_connect(q.address, NULL, clo_deadline_in(1000), &idle[i]));
    }
    T_OK(ask(&q, CLO_SPAN_EMPTY, &evidence));
    for (int i = 0; i < 70; i++) {
        clo_net_close(idle[i]);
    }
}

static void the_socket_is_private_and_goes_with_the_process(void)
{
    clo_sim_path path;

    struct stat info;
    {
        CLO_AUTO(quoter) q = {.stop = false};
        T_OK(quoter_start(&q));
        T_OK(clo_sim_path_make(q.folder, CLO_SIM_SOCKET, &path));
        T_INT(stat(path.text, &info), 0);
        T_INT(info.st_mode & 0777, 0600);
        quoter_cleanup(&q);
        T_CHECK(stat(path.text, &info) != 0);
        CLO_AUTO(clo_evidence) evidence = CLO_EVIDENCE_INIT;
        T_CHECK(!clo_ok(ask(&q, CLO_SPAN_EMPTY, &evidence)));
    }
}

static void each_start_has_its_own_attestation_key(void)
{
    CLO_AUTO(clo_sim_home) one = CLO_SIM_HOME_INIT;
    CLO_AUTO(clo_sim_home) two = CLO_SIM_HOME_INIT;
    char folder[512];
    snprintf(folder, sizeof folder, "%s/vendor", clo_test_folder());
    T_OK(clo_sim_init(folder, NULL));
    T_OK(clo_sim_home_load(folder, &one));
    T_OK(clo_sim_home_load(folder, &two));
    T_CHECK(!clo_key_same_public(one.vendor.attest_key, two.vendor.attest_key));
    T_CHECK(clo_key_same_public(one.vendor.key[CLO_SIM_PCK], two.vendor.key[CLO_SIM_PCK]));
}

static void the_maker_refuses_a_socket_name_it_cannot_use(void)
{
    char name[200] = "sim:";
    clo_maker *maker = NULL;
    T_CODE(clo_maker_open(makers, name, &maker), CLO_INVALID);
    memset(name + 4, 'x', sizeof name - 5);
    T_CODE(clo_maker_open(makers, name, &maker), CLO_INVALID);
    T_CODE(clo_maker_open(makers, "simm:x", &maker), CLO_NOTFOUND);
    T_OK(clo_maker_open(makers, "sim:x", &maker));
    CLO_AUTO(clo_evidence) evidence = CLO_EVIDENCE_INIT;
    T_CHECK(!clo_ok(clo_maker_quote(maker, CLO_PURPOSE_USER_DATA, CLO_SPAN_EMPTY,
                                    clo_deadline_in(500), &evidence)));
    clo_maker_close(maker);
}

/* A stand-in for the quoting process that answers with fixed bytes and closes. */
typedef struct {
    int listener;
    clo_span answer;
} liar;

static clo_status run_liar(void *arg)
{
    const liar *l = arg;
    int fd;
    uint8_t request[CLO_SIM_REQUEST_SIZE];
    CLO_TRY(clo_net_accept(l->listener, clo_deadline_in(5000), &fd, NULL));
    clo_status status = clo_fd_wait(fd, POLLIN, clo_deadline_in(5000));
    ssize_t got = recv(fd, request, sizeof request, 0);
    ssize_t sent = send(fd, l->answer.data, l->answer.size, MSG_NOSIGNAL);
    clo_net_close(fd);
    return got > 0 && sent >= 0 ? status : CLO_STATUS_OK;
}

static void the_maker_takes_no_malformed_answer(void)
{
    static const struct {
        uint8_t bytes[16];
        size_t size;
        clo_code code;
    } cases[] = {
        {{0}, 12, CLO_FORMAT},
        {{0x43, 0x4c, 0x53, 0x51, 0, 0, 0, 0, 0, 1, 0, 1}, 12, CLO_LIMIT},
        {{0x43, 0x4c, 0x53, 0x51, 0, 0, 0, 1, 0, 0, 2, 1}, 12, CLO_LIMIT},
        {{0x43, 0x4c, 0x53, 0x51, 0, 0, 0, 1, 0, 0, 0, 2, 'n', 'o'}, 14, CLO_DENIED},
        {{0x43, 0x4c, 0x53, 0x51, 0, 0, 0, 0, 0, 0, 0, 9, 'x'}, 13, CLO_CLOSED},
        {{0x43, 0x4c, 0x53}, 3, CLO_CLOSED},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char address[600], config[600];
        liar l = {.answer = CLO_SPAN(cases[i].bytes, cases[i].size)};
        clo_thread *thread;
        clo_maker *maker;
        CLO_AUTO(clo_evidence) evidence = CLO_EVIDENCE_INIT;
        const char *folder = clo_test_folder();
        snprintf(address, sizeof address, "unix:%s/s", folder);
        snprintf(config, sizeof config, "sim:%s/s", folder);
        T_OK(clo_net_listen(address, &l.listener));
        T_OK(clo_thread_start(run_liar, &l, "liar", &thread));
        T_OK(clo_maker_open(makers, config, &maker));
        clo_status status = clo_maker_quote(maker, CLO_PURPOSE_USER_DATA, CLO_SPAN_EMPTY,
                                            clo_deadline_in(5000), &evidence);
        clo_maker_close(maker);
        clo_code code = (clo_code)status.code;
        T_OK(clo_thread_join(thread));
        clo_net_close(l.listener);
        T_STR(clo_code_name(code), clo_code_name(cases[i].code));
    }
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(makes_evidence_that_verifies_with_the_measurement_of_the_caller),
        T(another_process_is_measured_as_itself),
        T(refuses_what_is_no_request),
        T(a_slow_caller_is_dropped_and_keeps_nobody_waiting),
        T(more_callers_than_places_are_served_in_the_end),
        T(the_socket_is_private_and_goes_with_the_process),
        T(each_start_has_its_own_attestation_key),
        T(the_maker_refuses_a_socket_name_it_cannot_use),
        T(the_maker_takes_no_malformed_answer),
    };
    clo_status ready = clo_crypto_init();
    return clo_ok(ready) ? clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests) : 1;
}
