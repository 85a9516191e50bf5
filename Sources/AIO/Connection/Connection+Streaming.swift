// A long body that ends with a delimiter, in pieces as they come: what `DATA` of SMTP is followed by.

public import AIOBytes
import AIOFraming
import AIOKernel
import AIOWorkers

extension Connection {
    /// What comes before `delimiter`, in pieces as they arrive, and however much that is, up to `byteCountMax`; the delimiter is
    /// read, and not handed out. What follows it is cut as before.
    ///
    /// The connection is switched when this is called, and switched back when `body` returns, also if that has not read everything:
    /// what it has left is then cut as before, too, so read to the end unless the connection is closed anyway.
    /// - Throws: as reads do; `.frameTooLong` if `byteCountMax` bytes come without a delimiter; `.malformedFrame` if the stream
    ///   ends before it; `.invalidArgument` for an empty delimiter; what `body` throws.
    public func withStream<Result>(
        until delimiter: Bytes, byteCountMax: Int, isolation: isolated (any Actor)? = #isolation,
        _ body: (Pieces) async throws -> Result
    ) async throws -> Result {
        guard !delimiter.isEmpty else { throw AIOError(.invalidArgument, detail: "delimiter: has no bytes") }
        let end = StreamEnd()
        let framing = Framing.custom { StreamFramer(delimiter, byteCountMax: byteCountMax, end: end) }
        return try await withFraming(framing, isolation: isolation) { frames in
            try await body(Pieces(frames: frames.makeAsyncIterator(), end: end))
        }
    }

    /// The pieces of a body. One task at a time; ends behind the delimiter.
    public struct Pieces: AsyncSequence, AsyncIteratorProtocol {
        public typealias Element = Bytes
        public typealias Failure = any Error

        private var frames: Frames.Iterator
        private let end: StreamEnd
        private var count = 0

        init(frames: Frames.Iterator, end: StreamEnd) {
            self.frames = frames
            self.end = end
        }

        public func makeAsyncIterator() -> Pieces { self }

        public mutating func next() async throws -> Bytes? {
            while count != end.pieceCount {
                guard let piece = try await frames.next() else {
                    throw AIOError(
                        .malformedFrame, call: "read", detail: "the stream ended before the delimiter")
                }
                count += 1
                if !piece.isEmpty { return piece }
            }
            return nil
        }
    }
}
