// Linux AIO through Debian's libaio-dev. Do not also include <linux/aio_abi.h>: the two conflict.
#pragma once
#include <libaio.h>
#include <time.h>

// io_getevents(2) without waiting, or -errno. The timeout stays on this side: Swift would have to decide
// which module its structure belongs to. It is there, and zero, because libaio then looks at the ring before
// it calls.
static inline long aio_reap(io_context_t context, long max, struct io_event *events) {
    struct timespec immediately = {0, 0};
    return io_getevents(context, 0, max, events, &immediately);
}
