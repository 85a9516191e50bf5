// What happened in a simulation, line by line: steps of the host's schedule and the kernel calls inside them.
// Two runs of one seed are compared by it; a run that failed shows its end.

package import AIOKernel

/// One line. Kept as values and put into words only when somebody reads it: most runs are read by nobody.
package struct TraceLine: Equatable, CustomStringConvertible {
    package let nanoseconds: UInt64
    package let who: String
    package let what: String
    /// What it was about: a descriptor, a count of nodes. Which one, `what` says.
    package let subject: Int
    package let result: Int
    /// A hop of a connection's bytes: then `subject` is the connection's number, and `result` counts bytes.
    package var isHop = false

    package var description: String {
        let microseconds = nanoseconds / 1_000
        if isHop {
            let bytes = result == 0 ? "" : ", \(result) bytes"
            return "\(microseconds) µs  \(who)  \(what)  connection \(subject)\(bytes)"
        }
        return "\(microseconds) µs  \(who)  \(what) \(subject) → \(result)"
    }
}

/// The lines of one run, and what was wrong in it that did not end it at once.
///
/// Sendable, unchecked: a simulation and all its parts are used by the one thread that runs the test.
package final class SimulationTrace: @unchecked Sendable {
    @safe @exclusivity(unchecked) package private(set) var lines: [TraceLine] = []
    /// Broken rules of the kernel: a double close, a call on a number that is not open.
    package private(set) var violations: [String] = []
    /// Whose step is running.
    @safe @exclusivity(unchecked) package var who = "test"
    @safe @exclusivity(unchecked) package var nanoseconds: UInt64 = 0

    package func note(_ what: String, _ subject: Int = 0, _ result: Int = 0) {
        lines.append(
            TraceLine(nanoseconds: nanoseconds, who: who, what: what, subject: subject, result: result))
    }

    package func note(_ hop: Hop, connection: UInt64, byteCount: Int) {
        lines.append(
            TraceLine(
                nanoseconds: nanoseconds, who: who, what: hop.rawValue, subject: Int(connection),
                result: byteCount, isHop: true))
    }

    package func violation(_ text: String) {
        violations.append("\(who): \(text)")
        note("VIOLATION, number", violations.count)
    }

    /// The last lines, for a failure's message: without those that only say whose turn it is, as each line says that.
    package func tail(_ count: Int = 40) -> String {
        lines.lazy.filter { $0.what != "step" }.suffix(count).map { "    \($0)" }.joined(separator: "\n")
    }

    /// The same with a heading.
    var summary: String { "  the last lines of \(lines.count):\n\(tail())" }

    /// A number for all of it, the same in every process.
    package var digest: UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for line in lines {
            for byte in line.description.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        }
        return hash
    }
}

extension SimulationTrace: HopTracer {}

/// Why a simulation could not go on.
package struct SimulationFailure: Error, CustomStringConvertible {
    package enum Kind: Equatable {
        /// Nobody can go on, and no deadline is near. A lost wake-up looks like this.
        case stalled
        /// Somebody goes on and on, and it comes to nothing.
        case endless
        /// Somebody broke a rule of the kernel.
        case broken
    }

    /// In a word or two.
    package var title: String {
        switch kind {
        case .stalled: "dead-lock"
        case .endless: "endless"
        case .broken: "broken"
        }
    }

    package let kind: Kind
    package let description: String
}
