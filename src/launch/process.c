/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One child process: start, watch, end. Between fork and exec only async-signal-safe calls are
 * made, because the parent may have threads. PR_SET_PDEATHSIG ties the child's life to the
 * parent's.
 */
#include "cloister/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGUMENTS_MAX 256

struct clo_process {
    pid_t pid;
    int out, err;
    bool ended;
    int exit_code;
};

typedef struct {
    int read, write;
} pipe_ends;

static clo_status open_pipe(bool wanted, pipe_ends *out_pipe)
{
    if (!wanted) {
        return CLO_STATUS_OK;
    }
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return CLO_ERRNO("making a pipe");
    }
    (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
    *out_pipe = (pipe_ends){ends[0], ends[1]};
    return CLO_STATUS_OK;
}

static void close_end(int fd)
{
    if (fd >= 0) {
        (void)close(fd);
    }
}

static void close_pipe(const pipe_ends *ends)
{
    close_end(ends->read);
    close_end(ends->write);
}

/* In the child. Never returns. A parent that ended before prctl left nobody to send the signal. */
_Noreturn static void become(const char *program, char *const *arguments, char *const *environment,
                             const int streams[2], pid_t parent)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) {
        _exit(128 + SIGTERM);
    }
    for (int i = 0; i < 2; i++) {
        if (streams[i] >= 0) {
            (void)dup2(streams[i], 1 + i);
        }
    }
    sigset_t none;
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGPIPE, SIG_DFL);
    execve(program, arguments, environment);
    static const char message[] = "cannot execute the program\n";
    (void)!write(2, message, sizeof message - 1);
    _exit(127);
}

static clo_status copy_arguments(const clo_process_options *options, char **out_arguments)
{
    size_t count = 0;
    memcpy(&out_arguments[count++], &options->program, sizeof(char *));
    for (const char *const *at = options->arguments; at && *at; at++) {
        CLO_CHECK(count + 1 < ARGUMENTS_MAX, CLO_LIMIT, "more than %d arguments for '%s'",
                  ARGUMENTS_MAX - 2, options->program);
        memcpy(&out_arguments[count++], at, sizeof(char *));
    }
    out_arguments[count] = NULL;
    return CLO_STATUS_OK;
}

clo_status clo_process_start(const clo_process_options *options, clo_process **out_process)
{
    char *arguments[ARGUMENTS_MAX];
    CLO_TRY(copy_arguments(options, arguments));
    CLO_CHECK(access(options->program, X_OK) == 0, CLO_NOTFOUND, "no program at '%s'",
              options->program);
    clo_process *process = clo_alloc(sizeof *process);
    CLO_CHECK(process, CLO_NOMEM, "no memory for a process");
    pipe_ends out = {-1, -1}, err = {-1, -1};
    clo_status status = open_pipe(options->capture_out, &out);
    if (clo_ok(status)) {
        status = open_pipe(options->capture_err, &err);
    }
    if (!clo_ok(status)) {
        close_pipe(&out);
        clo_free(process);
        return status;
    }
    char *const *environment = environ;
    if (options->environment) {
        memcpy(&environment, &options->environment, sizeof environment);
    }
    int streams[2] = {out.write, err.write};
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        become(options->program, arguments, environment, streams, parent);
    }
    int error = errno;
    close_end(out.write);
    close_end(err.write);
    if (pid < 0) {
        close_end(out.read);
        close_end(err.read);
        clo_free(process);
        errno = error;
        return CLO_ERRNO("starting '%s'", options->program);
    }
    *process = (clo_process){.pid = pid, .out = out.read, .err = err.read};
    *out_process = process;
    return CLO_STATUS_OK;
}

int clo_process_out(const clo_process *process)
{
    return process->out;
}

int clo_process_err(const clo_process *process)
{
    return process->err;
}

int clo_process_id(const clo_process *process)
{
    return (int)process->pid;
}

static bool reap(clo_process *process)
{
    int state = 0;
    if (process->ended) {
        return true;
    }
    if (waitpid(process->pid, &state, WNOHANG) != process->pid) {
        return false;
    }
    process->ended = true;
    process->exit_code = WIFEXITED(state) ? WEXITSTATUS(state) : 128 + WTERMSIG(state);
    return true;
}

clo_status clo_process_wait(clo_process *process, clo_deadline deadline, int *out_exit_code)
{
    while (!reap(process)) {
        CLO_CHECK(!clo_deadline_passed(deadline), CLO_TIMEOUT, "process %d still runs",
                  (int)process->pid);
        clo_sleep_ms(5);
    }
    *out_exit_code = process->exit_code;
    return CLO_STATUS_OK;
}

void clo_process_signal(clo_process *process, int signal_number)
{
    if (!reap(process)) {
        (void)kill(process->pid, signal_number);
    }
}

void clo_process_stop(clo_process *process, int64_t grace_ms)
{
    if (!process) {
        return;
    }
    int code = 0;
    clo_process_signal(process, SIGTERM);
    if (!clo_ok(clo_process_wait(process, clo_deadline_in(grace_ms), &code))) {
        clo_process_signal(process, SIGKILL);
        (void)clo_process_wait(process, clo_deadline_in(5000), &code);
    }
    close_end(process->out);
    close_end(process->err);
    clo_free(process);
}
