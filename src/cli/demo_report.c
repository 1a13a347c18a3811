/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The summary of a demo, from the ranks' events and the run's transcript.
 */
#include "demo.h"

#include "cloister/train.h"

#include <stdio.h>
#include <string.h>

#define VERIFIED_MAX     64
#define TRANSCRIPT_LIMIT (4u << 20)

typedef struct {
    char peer[48];
    clo_span evidence; /* digest, hex */
    char verdict[48];
} verified_row;

typedef struct {
    double accuracy[64];
    size_t epochs;
    double samples_per_second;
    bool parameters_identical;
    double peak_memory_mb[8];
    size_t results; /* ranks that reported */
    verified_row verified[VERIFIED_MAX];
    size_t verified_count;
} demo_summary;

/* ---------------------------------------------------------------- reading --------------------- */

static clo_status read_epochs(const clo_json *event, demo_summary *out)
{
    const clo_json *epochs = NULL;
    CLO_TRY(clo_json_member(event, "epochs", CLO_JSON_ARRAY, &epochs));
    for (const clo_json *row = epochs->child; row && out->epochs < 64; row = row->next) {
        CLO_TRY(clo_json_double(row, "test_accuracy", &out->accuracy[out->epochs]));
        out->epochs++;
    }
    return clo_json_double(event, "samples_per_second", &out->samples_per_second);
}

static clo_status read_result(const clo_json *event, demo_summary *out)
{
    uint64_t rank = 0;
    bool identical = false;
    CLO_TRY(clo_json_u64(event, "rank", 7, &rank));
    CLO_TRY(clo_json_bool(event, "parameters_identical", &identical));
    CLO_TRY(clo_json_double(event, "peak_memory_mb", &out->peak_memory_mb[rank]));
    out->parameters_identical = identical && (out->results == 0 || out->parameters_identical);
    out->results++;
    return rank == 0 ? read_epochs(event, out) : CLO_STATUS_OK;
}

static void put_verdict(verified_row *row, bool accepted, clo_span tee, clo_span tcb)
{
    (void)snprintf(row->verdict, sizeof row->verdict, "%s %.*s %.*s",
                   accepted ? "accepted" : "refused", (int)tee.size, (const char *)tee.data,
                   (int)tcb.size, (const char *)tcb.data);
}

/* What a rank verified first of all: the broker. */
static clo_status read_enrolled(const clo_json *event, demo_summary *out)
{
    verified_row *row = &out->verified[out->verified_count];
    const clo_json *broker = NULL;
    clo_span tee, tcb;
    uint64_t rank = 0;
    bool accepted = false;
    CLO_TRY(clo_json_u64(event, "rank", 7, &rank));
    CLO_TRY(clo_json_member(event, "broker", CLO_JSON_OBJECT, &broker));
    CLO_TRY(clo_json_str(broker, "tee", &tee));
    CLO_TRY(clo_json_str(broker, "evidence", &row->evidence));
    CLO_TRY(clo_json_str(broker, "tcb", &tcb));
    CLO_TRY(clo_json_bool(broker, "accepted", &accepted));
    (void)snprintf(row->peer, sizeof row->peer, "broker, by rank %u", (unsigned)rank);
    put_verdict(row, accepted, tee, tcb);
    out->verified_count += out->verified_count + 1 < VERIFIED_MAX;
    return CLO_STATUS_OK;
}

static clo_status read_event(demo_state *demo, clo_span line, demo_summary *out)
{
    clo_span name;
    const clo_json *event = cli_tee_event(line, &demo->arena, &name);
    if (event && clo_span_equals_str(name, "result")) {
        return read_result(event, out);
    }
    if (event && clo_span_equals_str(name, "enrolled")) {
        return read_enrolled(event, out);
    }
    return CLO_STATUS_OK;
}

