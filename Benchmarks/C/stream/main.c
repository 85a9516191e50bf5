// Load for TCP proxies: streams bytes one way through one, as fast as they pass, to itself; counts and
// compares every byte at the other end; and what the proxy's processes spent. flow.h says how it works.

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "flow.h"
#include "process.h"

struct options {
    uint16_t port, listenPort;
    uint32_t connectionCount;
    double seconds, warmupSeconds;
    int proxyProcess;
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

static void refuse(void) {
    fputs(usage, stderr);
    exit(2);
}

static double number_from(const char *text, double least, double most) {
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= least && value <= most)) refuse();
    return value;
}

static struct options options_from(int argc, char **argv) {
    static const struct option known[] = {
        {"port", 1, 0, 'p'},    {"listen", 1, 0, 'l'}, {"connections", 1, 0, 'c'}, {"warmup", 1, 0, 'w'},
        {"seconds", 1, 0, 's'}, {"pid", 1, 0, 'P'},    {"help", 0, 0, 'H'},        {0, 0, 0, 0},
    };
    struct options options = {.connectionCount = 4, .seconds = 5, .warmupSeconds = 1};
    for (int which; (which = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (which) {
        case 'p': options.port = (uint16_t)number_from(optarg, 1, UINT16_MAX); break;
        case 'l': options.listenPort = (uint16_t)number_from(optarg, 1, UINT16_MAX); break;
        case 'c': options.connectionCount = (uint32_t)number_from(optarg, 1, streamsMax); break;
        case 'w': options.warmupSeconds = number_from(optarg, 0, 3600); break;
        case 's': options.seconds = number_from(optarg, 0, 3600); break;
        case 'P': options.proxyProcess = (int)number_from(optarg, 1, INT32_MAX); break;
        case 'H': fputs(usage, stdout); exit(0);
        default: refuse();
        }
    }
    if (options.port == 0 || options.listenPort == 0 || options.proxyProcess == 0 || optind != argc) refuse();
    return options;
}

static uint64_t in_seconds(double seconds) { return nanoseconds_now() + (uint64_t)(seconds * 1e9); }

// The proxy's costs are read at the very instants that bound the counted bytes.
static void run(struct flow *flow, const struct options *options, struct report *report) {
    struct dialler proxy = dialler_to("127.0.0.1", options->port);
    if (!flow_open(flow, &proxy, options->connectionCount)) return;
    struct process_family family = process_family_of(options->proxyProcess);
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
    flow_init(&flow, options.listenPort);
    run(&flow, &options, &report);
    print(&report, &flow, &options);
    if (flow.errorCount > 0)
        fprintf(stderr, "stream: %lu errors (first: %s)\n", flow.errorCount, flow.firstError);
    return flow.errorCount == 0 && report.bytes > 0 ? 0 : 1;
}
