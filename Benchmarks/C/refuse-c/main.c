// A TCP server in plain C that refuses a bad first line, the yardstick for filters: one thread, level-triggered epoll. A line that
// begins with the prefix is echoed, and so are those after it that do; one that does not is answered with the refusal, and the connection is closed.
//
// Theory of operation. Bytes are received into one buffer that all connections share, and looked through at once; only what is left of
// a line that is not whole is copied to the connection, which has room for one of lineBytesMax. Closing is careful: the
// refusal is followed by an end of file (shutdown), and the socket is closed when the peer has ended too, so that no reset overtakes
// the refusal. What the peer sends meanwhile is thrown away.

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server.h"

enum { bufferBytes = 64 * 1024, eventsMax = 256, lineBytesMax = 8192 };

const char *const serverName = "refuse-c";

struct connection {
    struct connection *previous, *next;
    char *partial; // the beginning of a line, or NULL
    size_t partialBytes;
    int descriptor;
    bool ending;
};

struct server {
    int epoll, listener, signals;
    const char *prefix;
    char refusal[128];
    size_t prefixBytes, refusalBytes;
    struct connection connections; // list head
    char buffer[lineBytesMax + bufferBytes];
};

static void close_connection(struct connection *connection) {
    connection->previous->next = connection->next;
    connection->next->previous = connection->previous;
    close(connection->descriptor);
    free(connection->partial);
    free(connection);
}

// False when the socket did not take all of it: of a server that answers a line with a line that is a peer not worth keeping.
static bool send_all(int descriptor, const char *bytes, size_t count) {
    ssize_t sent;
    do sent = send(descriptor, bytes, count, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent == (ssize_t)count;
}

static bool refuse(struct server *server, struct connection *connection) {
    connection->ending = true;
    return send_all(connection->descriptor, server->refusal, server->refusalBytes) &&
           shutdown(connection->descriptor, SHUT_WR) == 0;
}

// Answers the lines among `count` bytes at `bytes`, and keeps what is left. False when the connection is to be closed.
static bool take_lines(struct server *server, struct connection *connection, const char *bytes, size_t count) {
    const char *end;
    while ((end = memchr(bytes, '\n', count)) != NULL) {
        size_t lineBytes = (size_t)(end + 1 - bytes);
        if (lineBytes <= server->prefixBytes || memcmp(bytes, server->prefix, server->prefixBytes) != 0)
            return refuse(server, connection);
        if (!send_all(connection->descriptor, bytes, lineBytes)) return false;
        bytes += lineBytes;
        count -= lineBytes;
    }
    if (count > lineBytesMax) return refuse(server, connection);
    if (count > 0 && connection->partial == NULL) connection->partial = malloc(lineBytesMax);
    if (count > 0 && connection->partial == NULL) return false;
    if (count > 0) memcpy(connection->partial, bytes, count);
    connection->partialBytes = count;
    return true;
}

static void readable(struct server *server, struct connection *connection) {
    char *received = server->buffer + connection->partialBytes;
    ssize_t count = recv(connection->descriptor, received, bufferBytes, 0);
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return;
    if (count <= 0) {
        close_connection(connection);
    } else if (!connection->ending) {
        size_t before = connection->partialBytes;
        if (before > 0) memcpy(server->buffer, connection->partial, before);
        if (!take_lines(server, connection, server->buffer, before + (size_t)count))
            close_connection(connection);
    }
}

static void accept_all(struct server *server) {
    for (;;) {
        int descriptor = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (descriptor < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
        if (descriptor < 0 && (errno == EINTR || errno == ECONNABORTED)) continue;
        if (descriptor < 0) fail("accept4");
        struct connection *connection = calloc(1, sizeof *connection);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
        if (connection == NULL || epoll_ctl(server->epoll, EPOLL_CTL_ADD, descriptor, &event) != 0)
            fail("epoll_ctl");
        connection->descriptor = descriptor;
        connection->previous = &server->connections;
        connection->next = server->connections.next;
        connection->next->previous = connection;
        server->connections.next = connection;
    }
}

static void serve(struct server *server) {
    struct epoll_event events[eventsMax];
    for (;;) {
        int count = epoll_wait(server->epoll, events, eventsMax, -1);
        if (count < 0 && errno != EINTR) fail("epoll_wait");
        for (int i = 0; i < count; i++) {
            void *who = events[i].data.ptr;
            if (who == &server->signals) return;
            if (who == &server->listener)
                accept_all(server);
            else
                readable(server, who);
        }
    }
}

static void start(struct server *server, uint16_t port, const sigset_t *ending) {
    server->connections.next = server->connections.previous = &server->connections;
    server->listener = listen_on(port, false);
    server->signals = signalfd(-1, ending, SFD_NONBLOCK | SFD_CLOEXEC);
    server->epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event accepting = {.events = EPOLLIN, .data.ptr = &server->listener};
    struct epoll_event signalled = {.events = EPOLLIN, .data.ptr = &server->signals};
    if (server->signals < 0 || server->epoll < 0 ||
        epoll_ctl(server->epoll, EPOLL_CTL_ADD, server->listener, &accepting) != 0 ||
        epoll_ctl(server->epoll, EPOLL_CTL_ADD, server->signals, &signalled) != 0)
        fail("epoll or signalfd");
    printf("listening on 127.0.0.1:%u\n", port_of(server->listener));
    fflush(stdout);
}

int main(int argc, char **argv) {
    static struct server server;
    if (argc != 4) {
        fprintf(stderr, "usage: refuse-c PORT PREFIX REFUSAL    (on 127.0.0.1 until SIGINT or SIGTERM)\n");
        return 2;
    }
    server.prefix = argv[2];
    server.prefixBytes = strlen(argv[2]);
    int length = snprintf(server.refusal, sizeof server.refusal, "%s\n", argv[3]);
    if (length < 0 || (size_t)length >= sizeof server.refusal) {
        fprintf(stderr, "refuse-c: a refusal has at most %zu bytes\n", sizeof server.refusal - 2);
        return 2;
    }
    server.refusalBytes = (size_t)length;
    sigset_t ending;
    sigemptyset(&ending);
    sigaddset(&ending, SIGINT);
    sigaddset(&ending, SIGTERM);
    sigprocmask(SIG_BLOCK, &ending, NULL);
    start(&server, (uint16_t)number_from(argv[1], 0, UINT16_MAX), &ending);
    serve(&server);
    while (server.connections.next != &server.connections) close_connection(server.connections.next);
    return 0;
}
