// Connects to a server, on loopback from many source addresses in turn.
//
// Theory of operation. Whoever closes a TCP connection first keeps its address and port in TIME_WAIT for a
// minute, and one source address has about 28,000 ports: a client that connects thousands of times a second
// runs out of them within seconds. All of 127.0.0.0/8 is loopback, so each connection comes from the next of
// 250 addresses, each with ports of its own: enough for 100,000 connections a second, and the search for a
// free port stays short. Rejected: SO_LINGER with 0 seconds. Before the end it resets the connection, and the
// end is part of what is measured; after the server's end of file the socket is in TIME_WAIT already.
#pragma once
#include <netinet/in.h>
#include <stdint.h>

struct dialler {
    struct sockaddr_in server;
    uint32_t dialled; // so far: chooses the source address
};

// Ends the program when `host` is not an IPv4 address.
struct dialler dialler_to(const char *host, uint16_t port);
// A connected socket that blocks for 20 s at most when sending and receiving, TCP_NODELAY set; or -1.
int dial(struct dialler *dialler);
