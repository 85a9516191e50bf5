// What filters did, in numbers: whoever takes a frame that was judged counts it, anybody reads.

import Synchronization

/// Counts of one filter for the connections of one worker: one for each rule, and one for `otherwise`.
///
/// The worker counts, and so do handlers that run elsewhere. All accesses are relaxed: a count is a number of its own and
/// says nothing about other memory.
@safe
package final class FilterCounters: @unchecked Sendable {
    // Proof for @unchecked Sendable: the fields are constants, and what the pointer leads to are atomics.

    private let names: [String]
    /// One for each rule, in order, and then one for `otherwise`, in cache lines that hold nothing else: counting on one
    /// worker takes nothing from the cache of another.
    private let cells: UnsafeMutablePointer<Atomic<UInt64>>

    private static let cacheLineByteCount = 64

    package init(for filter: FrameFilter) {
        names = filter.ruleNames
        let byteCount = (names.count + 1) * MemoryLayout<Atomic<UInt64>>.stride
        let lines = (byteCount + Self.cacheLineByteCount - 1) / Self.cacheLineByteCount
        let memory = UnsafeMutableRawPointer.allocate(
            byteCount: lines * Self.cacheLineByteCount, alignment: Self.cacheLineByteCount)
        // SAFETY: the memory has room for so many, aligned, and each is initialised before the pointer is used.
        unsafe cells = memory.bindMemory(to: Atomic<UInt64>.self, capacity: names.count + 1)
        for index in 0...names.count {
            unsafe (cells + index).initialize(to: Atomic(0))
        }
    }

    deinit {
        // SAFETY: allocated and initialised in `init`; nobody holds this object any more.
        unsafe cells.deinitialize(count: names.count + 1)
        unsafe UnsafeMutableRawPointer(cells).deallocate()
    }

    /// Counts by `FrameFilter.number(of:)`. Any thread.
    package func count(_ number: UInt16) {
        let index = Int(number)
        precondition(index <= names.count, "a judgement of another filter")
        // SAFETY: the index is in bounds; see `init`.
        unsafe cells[index].wrappingAdd(1, ordering: .relaxed)
    }

    /// The counts now. Any thread.
    package var counts: FilterCounts {
        // SAFETY: the indices are in bounds; see `init`.
        FilterCounts(
            rules: names.indices.map {
                unsafe FilterCounts.Rule(name: names[$0], count: cells[$0].load(ordering: .relaxed))
            },
            otherwise: unsafe cells[names.count].load(ordering: .relaxed))
    }
}

/// How many frames each rule of a filter has decided about.
///
/// Read while workers count, the numbers may be a moment apart.
public struct FilterCounts: Sendable, Hashable {
    public struct Rule: Sendable, Hashable {
        public let name: String
        public fileprivate(set) var count: UInt64
    }

    /// In the rules' order.
    public private(set) var rules: [Rule]
    /// Frames that no rule matched.
    public private(set) var otherwise: UInt64

    fileprivate init(rules: [Rule], otherwise: UInt64) {
        self.rules = rules
        self.otherwise = otherwise
    }

    /// All frames that were judged.
    public var total: UInt64 { rules.reduce(otherwise) { $0 + $1.count } }

    /// The count of the rule of this name, or nil if there is none.
    public subscript(name: String) -> UInt64? {
        rules.first { $0.name == name }?.count
    }

    /// Adds what another worker has counted of the same filter.
    public static func += (sum: inout FilterCounts, other: FilterCounts) {
        precondition(sum.rules.map(\.name) == other.rules.map(\.name), "counts of different filters")
        for index in sum.rules.indices { sum.rules[index].count += other.rules[index].count }
        sum.otherwise += other.otherwise
    }
}
