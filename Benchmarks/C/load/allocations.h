// The server's heap calls between two instants, from the file that libcount-allocations.so keeps.
#pragma once
#include <allocation_counts.h>
#include <stdio.h>

struct allocation_look {
    struct allocation_counts counts;
};

// The mapped file; NULL for no path. Ends the program when there is a path and no such file.
const struct allocation_counts *allocation_counts_open(const char *path);
void allocation_counts_look(const struct allocation_counts *counts, struct allocation_look *look);
// A JSON array, one object for each thread that did anything between the looks.
void allocation_counts_print(FILE *out, int process, const struct allocation_look *first,
                             const struct allocation_look *last);
