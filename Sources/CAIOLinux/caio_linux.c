// The calls of caio_linux.h. Structures of the system live here and nowhere in Swift.

#define _GNU_SOURCE

#include "caio_linux.h"

#include <errno.h>
#include <linux/futex.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static inline long caio_result(long value) { return value < 0 ? -(long)errno : value; }

// MARK: Time

uint64_t caio_monotonic_nanoseconds(void) {
    struct timespec now = {0, 0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

// MARK: epoll(7), eventfd(2)

long caio_epoll_create(void) { return caio_result(epoll_create1(EPOLL_CLOEXEC)); }

long caio_epoll_add(int epoll, int target, uint32_t mask, uint64_t token) {
    struct epoll_event event = {.events = mask, .data.u64 = token};
    return caio_result(epoll_ctl(epoll, EPOLL_CTL_ADD, target, &event));
}

long caio_epoll_modify(int epoll, int target, uint32_t mask, uint64_t token) {
    struct epoll_event event = {.events = mask, .data.u64 = token};
    return caio_result(epoll_ctl(epoll, EPOLL_CTL_MOD, target, &event));
}

long caio_epoll_remove(int epoll, int target) {
    return caio_result(epoll_ctl(epoll, EPOLL_CTL_DEL, target, NULL));
}

// The kernel's own record is packed and has a union inside: it does not leave this stack.
long caio_epoll_wait(int epoll, uint64_t *tokens, uint32_t *masks, int capacity, int timeout_milliseconds) {
    struct epoll_event events[CAIO_EPOLL_BATCH_MAX];
    if (capacity > CAIO_EPOLL_BATCH_MAX) capacity = CAIO_EPOLL_BATCH_MAX;
    long count = caio_result(epoll_wait(epoll, events, capacity, timeout_milliseconds));
    for (long i = 0; i < count; i++) {
        tokens[i] = events[i].data.u64;
        masks[i] = events[i].events;
    }
    return count;
}

long caio_event_counter(void) { return caio_result(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)); }

long caio_event_counter_add(int counter, uint64_t value) {
    return caio_result(eventfd_write(counter, value));
}

// MARK: Sockets

long caio_stream_socket(int family) {
    return caio_result(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

long caio_bind(int socket, const void *address, uint32_t byte_count) {
    return caio_result(bind(socket, address, byte_count));
}

long caio_listen(int socket, int backlog) { return caio_result(listen(socket, backlog)); }

long caio_connect(int socket, const void *address, uint32_t byte_count) {
    return caio_result(connect(socket, address, byte_count));
}

long caio_accept(int listener, void *address, uint32_t *byte_count) {
    return caio_result(accept4(listener, address, byte_count, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

long caio_local_address(int socket, void *address, uint32_t *byte_count) {
    return caio_result(getsockname(socket, address, byte_count));
}

long caio_peer_address(int socket, void *address, uint32_t *byte_count) {
    return caio_result(getpeername(socket, address, byte_count));
}

long caio_receive(int socket, void *buffer, size_t capacity) {
    return caio_result(recv(socket, buffer, capacity, 0));
}

long caio_send(int socket, const void *bytes, size_t count) {
    return caio_result(send(socket, bytes, count, MSG_NOSIGNAL));
}

_Static_assert(sizeof(struct caio_part) == sizeof(struct iovec), "not an iovec");
_Static_assert(offsetof(struct caio_part, bytes) == offsetof(struct iovec, iov_base), "not an iovec");
_Static_assert(offsetof(struct caio_part, byte_count) == offsetof(struct iovec, iov_len), "not an iovec");

long caio_send_parts(int socket, const struct caio_part *parts, size_t count) {
    struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = count};
    return caio_result(sendmsg(socket, &message, MSG_NOSIGNAL));
}

long caio_shutdown_write(int socket) { return caio_result(shutdown(socket, SHUT_WR)); }

long caio_option(int socket, int level, int name) {
    int value = 0;
    socklen_t byte_count = sizeof value;
    long result = caio_result(getsockopt(socket, level, name, &value, &byte_count));
    return result < 0 ? result : value;
}

long caio_set_option(int socket, int level, int name, int value) {
    return caio_result(setsockopt(socket, level, name, &value, sizeof value));
}

long caio_set_reset_on_close(int socket) {
    struct linger discard = {.l_onoff = 1, .l_linger = 0};
    return caio_result(setsockopt(socket, SOL_SOCKET, SO_LINGER, &discard, sizeof discard));
}

// MARK: Names and files

long caio_lookup(const char *host, void **list, int *error) {
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    long failure = getaddrinfo(host, NULL, &hints, &found);
    *error = errno;
    *list = found;
    return failure;
}

const void *caio_lookup_address(const void *entry, uint32_t *byte_count) {
    const struct addrinfo *information = entry;
    *byte_count = information->ai_addrlen;
    return information->ai_addr;
}

const void *caio_lookup_next(const void *entry) { return ((const struct addrinfo *)entry)->ai_next; }

void caio_lookup_free(void *list) { freeaddrinfo(list); }

long caio_socket_file(const char *path, uint64_t *device, uint64_t *inode) {
    struct stat information;
    long result = caio_result(lstat(path, &information));
    if (result < 0) return result;
    *device = information.st_dev;
    *inode = information.st_ino;
    return S_ISSOCK(information.st_mode) ? 0 : -ENOTSOCK;
}

// MARK: Locks and conditions

void caio_futex_wait(const void *word, uint32_t expected) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

void caio_futex_wake(const void *word, int count) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

void *caio_mutex_create(void) {
    pthread_mutex_t *mutex = malloc(sizeof *mutex);
    if (mutex != NULL) pthread_mutex_init(mutex, NULL);
    return mutex;
}

void caio_mutex_destroy(void *mutex) {
    pthread_mutex_destroy(mutex);
    free(mutex);
}

void caio_mutex_lock(void *mutex) { pthread_mutex_lock(mutex); }

void caio_mutex_unlock(void *mutex) { pthread_mutex_unlock(mutex); }

void *caio_condition_create(void) {
    pthread_cond_t *condition = malloc(sizeof *condition);
    if (condition == NULL) return NULL;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
    return condition;
}

void caio_condition_destroy(void *condition) {
    pthread_cond_destroy(condition);
    free(condition);
}

void caio_condition_wait(void *condition, void *mutex) { pthread_cond_wait(condition, mutex); }

void caio_condition_wait_until(void *condition, void *mutex, uint64_t deadline_nanoseconds) {
    struct timespec deadline = {
        .tv_sec = (time_t)(deadline_nanoseconds / 1000000000u),
        .tv_nsec = (long)(deadline_nanoseconds % 1000000000u),
    };
    pthread_cond_timedwait(condition, mutex, &deadline);
}

void caio_condition_signal(void *condition) { pthread_cond_signal(condition); }

void caio_condition_broadcast(void *condition) { pthread_cond_broadcast(condition); }

// MARK: Processors and threads

// A machine with more processors than a cpu_set_t has room for (1,024) answers EINVAL until the set is big
// enough.
long caio_affinity_processor_count(void) {
    for (int processors = CPU_SETSIZE; processors <= 1 << 20; processors *= 2) {
        cpu_set_t *set = CPU_ALLOC(processors);
        if (set == NULL) return -ENOMEM;
        size_t byte_count = CPU_ALLOC_SIZE(processors);
        long result = caio_result(sched_getaffinity(0, byte_count, set));
        if (result == 0) result = CPU_COUNT_S(byte_count, set);
        CPU_FREE(set);
        if (result != -EINVAL) return result;
    }
    return -EINVAL;
}

// The mask is inherited: blocking before and restoring after leaves the new thread no moment without it. A
// fault's own signal stays deliverable; were it blocked, it would end the process without its handler, hence
// without a backtrace or a sanitizer's report.
long caio_thread_start(void *(*body)(void *), void *argument, uint64_t *identity) {
    const int faults[] = {SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS};
    sigset_t blocked, former;
    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) sigdelset(&blocked, faults[i]);
    pthread_t thread = 0;
    pthread_sigmask(SIG_SETMASK, &blocked, &former);
    long failure = pthread_create(&thread, NULL, body, argument);
    pthread_sigmask(SIG_SETMASK, &former, NULL);
    *identity = thread;
    return -failure;
}

long caio_thread_join(uint64_t identity) { return -(long)pthread_join(identity, NULL); }

long caio_thread_detach(uint64_t identity) { return -(long)pthread_detach(identity); }

long caio_set_thread_name(const char *name) { return -(long)pthread_setname_np(pthread_self(), name); }

static _Thread_local uint64_t thread_tag;

__attribute__((noinline)) uint64_t caio_thread_tag(void) { return thread_tag; }

__attribute__((noinline)) void caio_set_thread_tag(uint64_t tag) { thread_tag = tag; }
