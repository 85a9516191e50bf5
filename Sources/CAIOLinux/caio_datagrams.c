// The calls of caio_datagrams.h.

#define _GNU_SOURCE

#include "caio_datagrams.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

static inline long caio_result(long value) { return value < 0 ? -(long)errno : value; }

_Static_assert(sizeof(struct sockaddr_in6) <= CAIO_DATAGRAM_ADDRESS_MAX, "no room for an IPv6 address");

long caio_datagram_socket(int family) {
    return caio_result(socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

// Room for the one control message that is asked for, aligned as the macros want it.
union caio_control {
    char bytes[CMSG_SPACE(sizeof(uint32_t))];
    struct cmsghdr alignment;
};

static void caio_note_drops(struct msghdr *header, uint32_t *drops) {
    for (struct cmsghdr *control = CMSG_FIRSTHDR(header); control != NULL;
         control = CMSG_NXTHDR(header, control)) {
        if (control->cmsg_level == SOL_SOCKET && control->cmsg_type == SO_RXQ_OVFL)
            memcpy(drops, CMSG_DATA(control), sizeof *drops);
    }
}

long caio_receive_datagrams(
    int socket, void *memory, size_t stride, size_t byte_count_max, int capacity,
    struct caio_datagram_arrival *arrivals, uint32_t *drops) {
    struct mmsghdr messages[CAIO_DATAGRAM_BATCH_MAX];
    struct iovec parts[CAIO_DATAGRAM_BATCH_MAX];
    union caio_control controls[CAIO_DATAGRAM_BATCH_MAX];
    if (capacity > CAIO_DATAGRAM_BATCH_MAX) capacity = CAIO_DATAGRAM_BATCH_MAX;
    for (int i = 0; i < capacity; i++) {
        parts[i] = (struct iovec){.iov_base = (char *)memory + i * stride, .iov_len = byte_count_max};
        messages[i] = (struct mmsghdr){
            .msg_hdr = {
                .msg_name = arrivals[i].address,
                .msg_namelen = CAIO_DATAGRAM_ADDRESS_MAX,
                .msg_iov = &parts[i],
                .msg_iovlen = 1,
                .msg_control = &controls[i],
                .msg_controllen = sizeof controls[i],
            },
        };
    }
    long count = caio_result(recvmmsg(socket, messages, (unsigned)capacity, MSG_DONTWAIT, NULL));
    for (long i = 0; i < count; i++) {
        struct msghdr *header = &messages[i].msg_hdr;
        uint32_t length = header->msg_namelen;
        arrivals[i].byte_count = messages[i].msg_len;
        arrivals[i].is_truncated = (header->msg_flags & MSG_TRUNC) != 0;
        arrivals[i].address_byte_count =
            length < CAIO_DATAGRAM_ADDRESS_MAX ? length : CAIO_DATAGRAM_ADDRESS_MAX;
    }
    // The count only grows, so the last datagram knows best.
    if (count > 0) caio_note_drops(&messages[count - 1].msg_hdr, drops);
    return count;
}

long caio_send_datagrams(int socket, const struct caio_datagram_departure *departures, int count) {
    struct mmsghdr messages[CAIO_DATAGRAM_BATCH_MAX];
    struct iovec parts[CAIO_DATAGRAM_BATCH_MAX];
    if (count > CAIO_DATAGRAM_BATCH_MAX) count = CAIO_DATAGRAM_BATCH_MAX;
    for (int i = 0; i < count; i++) {
        const struct caio_datagram_departure *departure = &departures[i];
        int has_address = departure->address_byte_count > 0;
        parts[i] =
            (struct iovec){.iov_base = (void *)departure->bytes, .iov_len = departure->byte_count};
        messages[i] = (struct mmsghdr){
            .msg_hdr = {
                .msg_name = has_address ? (void *)departure->address : NULL,
                .msg_namelen = departure->address_byte_count,
                .msg_iov = &parts[i],
                .msg_iovlen = 1,
            },
        };
    }
    return caio_result(sendmmsg(socket, messages, (unsigned)count, MSG_DONTWAIT | MSG_NOSIGNAL));
}

long caio_multicast_membership(
    int socket, const uint8_t *group, uint32_t byte_count, uint32_t interface, int joins) {
    if (byte_count == 4) {
        struct ip_mreqn request = {.imr_ifindex = (int)interface};
        memcpy(&request.imr_multiaddr, group, 4);
        int name = joins ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP;
        return caio_result(setsockopt(socket, IPPROTO_IP, name, &request, sizeof request));
    }
    if (byte_count != 16) return -EINVAL;
    struct ipv6_mreq request = {.ipv6mr_interface = interface};
    memcpy(&request.ipv6mr_multiaddr, group, 16);
    int name = joins ? IPV6_JOIN_GROUP : IPV6_LEAVE_GROUP;
    return caio_result(setsockopt(socket, IPPROTO_IPV6, name, &request, sizeof request));
}

long caio_multicast_interface_v4(int socket, uint32_t interface) {
    struct ip_mreqn request = {.imr_ifindex = (int)interface};
    return caio_result(setsockopt(socket, IPPROTO_IP, IP_MULTICAST_IF, &request, sizeof request));
}
