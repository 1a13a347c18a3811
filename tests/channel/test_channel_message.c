/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages over the open channel: sizes around every boundary, both directions at once, wrong
 * sizes, ends of the connection at every kind of place, and bytes changed on the way.
 */
#include "channel_rig.h"

#include <unistd.h>

static clo_deadline soon(void)
{
    return clo_deadline_in(5000);
}

static void open_pair(rig_pair *pair)
{
    rig_pair_init(pair, CLO_ROLE_TRAINER, CLO_ROLE_TRAINER);
    rig_connect(pair);
    rig_must(clo_status_restore(&pair->results[0]), "open");
    rig_must(clo_status_restore(&pair->results[1]), "open");
}

static void fill(uint8_t *bytes, size_t size, uint32_t seed)
{
    for (size_t i = 0; i < size; i++) {
        seed = seed * 1664525u + 1013904223u;
        bytes[i] = (uint8_t)(seed >> 24);
    }
}

/* One end of a conversation in a thread of its own. */
typedef struct {
    clo_channel *channel;
    clo_channel *other; /* for exchanges over two channels */
    uint8_t *out, *in;
    size_t size, in_size;
    int64_t ms;
} worker;

static clo_status run_send(void *arg)
{
    worker *w = arg;
    return clo_channel_send(w->channel, CLO_SPAN(w->out, w->size), clo_deadline_in(w->ms));
}

static clo_status run_exchange(void *arg)
{
    worker *w = arg;
    clo_channel *from = w->other != NULL ? w->other : w->channel;
    return clo_channel_exchange(w->channel, CLO_SPAN(w->out, w->size), from, w->in, w->in_size,
                                clo_deadline_in(w->ms));
}

static void messages_of_every_size_arrive_whole(void)
{
    static const size_t sizes[] = {0,       1,       16378,   16379,   16380,   65536,
                                   1048570, 1048571, 1048572, 1048576, 2097142, 3000001};
    CLO_AUTO(rig_pair) pair;
    open_pair(&pair);
    uint8_t *bytes = clo_alloc(3000001);
    fill(bytes, 3000001, 1);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        worker w = {.channel = pair.channels[0], .out = bytes, .size = sizes[i], .ms = 5000};
        clo_thread *thread;
        T_OK(clo_thread_start(run_send, &w, "send", &thread));
        CLO_AUTO(clo_buf) got = CLO_BUF_INIT;
        T_OK(clo_channel_recv(pair.channels[1], &got, soon()));
        T_OK(clo_thread_join(thread));
        T_INT(got.size, sizes[i]);
        T_CHECK(got.size == 0 || memcmp(got.data, bytes, got.size) == 0);
    }
    clo_free(bytes);
}

static void recv_appends_and_keeps_messages_apart(void)
{
    CLO_AUTO(rig_pair) pair;
    open_pair(&pair);
    T_OK(clo_channel_send(pair.channels[0], clo_span_of_str("one"), soon()));
    T_OK(clo_channel_send(pair.channels[0], clo_span_of_str("two"), soon()));
    CLO_AUTO(clo_buf) got = CLO_BUF_INIT;
    T_OK(clo_channel_recv(pair.channels[1], &got, soon()));
    T_CHECK(clo_span_equals_str(clo_buf_span(&got), "one"));
    T_OK(clo_channel_recv(pair.channels[1], &got, soon()));
    T_CHECK(clo_span_equals_str(clo_buf_span(&got), "onetwo"));
}

static void a_message_above_the_readers_limit_is_refused(void)
{
    CLO_AUTO(rig_pair) pair;
    open_pair(&pair);
    CLO_AUTO(clo_buf) got = CLO_BUF_LIMIT(5);
    T_OK(clo_channel_send(pair.channels[0], clo_span_of_str("12345"), soon()));
    T_OK(clo_channel_recv(pair.channels[1], &got, soon()));
    clo_buf_clear(&got);
    T_OK(clo_channel_send(pair.channels[0], clo_span_of_str("123456"), soon()));
    T_CODE(clo_channel_recv(pair.channels[1], &got, soon()), CLO_LIMIT);
    T_INT(got.size, 0);
    T_CODE(clo_channel_recv(pair.channels[0], &got, soon()), CLO_DENIED);
}

static void a_message_above_16_mib_cannot_be_sent(void)
{
    CLO_AUTO(rig_pair) pair;
    open_pair(&pair);
    uint8_t *bytes = clo_alloc(CLO_MESSAGE_MAX + 1);
    T_CODE(clo_channel_send(pair.channels[0], CLO_SPAN(bytes, CLO_MESSAGE_MAX + 1), soon()),
           CLO_LIMIT);
    T_OK(clo_channel_send(pair.channels[0], clo_span_of_str("still usable"), soon()));
    clo_free(bytes);
}

