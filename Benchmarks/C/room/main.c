// Load for chat servers: members who join one room and speak in turn; counts and compares what every other
// member hears; and what the server's process spent. room.h says how it works.

#include <signal.h>
#include <stdio.h>

#include "arguments.h"
#include "clock.h"
#include "process.h"
#include "room.h"

struct options {
    uint32_t port, memberCount, inFlight, serverProcess;
    double seconds, warmupSeconds;
};

struct report {
    uint64_t messages, deliveries, reads, elapsedNanoseconds, ownNanoseconds;
    struct process_cost costStart, costEnd;
};

static const char usage[] =
    "usage: room --port P --pid PID [options]\n"
    "\n"
    "Speaks in an empty chat room on 127.0.0.1:P. It says \"welcome, there are N of you\" to who joins, and\n"
    "passes what a member sends to all others. One line of JSON on stdout. Ends non-zero unless everybody\n"
    "has heard every message, once and in its speaker's order.\n"
    "\n"
    "  --members N      2 to 256 (64)\n"
    "  --in-flight K    members who speak at a time (4)\n"
    "  --warmup W       seconds before measuring starts (1)\n"
    "  --seconds S      seconds measured (5)\n"
    "  --pid PID        the server's process; its children's costs count too\n";

static struct options options_from(int argc, char **argv) {
    struct options options = {.memberCount = 64, .inFlight = 4, .seconds = 5, .warmupSeconds = 1};
    const struct argument known[] = {
        {"port", &options.port, 1, UINT16_MAX, NULL},
        {"members", &options.memberCount, 2, membersMax, NULL},
        {"in-flight", &options.inFlight, 1, membersMax, NULL},
        {"pid", &options.serverProcess, 1, INT32_MAX, NULL},
        {.name = "warmup", .seconds = &options.warmupSeconds},
        {.name = "seconds", .seconds = &options.seconds},
    };
    arguments_read(argc, argv, usage, known, sizeof known / sizeof *known);
    if (options.port == 0 || options.serverProcess == 0) refuse_with(usage);
    if (options.inFlight > options.memberCount) refuse_with(usage);
    return options;
}

// The server's costs are read at the very instants that bound the counted deliveries.
static void run(struct room *room, const struct options *options, struct report *report) {
    struct dialler server = dialler_to("127.0.0.1", (uint16_t)options->port);
    if (!room_join(room, &server, options->memberCount)) return;
    struct process_family family = process_family_of((int)options->serverProcess);
    room_run(room, in_seconds(options->warmupSeconds));
    if (room->errorCount > 0) return;

    uint64_t messages = room->messages, deliveries = room->deliveries, reads = room->reads;
    report->costStart = process_cost_of(&family);
    uint64_t ownStart = own_cpu_nanoseconds(), start = nanoseconds_now();
    room_run(room, in_seconds(options->seconds));
    if (room->errorCount > 0) return; // the server may be gone
    report->elapsedNanoseconds = nanoseconds_now() - start;
    report->costEnd = process_cost_of(&family);
    report->ownNanoseconds = own_cpu_nanoseconds() - ownStart;
    report->messages = room->messages - messages;
    report->deliveries = room->deliveries - deliveries;
    report->reads = room->reads - reads;
    room_finish(room, in_seconds(30));
}

static void print(const struct report *report, const struct room *room, const struct options *options) {
    double elapsed = (double)report->elapsedNanoseconds / 1e9;
    double deliveries = (double)report->deliveries, reads = (double)report->reads;
    double cpu = (double)(report->costEnd.cpuNanoseconds - report->costStart.cpuNanoseconds) / 1e9;
    double own = (double)report->ownNanoseconds / 1e9;
    double user = (double)(report->costEnd.userTicks - report->costStart.userTicks);
    double system = (double)(report->costEnd.systemTicks - report->costStart.systemTicks);
    double userShare = user + system == 0 ? 0 : user / (user + system);
    if (elapsed == 0 || deliveries == 0) elapsed = deliveries = reads = 1; // an error has said why
    double each = cpu / deliveries * 1e6;
    printf("{\"mode\":\"room\",\"members\":%u,\"in_flight\":%u,\"message_bytes\":%d,\"messages\":%lu,"
           "\"deliveries\":%lu,\"seconds\":%.6f,\"deliveries_per_second\":%.1f,\"cpu_us\":%.4f,"
           "\"user_us\":%.4f,\"system_us\":%.4f,\"server_busy\":%.4f,\"load_busy\":%.4f,\"load_cpu_us\":%.4f,"
           "\"deliveries_per_read\":%.3f,\"errors\":%lu,\"first_error\":\"%s\"}\n",
           options->memberCount, options->inFlight, messageBytes, report->messages, report->deliveries,
           elapsed, (double)report->deliveries / elapsed, each, each * userShare, each * (1 - userShare),
           cpu / elapsed, own / elapsed, own / deliveries * 1e6, (double)report->deliveries / reads,
           room->errorCount, room->firstError);
}

int main(int argc, char **argv) {
    static struct room room;
    struct report report = {0};
    struct options options = options_from(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    room_init(&room, options.inFlight);
    run(&room, &options, &report);
    print(&report, &room, &options);
    if (room.errorCount > 0)
        fprintf(stderr, "room: %lu errors (first: %s)\n", room.errorCount, room.firstError);
    return room.errorCount == 0 && report.deliveries > 0 ? 0 : 1;
}
