// Bytes that say where in a stream they belong, so that a receiver can check every one of them.

import AIO
import AIOTesting
import Testing

/// A stream of bytes without end in which each position is known.
enum Tape {
    private static let period = 65_521
    private static let byteCountMax = 7 * period
    /// Periods, one more than are asked for at once, so that any slice is contiguous.
    private static let block: Bytes = {
        let once = (0..<UInt64(period)).map { UInt8(truncatingIfNeeded: ($0 &* 0x9e37_79b9_7f4a_7c15) >> 56) }
        return Bytes((0..<8).flatMap { _ in once })
    }()

    /// The bytes at `position`.
    static func bytes(at position: Int = 0, count: Int) -> Bytes {
        precondition(count <= byteCountMax, "a tape is read in pieces of \(byteCountMax) bytes")
        let start = block.startIndex + position % period
        return block[start..<start + count]
    }

    static func matches(_ bytes: Bytes, at position: Int = 0) -> Bool {
        var rest = bytes
        while !rest.isEmpty {
            let count = min(rest.count, period)
            guard rest.prefix(count) == self.bytes(at: position + bytes.count - rest.count, count: count)
            else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }
}

struct TapeBroken: Error { let position: Int }

extension MockPeer {
    /// The next bytes are those of the tape.
    func expectTape(
        from position: Int = 0, _ byteCount: Int, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let step = 32_768
        for start in stride(from: 0, to: byteCount, by: step) {
            let expected = Tape.bytes(at: position + start, count: min(step, byteCount - start))
            try await expect(expected, sourceLocation: sourceLocation)
        }
    }

    /// How many bytes come until the other side ends in order, all of them the tape's.
    func receiveTape(
        from position: Int = 0, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> Int {
        let bytes = try await receiveToEnd(sourceLocation: sourceLocation)
        guard Tape.matches(bytes, at: position) else { throw TapeBroken(position: position) }
        return bytes.count
    }

    func sendTape(from position: Int = 0, _ byteCount: Int) async throws {
        let step = 16_384
        for start in stride(from: 0, to: byteCount, by: step) {
            try await send(Tape.bytes(at: position + start, count: min(step, byteCount - start)))
        }
    }
}
