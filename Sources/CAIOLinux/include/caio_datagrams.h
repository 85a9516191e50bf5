// Datagram sockets, udp(7), in caio_datagrams.c: many datagrams a call, and multicast. As in caio_linux.h,
// structures of the system stay in C. Called by Sources/AIOKernel/Linux/LinuxKernel+Datagrams.swift.

#pragma once

#include <stddef.h>
#include <stdint.h>

// Datagrams in one call, and the bytes of an address: those of a sockaddr_in6, the longest there is here.
enum { CAIO_DATAGRAM_BATCH_MAX = 32, CAIO_DATAGRAM_ADDRESS_MAX = 28 };

// What the kernel says of one datagram that it has handed over.
struct caio_datagram_arrival {
    uint32_t byte_count;
    uint32_t is_truncated;
    uint32_t address_byte_count;
    uint8_t address[CAIO_DATAGRAM_ADDRESS_MAX];
};

// One datagram to send. Without address bytes it goes to where the socket is connected.
struct caio_datagram_departure {
    const void *bytes;
    size_t byte_count;
    uint32_t address_byte_count;
    uint8_t address[CAIO_DATAGRAM_ADDRESS_MAX];
};

// Nonblocking and close-on-exec.
long caio_datagram_socket(int family);

// recvmmsg(2): up to `capacity` datagrams, each to a place of its own of `stride` bytes in `memory`, of which
// it may fill `byte_count_max`. How many came, or -errno. `drops` is set to how many the kernel has dropped
// since the socket was made (SO_RXQ_OVFL), and left alone if it does not say.
long caio_receive_datagrams(
    int socket, void *memory, size_t stride, size_t byte_count_max, int capacity,
    struct caio_datagram_arrival *arrivals, uint32_t *drops);

// sendmmsg(2) with MSG_NOSIGNAL: how many of `departures`, from the first on, the kernel took, or -errno,
// which is about the first.
long caio_send_datagrams(int socket, const struct caio_datagram_departure *departures, int count);

// Joins or leaves a group, whose address has 4 or 16 bytes, on an interface (0: the kernel's choice).
long caio_multicast_membership(
    int socket, const uint8_t *group, uint32_t byte_count, uint32_t interface, int joins);

// Has IPv4 multicast leave by an interface (0: the kernel's choice).
long caio_multicast_interface_v4(int socket, uint32_t interface);
