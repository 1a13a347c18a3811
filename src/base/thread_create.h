/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLO_BASE_THREAD_CREATE_H
#define CLO_BASE_THREAD_CREATE_H

/*
 * The bare start of a thread, for the one thread that nobody joins: the look-up of a name, which is
 * left behind when its deadline passes. Everything else uses clo_thread.
 */
#include <pthread.h>

#include "cloister/base.h"

/* Starts `run` with every signal blocked. The caller joins or detaches the handle. */
clo_status clo_thread_create(void *(*run)(void *arg), void *arg, pthread_t *out_handle);

#endif
