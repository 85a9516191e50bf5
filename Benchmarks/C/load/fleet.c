#include "fleet.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "pattern.h"

static const uint64_t nanosecondsPerMillisecond = 1000000;

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

// MARK: opening

static void refuse_to_start(const char *what) {
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(2);
}

void fleet_init(struct fleet *fleet, const struct options *options) {
    memset(fleet, 0, sizeof *fleet);
    fleet->messageBytes = options->messageBytes;
    fleet->pipelineDepth = options->pipelineDepth;
    fleet->churns = options->churns;
    fleet->lines = options->lines;
    if (options->refusal != NULL)
        fleet->refusalBytes =
            (size_t)snprintf(fleet->refusal, sizeof fleet->refusal, "%s\n", options->refusal);
    if (fleet->refusalBytes >= sizeof fleet->refusal) {
        fprintf(stderr, "load: a refusal has at most %zu bytes\n", sizeof fleet->refusal - 2);
        exit(2);
    }
    fleet->dialler = dialler_to(options->host, options->port);
    fleet->epoll = epoll_create1(EPOLL_CLOEXEC);
    fleet->connections = calloc(options->connectionCount, sizeof *fleet->connections);
    fleet->startTimes =
        calloc((size_t)options->connectionCount * options->pipelineDepth, sizeof *fleet->startTimes);
    if (fleet->epoll < 0 || fleet->connections == NULL || fleet->startTimes == NULL)
        refuse_to_start("no memory or no epoll descriptor");
}

// False, and counted, when it could not be.
static bool open_connection(struct fleet *fleet, struct connection *connection) {
    uint32_t index = index_of(fleet, connection);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = index};
    connection->dialTime = nanoseconds_now();
    int descriptor = dial(&fleet->dialler);
    if (descriptor < 0 || fcntl(descriptor, F_SETFL, O_NONBLOCK) != 0 ||
        epoll_ctl(fleet->epoll, EPOLL_CTL_ADD, descriptor, &event) != 0) {
        fleet->errorCount += 1;
        note(fleet, index, "connect", errno);
        if (descriptor >= 0) close(descriptor);
        return false;
    }
    connection->descriptor = descriptor;
    connection->waitsToWrite = connection->ending = false;
    connection->refused = 0;
    fleet->openCount += 1;
    return true;
}

bool fleet_connect(struct fleet *fleet, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (!open_connection(fleet, &fleet->connections[fleet->connectionCount])) return false;
        fleet->connectionCount += 1;
    }
    return true;
}

// MARK: a message out, its echo in

// What connection `index` sends from `position` on, and what comes back.
static void fill(const struct fleet *fleet, uint8_t *out, uint32_t index, uint64_t position, size_t count) {
    pattern_fill(out, index, position, count, fleet->messageBytes);
    if (fleet->lines) pattern_make_lines(out, position, count, fleet->messageBytes);
}

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
    while (connection->begun < fleet->goal && !connection->ending &&
           connection->begun - connection->completed < fleet->pipelineDepth) {
        size_t slot = (size_t)index * fleet->pipelineDepth + connection->begun % fleet->pipelineDepth;
        fleet->startTimes[slot] = now;
        connection->begun += 1;
        fleet->begun += 1;
    }
    uint64_t due = connection->begun * fleet->messageBytes;
    while (connection->sent < due) {
        size_t count = due - connection->sent < fleetBufferBytes ? due - connection->sent : fleetBufferBytes;
        fill(fleet, fleet->sending, index, connection->sent, count);
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

static void half_close(struct connection *connection) {
    connection->ending = true;
    shutdown(connection->descriptor, SHUT_WR);
}

static void complete(struct fleet *fleet, struct connection *connection, uint64_t now) {
    size_t row = (size_t)index_of(fleet, connection) * fleet->pipelineDepth;
    uint64_t reached = connection->received / fleet->messageBytes;
    for (; connection->completed < reached; connection->completed++) {
        uint64_t start = fleet->startTimes[row + connection->completed % fleet->pipelineDepth];
        if (fleet->latencies != NULL && !fleet->churns) histogram_record(fleet->latencies, now - start);
        fleet->completed += 1;
    }
    if (fleet->churns && connection->completed == connection->begun) half_close(connection);
}

// The server has closed a connection that had said it would send no more: as it should be.
static void ended(struct fleet *fleet, struct connection *connection) {
    close_connection(fleet, connection);
    fleet->endedCount += 1;
    if (!fleet->churns) return;
    uint64_t now = nanoseconds_now();
    if (fleet->latencies != NULL) histogram_record(fleet->latencies, now - connection->dialTime);
    if (connection->begun < fleet->goal && open_connection(fleet, connection))
        send_what_is_due(fleet, connection, connection->dialTime);
}

// Some of the refusal. When it is whole, the message has had its answer, and the server is to close.
static void receive_refusal(struct fleet *fleet, struct connection *connection, size_t count) {
    if (count > fleet->refusalBytes - connection->refused ||
        memcmp(fleet->refusal + connection->refused, fleet->receiving, count) != 0) {
        mismatch(fleet, connection, "not the refusal that was expected");
        return;
    }
    connection->refused += count;
    if (connection->refused < fleet->refusalBytes) return;
    connection->completed += 1;
    connection->received += fleet->messageBytes;
    fleet->completed += 1;
    connection->ending = true;
}

static void receive(struct fleet *fleet, struct connection *connection) {
    ssize_t count = recv(connection->descriptor, fleet->receiving, fleetBufferBytes, 0);
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return;
    if (count < 0) {
        fail(fleet, connection, "recv", errno);
    } else if (count == 0 && connection->ending) {
        ended(fleet, connection);
    } else if (count == 0) {
        fail(fleet, connection, "closed by the server", 0);
    } else if (fleet->refusalBytes > 0) {
        receive_refusal(fleet, connection, (size_t)count);
    } else if (connection->received + (uint64_t)count > connection->sent) {
        mismatch(fleet, connection, "more came back than was sent");
    } else {
        uint64_t now = nanoseconds_now();
        fill(fleet, fleet->expected, index_of(fleet, connection), connection->received, (size_t)count);
        if (memcmp(fleet->expected, fleet->receiving, (size_t)count) != 0) {
            mismatch(fleet, connection, "the echo differs from what was sent");
            return;
        }
        connection->received += (uint64_t)count;
        complete(fleet, connection, now);
        send_what_is_due(fleet, connection, now);
    }
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
        if (connection->descriptor >= 0) half_close(connection);
    }
    while (fleet->openCount > 0 && nanoseconds_now() < deadline) fleet_step(fleet, deadline);
    abandon_open_connections(fleet, "not closed by the server after end of file", false);
}
