// TCP echo in plain C, the yardstick: one thread, level-triggered epoll, a recv and a send for a message.
//
// Theory of operation. All connections share one buffer. What recv put there is sent at once; what the socket
// does not take is copied to memory of the connection's own, and until that is out the connection waits for
// EPOLLOUT alone. So bytes never wait while more are read: a peer that does not read is not read from either,
// end of file is met only with nothing left to send, and a connection holds at most one buffer of bytes.

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { bufferBytes = 16 * 1024, eventsMax = 256, backlog = 4096 };

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

static void fail(const char *what) {
    fprintf(stderr, "echo-c: %s: %s\n", what, strerror(errno));
    exit(1);
}

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

static void start(struct server *server, uint16_t port) {
    sigset_t ending;
    sigemptyset(&ending);
    sigaddset(&ending, SIGINT);
    sigaddset(&ending, SIGTERM);
    sigprocmask(SIG_BLOCK, &ending, NULL);

    server->connections.next = server->connections.previous = &server->connections;
    server->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    server->signals = signalfd(-1, &ending, SFD_NONBLOCK | SFD_CLOEXEC);
    server->epoll = epoll_create1(EPOLL_CLOEXEC);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (server->signals < 0 || server->epoll < 0 || server->listener < 0) fail("socket, epoll or signalfd");

    int on = 1; // TCP_NODELAY is inherited by what is accepted
    setsockopt(server->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(server->listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    if (bind(server->listener, (struct sockaddr *)&address, length) != 0) fail("bind");
    if (listen(server->listener, backlog) != 0) fail("listen");
    if (getsockname(server->listener, (struct sockaddr *)&address, &length) != 0) fail("getsockname");

    struct epoll_event accepting = {.events = EPOLLIN, .data.ptr = &server->listener};
    struct epoll_event signalled = {.events = EPOLLIN, .data.ptr = &server->signals};
    if (epoll_ctl(server->epoll, EPOLL_CTL_ADD, server->listener, &accepting) != 0 ||
        epoll_ctl(server->epoll, EPOLL_CTL_ADD, server->signals, &signalled) != 0)
        fail("epoll_ctl");
    printf("listening on 127.0.0.1:%u\n", ntohs(address.sin_port));
    fflush(stdout);
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

static uint16_t port_from(int argc, char **argv) {
    char *end = "?";
    unsigned long port = 0;
    if (argc == 3 && strcmp(argv[1], "--port") == 0) port = strtoul(argv[2], &end, 10);
    if (*end == '\0' && port <= UINT16_MAX) return (uint16_t)port;
    printf("usage: echo-c --port N    (TCP echo on 127.0.0.1 until SIGINT or SIGTERM)\n");
    exit(argc == 2 && strcmp(argv[1], "--help") == 0 ? 0 : 2);
}

int main(int argc, char **argv) {
    static struct server server;
    start(&server, port_from(argc, argv));
    serve(&server);
    while (server.connections.next != &server.connections) close_connection(server.connections.next);
    return 0;
}