/* ---- exchange */

static void large_exchanges_in_both_directions_do_not_wait_for_each_other(void)
{
    enum { SIZE = 24 * 1024 * 1024 + 13 };

    CLO_AUTO(rig_pair) pair;
    open_pair(&pair);
    uint8_t *memory[2][2];
    worker w[2];
    clo_thread *thread;
    for (int i = 0; i < 2; i++) {
        memory[i][0] = clo_alloc(SIZE);
        memory[i][1] = clo_alloc(SIZE);
        fill(memory[i][0], SIZE, (uint32_t)i + 5);
        w[i] = (worker){pair.channels[i], NULL, memory[i][0], memory[i][1], SIZE, SIZE, 20000};
    }
    T_OK(clo_thread_start(run_exchange, &w[1], "exchange", &thread));
    T_OK(run_exchange(&w[0]));
    T_OK(clo_thread_join(thread));
    T_CHECK(memcmp(memory[0][0], memory[1][1], SIZE) == 0);
    T_CHECK(memcmp(memory[1][0], memory[0][1], SIZE) == 0);
    T_INT(clo_channel_get_stats(pair.channels[0]).bytes_sent, SIZE);
    T_INT(clo_channel_get_stats(pair.channels[0]).bytes_received, SIZE);
    for (int i = 0; i < 4; i++) {
        clo_free(memory[i / 2][i % 2]);
    }
}

static void three_ends_pass_bytes_around_a_ring(void)
{
    enum { SIZE = 5 * 1024 * 1024 };

    rig_pair pairs[3];
    worker w[3];
    clo_thread *threads[3];
    for (int i = 0; i < 3; i++) {
        open_pair(&pairs[i]); /* pairs[i]: rank i connects to rank i + 1 */
    }
    for (int i = 0; i < 3; i++) {
        w[i] = (worker){pairs[i].channels[0],
                        pairs[(i + 2) % 3].channels[1],
                        clo_alloc(SIZE),
                        clo_alloc(SIZE),
                        SIZE,
                        SIZE,
                        20000};
        fill(w[i].out, SIZE, (uint32_t)i);
    }
    for (int i = 0; i < 3; i++) {
        T_OK(clo_thread_start(run_exchange, &w[i], "ring", &threads[i]));
    }
    for (int i = 0; i < 3; i++) {
        T_OK(clo_thread_join(threads[i]));
    }
    for (int i = 0; i < 3; i++) {
        T_CHECK(memcmp(w[i].in, w[(i + 2) % 3].out, SIZE) == 0);
    }
    for (int i = 0; i < 3; i++) {
        clo_free(w[i].out);
        clo_free(w[i].in);
        rig_pair_clear(&pairs[i]);
    }
}

static void one_direction_may_be_empty(void)
{
    CLO_AUTO(rig_pair) pair;
    open_pair(&pair);
    uint8_t in[4];
    T_OK(clo_channel_exchange(pair.channels[0], CLO_SPAN("ping", 4), NULL, NULL, 0, soon()));
    T_OK(clo_channel_exchange(NULL, CLO_SPAN_EMPTY, pair.channels[1], in, 4, soon()));
    T_CHECK(memcmp(in, "ping", 4) == 0);
    T_OK(clo_channel_exchange(NULL, CLO_SPAN_EMPTY, NULL, NULL, 0, soon()));
    T_CODE(clo_channel_exchange(NULL, CLO_SPAN("x", 1), NULL, NULL, 0, soon()), CLO_INVALID);
    T_CODE(clo_channel_exchange(NULL, CLO_SPAN_EMPTY, NULL, in, 1, soon()), CLO_INVALID);
}

static void an_exchange_of_unequal_sizes_is_refused(void)
{
    for (size_t size = 3; size <= 5; size++) {
        CLO_AUTO(rig_pair) pair;
        open_pair(&pair);
        uint8_t in[4];
        T_OK(clo_channel_send(pair.channels[0], CLO_SPAN("12345", size), soon()));
        T_CODE(clo_channel_exchange(NULL, CLO_SPAN_EMPTY, pair.channels[1], in, 4, soon()),
               size == 4 ? CLO_OK : CLO_FORMAT);
        T_CHECK(clo_channel_is_broken(pair.channels[1]) == (size != 4));
    }
}

/* ---- time */

static void recv_and_send_end_at_their_deadline_and_break_the_channel(void)
{
    CLO_AUTO(rig_pair) pair;
    open_pair(&pair);
    CLO_AUTO(clo_buf) got = CLO_BUF_INIT;
    int64_t before = clo_clock_ms();
    T_CODE(clo_channel_recv(pair.channels[0], &got, clo_deadline_in(100)), CLO_TIMEOUT);
    T_CHECK(clo_clock_ms() - before < 1000);
    T_CHECK(clo_channel_is_broken(pair.channels[0]));
    uint8_t *bytes = clo_alloc(CLO_MESSAGE_MAX);
    T_CODE(
        clo_channel_send(pair.channels[1], CLO_SPAN(bytes, CLO_MESSAGE_MAX), clo_deadline_in(100)),
        CLO_DENIED);
    clo_free(bytes);
}

