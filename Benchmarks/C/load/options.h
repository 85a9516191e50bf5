// What the command line asks for.
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct options {
    const char *host;
    uint16_t port;
    uint32_t connectionCount;
    uint32_t messageBytes;
    uint32_t pipelineDepth;        // messages in flight on each connection
    double seconds, warmupSeconds; // of measuring, and before it; in the idle mode `seconds` is the hold
    uint64_t messagesMax;          // end the measured window early, after so many; 0 = no such end
    int serverProcess;             // whose costs to read; 0 = nobody's
    const char *allocationCounts;  // the file of libcount-allocations.so, or NULL
    const char *refusal; // what the server answers a message with before it closes; NULL: it echoes
    bool idle, churns, lines, hold, json;
};

// Ends the program with a usage text when the arguments are wrong, or --help is among them.
struct options options_from(int argc, char **argv);
