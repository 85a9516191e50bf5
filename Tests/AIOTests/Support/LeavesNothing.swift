// Checks, around every test, that it leaves nothing in the process: no socket, epoll descriptor, event
// counter, and no thread of the engine's.

import Foundation
import Testing

extension Trait where Self == LeavesNothing {
    static var leavesNothing: Self { LeavesNothing() }
}

struct LeavesNothing: SuiteTrait, TestTrait, TestScoping {
    var isRecursive: Bool { true }

    /// Foundation and libdispatch make descriptors for their own use when a process is first started, and keep them.
    private static let foundationIsWarm: Void = {
        let process = Process()
        process.executableURL = URL(filePath: "/bin/true")
        let hasEnded = DispatchSemaphore(value: 0)
        process.terminationHandler = { _ in hasEnded.signal() }
        try? Program.onThreadOfItsOwn { try process.run() }
        hasEnded.wait()
    }()

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        _ = Self.foundationIsWarm
        let before = ProcessHoldings.now()
        try await function()
        // What is new must go, each of it: other suites run at the same time, and have sockets of their own
        // for a moment. Threads that nobody joins (a name that is still being looked up) end a moment later, too.
        let suspects = ProcessHoldings.now().numbered(beyond: before)
        let isClean = await eventually {
            let now = ProcessHoldings.now()
            return suspects.isDisjoint(with: now.descriptors) && now.isWithin(before)
        }
        let after = ProcessHoldings.now()
        #expect(
            isClean, "left behind: \(suspects.intersection(after.descriptors)), then \(after.beyond(before))")
    }
}

/// What the process has open and runs, as far as the engine makes such things.
struct ProcessHoldings {
    /// Descriptors, by what they refer to.
    let descriptors: [String]
    /// Threads of the engine, by name.
    let threads: [String]

    static func now() -> Self {
        // Not pipes: the processes that other suites start to see them fail have some, for as long as they take. Of the
        // engine's only watching signals makes one.
        let kinds = ["socket:", "anon_inode:[eventpoll]", "anon_inode:[eventfd]"]
        let descriptors = entries(of: "/proc/self/fd").map { target(of: "/proc/self/fd/\($0)") }
        let names = entries(of: "/proc/self/task").map { contents(of: "/proc/self/task/\($0)/comm") }
        return Self(
            descriptors: descriptors.filter { target in kinds.contains { target.hasPrefix($0) } },
            threads: names.filter { $0.hasPrefix("aio-") })
    }

    /// Sockets, which have numbers by which to know them, that the other does not have.
    func numbered(beyond other: Self) -> Set<String> {
        Set(descriptors.filter { $0.hasSuffix("]") && !$0.hasPrefix("anon") }).subtracting(other.descriptors)
    }

    /// Whether there are no more event counters, epoll descriptors and threads than in the other.
    func isWithin(_ other: Self) -> Bool {
        anonymousCount <= other.anonymousCount && threads.count <= other.threads.count
    }

    private var anonymousCount: Int { descriptors.count { $0.hasPrefix("anon") } }

    func beyond(_ other: Self) -> String {
        let kept = Set(other.descriptors)
        return "\(descriptors.filter { !kept.contains($0) }), threads \(threads)"
    }

    private static func entries(of path: String) -> [String] {
        guard let directory = unsafe opendir(path) else { return [] }
        defer { unsafe closedir(directory) }
        var names: [String] = []
        while let entry = unsafe readdir(directory) {
            let name = unsafe withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names
    }

    private static func target(of path: String) -> String {
        unsafe text { unsafe readlink(path, $0, 256) }
    }

    private static func contents(of path: String) -> String {
        let number = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard number >= 0 else { return "" }
        defer { close(number) }
        return unsafe text { unsafe read(number, $0, 256) }
    }

    /// Text of up to 256 bytes that `fill` stores.
    private static func text(_ fill: (UnsafeMutablePointer<CChar>) -> Int) -> String {
        var bytes = [CChar](repeating: 0, count: 256)
        let count = unsafe bytes.withUnsafeMutableBufferPointer { unsafe fill($0.baseAddress!) }
        return String(decoding: bytes.prefix(max(count, 0)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
