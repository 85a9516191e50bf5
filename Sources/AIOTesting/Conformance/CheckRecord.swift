// What happens during one check of a transport: the first thing that went wrong, and what is being waited
// for.

import AIO
import AIOKernel

/// Thrown by a check that has recorded why it stops.
struct CheckStopped: Error {}

/// The record of one check. Whoever finds something wrong stops the check; what follows from stopping is not
/// recorded.
///
/// Sendable, unchecked: what changes is under `lock`.
final class CheckRecord: @unchecked Sendable {
    /// How an operation ended.
    enum Outcome<Value> {
        case value(Value)
        case failed(TransportFailure)
    }

    private let options: TransportCheckOptions
    private let lock = PosixLock()
    private var firstFailure: String?
    private var underWay: [(number: Int, what: String)] = []
    private var lastNumber = 0
    /// Wakes whatever waits at either end.
    private var abort: (@Sendable () async -> Void)?

    init(options: TransportCheckOptions) { self.options = options }

    var failure: String? { lock.withLock { firstFailure } }

    /// There is a pair.
    func began(abort: @escaping @Sendable () async -> Void) { lock.withLock { self.abort = abort } }

    var hasBegun: Bool { lock.withLock { abort != nil } }

    // MARK: Failing

    /// The first counts. Both ends are aborted, so that nothing that hangs keeps the check from ending.
    func note(_ text: String) {
        let abort = lock.withLock {
            let isFirst = firstFailure == nil
            if isFirst { firstFailure = text }
            return isFirst ? self.abort : nil
        }
        guard let abort else { return }
        Task(executorPreference: CheckTime.executor) { await abort() }
    }

    func fail(_ text: String) throws(CheckStopped) -> Never {
        note(text)
        throw CheckStopped()
    }

    /// The check has taken too long.
    func hangs(after limit: Duration) {
        let pending = lock.withLock { underWay.map(\.what) }
        let list = pending.isEmpty ? "nothing that is known" : pending.joined(separator: "; ")
        note("has not ended after \(limit). Under way: \(list)")
    }

    // MARK: Steps

    /// Runs `body`, which must not throw.
    func step<Value>(_ what: String, _ body: () async throws -> Value) async throws -> Value {
        do {
            return try await named(what, body)
        } catch let stopped as CheckStopped {
            throw stopped
        } catch {
            try fail("\(what): \(error)")
        }
    }

    /// Runs `body`, which may throw a failure of a known kind.
    func outcome<Value>(of what: String, _ body: () async throws -> Value) async throws -> Outcome<Value> {
        do {
            return .value(try await named(what, body))
        } catch let stopped as CheckStopped {
            throw stopped
        } catch {
            guard let failure = options.failure(error) else { try fail("\(what): \(error)") }
            return .failed(failure)
        }
    }

    /// Runs `body`, which must throw a failure of one of these kinds.
    func expect<Value>(
        _ kinds: TransportFailure..., from what: String, _ body: () async throws -> Value
    ) async throws {
        let expected = kinds.map { "\($0)" }.joined(separator: " or ")
        switch try await outcome(of: what, body) {
        case .value: try fail("\(what): expected \(expected), but it returned")
        case .failed(let kind):
            if !kinds.contains(kind) { try fail("\(what): expected \(expected), but it threw \(kind)") }
        }
    }

    private func named<Value>(_ what: String, _ body: () async throws -> Value) async throws -> Value {
        let number = lock.withLock {
            lastNumber += 1
            underWay.append((lastNumber, what))
            return lastNumber
        }
        defer { lock.withLock { underWay.removeAll { $0.number == number } } }
        return try await body()
    }
}

extension CheckRecord.Outcome: Sendable where Value: Sendable {}
