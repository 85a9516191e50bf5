#include "process.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void refuse(int process, const char *what, int error) {
    fprintf(stderr, "load: cannot read %s of process %d: %s\n", what, process, strerror(error));
    exit(2);
}

static uint64_t nanoseconds_of(clockid_t clock, int process) {
    struct timespec used;
    if (clock_gettime(clock, &used) != 0) refuse(process, "the CPU time", errno);
    return (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
}

uint64_t own_cpu_nanoseconds(void) { return nanoseconds_of(CLOCK_PROCESS_CPUTIME_ID, 0); }

static FILE *open_of(int process, const char *name) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", process, name);
    FILE *file = fopen(path, "r");
    if (file == NULL) refuse(process, name, errno);
    return file;
}

// Field 4, the parent, and fields 14 and 15, the ticks, of proc_pid_stat(5). The second field is the
// program's name, which may hold spaces and brackets. False when there is no such process.
static bool read_stat(int process, int *parent, uint64_t *userTicks, uint64_t *systemTicks) {
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", process);
    FILE *file = fopen(path, "r");
    if (file == NULL) return false;
    size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[length] = '\0';
    const char *rest = strrchr(text, ')');
    const char *format = " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu";
    return rest != NULL && sscanf(rest + 1, format, parent, userTicks, systemTicks) == 3;
}

static void read_switches(int process, struct process_cost *cost) {
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/%d/task", process);
    DIR *threads = opendir(path);
    if (threads == NULL) refuse(process, "task", errno);
    for (struct dirent *entry; (entry = readdir(threads)) != NULL;) {
        char name[300];
        snprintf(name, sizeof name, "/proc/%d/task/%s/status", process, entry->d_name);
        FILE *file = entry->d_name[0] == '.' ? NULL : fopen(name, "r");
        if (file == NULL) continue; // ended meanwhile
        while (fgets(line, sizeof line, file) != NULL) {
            uint64_t count;
            if (sscanf(line, "voluntary_ctxt_switches: %lu", &count) == 1) cost->voluntarySwitches += count;
            if (sscanf(line, "nonvoluntary_ctxt_switches: %lu", &count) == 1) cost->forcedSwitches += count;
        }
        fclose(file);
    }
    closedir(threads);
}

struct process_family process_family_of(int process) {
    struct process_family family = {0};
    if (process == 0) return family;
    family.members[family.count++] = process;
    DIR *all = opendir("/proc");
    if (all == NULL) refuse(process, "the children", errno);
    for (struct dirent *entry; (entry = readdir(all)) != NULL;) {
        int child = atoi(entry->d_name), parent; // 0 for what is not a process
        uint64_t userTicks, systemTicks;
        if (child == 0 || !read_stat(child, &parent, &userTicks, &systemTicks) || parent != process) continue;
        if (family.count == processFamilyMax) refuse(process, "so many children", E2BIG);
        family.members[family.count++] = child;
    }
    closedir(all);
    return family;
}

static void add_cost(int process, struct process_cost *cost) {
    int parent;
    uint64_t userTicks, systemTicks;
    clockid_t clock;
    int error = clock_getcpuclockid(process, &clock);
    if (error != 0) refuse(process, "the CPU clock", error);
    if (!read_stat(process, &parent, &userTicks, &systemTicks)) refuse(process, "stat", EPROTO);
    read_switches(process, cost);
    cost->userTicks += userTicks;
    cost->systemTicks += systemTicks;
    cost->cpuNanoseconds += nanoseconds_of(clock, process);
}

struct process_cost process_cost_of(const struct process_family *family) {
    struct process_cost cost = {0};
    for (uint32_t i = 0; i < family->count; i++) add_cost(family->members[i], &cost);
    return cost;
}

struct process_memory process_memory_of(int process) {
    struct process_memory memory = {0};
    if (process == 0) return memory;
    char line[256];
    FILE *file = open_of(process, "smaps_rollup");
    while (fgets(line, sizeof line, file) != NULL) {
        uint64_t amount;
        if (sscanf(line, "Rss: %lu", &amount) == 1) memory.residentKiB = amount;
        if (sscanf(line, "Pss: %lu", &amount) == 1) memory.proportionalKiB = amount;
        if (sscanf(line, "Private_Clean: %lu", &amount) == 1) memory.privateKiB += amount;
        if (sscanf(line, "Private_Dirty: %lu", &amount) == 1) memory.privateKiB += amount;
    }
    fclose(file);
    return memory;
}
