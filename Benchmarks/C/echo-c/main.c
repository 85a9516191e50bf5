// TCP echo in plain C, the yardstick: one thread, level-triggered epoll, a recv and a send for a message.
//
// Theory of operation. All connections share one buffer. What recv put there is sent at once; what the socket
// does not take is copied to memory of the connection's own, and until that is out the connection waits for
// EPOLLOUT alone. So bytes never wait while more are read: a peer that does not read is not read from either,
// end of file is met only with nothing left to send, and a connection holds at most one buffer of bytes.
//
// With --processes N there are N such, each with a listener of its own on the same port (SO_REUSEPORT): the
// kernel deals the connections out. All listen before the first is forked off, so none gets more for being
// early. The first ends the others, and they end with it.

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server.h"

enum { bufferBytes = 64 * 1024, eventsMax = 256, processesMax = 64 };

const char *const serverName = "echo-c";

struct connection {
    struct connection *previous, *next; // all of them, so that the end can close them
    uint8_t *pending;                   // what the socket did not take, or NULL
    uint32_t pendingStart, pendingEnd;
    int descriptor;
};

struct server {
    int epoll, listener, signals;
    int spare; // given up for a moment when descriptors run out, so that a waiting peer can be turned away
    struct connection connections; // list head
    uint8_t buffer[bufferBytes];
};

static void close_connection(struct connection *connection) {
    connection->previous->next = connection->next;
    connection->next->previous = connection->previous;
    close(connection->descriptor); // never duplicated, so this takes it out of the epoll set too
    free(connection->pending);
    free(connection);
}

// Waits for `events` alone from now on. False when the kernel refuses; the connection is then of no use.
static bool wait_for(struct server *server, struct connection *connection, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = connection};
    return epoll_ctl(server->epoll, EPOLL_CTL_MOD, connection->descriptor, &event) == 0;
}

// How many bytes the socket took, 0 when it is full, -1 when the connection is broken.
static ssize_t send_some(int descriptor, const uint8_t *bytes, size_t count) {
    for (;;) {
        ssize_t sent = send(descriptor, bytes, count, MSG_NOSIGNAL);
        if (sent >= 0) return sent;
        if (errno == EAGAIN || errno == EWOULDBLOCK) return 0;
        if (errno != EINTR) return -1;
    }
}

static bool keep(struct connection *connection, const uint8_t *bytes, size_t count) {
    connection->pending = malloc(count);
    if (connection->pending == NULL) return false;
    memcpy(connection->pending, bytes, count);
    connection->pendingStart = 0;
    connection->pendingEnd = (uint32_t)count;
    return true;
}

static void readable(struct server *server, struct connection *connection) {
    ssize_t count = recv(connection->descriptor, server->buffer, bufferBytes, 0);
    if (count > 0) {
        ssize_t sent = send_some(connection->descriptor, server->buffer, (size_t)count);
        if (sent == count) return;
        if (sent >= 0 && keep(connection, server->buffer + sent, (size_t)(count - sent)) &&
            wait_for(server, connection, EPOLLOUT))
            return;
    } else if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
        return; // level-triggered: it will be reported again
    }
    close_connection(connection); // end of file with everything sent, or an error
}

static void writable(struct server *server, struct connection *connection) {
    size_t count = connection->pendingEnd - connection->pendingStart;
    ssize_t sent = send_some(connection->descriptor, connection->pending + connection->pendingStart, count);
    if (sent < 0) {
        close_connection(connection);
        return;
    }
    connection->pendingStart += (uint32_t)sent;
    if (connection->pendingStart < connection->pendingEnd) return;
    free(connection->pending);
    connection->pending = NULL;
    if (!wait_for(server, connection, EPOLLIN)) close_connection(connection);
}

static void adopt(struct server *server, int descriptor) {
    struct connection *connection = calloc(1, sizeof *connection);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (connection == NULL || epoll_ctl(server->epoll, EPOLL_CTL_ADD, descriptor, &event) != 0) {
        free(connection);
        close(descriptor);
        return;
    }
    connection->descriptor = descriptor;
    connection->previous = &server->connections;
    connection->next = server->connections.next;
    connection->next->previous = connection;
    server->connections.next = connection;
}

