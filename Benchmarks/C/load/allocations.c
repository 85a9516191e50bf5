#include "allocations.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

const struct allocation_counts *allocation_counts_open(const char *path) {
    if (path == NULL) return NULL;
    const struct allocation_counts *counts = MAP_FAILED;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file >= 0 && lseek(file, 0, SEEK_END) == (off_t)sizeof *counts)
        counts = mmap(NULL, sizeof *counts, PROT_READ, MAP_SHARED, file, 0);
    if (counts == MAP_FAILED) {
        fprintf(stderr, "load: no allocation counts in %s: was the server started with LD_PRELOAD?\n", path);
        exit(2);
    }
    close(file);
    return counts;
}

void allocation_counts_look(const struct allocation_counts *counts, struct allocation_look *look) {
    if (counts != NULL) memcpy(&look->counts, counts, sizeof *counts);
}

static void name_of(int process, int thread, char *name, size_t size) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task/%d/comm", process, thread);
    FILE *file = fopen(path, "r");
    if (file == NULL || fgets(name, (int)size, file) == NULL) snprintf(name, size, "(ended)");
    if (file != NULL) fclose(file);
    for (char *c = name; *c != '\0'; c++)
        if (*c == '\n') *c = '\0';
        else if (*c == '"' || *c == '\\' || *c < ' ') *c = '?';
}

void allocation_counts_print(FILE *out, int process, const struct allocation_look *first,
                             const struct allocation_look *last) {
    const char *separator = "";
    fputc('[', out);
    for (int slot = 0; slot < allocationThreadsMax; slot++) {
        const struct allocation_thread *a = &first->counts.threads[slot], *b = &last->counts.threads[slot];
        uint64_t mallocs = b->mallocs - a->mallocs, callocs = b->callocs - a->callocs;
        uint64_t reallocs = b->reallocs - a->reallocs, aligned = b->aligned - a->aligned;
        uint64_t frees = b->frees - a->frees, bytes = b->bytes - a->bytes;
        if (mallocs + callocs + reallocs + aligned + frees == 0) continue;
        char name[32];
        name_of(process, b->thread, name, sizeof name);
        fprintf(out,
                "%s{\"thread\":\"%s\",\"malloc\":%lu,\"calloc\":%lu,\"realloc\":%lu,\"aligned\":%lu,"
                "\"free\":%lu,\"bytes\":%lu}",
                separator, name, mallocs, callocs, reallocs, aligned, frees, bytes);
        separator = ",";
    }
    fputc(']', out);
}