static void a_send_that_nobody_takes_ends_at_its_deadline(void)
{
    CLO_AUTO(rig_pair) pair;
    open_pair(&pair);
    uint8_t *bytes = clo_alloc(CLO_MESSAGE_MAX);
    T_CODE(
        clo_channel_send(pair.channels[1], CLO_SPAN(bytes, CLO_MESSAGE_MAX), clo_deadline_in(100)),
        CLO_TIMEOUT);
    clo_free(bytes);
}

/* ---- ends of the connection */

static void an_orderly_end_between_messages_is_the_end_of_input(void)
{
    CLO_AUTO(rig_pair) pair;
    open_pair(&pair);
    T_OK(clo_channel_send(pair.channels[0], clo_span_of_str("last words"), soon()));
    clo_channel_close(CLO_TAKE(pair.channels[0]));
    CLO_AUTO(clo_buf) got = CLO_BUF_INIT;
    T_OK(clo_channel_recv(pair.channels[1], &got, soon()));
    T_CODE(clo_channel_recv(pair.channels[1], &got, soon()), CLO_EOF);
    T_CODE(clo_channel_recv(pair.channels[1], &got, soon()), CLO_EOF);
}

static void an_orderly_end_where_a_message_is_due_is_a_failure(void)
{
    CLO_AUTO(rig_pair) pair;
    open_pair(&pair);
    clo_channel_close(CLO_TAKE(pair.channels[0]));
    uint8_t in[4];
    T_CODE(clo_channel_exchange(NULL, CLO_SPAN_EMPTY, pair.channels[1], in, 4, soon()), CLO_CLOSED);
}

static void an_end_without_close_notify_is_never_an_end_of_input(void)
{
    CLO_AUTO(rig_pair) pair;
    open_pair(&pair);
    shutdown(clo_channel_fd(pair.channels[0]), SHUT_RDWR);
    CLO_AUTO(clo_buf) got = CLO_BUF_INIT;
    T_CODE(clo_channel_recv(pair.channels[1], &got, soon()), CLO_CLOSED);
}

static void input_is_noticed_without_being_taken(void)
{
    CLO_AUTO(rig_pair) pair;
    open_pair(&pair);
    T_CHECK(!clo_channel_has_input(pair.channels[1]));
    T_OK(clo_channel_send(pair.channels[0], clo_span_of_str("x"), soon()));
    T_CHECK(clo_channel_has_input(pair.channels[1]));
    T_CHECK(clo_channel_has_input(pair.channels[1]));
    CLO_AUTO(clo_buf) got = CLO_BUF_INIT;
    T_OK(clo_channel_recv(pair.channels[1], &got, soon()));
    T_INT(got.size, 1);
    T_CHECK(!clo_channel_has_input(pair.channels[1]));
    clo_channel_close(CLO_TAKE(pair.channels[0]));
    T_CHECK(clo_channel_has_input(pair.channels[1]));
    T_CODE(clo_channel_recv(pair.channels[1], &got, soon()), CLO_EOF);
}

/* ---- a wire that cuts or changes bytes (M7, M8) */

typedef struct {
    rig_pair pair;
    int near[2], far[2]; /* client -- near | far -- server */
    size_t passed, stop_at, flip_at;
    bool cut;
} wire;

static void wire_cleanup(wire *w)
{
    rig_pair_clear(&w->pair);
    clo_net_close(w->near[1]);
    clo_net_close(w->far[0]);
}

static void wire_start(wire *w, size_t stop_at, size_t flip_at)
{
    *w = (wire){.stop_at = stop_at, .flip_at = flip_at};
    rig_pair_init(&w->pair, CLO_ROLE_TRAINER, CLO_ROLE_TRAINER);
    rig_socketpair(w->near);
    rig_socketpair(w->far);
    rig_must(rig_begin(&w->pair.ends[0], CLO_TLS_CLIENT, w->near[0], &w->pair.channels[0]), "c");
    rig_must(rig_begin(&w->pair.ends[1], CLO_TLS_SERVER, w->far[1], &w->pair.channels[1]), "s");
}

static void wire_cut(wire *w)
{
    w->cut = true;
    shutdown(w->near[1], SHUT_RDWR);
    shutdown(w->far[0], SHUT_RDWR);
}

