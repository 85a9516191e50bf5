// The part of a frame behind its length, for the framers that read one: how much of it is still to come, and
// what becomes of a length that is too long.

/// A payload whose length is known.
struct SizedPayload: Sendable {
    let byteCountMax: Int
    let truncates: Bool

    /// Bytes of the frame still to come.
    private(set) var missing = 0
    /// Bytes that follow the frame and are to be discarded, because it is cut short.
    private(set) var excess: UInt64 = 0

    init(byteCountMax: Int, truncates: Bool) {
        self.byteCountMax = byteCountMax
        self.truncates = truncates
    }

    /// A length has been read. Any number is one: nothing is added to it before it is compared.
    mutating func begin(byteCount: UInt64) -> FramingError? {
        if byteCount <= UInt64(clamping: byteCountMax) {
            missing = Int(byteCount)
            return nil
        }
        guard truncates else { return .tooLong(byteCountMax: byteCountMax) }
        missing = max(0, byteCountMax)
        excess = byteCount - UInt64(missing)
        return nil
    }

    /// Takes what is missing out of `available` bytes: how many that were, and whether all is there now.
    mutating func take(from available: Int) -> (taken: Int, isComplete: Bool) {
        let taken = min(missing, available)
        missing -= taken
        return (taken, missing == 0)
    }

    /// Takes as much of what is to be discarded as there is in `available` bytes.
    mutating func discard(from available: Int) -> Int {
        let taken = Int(min(excess, UInt64(available)))
        excess -= UInt64(taken)
        return taken
    }
}
