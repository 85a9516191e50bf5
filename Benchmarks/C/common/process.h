// What the server's process has used, as the kernel tells.
#pragma once
#include <stdint.h>

enum { processFamilyMax = 64 };

// A server's process and the children that it has forked.
struct process_family {
    uint32_t count;
    int members[processFamilyMax];
};

struct process_cost { // of a family
    uint64_t cpuNanoseconds;            // user and system, of all threads, ended ones too: exact
    uint64_t userTicks, systemTicks;    // the same by sampling: only good for the split
    uint64_t voluntarySwitches, forcedSwitches; // context switches of the threads that live
};

struct process_memory {
    uint64_t residentKiB, proportionalKiB, privateKiB; // user memory; sockets' buffers are the kernel's
};

// The process and the children it has now; empty for process 0.
struct process_family process_family_of(int process);
// Both are all zeros for nobody, and end the program when a process cannot be read.
struct process_cost process_cost_of(const struct process_family *family);
struct process_memory process_memory_of(int process);

// The CPU time of this process itself.
uint64_t own_cpu_nanoseconds(void);
