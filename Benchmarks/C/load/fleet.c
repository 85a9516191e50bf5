#include "fleet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "pattern.h"

static const uint64_t nanosecondsPerMillisecond = 1000000;
static const uint32_t connectionsPerSource = 4000;

uint64_t nanoseconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

// MARK: failing

static uint32_t index_of(const struct fleet *fleet, const struct connection *connection) {
    return (uint32_t)(connection - fleet->connections);
}

static void note(struct fleet *fleet, uint32_t index, const char *what, int error) {
    if (fleet->firstError[0] != '\0') return;
    snprintf(fleet->firstError, sizeof fleet->firstError, "connection %u: %s%s%s", index, what,
             error == 0 ? "" : ": ", error == 0 ? "" : strerror(error));
}

static void close_connection(struct fleet *fleet, struct connection *connection) {
    close(connection->descriptor);
    connection->descriptor = -1;
    fleet->openCount -= 1;
    fleet->begun -= connection->begun - connection->completed; // nobody waits for these any more
}

static void fail(struct fleet *fleet, struct connection *connection, const char *what, int error) {
    fleet->errorCount += 1;
    note(fleet, index_of(fleet, connection), what, error);
    close_connection(fleet, connection);
}

static void mismatch(struct fleet *fleet, struct connection *connection, const char *what) {
    fleet->mismatchCount += 1;
    note(fleet, index_of(fleet, connection), what, 0);
    close_connection(fleet, connection);
}

// MARK: a message out, its echo in

static void wait_to_write(struct fleet *fleet, struct connection *connection, bool waits) {
    if (connection->waitsToWrite == waits) return;
    struct epoll_event event = {.events = EPOLLIN | (waits ? EPOLLOUT : 0u),
                                .data.u32 = index_of(fleet, connection)};
    if (epoll_ctl(fleet->epoll, EPOLL_CTL_MOD, connection->descriptor, &event) != 0)
        fail(fleet, connection, "epoll_ctl", errno);
    else
        connection->waitsToWrite = waits;
}

static void send_what_is_due(struct fleet *fleet, struct connection *connection, uint64_t now) {
    uint32_t index = index_of(fleet, connection);
    while (connection->begun < fleet->goal &&
           connection->begun - connection->completed < fleet->pipelineDepth) {
        size_t slot = (size_t)index * fleet->pipelineDepth + connection->begun % fleet->pipelineDepth;
        fleet->startTimes[slot] = now;
        connection->begun += 1;
        fleet->begun += 1;
    }
    uint64_t due = connection->begun * fleet->messageBytes;
    while (connection->sent < due) {
        size_t count = due - connection->sent < fleetBufferBytes ? due - connection->sent : fleetBufferBytes;
        pattern_fill(fleet->sending, index, connection->sent, count, fleet->messageBytes);
        ssize_t sent = send(connection->descriptor, fleet->sending, count, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            wait_to_write(fleet, connection, true);
            return;
        }
        if (sent < 0) {
            fail(fleet, connection, "send", errno);
            return;
        }
        connection->sent += (uint64_t)sent;
    }
    wait_to_write(fleet, connection, false);
}

static void complete(struct fleet *fleet, struct connection *connection, uint64_t now) {
    size_t row = (size_t)index_of(fleet, connection) * fleet->pipelineDepth;
    uint64_t reached = connection->received / fleet->messageBytes;
    for (; connection->completed < reached; connection->completed++) {
        uint64_t start = fleet->startTimes[row + connection->completed % fleet->pipelineDepth];
        if (fleet->latencies != NULL) histogram_record(fleet->latencies, now - start);
        fleet->completed += 1;
    }
}

static void receive(struct fleet *fleet, struct connection *connection) {
    ssize_t count = recv(connection->descriptor, fleet->receiving, fleetBufferBytes, 0);
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return;
    if (count < 0) {
        fail(fleet, connection, "recv", errno);
    } else if (count == 0 && connection->ending) {
        close_connection(fleet, connection);
    } else if (count == 0) {
        fail(fleet, connection, "closed by the server", 0);
    } else if (connection->received + (uint64_t)count > connection->sent) {
        mismatch(fleet, connection, "more came back than was sent");
    } else {
        uint64_t now = nanoseconds_now();
        pattern_fill(fleet->expected, index_of(fleet, connection), connection->received, (size_t)count,
                     fleet->messageBytes);
        if (memcmp(fleet->expected, fleet->receiving, (size_t)count) != 0) {
            mismatch(fleet, connection, "the echo differs from what was sent");
            return;
        }
        connection->received += (uint64_t)count;
        complete(fleet, connection, now);
        send_what_is_due(fleet, connection, now);
    }
}

// MARK: opening

static void refuse_to_start(const char *what) {
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(2);
}

