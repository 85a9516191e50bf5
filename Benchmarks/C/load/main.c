// Load generator for TCP echo servers: a closed loop that checks every byte, or many idle connections; and
// what the server's process spent meanwhile. options.c says what it takes, fleet.h how it works.

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "allocations.h"
#include "clock.h"
#include "fleet.h"
#include "histogram.h"
#include "options.h"
#include "process.h"
#include "report.h"

static const uint64_t patienceNanoseconds = UINT64_C(30) * 1000000000; // with a server that ought to answer
static const uint32_t openingBatch = 256;                              // far below any listen backlog

static uint64_t with_patience(void) { return nanoseconds_now() + patienceNanoseconds; }

static void raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static void run_until(struct fleet *fleet, uint64_t deadline, const uint64_t *counted, uint64_t countMax) {
    while (fleet->openCount > 0 && *counted < countMax && nanoseconds_now() < deadline)
        fleet_step(fleet, deadline);
}

static void hold_until_signal(void) {
    int taken;
    sigset_t ending;
    sigemptyset(&ending);
    sigaddset(&ending, SIGINT);
    sigaddset(&ending, SIGTERM);
    sigprocmask(SIG_BLOCK, &ending, NULL);
    fprintf(stderr, "load: holding the connections until SIGINT or SIGTERM\n");
    sigwait(&ending, &taken);
}

// The closed loop, of messages or, when it churns, of connections. The server's costs are read at the very
// instants that bound what is counted.
static void run_echo(struct fleet *fleet, const struct options *options, struct report *report) {
    const struct allocation_counts *counts = allocation_counts_open(options->allocationCounts);
    const uint64_t *counted = options->churns ? &fleet->endedCount : &fleet->completed;
    int server = options->serverProcess;

    report->memoryBefore = process_memory_of(server);
    if (!fleet_connect(fleet, options->connectionCount)) return;
    report->memoryOpen = process_memory_of(server);
    struct process_family family = process_family_of(server);

    fleet_set_goal(fleet, UINT64_MAX);
    run_until(fleet, in_seconds(options->warmupSeconds), counted, UINT64_MAX);

    uint64_t countedBefore = *counted;
    allocation_counts_look(counts, &report->allocationsStart);
    report->costStart = process_cost_of(&family);
    uint64_t ownStart = own_cpu_nanoseconds(), start = nanoseconds_now();
    fleet->latencies = &report->latencies;
    run_until(fleet, in_seconds(options->seconds), counted,
              options->messagesMax == 0 ? UINT64_MAX : countedBefore + options->messagesMax);
    report->elapsedNanoseconds = nanoseconds_now() - start;
    report->costEnd = process_cost_of(&family);
    report->ownNanoseconds = own_cpu_nanoseconds() - ownStart;
    allocation_counts_look(counts, &report->allocationsEnd);
    report->hasAllocations = counts != NULL;
    report->messageCount = *counted - countedBefore;
    fleet->latencies = NULL;

    fleet_set_goal(fleet, 0);
    fleet_settle(fleet, with_patience());
    report->memoryAfter = process_memory_of(server);
}

// Many connections that do nothing. The first one is opened before memory is looked at, so that what the
// server sets up once is not laid to the connections' account.
static void run_idle(struct fleet *fleet, const struct options *options, struct report *report) {
    uint64_t start = nanoseconds_now();
    if (!fleet_connect(fleet, 1)) return;
    fleet_set_goal(fleet, 1);
    fleet_settle(fleet, with_patience());
    report->memoryBefore = process_memory_of(options->serverProcess);
    while (fleet->connectionCount < options->connectionCount) {
        uint32_t left = options->connectionCount - fleet->connectionCount;
        if (!fleet_connect(fleet, left < openingBatch ? left : openingBatch)) return;
        fleet_set_goal(fleet, 1);
        fleet_settle(fleet, with_patience());
    }
    report->elapsedNanoseconds = nanoseconds_now() - start;
    run_until(fleet, in_seconds(options->seconds), &fleet->completed, UINT64_MAX);
    report->memoryOpen = process_memory_of(options->serverProcess);
    fleet_set_goal(fleet, 2);
    fleet_settle(fleet, with_patience());
    report->messageCount = fleet->completed;
    report->memoryAfter = process_memory_of(options->serverProcess);
}

int main(int argc, char **argv) {
    static struct fleet fleet;
    static struct report report;
    struct options options = options_from(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();
    fleet_init(&fleet, &options);
    if (options.idle)
        run_idle(&fleet, &options, &report);
    else
        run_echo(&fleet, &options, &report);
    if (options.hold) hold_until_signal();
    fleet_end(&fleet, with_patience());
    report_print(&report, &fleet, &options);
    return fleet.errorCount + fleet.mismatchCount == 0 && report.messageCount > 0 ? 0 : 1;
}