static void wire_move(wire *w, int from, int to)
{
    uint8_t bytes[1500];
    size_t room = w->stop_at - w->passed < sizeof bytes ? w->stop_at - w->passed : sizeof bytes;
    ssize_t count = room > 0 ? read(from, bytes, room) : 0;
    if (count <= 0) {
        return;
    }
    if (w->flip_at >= w->passed && w->flip_at < w->passed + (size_t)count) {
        bytes[w->flip_at - w->passed] ^= 0x10;
    }
    w->passed += (size_t)count;
    if (write(to, bytes, (size_t)count) != count) {
        abort();
    }
}

static void wire_turn(wire *w)
{
    wire_move(w, w->near[1], w->far[0]);
    wire_move(w, w->far[0], w->near[1]);
    if (w->passed >= w->stop_at && !w->cut) {
        wire_cut(w);
    }
}

/* Gate and then one 64 KiB message to the server; results are those of the two ends. */
static void wire_run(wire *w, clo_buf *got)
{
    bool done[2] = {false, false};
    clo_deadline deadline = clo_deadline_in(5000);
    while (!(done[0] && done[1]) && !clo_deadline_passed(deadline)) {
        done[0] = rig_step(w->pair.channels[0], &w->pair.results[0]);
        wire_turn(w);
        done[1] = rig_step(w->pair.channels[1], &w->pair.results[1]);
        wire_turn(w);
    }
    if (w->pair.results[0].code != CLO_OK || w->pair.results[1].code != CLO_OK) {
        return;
    }
    uint8_t bytes[65536];
    fill(bytes, sizeof bytes, 3);
    worker sender = {
        .channel = w->pair.channels[0], .out = bytes, .size = sizeof bytes, .ms = 3000};
    clo_thread *thread;
    rig_must(clo_thread_start(run_send, &sender, "send", &thread), "thread");
    while (!clo_channel_has_input(w->pair.channels[1]) && !clo_deadline_passed(deadline)) {
        wire_turn(w);
    }
    for (int i = 0; i < 2000 && !w->cut; i++) {
        wire_turn(w);
        clo_sleep_ms(i % 64 == 0);
    }
    clo_status_save(clo_channel_recv(w->pair.channels[1], got, clo_deadline_in(300)),
                    &w->pair.results[1]);
    clo_status_save(clo_thread_join(thread), &w->pair.results[0]);
}

static void a_connection_cut_anywhere_ends_in_a_status_and_no_message(void)
{
    size_t whole = 0;
    {
        CLO_AUTO(wire) w;
        wire_start(&w, SIZE_MAX, SIZE_MAX);
        CLO_AUTO(clo_buf) got = CLO_BUF_INIT;
        wire_run(&w, &got);
        T_RESULT(w.pair.results[1], CLO_OK);
        T_INT(got.size, 65536);
        whole = w.passed;
    }
    for (size_t stop = 1; stop < whole; stop += stop < 2000 ? 97 : 3989) {
        CLO_AUTO(wire) w;
        wire_start(&w, stop, SIZE_MAX);
        CLO_AUTO(clo_buf) got = CLO_BUF_INIT;
        wire_run(&w, &got);
        T_CHECK(w.pair.results[1].code != CLO_OK && w.pair.results[1].code != CLO_EOF);
        T_INT(got.size, 0);
    }
}

static void a_byte_changed_on_the_way_is_noticed(void)
{
    for (size_t flip = 100; flip < 80000; flip += 7919) {
        CLO_AUTO(wire) w;
        wire_start(&w, SIZE_MAX, flip);
        CLO_AUTO(clo_buf) got = CLO_BUF_INIT;
        wire_run(&w, &got);
        bool noticed = w.pair.results[0].code != CLO_OK || w.pair.results[1].code != CLO_OK;
        T_CHECK(noticed);
        T_INT(got.size, 0);
    }
}

int main(int argc, char **argv)
{
    static const clo_test tests[] = {
        T(messages_of_every_size_arrive_whole),
        T(recv_appends_and_keeps_messages_apart),
        T(a_message_above_the_readers_limit_is_refused),
        T(a_message_above_16_mib_cannot_be_sent),
        T(large_exchanges_in_both_directions_do_not_wait_for_each_other),
        T(three_ends_pass_bytes_around_a_ring),
        T(one_direction_may_be_empty),
        T(an_exchange_of_unequal_sizes_is_refused),
        T(recv_and_send_end_at_their_deadline_and_break_the_channel),
        T(a_send_that_nobody_takes_ends_at_its_deadline),
        T(an_orderly_end_between_messages_is_the_end_of_input),
        T(an_orderly_end_where_a_message_is_due_is_a_failure),
        T(an_end_without_close_notify_is_never_an_end_of_input),
        T(input_is_noticed_without_being_taken),
        T(a_connection_cut_anywhere_ends_in_a_status_and_no_message),
        T(a_byte_changed_on_the_way_is_noticed),
    };
    rig_start();
    return clo_test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