static clo_status read_events(demo_state *demo, demo_summary *out)
{
    clo_span left = clo_buf_span(&demo->events);
    while (left.size > 0) {
        const uint8_t *end = memchr(left.data, '\n', left.size);
        size_t size = end ? (size_t)(end - left.data) : left.size;
        CLO_TRY_CTX(read_event(demo, CLO_SPAN(left.data, size), out), "the ranks' events");
        size_t step = end ? size + 1 : size;
        left = CLO_SPAN(left.data + step, left.size - step);
    }
    CLO_CHECK(out->results == demo->settings->ranks, CLO_FORMAT,
              "%zu of %llu ranks reported a result", out->results,
              (unsigned long long)demo->settings->ranks);
    return CLO_STATUS_OK;
}

static clo_status read_peer(const clo_json *peer, demo_summary *out)
{
    verified_row *row = &out->verified[out->verified_count];
    const clo_json *verdict = NULL;
    clo_span role, tee, tcb;
    uint64_t slot = 0;
    bool accepted = false;
    CLO_TRY(clo_json_str(peer, "role", &role));
    if (clo_json_find(peer, "slot")) {
        CLO_TRY(clo_json_u64(peer, "slot", UINT32_MAX, &slot));
    }
    CLO_TRY(clo_json_str(peer, "evidence", &row->evidence));
    CLO_TRY(clo_json_member(peer, "verdict", CLO_JSON_OBJECT, &verdict));
    CLO_TRY(clo_json_bool(verdict, "accepted", &accepted));
    CLO_TRY(clo_json_str(verdict, "tee", &tee));
    CLO_TRY(clo_json_str(verdict, "tcb", &tcb));
    (void)snprintf(row->peer, sizeof row->peer, "%.*s %u, by rank 0", (int)role.size,
                   (const char *)role.data, (unsigned)slot);
    put_verdict(row, accepted, tee, tcb);
    out->verified_count += out->verified_count + 1 < VERIFIED_MAX;
    return CLO_STATUS_OK;
}

/* The signature was checked when the model was opened (cloister verify). */
static clo_status read_transcript(demo_state *demo, demo_summary *out)
{
    CLO_AUTO(clo_buf) envelope = CLO_BUF_LIMIT(TRANSCRIPT_LIMIT);
    CLO_AUTO(clo_buf) payload = CLO_BUF_LIMIT(TRANSCRIPT_LIMIT);
    const clo_json *root = NULL, *peers = NULL;
    CLO_TRY(clo_file_read("run/transcript.dsse", TRANSCRIPT_LIMIT, &envelope));
    CLO_TRY(clo_dsse_peek(clo_buf_span(&envelope), CLO_TRANSCRIPT_TYPE, &payload));
    char *text = clo_arena_str(&demo->arena, clo_buf_span(&payload));
    CLO_CHECK(text, CLO_NOMEM, "no memory for the transcript");
    CLO_TRY(clo_json_parse(clo_span_of_str(text), &demo->arena, &root));
    CLO_TRY(clo_json_member(root, "verified", CLO_JSON_ARRAY, &peers));
    for (const clo_json *peer = peers->child; peer; peer = peer->next) {
        if (clo_json_find(peer, "slot")) {
            CLO_TRY_CTX(read_peer(peer, out), "the transcript's peers");
        }
    }
    return CLO_STATUS_OK;
}

/* ---------------------------------------------------------------- showing --------------------- */

