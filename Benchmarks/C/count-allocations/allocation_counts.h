// The file that libcount-allocations.so keeps its counts in, as its readers map it.
#pragma once
#include <stdint.h>

#define ALLOCATION_COUNTS_VARIABLE "ALLOCATION_COUNTS" // the environment variable that names the file

enum { allocationThreadsMax = 64 }; // threads past these share the last slot

// One thread's counts. Written by that thread alone (the shared last slot by several), read by anyone at any
// time: relaxed atomics, each counter exact, no two of them a snapshot.
struct allocation_thread {
    _Atomic int32_t thread; // its kernel id; 0 = free slot
    _Atomic uint64_t mallocs, callocs, reallocs, aligned, frees;
    _Atomic uint64_t bytes; // asked for, by all four
};

struct allocation_counts {
    _Atomic uint32_t threadCount; // slots handed out; may pass allocationThreadsMax
    struct allocation_thread threads[allocationThreadsMax];
};
