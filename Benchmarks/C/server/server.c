#include "server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

void fail(const char *what) {
    fprintf(stderr, "%s: %s: %s\n", serverName, what, strerror(errno));
    exit(1);
}

int listen_on(uint16_t port, bool isShared) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0) fail("socket");
    int on = 1; // TCP_NODELAY is inherited by what is accepted
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (isShared) setsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0) fail("bind");
    if (listen(listener, backlog) != 0) fail("listen");
    return listener;
}

uint16_t port_of(int listener) {
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    if (getsockname(listener, (struct sockaddr *)&address, &length) != 0) fail("getsockname");
    return ntohs(address.sin_port);
}

unsigned long number_from(const char *text, unsigned long least, unsigned long most) {
    char *end;
    unsigned long number = strtoul(text, &end, 10);
    if (*text >= '0' && *text <= '9' && *end == '\0' && number >= least && number <= most) return number;
    fprintf(stderr, "%s: \"%s\" is not a number from %lu to %lu\n", serverName, text, least, most);
    exit(2);
}