static void show_table(const demo_state *demo, const demo_summary *s)
{
    double total = 0;
    printf("\nSummary\n");
    printf("   ranks, epochs         %llu, %llu\n", (unsigned long long)demo->settings->ranks,
           (unsigned long long)demo->settings->epochs);
    printf("   test accuracy        ");
    for (size_t i = 0; i < s->epochs; i++) {
        printf(" %.4f", s->accuracy[i]);
    }
    printf("\n   samples a second      %.0f\n", s->samples_per_second);
    printf("   parameters identical  %s\n", s->parameters_identical ? "yes, on all ranks" : "NO");
    printf("   peak memory          ");
    for (size_t i = 0; i < s->results; i++) {
        printf(" %.0f MB", s->peak_memory_mb[i]);
    }
    printf("\n   verified             ");
    printf(
        " %zu peers\n   refused               %zu cases, each beside a control that was accepted\n",
        s->verified_count, demo->refusal_count);
    printf("   seconds              ");
    for (size_t i = 0; i < demo->phase_count; i++) {
        printf(" %s %.1f", demo->phases[i].name, demo->phases[i].seconds);
        total += demo->phases[i].seconds;
    }
    printf(" = %.1f\n", total);
}

static void put_lists(clo_json_writer *w, const demo_state *demo, const demo_summary *s)
{
    clo_json_begin_array(w, "verified");
    for (size_t i = 0; i < s->verified_count; i++) {
        clo_json_begin_object(w, NULL);
        clo_json_put_str(w, "peer", s->verified[i].peer);
        clo_json_put_text(w, "evidence", s->verified[i].evidence);
        clo_json_put_str(w, "verdict", s->verified[i].verdict);
        clo_json_end_object(w);
    }
    clo_json_end_array(w);
    clo_json_begin_array(w, "refused");
    for (size_t i = 0; i < demo->refusal_count; i++) {
        clo_json_begin_object(w, NULL);
        clo_json_put_str(w, "case", demo->refusals[i].what);
        clo_json_put_str(w, "reason", demo->refusals[i].reason);
        clo_json_put_str(w, "control", demo->refusals[i].control);
        clo_json_end_object(w);
    }
    clo_json_end_array(w);
}

static void put_summary(clo_json_writer *w, const demo_state *demo, const demo_summary *s)
{
    clo_json_begin_object(w, NULL);
    clo_json_put_u64(w, "ranks", s->results);
    clo_json_put_u64(w, "epochs", s->epochs);
    clo_json_begin_array(w, "test_accuracy");
    for (size_t i = 0; i < s->epochs; i++) {
        clo_json_put_double(w, NULL, s->accuracy[i]);
    }
    clo_json_end_array(w);
    clo_json_put_double(w, "samples_per_second", s->samples_per_second);
    clo_json_put_bool(w, "parameters_identical", s->parameters_identical);
    clo_json_begin_array(w, "peak_memory_mb");
    for (size_t i = 0; i < s->results; i++) {
        clo_json_put_double(w, NULL, s->peak_memory_mb[i]);
    }
    clo_json_end_array(w);
    clo_json_begin_object(w, "seconds");
    for (size_t i = 0; i < demo->phase_count; i++) {
        clo_json_put_double(w, demo->phases[i].name, demo->phases[i].seconds);
    }
    clo_json_end_object(w);
    put_lists(w, demo, s);
    if (demo->settings->keep) {
        clo_json_put_str(w, "model", demo->model);
    } else {
        clo_json_put_null(w, "model"); /* the folder is about to go */
    }
    clo_json_end_object(w);
}

clo_status demo_report(demo_state *demo)
{
    CLO_AUTO(clo_buf) json = CLO_BUF_LIMIT(1u << 20);
    demo_summary *summary = clo_alloc(sizeof *summary);
    CLO_CHECK(summary, CLO_NOMEM, "no memory for a summary");
    clo_status status = read_events(demo, summary);
    if (clo_ok(status)) {
        status = read_transcript(demo, summary);
    }
    if (clo_ok(status)) {
        clo_json_writer w = clo_json_writer_of(&json);
        show_table(demo, summary);
        put_summary(&w, demo, summary);
        if (demo->settings->json) {
            cli_print_json(&json);
        }
        status = clo_buf_check(&json);
    }
    bool identical = summary->parameters_identical;
    clo_free(summary);
    CLO_TRY(status);
    CLO_CHECK(identical, CLO_NUMERIC, "the ranks' parameters differ");
    return CLO_STATUS_OK;
}
