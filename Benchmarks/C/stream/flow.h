// The streams through the proxy: for each a sender that connects to it, and a receiver that it connects to.
//
// Theory of operation. Both ends of every stream are in this process, so that what was sent and what arrived
// are counted in one place, at one instant, and nothing has to be told over the connections under test. They
// are opened one at a time: a sender's first bytes name it, and must come out of what is accepted next.
// All senders send from one repeating pattern, each from a place of its own; the receivers compare with the
// same. Its period is a prime, so a byte that went to another place, or another stream, is another byte.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "dial.h"

enum { streamsMax = 64, chunkBytes = 128 * 1024, patternPeriod = 65521 };

struct stream {
    int sender, receiver; // descriptors; -1 when closed
    uint64_t sent, received; // bytes
};

struct flow {
    int epoll, listener;
    bool finishing; // nothing more is sent
    uint32_t streamCount, openCount; // openCount: descriptors, two a stream
    struct stream streams[streamsMax];
    uint64_t received; // bytes, over all streams
    uint64_t errorCount;
    char firstError[160];
    uint8_t pattern[patternPeriod + chunkBytes], arrived[chunkBytes];
};

// Listens where the proxy is to connect to. Ends the program when it cannot.
void flow_init(struct flow *flow, uint16_t listenPort);
// Opens `count` streams through the proxy. False, and counted, when one could not be.
bool flow_open(struct flow *flow, struct dialler *proxy, uint32_t count);
// Streams until the deadline, as much as passes.
void flow_run(struct flow *flow, uint64_t deadline);
// Ends each stream and waits until all of it has arrived and the proxy has closed both its connections. What
// is left at the deadline is counted as errors.
void flow_finish(struct flow *flow, uint64_t deadline);