static void accept_all(struct server *server) {
    for (;;) {
        int descriptor = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (descriptor >= 0) {
            adopt(server, descriptor);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        } else if (errno == EMFILE || errno == ENFILE) {
            close(server->spare);
            descriptor = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
            if (descriptor >= 0) close(descriptor);
            server->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
            return;
        } else if (errno == ENOBUFS || errno == ENOMEM || errno == EBADF || errno == EINVAL) {
            fail("accept4");
        } // anything else was the fate of one connection, or EINTR
    }
}

static void start(struct server *server, int listener, const sigset_t *ending) {
    server->connections.next = server->connections.previous = &server->connections;
    server->listener = listener;
    server->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    server->signals = signalfd(-1, ending, SFD_NONBLOCK | SFD_CLOEXEC);
    server->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (server->signals < 0 || server->epoll < 0) fail("epoll or signalfd");
    struct epoll_event accepting = {.events = EPOLLIN, .data.ptr = &server->listener};
    struct epoll_event signalled = {.events = EPOLLIN, .data.ptr = &server->signals};
    if (epoll_ctl(server->epoll, EPOLL_CTL_ADD, server->listener, &accepting) != 0 ||
        epoll_ctl(server->epoll, EPOLL_CTL_ADD, server->signals, &signalled) != 0)
        fail("epoll_ctl");
}

static void serve(struct server *server) {
    struct epoll_event events[eventsMax];
    for (;;) {
        int count = epoll_wait(server->epoll, events, eventsMax, -1);
        if (count < 0 && errno != EINTR) fail("epoll_wait");
        for (int i = 0; i < count; i++) {
            void *who = events[i].data.ptr;
            if (who == &server->listener) {
                accept_all(server);
            } else if (who == &server->signals) {
                return;
            } else {
                struct connection *connection = who; // one event a connection, so none here is already freed
                if (connection->pending != NULL)
                    writable(server, connection);
                else
                    readable(server, connection);
            }
        }
    }
}

struct options {
    uint16_t port;
    uint32_t processCount;
};

static struct options options_from(int argc, char **argv) {
    struct options options = {.processCount = 1};
    int used = 1;
    for (; used + 1 < argc; used += 2) {
        if (strcmp(argv[used], "--port") == 0)
            options.port = (uint16_t)number_from(argv[used + 1], 0, UINT16_MAX);
        else if (strcmp(argv[used], "--processes") == 0)
            options.processCount = (uint32_t)number_from(argv[used + 1], 1, processesMax);
        else
            break;
    }
    if (argc > 1 && used == argc) return options;
    printf("usage: echo-c --port N [--processes N]    (TCP echo on 127.0.0.1 until SIGINT or SIGTERM)\n");
    exit(argc == 2 && strcmp(argv[1], "--help") == 0 ? 0 : 2);
}

// 0 in the first process, which has all the others in `children`; in those, their number.
static uint32_t fork_others(uint32_t processCount, pid_t *children) {
    for (uint32_t i = 1; i < processCount; i++) {
        children[i] = fork();
        if (children[i] < 0) fail("fork");
        if (children[i] > 0) continue;
        prctl(PR_SET_PDEATHSIG, SIGTERM); // however the first one ends
        return i;
    }
    return 0;
}

int main(int argc, char **argv) {
    static struct server server;
    struct options options = options_from(argc, argv);
    sigset_t ending;
    sigemptyset(&ending);
    sigaddset(&ending, SIGINT);
    sigaddset(&ending, SIGTERM);
    sigprocmask(SIG_BLOCK, &ending, NULL);

    int listeners[processesMax];
    pid_t children[processesMax];
    bool isShared = options.processCount > 1;
    listeners[0] = listen_on(options.port, isShared);
    uint16_t port = port_of(listeners[0]);
    for (uint32_t i = 1; i < options.processCount; i++) listeners[i] = listen_on(port, isShared);
    uint32_t own = fork_others(options.processCount, children);
    for (uint32_t i = 0; i < options.processCount; i++)
        if (i != own) close(listeners[i]);
    start(&server, listeners[own], &ending);
    if (own == 0) {
        printf("listening on 127.0.0.1:%u\n", port);
        fflush(stdout);
    }

    serve(&server);
    while (server.connections.next != &server.connections) close_connection(server.connections.next);
    for (uint32_t i = 1; own == 0 && i < options.processCount; i++) {
        kill(children[i], SIGTERM);
        waitpid(children[i], NULL, 0);
    }
    return 0;
}