void fleet_init(struct fleet *fleet, const struct options *options) {
    memset(fleet, 0, sizeof *fleet);
    fleet->messageBytes = options->messageBytes;
    fleet->pipelineDepth = options->pipelineDepth;
    fleet->sourceAddress = 1;
    fleet->epoll = epoll_create1(EPOLL_CLOEXEC);
    fleet->connections = calloc(options->connectionCount, sizeof *fleet->connections);
    fleet->startTimes =
        calloc((size_t)options->connectionCount * options->pipelineDepth, sizeof *fleet->startTimes);
    if (fleet->epoll < 0 || fleet->connections == NULL || fleet->startTimes == NULL)
        refuse_to_start("no memory or no epoll descriptor");
}

// A connected socket, or -1. A blocking connect is simple, and on loopback it returns at once; its time limit
// is that of sending. Each address 127.0.0.x has ephemeral ports of its own: the next is used when one runs
// out, and long before, since the kernel searches the slower the fewer are left.
static int connect_one(struct fleet *fleet, const struct sockaddr_in *server) {
    bool loopback = ntohl(server->sin_addr.s_addr) >> 24 == 127;
    if (fleet->connectionCount % connectionsPerSource == connectionsPerSource - 1 && fleet->sourceAddress < 254)
        fleet->sourceAddress += 1;
    for (;;) {
        int on = 1;
        struct timeval limit = {.tv_sec = 20};
        int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (descriptor < 0) return -1;
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        if (loopback) {
            struct sockaddr_in source = {.sin_family = AF_INET,
                                         .sin_addr.s_addr = htonl(0x7F000000u | fleet->sourceAddress)};
            setsockopt(descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
            bind(descriptor, (struct sockaddr *)&source, sizeof source);
        }
        if (connect(descriptor, (const struct sockaddr *)server, sizeof *server) == 0) return descriptor;
        int error = errno;
        close(descriptor);
        errno = error;
        if (error != EADDRNOTAVAIL || !loopback || fleet->sourceAddress == 254) return -1;
        fleet->sourceAddress += 1;
    }
}

bool fleet_connect(struct fleet *fleet, const struct options *options, uint32_t count) {
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(options->port)};
    if (inet_pton(AF_INET, options->host, &server.sin_addr) != 1) {
        errno = EINVAL;
        refuse_to_start("--host takes an IPv4 address");
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t index = fleet->connectionCount;
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = index};
        int descriptor = connect_one(fleet, &server);
        if (descriptor < 0 || fcntl(descriptor, F_SETFL, O_NONBLOCK) != 0 ||
            epoll_ctl(fleet->epoll, EPOLL_CTL_ADD, descriptor, &event) != 0) {
            fleet->errorCount += 1;
            note(fleet, index, "connect", errno);
            if (descriptor >= 0) close(descriptor);
            return false;
        }
        fleet->connections[index].descriptor = descriptor;
        fleet->connectionCount += 1;
        fleet->openCount += 1;
    }
    return true;
}

// MARK: running

void fleet_set_goal(struct fleet *fleet, uint64_t goal) {
    fleet->goal = goal;
    for (uint32_t index = 0; index < fleet->connectionCount; index++) {
        struct connection *connection = &fleet->connections[index];
        if (connection->descriptor >= 0) send_what_is_due(fleet, connection, nanoseconds_now());
    }
}

void fleet_step(struct fleet *fleet, uint64_t deadline) {
    struct epoll_event events[fleetEventsMax];
    uint64_t now = nanoseconds_now();
    uint64_t left = now < deadline ? (deadline - now) / nanosecondsPerMillisecond + 1 : 0;
    int count = epoll_wait(fleet->epoll, events, fleetEventsMax, left < 1000 ? (int)left : 1000);
    for (int i = 0; i < count; i++) {
        struct connection *connection = &fleet->connections[events[i].data.u32];
        if (events[i].events & ~(uint32_t)EPOLLOUT) receive(fleet, connection);
        if (events[i].events & EPOLLOUT && connection->descriptor >= 0)
            send_what_is_due(fleet, connection, nanoseconds_now());
    }
}

static void abandon_open_connections(struct fleet *fleet, const char *what, bool onlyWaiting) {
    for (uint32_t index = 0; index < fleet->connectionCount; index++) {
        struct connection *connection = &fleet->connections[index];
        if (connection->descriptor < 0) continue;
        if (!onlyWaiting || connection->begun > connection->completed) fail(fleet, connection, what, 0);
    }
}

void fleet_settle(struct fleet *fleet, uint64_t deadline) {
    while (fleet->begun > fleet->completed && nanoseconds_now() < deadline) fleet_step(fleet, deadline);
    abandon_open_connections(fleet, "no whole echo in time", true);
}

void fleet_end(struct fleet *fleet, uint64_t deadline) {
    for (uint32_t index = 0; index < fleet->connectionCount; index++) {
        struct connection *connection = &fleet->connections[index];
        if (connection->descriptor < 0) continue;
        connection->ending = true;
        shutdown(connection->descriptor, SHUT_WR);
    }
    while (fleet->openCount > 0 && nanoseconds_now() < deadline) fleet_step(fleet, deadline);
    abandon_open_connections(fleet, "not closed by the server after end of file", false);
}
