// What happened in a simulation, line by line: steps of the host's schedule and the kernel calls inside them.
// Two runs of one seed are compared by it; a run that failed shows its end.

/// One line. Kept as values and put into words only when somebody reads it: most runs are read by nobody.
struct TraceLine: Equatable, CustomStringConvertible {
    let nanoseconds: UInt64
    let who: String
    let what: String
    /// What it was about: a descriptor, a count of nodes. Which one, `what` says.
    let subject: Int
    let result: Int

    var description: String {
        let microseconds = nanoseconds / 1_000
        return "\(microseconds) µs  \(who)  \(what) \(subject) → \(result)"
    }
}

/// The lines of one run, and what was wrong in it that did not end it at once.
///
/// Sendable, unchecked: a simulation and all its parts are used by the one thread that runs the test.
final class SimulationTrace: @unchecked Sendable {
    private(set) var lines: [TraceLine] = []
    /// Broken rules of the kernel: a double close, a call on a number that is not open.
    private(set) var violations: [String] = []
    /// Whose step is running.
    var who = "test"
    var nanoseconds: UInt64 = 0

    func note(_ what: String, _ subject: Int = 0, _ result: Int = 0) {
        lines.append(
            TraceLine(nanoseconds: nanoseconds, who: who, what: what, subject: subject, result: result))
    }

    func violation(_ text: String) {
        violations.append("\(who): \(text)")
        note("VIOLATION, number", violations.count)
    }

    /// The last lines, for a failure's message.
    func tail(_ count: Int = 40) -> String {
        lines.suffix(count).map { "    \($0)" }.joined(separator: "\n")
    }

    /// A number for all of it, the same in every process.
    var digest: UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for line in lines {
            for byte in line.description.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        }
        return hash
    }
}

/// Why a simulation could not go on.
struct SimulationFailure: Error, CustomStringConvertible {
    enum Kind: Equatable {
        /// Nobody can go on, and no deadline is near. A lost wake-up looks like this.
        case stalled
        /// Somebody goes on and on, and it comes to nothing.
        case endless
    }

    let kind: Kind
    let description: String
}
