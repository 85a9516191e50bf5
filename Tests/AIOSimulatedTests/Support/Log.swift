// What handlers leave for the test, and where they wait for it.

/// Values in the order in which they came.
///
/// Sendable, unchecked: of one simulation's thread.
final class Log<Value: Sendable>: @unchecked Sendable {
    private(set) var values: [Value] = []
    func add(_ value: Value) { values.append(value) }
    func removeAll() { values = [] }
    var count: Int { values.count }
}

/// Tasks wait here until it is opened, whether or not they are cancelled.
///
/// Sendable, unchecked: of one simulation's thread.
final class Gate: @unchecked Sendable {
    private var isOpen = false
    private var waiting: [CheckedContinuation<Void, Never>] = []

    func wait() async {
        await withCheckedContinuation { continuation in
            if isOpen { continuation.resume() } else { waiting.append(continuation) }
        }
    }

    func open() {
        isOpen = true
        for continuation in waiting { continuation.resume() }
        waiting = []
    }

    /// How many wait.
    var count: Int { waiting.count }
}
