// What Glibc's Swift module leaves out, or what strict memory safety cannot take: Linux calls with numbers
// and plain buffers for arguments. No logic: each answers with its call's value or with -errno. Called by
// Sources/AIOKernel/Linux and by nothing else.

#pragma once

// These two and nothing more. A type that a system header declares would belong to this module as well as to
// Glibc's; which of them Swift then finds its members in depends on the order in which files are compiled,
// and with MemberImportVisibility the wrong one does not compile. So structures of the system stay in
// caio_linux.c.
#include <stddef.h>
#include <stdint.h>

// MARK: Time

uint64_t caio_monotonic_nanoseconds(void);

// MARK: Memory

// Asks the processor for these lines of its cache. A hint: any address will do, no fault comes of it.
static inline void caio_prefetch(uintptr_t first, size_t byte_count) {
    for (uintptr_t line = first & ~(uintptr_t)63; line < first + byte_count; line += 64) {
        __builtin_prefetch((const void *)line);
    }
}

// MARK: epoll(7), eventfd(2)

long caio_epoll_create(void);
long caio_epoll_add(int epoll, int target, uint32_t mask, uint64_t token);
long caio_epoll_modify(int epoll, int target, uint32_t mask, uint64_t token);
long caio_epoll_remove(int epoll, int target);

enum { CAIO_EPOLL_BATCH_MAX = 512 };

// Fills both columns with up to `capacity` pairs, CAIO_EPOLL_BATCH_MAX at most; the rest comes with the next
// call. A negative timeout waits without end.
long caio_epoll_wait(int epoll, uint64_t *tokens, uint32_t *masks, int capacity, int timeout_milliseconds);

long caio_event_counter(void);
long caio_event_counter_add(int counter, uint64_t value);

// MARK: Sockets. An address is the bytes of a sockaddr.

// Nonblocking and close-on-exec, as is what caio_accept answers with.
long caio_stream_socket(int family);
long caio_bind(int socket, const void *address, uint32_t byte_count);
long caio_listen(int socket, int backlog);
long caio_connect(int socket, const void *address, uint32_t byte_count);
long caio_accept(int listener, void *address, uint32_t *byte_count);
long caio_local_address(int socket, void *address, uint32_t *byte_count);
long caio_peer_address(int socket, void *address, uint32_t *byte_count);

// One part of a vectored write: an iovec by another name.
struct caio_part {
    const void *bytes;
    size_t byte_count;
};

long caio_receive(int socket, void *buffer, size_t capacity);
// With MSG_NOSIGNAL: without it a write to a reset connection ends the process with SIGPIPE.
long caio_send(int socket, const void *bytes, size_t count);
long caio_send_parts(int socket, const struct caio_part *parts, size_t count);
long caio_shutdown_write(int socket);

// The value of an integer option, none of which is negative, or -errno.
long caio_option(int socket, int level, int name);
long caio_set_option(int socket, int level, int name, int value);
long caio_set_reset_on_close(int socket);

// MARK: Names and files

// getaddrinfo(3) for stream sockets of any family: 0 and a list to be freed, or an EAI_ number, with
// EAI_SYSTEM's errno in `error`.
long caio_lookup(const char *host, void **list, int *error);
// An entry's address and the entry after it; the list is its first entry.
const void *caio_lookup_address(const void *entry, uint32_t *byte_count);
const void *caio_lookup_next(const void *entry);
void caio_lookup_free(void *list);

// lstat(2) of a socket: 0, -ENOTSOCK for another kind of file, or -errno.
long caio_socket_file(const char *path, uint64_t *device, uint64_t *inode);

// MARK: futex(2), on words of this process alone

// Sleeps while the word is `expected`; returns for other reasons too.
void caio_futex_wait(const void *word, uint32_t expected);
void caio_futex_wake(const void *word, int count);

// MARK: pthread_mutex_t and pthread_cond_t at a stable address; NULL for want of memory

void *caio_mutex_create(void);
void caio_mutex_destroy(void *mutex);
void caio_mutex_lock(void *mutex);
void caio_mutex_unlock(void *mutex);

void *caio_condition_create(void);
void caio_condition_destroy(void *condition);
void caio_condition_wait(void *condition, void *mutex);
// Until an instant of CLOCK_MONOTONIC.
void caio_condition_wait_until(void *condition, void *mutex, uint64_t deadline_nanoseconds);
void caio_condition_signal(void *condition);
void caio_condition_broadcast(void *condition);

// MARK: Processors and threads

// How many processors the scheduler may put this process on, sched_getaffinity(2), or -errno.
long caio_affinity_processor_count(void);

// pthread_create(3). The thread is born with every signal blocked except those that a fault of its own
// raises.
long caio_thread_start(void *(*body)(void *), void *argument, uint64_t *identity);
long caio_thread_join(uint64_t identity);
long caio_thread_detach(uint64_t identity);

// Names the calling thread; `name` has at most 15 bytes before its NUL.
long caio_set_thread_name(const char *name);

// A number that belongs to the calling thread, 0 until set. Never to be inlined: a Swift async function may
// go on on another thread after an await, and an inlined thread-local address could be the former thread's.
uint64_t caio_thread_tag(void);
void caio_set_thread_tag(uint64_t tag);

// MARK: Signals of the process, in caio_signals.c. One pipe a process, because handlers are.

// Has the numbers of watched signals written to `pipe`, a byte each; -EBUSY if another pipe is in place.
long caio_signals_begin(int pipe);
// Puts the handler in place of the signal's disposition, which is remembered.
long caio_signal_watch(int number);
// Puts the former disposition back.
void caio_signal_unwatch(int number);
// Forgets the pipe, and returns when no handler is using it any more.
void caio_signals_end(void);
// A pipe whose write end never blocks.
long caio_signal_pipe(int ends[2]);
// The next byte, waiting for it; 0 when the other end is closed.
long caio_read_byte(int descriptor);
