// What the server's process has used, as the kernel tells.
#pragma once
#include <stdint.h>

struct process_cost {
    uint64_t cpuNanoseconds;            // user and system, of all threads, ended ones too: exact
    uint64_t userTicks, systemTicks;    // the same by sampling: only good for the split
    uint64_t voluntarySwitches, forcedSwitches; // context switches of the threads that live
};

struct process_memory {
    uint64_t residentKiB, proportionalKiB, privateKiB; // user memory; sockets' buffers are the kernel's
};

// Both are all zeros for process 0, and end the program when the process cannot be read.
struct process_cost process_cost_of(int process);
struct process_memory process_memory_of(int process);

// The CPU time of this process itself.
uint64_t own_cpu_nanoseconds(void);
