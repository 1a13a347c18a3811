/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The maker "sim:SOCKET": asks the simulated quoting process for a quote (sim_wire.h) and adds the
 * vendor's collateral, which stands beside the socket.
 */
#include "cloister/sim.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "sim_folder.h"
#include "sim_measure.h"
#include "sim_wire.h"

typedef struct {
    char socket_path[104]; /* what an address of this kind can hold */
    clo_sim_path collateral;
} sim_maker;

static clo_status set_paths(const char *config, sim_maker *maker)
{
    clo_sim_path folder;
    size_t length = strlen(config);
    CLO_CHECK(length > 0 && length < sizeof maker->socket_path, CLO_INVALID,
              "the simulator's socket '%s' has %zu characters, expected 1 to %zu", config, length,
              sizeof maker->socket_path - 1);
    memcpy(maker->socket_path, config, length + 1);
    const char *slash = strrchr(config, '/');
    int kept = slash == NULL ? 0 : (int)(slash - config) + 1;
    snprintf(folder.text, sizeof folder.text, "%.*s", kept, config);
    return clo_sim_path_make(kept == 0 ? "." : folder.text, CLO_SIM_COLLATERAL, &maker->collateral);
}

static clo_status sim_open(const char *config, void **out_state)
{
    sim_maker *maker = clo_alloc(sizeof *maker);
    CLO_CHECK(maker != NULL, CLO_NOMEM, "out of memory");
    clo_status status = set_paths(config, maker);
    if (!clo_ok(status)) {
        clo_free(maker);
        return status;
    }
    *out_state = maker;
    return CLO_STATUS_OK;
}

static void sim_close(void *state)
{
    clo_free(state);
}

static clo_status send_request(int fd, const uint8_t report_data[64])
{
    CLO_AUTO(clo_buf) request = CLO_BUF_INIT;
    clo_put_u32be(&request, CLO_SIM_MAGIC);
    clo_put_u32be(&request, CLO_SIM_WIRE_VERSION);
    clo_put_bytes(&request, report_data, CLO_REPORT_DATA_SIZE);
    CLO_TRY(clo_buf_check(&request));
    ssize_t sent = send(fd, request.data, request.size, MSG_NOSIGNAL);
    CLO_CHECK(sent == (ssize_t)request.size, CLO_IO, "the request was not taken whole");
    return CLO_STATUS_OK;
}

static clo_status receive(int fd, void *out, size_t size, clo_deadline deadline)
{
    for (size_t got = 0; got < size;) {
        CLO_TRY(clo_fd_wait(fd, POLLIN, deadline));
        ssize_t count = recv(fd, (uint8_t *)out + got, size - got, MSG_DONTWAIT);
        if (count < 0 && errno != EAGAIN && errno != EINTR) {
            return CLO_ERRNO("read the answer");
        }
        CLO_CHECK(count != 0, CLO_CLOSED, "the quoting process closed the connection");
        got += count < 0 ? 0 : (size_t)count;
    }
    return CLO_STATUS_OK;
}

static clo_status receive_answer(int fd, clo_deadline deadline, clo_buf *out_quote)
{
    uint8_t head[CLO_SIM_ANSWER_HEAD];
    CLO_TRY(receive(fd, head, sizeof head, deadline));
    clo_reader r = clo_reader_of(CLO_SPAN_OF(head));
    uint32_t magic = clo_read_u32be(&r);
    uint32_t result = clo_read_u32be(&r);
    uint32_t size = clo_read_u32be(&r);
    CLO_TRY(clo_reader_finish(&r, "the answer"));
    CLO_CHECK(magic == CLO_SIM_MAGIC, CLO_FORMAT, "this is no answer of a quoting process");
    if (result == CLO_SIM_QUOTED) {
        CLO_CHECK(size <= CLO_EVIDENCE_MAX, CLO_LIMIT, "the quote has %u bytes, at most %d", size,
                  CLO_EVIDENCE_MAX);
        uint8_t *quote = clo_buf_grow(out_quote, size);
        CLO_TRY(clo_buf_check(out_quote));
        return receive(fd, quote, size, deadline);
    }
    char reason[CLO_SIM_REASON_MAX + 1] = "";
    CLO_CHECK(size <= CLO_SIM_REASON_MAX, CLO_LIMIT, "the reason has %u bytes", size);
    CLO_TRY(receive(fd, reason, size, deadline));
    CLO_FAIL(CLO_DENIED, "the quoting process refused: %s", reason);
}

static clo_status sim_quote(void *state, const uint8_t report_data[64], clo_deadline deadline,
                            clo_evidence *out_evidence)
{
    const sim_maker *maker = state;
    char address[sizeof maker->socket_path + 8];
    CLO_AUTO(clo_sim_fd) fd = -1;
    snprintf(address, sizeof address, "unix:%s", maker->socket_path);
    CLO_TRY_CTX(clo_net_connect(address, NULL, deadline, &fd), "reaching the quoting process");
    CLO_TRY_CTX(send_request(fd, report_data), "asking '%s'", maker->socket_path);
    CLO_TRY_CTX(receive_answer(fd, deadline, &out_evidence->quote), "asking '%s'",
                maker->socket_path);
    return clo_file_read(maker->collateral.text, CLO_COLLATERAL_MAX, &out_evidence->collateral);
}

const clo_maker_ops clo_maker_sim = {
    .name = "sim",
    .summary = "simulated SGX quotes of this installation's own vendor",
    .config_help = "the socket of the quoting process",
    .insecure = "insecure_simulator",
    .open = sim_open,
    .quote = sim_quote,
    .close = sim_close,
};
