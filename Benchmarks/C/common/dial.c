#include "dial.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static const uint32_t sourceAddresses = 250; // 127.0.0.1 to 127.0.0.250

struct dialler dialler_to(const char *host, uint16_t port) {
    struct dialler dialler = {.server = {.sin_family = AF_INET, .sin_port = htons(port)}};
    if (inet_pton(AF_INET, host, &dialler.server.sin_addr) != 1) {
        fprintf(stderr, "\"%s\" is not an IPv4 address\n", host);
        exit(2);
    }
    return dialler;
}

// A blocking connect is simple, and on loopback it returns at once; its time limit is that of sending.
static int dial_from(uint32_t source, const struct sockaddr_in *server) {
    int on = 1;
    struct timeval limit = {.tv_sec = 20};
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -1;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (source != INADDR_ANY) { // the port is left to connect, which may share it between destinations
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(source)};
        setsockopt(descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
        bind(descriptor, (struct sockaddr *)&address, sizeof address);
    }
    if (connect(descriptor, (const struct sockaddr *)server, sizeof *server) == 0) return descriptor;
    int error = errno;
    close(descriptor);
    errno = error;
    return -1;
}

int dial(struct dialler *dialler) {
    bool isLoopback = ntohl(dialler->server.sin_addr.s_addr) >> 24 == 127;
    if (!isLoopback) return dial_from(INADDR_ANY, &dialler->server);
    for (uint32_t tries = 0; tries < sourceAddresses; tries++) { // past addresses that have no port left
        uint32_t source = INADDR_LOOPBACK + dialler->dialled++ % sourceAddresses;
        int descriptor = dial_from(source, &dialler->server);
        if (descriptor >= 0 || errno != EADDRNOTAVAIL) return descriptor;
    }
    return -1;
}
