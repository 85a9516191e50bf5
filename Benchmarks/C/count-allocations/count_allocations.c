// LD_PRELOAD library that counts a program's heap calls by thread: how many allocations does a message take?
//
// The counts live in a file that ALLOCATION_COUNTS names, mapped shared: a reader takes two looks at it and
// divides the difference by the messages between. So no signal disturbs the program (one would interrupt its
// epoll_wait), and it has nothing to dump. Without the variable, nothing is counted.
//
// The allocator itself is reached by glibc's own __libc_ names: looking the next symbol up with dlsym would
// allocate, here of all places.

#include "allocation_counts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

// Set once, by the constructor, before main; what runs before that is not counted.
static struct allocation_counts *counts;

// initial-exec: any other model may allocate when a thread first touches it.
static __thread struct allocation_thread *mine __attribute__((tls_model("initial-exec")));

__attribute__((constructor)) static void open_counts(void) {
    const char *path = getenv(ALLOCATION_COUNTS_VARIABLE);
    if (path == NULL) return;
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) return;
    if (ftruncate(file, sizeof *counts) == 0) {
        void *mapping = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (mapping != MAP_FAILED) counts = mapping;
    }
    close(file);
}

static struct allocation_thread *claim(void) {
    uint32_t slot = atomic_fetch_add_explicit(&counts->threadCount, 1, memory_order_relaxed);
    if (slot >= allocationThreadsMax) slot = allocationThreadsMax - 1;
    mine = &counts->threads[slot];
    atomic_store_explicit(&mine->thread, (int32_t)gettid(), memory_order_relaxed);
    return mine;
}

static inline void add(_Atomic uint64_t *counter, size_t amount) {
    atomic_fetch_add_explicit(counter, amount, memory_order_relaxed);
}

#define COUNT(field, size)                                            \
    do {                                                              \
        if (counts != NULL) {                                         \
            struct allocation_thread *thread = mine ? mine : claim(); \
            add(&thread->field, 1);                                   \
            add(&thread->bytes, size);                                \
        }                                                             \
    } while (0)

void *malloc(size_t size) {
    COUNT(mallocs, size);
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    COUNT(callocs, count * size);
    return __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size) {
    COUNT(reallocs, size);
    return __libc_realloc(memory, size);
}

void *reallocarray(void *memory, size_t count, size_t size) {
    size_t total;
    if (__builtin_mul_overflow(count, size, &total)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(memory, total);
}

void *memalign(size_t alignment, size_t size) {
    COUNT(aligned, size);
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void **result, size_t alignment, size_t size) {
    bool isPowerOfTwo = alignment != 0 && (alignment & (alignment - 1)) == 0;
    if (!isPowerOfTwo || alignment % sizeof(void *) != 0) return EINVAL;
    int before = errno; // posix_memalign reports by its result alone
    void *memory = memalign(alignment, size);
    errno = before;
    if (memory == NULL) return ENOMEM;
    *result = memory;
    return 0;
}

void free(void *memory) {
    if (memory != NULL) COUNT(frees, 0);
    __libc_free(memory);
}
