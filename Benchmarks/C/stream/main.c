// Load for TCP proxies: streams bytes one way through one, as fast as they pass, to itself; counts and
// compares every byte at the other end; and what the proxy's processes spent. flow.h says how it works.

#include <signal.h>
#include <stdio.h>

#include "arguments.h"
#include "clock.h"
#include "flow.h"
#include "process.h"

struct options {
    uint32_t port, listenPort, connectionCount, proxyProcess;
    double seconds, warmupSeconds;
};

struct report {
    uint64_t bytes, elapsedNanoseconds, ownNanoseconds;
    struct process_cost costStart, costEnd;
};

static const char usage[] =
    "usage: stream --port P --listen Q --pid PID [options]\n"
    "\n"
    "Streams through a TCP proxy that listens on 127.0.0.1:P and connects to 127.0.0.1:Q, where this\n"
    "program listens. One line of JSON on stdout. Ends non-zero unless every byte sent has arrived.\n"
    "\n"
    "  --connections C  how many streams, 64 at most (4)\n"
    "  --warmup W       seconds before measuring starts (1)\n"
    "  --seconds S      seconds measured (5)\n"
    "  --pid PID        the proxy's process; its children's costs count too\n";

static struct options options_from(int argc, char **argv) {
    struct options options = {.connectionCount = 4, .seconds = 5, .warmupSeconds = 1};
    const struct argument known[] = {
        {"port", &options.port, 1, UINT16_MAX, NULL},
        {"listen", &options.listenPort, 1, UINT16_MAX, NULL},
        {"connections", &options.connectionCount, 1, streamsMax, NULL},
        {"pid", &options.proxyProcess, 1, INT32_MAX, NULL},
        {.name = "warmup", .seconds = &options.warmupSeconds},
        {.name = "seconds", .seconds = &options.seconds},
    };
    arguments_read(argc, argv, usage, known, sizeof known / sizeof *known);
    if (options.port == 0 || options.listenPort == 0 || options.proxyProcess == 0) refuse_with(usage);
    return options;
}

// The proxy's costs are read at the very instants that bound the counted bytes.
static void run(struct flow *flow, const struct options *options, struct report *report) {
    struct dialler proxy = dialler_to("127.0.0.1", (uint16_t)options->port);
    if (!flow_open(flow, &proxy, options->connectionCount)) return;
    struct process_family family = process_family_of((int)options->proxyProcess);
    flow_run(flow, in_seconds(options->warmupSeconds));

    uint64_t before = flow->received;
    report->costStart = process_cost_of(&family);
    uint64_t ownStart = own_cpu_nanoseconds(), start = nanoseconds_now();
    flow_run(flow, in_seconds(options->seconds));
    report->elapsedNanoseconds = nanoseconds_now() - start;
    report->costEnd = process_cost_of(&family);
    report->ownNanoseconds = own_cpu_nanoseconds() - ownStart;
    report->bytes = flow->received - before;
    flow_finish(flow, in_seconds(30));
}

static void print(const struct report *report, const struct flow *flow, const struct options *options) {
    double elapsed = (double)report->elapsedNanoseconds / 1e9, bytes = (double)report->bytes;
    double cpu = (double)(report->costEnd.cpuNanoseconds - report->costStart.cpuNanoseconds) / 1e9;
    double user = (double)(report->costEnd.userTicks - report->costStart.userTicks);
    double system = (double)(report->costEnd.systemTicks - report->costStart.systemTicks);
    double userShare = user + system == 0 ? 0 : user / (user + system);
    if (elapsed == 0 || bytes == 0) elapsed = bytes = 1; // an error has said why there is nothing
    printf("{\"mode\":\"stream\",\"connections\":%u,\"bytes\":%lu,\"seconds\":%.6f,\"bytes_per_second\":%.0f,"
           "\"cpu_s_per_gb\":%.5f,\"user_s_per_gb\":%.5f,\"proxy_busy\":%.4f,\"load_busy\":%.4f,"
           "\"errors\":%lu,\"first_error\":\"%s\"}\n",
           options->connectionCount, report->bytes, elapsed, bytes / elapsed, cpu / bytes * 1e9,
           cpu * userShare / bytes * 1e9, cpu / elapsed, (double)report->ownNanoseconds / 1e9 / elapsed,
           flow->errorCount, flow->firstError);
}

int main(int argc, char **argv) {
    static struct flow flow;
    struct report report = {0};
    struct options options = options_from(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    flow_init(&flow, (uint16_t)options.listenPort);
    run(&flow, &options, &report);
    print(&report, &flow, &options);
    if (flow.errorCount > 0)
        fprintf(stderr, "stream: %lu errors (first: %s)\n", flow.errorCount, flow.firstError);
    return flow.errorCount == 0 && report.bytes > 0 ? 0 : 1;
}
