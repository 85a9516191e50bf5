// The time that everything here is measured and limited by.
#pragma once
#include <stdint.h>
#include <time.h>

static inline uint64_t nanoseconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

// A deadline.
static inline uint64_t in_seconds(double seconds) { return nanoseconds_now() + (uint64_t)(seconds * 1e9); }
