// A body of any length up to a delimiter, in pieces as they come: each piece is a frame, so that a long body needs no memory of its
// length. Used by AIO's `withStream(until:)`.

package import AIOBytes
import Synchronization

/// Where the pieces of a body end: how many there are, once that is known.
///
/// Written by the framer, wherever the connection's bytes are cut; read by the task that reads the pieces, which took the last of
/// them from under the same lock afterwards.
package final class StreamEnd: Sendable {
    private let count = Atomic<Int>(0)

    package init() {}

    /// nil while the delimiter has not come. The last piece may be empty, the others are not.
    package var pieceCount: Int? {
        let count = count.load(ordering: .acquiring)
        return count == 0 ? nil : count
    }

    fileprivate func set(_ pieceCount: Int) { count.store(pieceCount, ordering: .releasing) }
}

/// Cuts a body into pieces, the last of which has the delimiter as its trailer. What comes behind that is left alone.
///
/// Bytes that may be the beginning of the delimiter are held back until that is known. How many of the last bytes are such a beginning
/// is kept as in the search of Knuth, Morris and Pratt (1977), so each byte is looked at once, or twice where a piece
/// was cut before it.
package struct StreamFramer: Framer {
    private let delimiter: [UInt8]
    /// For each beginning of the delimiter, how long the longest shorter one is that it ends with.
    private let borders: [Int]
    private let byteCountMax: Int
    private let end: StreamEnd
    private var byteCount = 0
    private var pieceCount = 0
    /// Of the piece under way: its bytes, and how many of the last ones are a beginning of the delimiter.
    private var unfinishedCount = 0
    private var matchedCount = 0

    package init(_ delimiter: Bytes, byteCountMax: Int, end: StreamEnd) {
        self.delimiter = Array(delimiter)
        self.byteCountMax = byteCountMax
        self.end = end
        var borders = [0]
        var border = 0
        for byte in self.delimiter.dropFirst() {
            while border > 0, self.delimiter[border] != byte { border = borders[border - 1] }
            if self.delimiter[border] == byte { border += 1 }
            borders.append(border)
        }
        self.borders = borders
    }

    /// No more is held back than may be the delimiter; what follows that is not a frame.
    package var frameByteCountMax: Int { 65_536 + 2 * delimiter.count }

    package mutating func advance(over bytes: RawSpan) -> FramerStep {
        if end.pieceCount != nil { return .incomplete }
        for index in 0..<bytes.byteCount {
            match(bytes.byte(at: index))
            if matchedCount == delimiter.count { return complete(index + 1, trailer: delimiter.count) }
        }
        // All but what may be the delimiter is certain; but a piece ends among these bytes, or not yet.
        let certain = bytes.byteCount - matchedCount
        if certain > 0 { return complete(certain, trailer: 0) }
        unfinishedCount += bytes.byteCount
        return .incomplete
    }

    private mutating func match(_ byte: UInt8) {
        while matchedCount > 0, delimiter[matchedCount] != byte { matchedCount = borders[matchedCount - 1] }
        if delimiter[matchedCount] == byte { matchedCount += 1 }
    }

    private mutating func complete(_ count: Int, trailer: Int) -> FramerStep {
        byteCount += unfinishedCount + count - trailer
        guard byteCount <= byteCountMax else { return .failed(.tooLong(byteCountMax: byteCountMax)) }
        pieceCount += 1
        unfinishedCount = 0
        matchedCount = 0
        if trailer > 0 { end.set(pieceCount) }
        return .complete(byteCount: count, header: 0, trailer: trailer)
    }

    package mutating func streamEnded() -> UnfinishedFrame { .fail(.unfinished) }
}
