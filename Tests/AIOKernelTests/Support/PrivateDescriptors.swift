// Runs a test on a thread that has a descriptor table of its own, and checks that it leaves no descriptor
// behind. Every test that opens real descriptors has this trait, through the suite `RealKernel`.

import Glibc
import Testing

@testable import AIOKernel

/// Tests with real sockets and files, one after the other.
@Suite(.serialized, .privateDescriptors) enum RealKernel {}

extension Trait where Self == PrivateDescriptors {
    static var privateDescriptors: Self { PrivateDescriptors() }
}

/// Counting the descriptors of a process that runs other tests at the same time proves nothing, and filling
/// its table to see EMFILE breaks them. Linux lets a thread have a table of its own (unshare(2),
/// `CLONE_FILES`): the test and everything it calls run on such a thread, as the preferred executor of the
/// test's task.
struct PrivateDescriptors: SuiteTrait, TestTrait, TestScoping {
    var isRecursive: Bool { true }

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        let thread = try DescriptorThread()
        defer { thread.end() }
        try await withTaskExecutorPreference(thread) {
            let before = openDescriptors()
            try await function()
            let after = openDescriptors()
            #expect(before == after, "the test left descriptors open, or closed some that were not its own")
        }
    }
}

/// What is open on this thread: the number and what it refers to. The listing's own descriptor is left out.
func openDescriptors() -> [Int32: String] {
    var found: [Int32: String] = [:]
    guard let directory = unsafe opendir("/proc/thread-self/fd") else { return found }
    defer { unsafe closedir(directory) }
    let own = unsafe dirfd(directory)
    while let entry = unsafe readdir(directory) {
        let name = unsafe withUnsafeBytes(of: entry.pointee.d_name) { bytes in
            unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        guard let number = Int32(name), number != own else { continue }
        var target = [UInt8](repeating: 0, count: 256)
        let count = unsafe target.withUnsafeMutableBytes { bytes in
            unsafe bytes.baseAddress.map { unsafe readlink("/proc/thread-self/fd/\(name)", $0, bytes.count) }
                ?? 0
        }
        found[number] = String(decoding: target.prefix(max(count, 0)), as: UTF8.self)
    }
    return found
}

/// A task executor of one pthread with a private descriptor table.
///
/// `@unchecked Sendable`, proof: `jobs` and `mustEnd` are touched only while `lock` is held; `thread` is set
/// in `init` and cleared in `end`, both called by the trait alone.
private final class DescriptorThread: TaskExecutor, @unchecked Sendable {
    private let lock = PosixLock()
    private let changed = PosixCondition()
    private var jobs: [UnownedJob] = []
    private var mustEnd = false
    private var thread: PthreadThread?

    init() throws {
        thread = try PthreadThread(named: "test") { [self] in
            Self.separateDescriptors()
            while let job = next() { unsafe job.runSynchronously(on: asUnownedTaskExecutor()) }
        }
    }

    func end() {
        lock.withLock { mustEnd = true }
        changed.signal()
        thread?.join()
        thread = nil
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        lock.withLock { jobs.append(job) }
        changed.signal()
    }

    private func next() -> UnownedJob? {
        lock.withLock {
            while jobs.isEmpty, !mustEnd { changed.wait(lock) }
            return jobs.isEmpty ? nil : jobs.removeFirst()
        }
    }

    /// A table with nothing but the standard descriptors: copies of other tests' sockets would keep those
    /// open. Low numbers are taken, so that a test runner that writes to a file of its own from this thread
    /// hits /dev/null and not a socket of the test.
    private static func separateDescriptors() {
        do { try AIOKernelTests.separateDescriptors(from: 3) } catch { Issue.record(error) }
        let null = unsafe open("/dev/null", O_RDWR | O_CLOEXEC)
        for number in (null + 1)..<32 { dup2(null, number) }
    }
}
