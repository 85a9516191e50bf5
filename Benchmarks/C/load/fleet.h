// The connections to the server, all in one epoll set, and what they send and check.
//
// Theory of operation. A connection keeps no bytes, only how far it has come: messages begun and completed,
// bytes sent and received. What to send and what to expect follow from those by pattern.h. It begins another
// message whenever fewer than `pipelineDepth` are in flight and fewer than the fleet's `goal` were begun. So
// the goal steers everything: no limit is the closed loop, 1 is "a message each", 0 is "finish what is under
// way".
// When the fleet churns, a connection is half-closed once its message is back; when the server has closed it,
// another takes its place and goes on with the next message: at the goal 0 none does.
// A fleet that is to be refused churns too: each connection expects the refusal instead of the echo, and the end behind it,
// which is the server's to begin.
// A connection that fails in any way is counted, closed, and left out from then on.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dial.h"
#include "histogram.h"
#include "options.h"

enum { fleetBufferBytes = 64 * 1024, fleetEventsMax = 512 };

struct connection {
    int descriptor; // -1 when closed
    bool waitsToWrite, ending; // ending: half-closed, the server is to close
    uint64_t dialTime;         // ns
    uint64_t begun, completed; // messages; these go on when another connection takes the place
    uint64_t sent, received;   // bytes; as well
    size_t refused;            // bytes of the refusal that have come
};

struct fleet {
    int epoll;
    uint32_t connectionCount, openCount, messageBytes, pipelineDepth;
    bool churns, lines;
    char refusal[128]; // with its LF; empty: echoes are expected
    size_t refusalBytes;
    struct dialler dialler;
    struct connection *connections;
    uint64_t *startTimes; // pipelineDepth for each connection: when each message in flight began
    uint64_t goal;
    uint64_t begun, completed;   // messages, over all connections
    uint64_t endedCount;         // connections that the server closed when it was to
    struct histogram *latencies; // ns; of connections when it churns; NULL while nothing is recorded
    uint64_t errorCount, mismatchCount;
    char firstError[160];
    uint8_t sending[fleetBufferBytes], receiving[fleetBufferBytes], expected[fleetBufferBytes];
};

void fleet_init(struct fleet *fleet, const struct options *options);
// Connects `count` more. False, and counted, when one could not be.
bool fleet_connect(struct fleet *fleet, uint32_t count);
// Sets the goal and lets every connection begin what it now may.
void fleet_set_goal(struct fleet *fleet, uint64_t goal);
// Waits for events until `deadline` at most, and answers them once.
void fleet_step(struct fleet *fleet, uint64_t deadline);
// Steps until nothing is in flight. What still is at the deadline is counted as errors.
void fleet_settle(struct fleet *fleet, uint64_t deadline);
// Half-closes every connection and waits for the server to close each: that, too, is checked.
void fleet_end(struct fleet *fleet, uint64_t deadline);
