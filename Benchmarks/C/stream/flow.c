#include "flow.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"

static const uint32_t receives = 1u << 31; // in an event's number: the receiver of that stream

static uint32_t index_of(const struct flow *flow, const struct stream *stream) {
    return (uint32_t)(stream - flow->streams);
}

static void note(struct flow *flow, const struct stream *stream, const char *what, int error) {
    flow->errorCount += 1;
    if (flow->firstError[0] != '\0') return;
    snprintf(flow->firstError, sizeof flow->firstError, "stream %u: %s%s%s", index_of(flow, stream), what,
             error == 0 ? "" : ": ", error == 0 ? "" : strerror(error));
}

static void close_end(struct flow *flow, int *descriptor) {
    close(*descriptor);
    *descriptor = -1;
    flow->openCount -= 1;
}

// MARK: bytes

// What a stream has at `position`, and at least chunkBytes after it.
static const uint8_t *pattern_at(const struct flow *flow, const struct stream *stream, uint64_t position) {
    uint64_t start = (uint64_t)index_of(flow, stream) * 8191;
    return flow->pattern + (start + position) % patternPeriod;
}

static void send_some(struct flow *flow, struct stream *stream) {
    const uint8_t *bytes = pattern_at(flow, stream, stream->sent);
    ssize_t count = send(stream->sender, bytes, chunkBytes, MSG_NOSIGNAL);
    if (count >= 0) {
        stream->sent += (uint64_t)count;
    } else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
        note(flow, stream, "send", errno);
        close_end(flow, &stream->sender);
    }
}

static void receive_some(struct flow *flow, struct stream *stream) {
    ssize_t count = recv(stream->receiver, flow->arrived, chunkBytes, 0);
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return;
    if (count > 0) {
        if (memcmp(flow->arrived, pattern_at(flow, stream, stream->received), (size_t)count) == 0) {
            stream->received += (uint64_t)count;
            flow->received += (uint64_t)count;
            return;
        }
        note(flow, stream, "other bytes arrived than were sent", 0);
    } else if (count < 0) {
        note(flow, stream, "recv", errno);
    } else if (!flow->finishing || stream->received != stream->sent) {
        note(flow, stream, "ended before all had arrived", 0);
    }
    close_end(flow, &stream->receiver);
}

// A sender is told something: nothing ever comes back, so it is the end.
static void sender_ended(struct flow *flow, struct stream *stream) {
    uint8_t byte;
    ssize_t count = recv(stream->sender, &byte, 1, 0);
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return;
    if (count != 0) note(flow, stream, count < 0 ? "recv" : "bytes came back", count < 0 ? errno : 0);
    else if (!flow->finishing) note(flow, stream, "closed by the proxy", 0);
    close_end(flow, &stream->sender);
}

// MARK: opening

static void refuse_to_start(const char *what) {
    fprintf(stderr, "stream: %s: %s\n", what, strerror(errno));
    exit(2);
}

static int listen_on(uint16_t port) {
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {.tv_sec = 20}; // of accept
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, streamsMax) != 0)
        refuse_to_start("listen");
    return listener;
}

void flow_init(struct flow *flow, uint16_t listenPort) {
    memset(flow, 0, sizeof *flow);
    flow->listener = listen_on(listenPort);
    flow->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (flow->epoll < 0) refuse_to_start("epoll_create1");
    uint64_t word = 1;
    for (uint32_t i = 0; i < patternPeriod; i++) {
        word = word * 6364136223846793005 + 1442695040888963407;
        flow->pattern[i] = (uint8_t)(word >> 56);
    }
    for (uint32_t i = 0; i < chunkBytes; i++) flow->pattern[patternPeriod + i] = flow->pattern[i];
}

static bool watch(struct flow *flow, int descriptor, uint32_t events, uint32_t number) {
    struct epoll_event event = {.events = events, .data.u32 = number};
    if (fcntl(descriptor, F_SETFL, O_NONBLOCK) != 0) return false;
    if (epoll_ctl(flow->epoll, EPOLL_CTL_ADD, descriptor, &event) != 0) return false;
    flow->openCount += 1;
    return true;
}

// A proxy may connect onward only when it has bytes: so the sender's name comes first.
static bool open_stream(struct flow *flow, struct stream *stream, struct dialler *proxy) {
    uint32_t name = index_of(flow, stream), arrived = ~name;
    stream->sender = dial(proxy);
    if (stream->sender < 0 || send(stream->sender, &name, sizeof name, MSG_NOSIGNAL) != sizeof name)
        return false;
    struct timeval limit = {.tv_sec = 20};
    stream->receiver = accept4(flow->listener, NULL, NULL, SOCK_CLOEXEC);
    if (stream->receiver < 0) return false;
    setsockopt(stream->receiver, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (recv(stream->receiver, &arrived, sizeof arrived, MSG_WAITALL) != sizeof arrived || arrived != name)
        return false;
    return watch(flow, stream->sender, EPOLLIN | EPOLLOUT, name) &&
           watch(flow, stream->receiver, EPOLLIN, name | receives);
}

bool flow_open(struct flow *flow, struct dialler *proxy, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        struct stream *stream = &flow->streams[flow->streamCount];
        if (!open_stream(flow, stream, proxy)) {
            note(flow, stream, "not connected through the proxy", errno);
            return false;
        }
        flow->streamCount += 1;
    }
    return true;
}

// MARK: running

static void answer(struct flow *flow, const struct epoll_event *event) {
    struct stream *stream = &flow->streams[event->data.u32 & ~receives];
    if (event->data.u32 & receives) {
        if (stream->receiver >= 0) receive_some(flow, stream);
        return;
    }
    if (stream->sender >= 0 && event->events & ~(uint32_t)EPOLLOUT) sender_ended(flow, stream);
    if (stream->sender >= 0 && event->events & EPOLLOUT && !flow->finishing) send_some(flow, stream);
}

void flow_run(struct flow *flow, uint64_t deadline) {
    struct epoll_event events[2 * streamsMax];
    while (flow->openCount > 0) {
        uint64_t now = nanoseconds_now();
        if (now >= deadline) return;
        uint64_t left = (deadline - now) / 1000000 + 1;
        int count = epoll_wait(flow->epoll, events, 2 * streamsMax, left < 1000 ? (int)left : 1000);
        for (int i = 0; i < count; i++) answer(flow, &events[i]);
    }
}

static void end_sending(struct flow *flow, struct stream *stream) {
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = index_of(flow, stream)};
    if (epoll_ctl(flow->epoll, EPOLL_CTL_MOD, stream->sender, &event) != 0)
        note(flow, stream, "epoll_ctl", errno);
    shutdown(stream->sender, SHUT_WR);
}

void flow_finish(struct flow *flow, uint64_t deadline) {
    flow->finishing = true;
    for (uint32_t i = 0; i < flow->streamCount; i++)
        if (flow->streams[i].sender >= 0) end_sending(flow, &flow->streams[i]);
    flow_run(flow, deadline);
    for (uint32_t i = 0; i < flow->streamCount; i++) {
        if (flow->streams[i].receiver >= 0) note(flow, &flow->streams[i], "the end did not arrive", 0);
        if (flow->streams[i].sender >= 0) note(flow, &flow->streams[i], "the proxy did not close", 0);
    }
}
