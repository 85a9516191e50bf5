#include "report.h"

#include <stdio.h>

struct costs { // µs a message, and shares of one CPU
    double cpu, user, system, switches, serverBusy, loadBusy, loadCPU;
};

static struct costs costs_of(const struct report *report) {
    struct costs costs = {0};
    if (report->messageCount == 0 || report->elapsedNanoseconds == 0) return costs;
    const struct process_cost *a = &report->costStart, *b = &report->costEnd;
    double messages = (double)report->messageCount, elapsed = (double)report->elapsedNanoseconds;
    double cpu = (double)(b->cpuNanoseconds - a->cpuNanoseconds);
    double user = (double)(b->userTicks - a->userTicks), system = (double)(b->systemTicks - a->systemTicks);
    costs.cpu = cpu / messages / 1e3;
    costs.user = user + system == 0 ? 0 : costs.cpu * user / (user + system);
    costs.system = costs.cpu - costs.user;
    costs.switches = (double)(b->voluntarySwitches + b->forcedSwitches - a->voluntarySwitches -
                              a->forcedSwitches) / messages;
    costs.serverBusy = cpu / elapsed;
    costs.loadBusy = (double)report->ownNanoseconds / elapsed;
    costs.loadCPU = (double)report->ownNanoseconds / messages / 1e3;
    return costs;
}

static double per_second(const struct report *report) {
    if (report->elapsedNanoseconds == 0) return 0;
    return (double)report->messageCount * 1e9 / (double)report->elapsedNanoseconds;
}

static double quantile(const struct report *report, double share) {
    return (double)histogram_quantile(&report->latencies, share) / 1e3;
}

// Of private memory, between the first connection and all of them.
static double bytes_per_connection(const struct report *report, const struct fleet *fleet) {
    if (fleet->connectionCount < 2) return 0;
    double grown = (double)report->memoryOpen.privateKiB - (double)report->memoryBefore.privateKiB;
    return grown * 1024 / (fleet->connectionCount - 1);
}

static void print_memory(const char *when, const struct process_memory *memory) {
    printf("\"memory_%s\":{\"rss_kib\":%lu,\"pss_kib\":%lu,\"private_kib\":%lu},", when, memory->residentKiB,
           memory->proportionalKiB, memory->privateKiB);
}

static const char *mode_of(const struct options *options) {
    return options->idle ? "idle" : options->churns ? "churn" : "echo";
}

static void print_json(const struct report *report, const struct fleet *fleet,
                       const struct options *options) {
    printf("{\"mode\":\"%s\",\"connections\":%u,\"message_bytes\":%u,\"pipeline\":%u,\"messages\":%lu,"
           "\"messages_in_all\":%lu,\"seconds\":%.6f,",
           mode_of(options), fleet->connectionCount, options->messageBytes,
           options->pipelineDepth, report->messageCount, fleet->completed,
           (double)report->elapsedNanoseconds / 1e9);
    if (options->idle) {
        printf("\"bytes_per_connection\":%.1f,", bytes_per_connection(report, fleet));
    } else {
        struct costs costs = costs_of(report);
        printf("\"requests_per_second\":%.1f,\"cpu_us\":%.4f,\"user_us\":%.4f,\"system_us\":%.4f,"
               "\"switches\":%.5f,\"server_busy\":%.4f,\"load_busy\":%.4f,\"load_cpu_us\":%.4f,",
               per_second(report), costs.cpu, costs.user, costs.system, costs.switches, costs.serverBusy,
               costs.loadBusy, costs.loadCPU);
        printf("\"latency_us\":{\"p50\":%.2f,\"p99\":%.2f,\"p99_9\":%.2f,\"max\":%.2f},",
               quantile(report, 0.5), quantile(report, 0.99), quantile(report, 0.999),
               (double)report->latencies.max / 1e3);
    }
    print_memory("before", &report->memoryBefore);
    print_memory("open", &report->memoryOpen);
    print_memory("after", &report->memoryAfter);
    if (report->hasAllocations) {
        printf("\"allocations\":");
        allocation_counts_print(stdout, options->serverProcess, &report->allocationsStart,
                                &report->allocationsEnd);
        printf(",");
    }
    printf("\"errors\":%lu,\"mismatches\":%lu,\"first_error\":\"%s\"}\n", fleet->errorCount,
           fleet->mismatchCount, fleet->firstError);
}

static void print_line(FILE *out, const struct report *report, const struct fleet *fleet,
                       const struct options *options) {
    fprintf(out, "%u connections x %u B: ", fleet->connectionCount, options->messageBytes);
    if (options->idle) {
        fprintf(out, "%lu echoes, opened in %.1f s", report->messageCount,
                (double)report->elapsedNanoseconds / 1e9);
        if (options->serverProcess != 0)
            fprintf(out, ", %.0f B of private memory each", bytes_per_connection(report, fleet));
    } else {
        struct costs costs = costs_of(report);
        fprintf(out, "%.0f %s/s, latency us p50 %.0f p99 %.0f p99.9 %.0f max %.0f, load %.0f %% busy",
                per_second(report), options->churns ? "conn" : "req", quantile(report, 0.5),
                quantile(report, 0.99), quantile(report, 0.999),
                (double)report->latencies.max / 1e3, costs.loadBusy * 100);
        if (options->serverProcess != 0)
            fprintf(out, ", server %.0f %% busy, CPU us each %.2f (user %.2f, system %.2f), private %lu KiB",
                    costs.serverBusy * 100, costs.cpu, costs.user, costs.system,
                    report->memoryAfter.privateKiB);
    }
    fprintf(out, ", %lu errors, %lu mismatches", fleet->errorCount, fleet->mismatchCount);
    if (fleet->firstError[0] != '\0') fprintf(out, " (first: %s)", fleet->firstError);
    fputc('\n', out);
}

void report_print(const struct report *report, const struct fleet *fleet, const struct options *options) {
    print_line(options->json ? stderr : stdout, report, fleet, options);
    if (options->json) print_json(report, fleet, options);
}
