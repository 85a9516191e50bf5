// What a run found, and its two forms: a line for people and a line of JSON.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "allocations.h"
#include "fleet.h"
#include "histogram.h"
#include "options.h"
#include "process.h"

struct report {
    uint64_t messageCount;       // completed in the measured window; in the idle mode, in all
    uint64_t elapsedNanoseconds; // of that window; in the idle mode, of opening
    uint64_t ownNanoseconds;     // CPU time of the load itself in that window
    struct histogram latencies;  // ns
    struct process_cost costStart, costEnd;
    struct process_memory memoryBefore, memoryOpen, memoryAfter;
    bool hasAllocations;
    struct allocation_look allocationsStart, allocationsEnd;
};

void report_print(const struct report *report, const struct fleet *fleet, const struct options *options);
