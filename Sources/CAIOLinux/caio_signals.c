// The signal handler: the one piece of code that runs at any moment on any thread. It writes the signal's
// number to a pipe and does nothing else; what follows happens on a thread of ours
// (AIOKernel/Linux/SignalPipe.swift).

#define _GNU_SOURCE

#include "caio_linux.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

static inline long caio_result(long value) { return value < 0 ? -(long)errno : value; }

enum { SIGNAL_NUMBER_MAX = 64 };

static _Atomic int signal_pipe = -1;
// Handlers that are running now: the pipe may be closed only when there are none.
static _Atomic int handlers_running = 0;
static struct sigaction former[SIGNAL_NUMBER_MAX + 1];

static void on_signal(int number) {
    int saved = errno;
    atomic_fetch_add(&handlers_running, 1);
    int pipe = atomic_load(&signal_pipe);
    if (pipe >= 0) {
        unsigned char byte = (unsigned char)number;
        // A full pipe has the number in it already, many times.
        ssize_t ignored = write(pipe, &byte, 1);
        (void)ignored;
    }
    atomic_fetch_sub(&handlers_running, 1);
    errno = saved;
}

long caio_signals_begin(int pipe) {
    int none = -1;
    return atomic_compare_exchange_strong(&signal_pipe, &none, pipe) ? 0 : -EBUSY;
}

long caio_signal_watch(int number) {
    if (number < 1 || number > SIGNAL_NUMBER_MAX) return -EINVAL;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigfillset(&action.sa_mask);
    return caio_result(sigaction(number, &action, &former[number]));
}

void caio_signal_unwatch(int number) { sigaction(number, &former[number], NULL); }

void caio_signals_end(void) {
    atomic_store(&signal_pipe, -1);
    while (atomic_load(&handlers_running) > 0) {
    }
}

long caio_signal_pipe(int ends[2]) {
    long result = caio_result(pipe2(ends, O_CLOEXEC));
    if (result < 0) return result;
    // The handler must never wait; the reader may.
    return caio_result(fcntl(ends[1], F_SETFL, O_NONBLOCK));
}

long caio_read_byte(int descriptor) {
    unsigned char byte = 0;
    while (1) {
        long result = caio_result(read(descriptor, &byte, 1));
        if (result == -EINTR) continue;
        return result == 1 ? byte : 0;
    }
}
