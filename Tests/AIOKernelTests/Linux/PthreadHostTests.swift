// Bodies on real threads: stepped to the end, known by their thread, joined by anyone.

import Glibc
import Testing

@testable import AIOKernel

/// Counts its steps and notes what it sees in the last.
///
/// `@unchecked Sendable`, proof: written by its thread alone, read after that thread was joined.
private final class ObservingBody: ThreadBody, @unchecked Sendable {
    private let host: PthreadHost
    private let steps: Int
    private(set) var taken = 0
    private(set) var wasCurrent = true
    private(set) var name = ""
    private(set) var blocked: Set<CInt> = []

    init(host: PthreadHost, steps: Int) {
        self.host = host
        self.steps = steps
    }

    func step() -> ThreadStep {
        taken += 1
        wasCurrent = wasCurrent && host.isCurrent(self)
        if taken < steps { return taken % 2 == 0 ? .proceed : .wait(epoll: -1, deadline: nil) }
        name = PseudoFile.read("/proc/thread-self/comm") ?? ""
        var mask = sigset_t()
        unsafe pthread_sigmask(SIG_SETMASK, nil, &mask)
        blocked = Set((CInt(1)..<32).filter { unsafe sigismember(&mask, $0) == 1 })
        return .finished
    }
}

@Suite struct PthreadHostTests {
    let host = PthreadHost()

    @Test func `a body is stepped until it is finished, on a thread it knows as its own`() throws {
        let body = ObservingBody(host: host, steps: 100)
        let other = ObservingBody(host: host, steps: 1)
        let thread = try host.startThread(named: "aio-worker-with-a-long-name", body)
        thread.join()
        #expect(body.taken == 100 && body.wasCurrent)
        #expect(body.name == "aio-worker-with\n")
        #expect(!host.isCurrent(body) && !host.isCurrent(other))
    }

    @Test func `a thread is born with its signals blocked, except those of faults`() throws {
        let body = ObservingBody(host: host, steps: 1)
        try host.startThread(named: "signals", body).join()
        #expect(body.blocked.isSuperset(of: [SIGPIPE, SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGUSR1, SIGALRM]))
        #expect(body.blocked.isDisjoint(with: [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGSYS]))
    }

    @Test func `starting a thread leaves the mask of the starter alone`() throws {
        func blocked() -> [Bool] {
            var mask = sigset_t()
            unsafe pthread_sigmask(SIG_SETMASK, nil, &mask)
            return (CInt(1)..<32).map { unsafe sigismember(&mask, $0) == 1 }
        }
        let before = blocked()
        try host.startThread(named: "mask", ObservingBody(host: host, steps: 1)).join()
        #expect(blocked() == before)
    }

    @Test func `a thread can be joined twice`() throws {
        let thread = try host.startThread(named: "twice", ObservingBody(host: host, steps: 1))
        thread.join()
        thread.join()
    }

    @Test func `a thread can be joined by several at once`() throws {
        let latch = Latch()
        let target = try PthreadThread(named: "target") { latch.wait() }
        let counter = Counter()
        let joiners = try (0..<4).map { _ in
            try PthreadThread(named: "joiner") {
                target.join()
                counter.increment()
            }
        }
        #expect(counter.value == 0)
        latch.countDown()
        for joiner in joiners { joiner.join() }
        #expect(counter.value == 4)
    }

    @Test func `a thread that nobody joins runs to its end`() throws {
        let latch = Latch()
        _ = try PthreadThread(named: "alone") { latch.countDown() }
        latch.wait()
    }

    @Test func `a lane that is full does not hold up the other`() throws {
        let host = PthreadHost(workThreadsMax: 1, workQueuedMax: 0)
        let release = Latch()
        let done = Latch(2)
        try host.offload(.work) {
            release.wait()
            done.countDown()
        }
        let error = try #require(throws: AIOError.self) { try host.offload(.work) {} }
        #expect(error.code == .limitReached && error.detail?.contains("offloadQueuedMax: 0") == true)
        try host.offload(.names) {
            release.countDown()
            done.countDown()
        }
        done.wait()
        #expect(host.offloadStatistics(of: .work).refused == 1)
        #expect(host.offloadStatistics(of: .names).refused == 0)
        host.shutDown()
    }

    @Test func `offloaded work runs, and is refused after shut-down`() throws {
        let latch = Latch()
        try host.offload(.names) { latch.countDown() }
        latch.wait()
        host.shutDown()
        host.shutDown()
        let error = try #require(throws: AIOError.self) { try host.offload(.names) {} }
        #expect(error.code == .shutDown)
    }
}
