/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_CLI_DEMO_H
#define CLO_CLI_DEMO_H

/*
 * cloister demo: the life cycle of a job on this machine, played with the program's own commands.
 *
 *   cmd_demo.c      the phases in order
 *   demo_script.c   running commands, processes in the background, time per phase
 *   demo_attacks.c  what must be refused, each with the twin that must be accepted
 *   demo_report.c   the summary for people and the JSON object
 *
 * Every number and verdict in the report comes from what the commands wrote; nothing is assumed.
 * The demo works in a folder of its own, which is its current folder.
 */
#include "commands.h"

#define DEMO_PHASES_MAX  8
#define DEMO_REFUSED_MAX 16
#define DEMO_TEXT        1024

typedef struct {
    char name[32];
    double seconds;
} demo_phase;

typedef struct {
    char what[96];
    char reason[DEMO_TEXT];
    char control[128];
} demo_refusal;

typedef struct {
    const cmd_demo_settings *settings;
    char self[1024], tee[1024]; /* programs */
    char folder[1024];
    clo_process *vendor, *broker; /* quoting process, key broker */
    clo_buf broker_log;           /* its standard error so far */
    char slots[128], owners[128]; /* the broker's listeners */
    char measurement[65], key_id[33];
    char model[1024]; /* the opened model */
    demo_phase phases[DEMO_PHASES_MAX];
    size_t phase_count;
    int64_t phase_started;
    demo_refusal refusals[DEMO_REFUSED_MAX];
    size_t refusal_count;
    clo_buf events;  /* of the training ranks, a JSON line each */
    clo_arena arena; /* for what is parsed from them */
} demo_state;

/* ---------------------------------------------------------------- demo_script.c --------------- */

/* Ends the phase that runs, if any, and starts `name` with a heading; NULL only ends. */
void demo_phase_begin(demo_state *demo, const char *name, const char *heading);

/* Runs `cloister WORDS...` to its end (at most `timeout_ms`), showing the command line first when
 * `show`. Standard output goes to `out` (NULL: to ours), standard error to `err` (NULL: to ours).
 * *out_code is the exit code; a status only when it could not be run. */
typedef struct {
    const char *const *words;
    bool show;
    int64_t timeout_ms;
    clo_buf *out, *err;
} demo_command;

clo_status demo_run(demo_state *demo, const demo_command *command, int *out_code);
/* The same, and a code other than 0 is CLO_DENIED with the command's last words. */
clo_status demo_do(demo_state *demo, const char *const *words, clo_buf *out);

/* Starts a command that stays. Its standard error is captured. */
clo_status demo_start(demo_state *demo, const char *const *words, clo_process **out_process);
/* Reads from `fd` into `text` until it holds `wanted`; CLO_TIMEOUT. */
clo_status demo_wait_text(int fd, const char *wanted, clo_buf *text, clo_deadline deadline);
/* Takes what there is now. */
void demo_drain(int fd, clo_buf *text);

/* A TCP port of loopback that nobody listens on. */
clo_status demo_free_port(unsigned *out_port);

/* ---------------------------------------------------------------- demo_attacks.c -------------- */

/* All cases; fills demo->refusals. CLO_BUG when something was accepted that must not be, or a
 * control was refused. */
clo_status demo_attacks(demo_state *demo);

/* ---------------------------------------------------------------- demo_report.c --------------- */

clo_status demo_report(demo_state *demo);

#endif
