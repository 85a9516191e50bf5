// Where a run departs from the plain one: turns taken out of turn, calls cut short, faults. Counted, so that a failing run can
// be made again with only some of them. Asked by whoever draws; chosen among by ShrunkRun.

/// The deviations of one run, numbered from 1 in the order in which they come up.
///
/// A choice is a deviation if it is not what the plain run would do: another runner than the next in turn, another job than the
/// first, a preemption, a piece or a write that is shorter than it could be, a datagram that is lost, doubled or held up, a fault
/// of a rule. What is not kept is done as in the plain run; the draws are made all the same, so that the others stay
/// what they were as far as that is possible: what comes after a deviation that is missing is another run.
///
/// Sendable, unchecked: see `Runner`.
package final class Deviations: @unchecked Sendable {
    private let kept: DeviationSet?
    /// How many have come up.
    @safe @exclusivity(unchecked) private(set) var count = 0

    /// nil keeps all.
    package init(keeping kept: DeviationSet? = nil) { self.kept = kept }

    /// One has come up; false if it is to be left out.
    func takes() -> Bool {
        count += 1
        return kept?.contains(count) ?? true
    }
}

/// Numbers of deviations, in text as a failed test prints them: `3,17-20`.
package struct DeviationSet: Sendable, Hashable, CustomStringConvertible {
    /// In ascending order, apart from each other.
    private var ranges: [ClosedRange<Int>]

    /// - Parameter numbers: in ascending order, none twice.
    package init(_ numbers: some Sequence<Int>) {
        ranges = []
        for number in numbers {
            if let last = ranges.last, last.upperBound + 1 == number {
                ranges[ranges.count - 1] = last.lowerBound...number
            } else {
                ranges.append(number...number)
            }
        }
    }

    /// nil if that is not such a text.
    package init?(parsing text: some StringProtocol) {
        var ranges: [ClosedRange<Int>] = []
        for part in text.split(separator: ",") {
            let bounds = part.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
            guard let first = bounds[0], let last = bounds[bounds.count - 1], bounds.count <= 2 else {
                return nil
            }
            guard first <= last, first > ranges.last?.upperBound ?? 0 else { return nil }
            ranges.append(first...last)
        }
        self.ranges = ranges
    }

    package var count: Int { ranges.reduce(0) { $0 + $1.count } }
    package var numbers: [Int] { ranges.flatMap { Array($0) } }

    func contains(_ number: Int) -> Bool {
        for range in ranges where range.contains(number) { return true }
        return false
    }

    package var description: String {
        ranges.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }
            .joined(separator: ",")
    }
}
