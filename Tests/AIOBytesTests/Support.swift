// What the tests of this target share: seeded randomness, threads that are joined, a mailbox between them,
// and a pool that is fed with bytes instead of by a kernel.

import AIOBytes

#if canImport(Glibc)
    import Glibc
#endif

/// SplitMix64: the same seed gives the same run. Failing tests print the seed.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}

extension SlabPool {
    /// Receives exactly `bytes`, as if a socket had had just them.
    func receive(_ bytes: Bytes) -> Bytes {
        let (filled, received) = receive(atMost: max(1, bytes.count), expecting: bytes.count) { span in
            span.append(copying: bytes)
            return bytes.count
        }
        precondition(filled == bytes.count)
        return received
    }
}

/// `count` bytes that tell where they are: 0, 1, 2 … and round again at 251; storage of their own.
func pattern(_ count: Int, from start: Int = 0) -> Bytes {
    patternSource[start % 251..<start % 251 + count].compacted()
}

private let patternSource = Bytes((0..<20_000).map { UInt8($0 % 251) })

/// Slices on their way between threads, under a lock that the thread sanitizer understands.
@safe
final class Mailbox: @unchecked Sendable {
    // Proof for @unchecked Sendable: `items` and `isClosed` are touched under the lock alone, and the lock's
    // memory does not move.
    private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var items: [Bytes] = []
    private var isClosed = false

    init() {
        unsafe lock.initialize(to: pthread_mutex_t())
        unsafe changed.initialize(to: pthread_cond_t())
        unsafe pthread_mutex_init(lock, nil)
        unsafe pthread_cond_init(changed, nil)
    }

    deinit {
        unsafe pthread_mutex_destroy(lock)
        unsafe pthread_cond_destroy(changed)
        unsafe lock.deallocate()
        unsafe changed.deallocate()
    }

    func put(_ bytes: Bytes) {
        unsafe pthread_mutex_lock(lock)
        items.append(bytes)
        unsafe pthread_cond_signal(changed)
        unsafe pthread_mutex_unlock(lock)
    }

    func close() {
        unsafe pthread_mutex_lock(lock)
        isClosed = true
        unsafe pthread_cond_broadcast(changed)
        unsafe pthread_mutex_unlock(lock)
    }

    /// Everything there is; waits for something. Nil when closed and empty.
    func takeAll() -> [Bytes]? {
        unsafe pthread_mutex_lock(lock)
        while items.isEmpty && !isClosed {
            unsafe pthread_cond_wait(changed, lock)
        }
        let taken = items
        items = []
        unsafe pthread_mutex_unlock(lock)
        return taken.isEmpty ? nil : taken
    }
}

/// A thread that runs `body` and is joined.
@safe
struct TestThread {
    private var handle = pthread_t()

    private final class Body {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    init(_ run: @escaping @Sendable () -> Void) {
        // SAFETY: the thread takes over the one reference that is passed to it.
        let body = unsafe Unmanaged.passRetained(Body(run)).toOpaque()
        let error = unsafe pthread_create(
            &handle, nil,
            { argument in
                unsafe Unmanaged<Body>.fromOpaque(argument!).takeRetainedValue().run()
                return nil
            }, body)
        precondition(error == 0, "pthread_create failed")
    }

    func join() {
        pthread_join(handle, nil)
    }
}
