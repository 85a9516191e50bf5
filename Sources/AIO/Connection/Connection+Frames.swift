// Reading frames: `for try await line in connection.lines` and its relatives, and switching in mid-stream. The cutting is done in
// AIOFraming, on the worker, and the waiting in AIOWorkers (ConnectionCore+Framing).

public import AIOBytes
public import AIOFraming
import AIOKernel
import AIOWorkers

/// Of a connection that has a framing, `read(atMost:)` and `chunks` hand out whole frames, too; reads of a count of
/// bytes are for connections without.
extension Connection {
    /// How the connection's bytes are cut now.
    public var framing: Framing { core.framing ?? .raw }

    /// Cuts what has been received and not read yet, and what comes, by `framing`; `.raw` hands out bytes as they come.
    ///
    /// Nothing is lost: frames that were cut and not read are put together with what followed them, delimiters and lengths
    /// included, and cut anew. Returns at once.
    /// - Parameters:
    ///   - isFiltered: whether the filter of the connection's options judges these frames: that was written for
    ///     other frames, as a rule, so it does not unless asked.
    ///   - unread: bytes that were read too far, and come first once more.
    /// - Throws: `.misuse` while a task waits to read; `.invalidArgument` for a framing that makes no sense; `.limitReached`
    ///   for one whose frames may be larger than half of `inboundByteCountMax`.
    public func frame(
        by framing: Framing, isFiltered: Bool = false, unread: Bytes = Bytes()
    ) throws(AIOError) {
        _ = try core.setFraming(framing.isRaw ? nil : framing, isFiltered: isFiltered, unread: unread)
    }

    /// Lines, without their endings: by the connection's framing, if that is one of lines; else it is switched to `.lines()` when
    /// the first is asked for, and stays so.
    public var lines: Frames { Frames(connection: self, framing: nil) }

    /// Frames of this framing, to which the connection is switched when the first is asked for, and then keeps.
    public func frames(_ framing: Framing) -> Frames { Frames(connection: self, framing: framing) }

    /// Runs `body` with frames of another framing, and then cuts as before: a body behind a head, a literal within lines.
    /// What `body` leaves unread is cut by what was before.
    ///
    /// Suspends for as long as `body` takes; what cancelling does is up to it.
    /// - Throws: as `frame(by:)` does; what `body` throws.
    public func withFraming<Result>(
        _ framing: Framing, isolation: isolated (any Actor)? = #isolation,
        _ body: (Frames) async throws -> Result
    ) async throws -> Result {
        let before = try core.setFraming(framing.isRaw ? nil : framing, isFiltered: false)
        do {
            let result = try await body(Frames(connection: self, framing: nil, isSet: true))
            _ = try core.setFraming(before.framing, isFiltered: before.isFiltered)
            return result
        } catch {
            _ = try? core.setFraming(before.framing, isFiltered: before.isFiltered)
            throw error
        }
    }

    /// The frames of a connection, as an asynchronous sequence. Ends with the stream; can be left and begun anew.
    ///
    /// Suspends until a whole frame is there. Throws as `read(atMost:)` does, and `.frameTooLong` or `.malformedFrame` where the
    /// stream cannot be cut: then the connection is closed, after what was written before.
    public struct Frames: AsyncSequence, Sendable {
        public typealias Element = Bytes
        public typealias Failure = any Error

        let connection: Connection
        /// nil: lines, however they are cut.
        let framing: Framing?
        var isSet = false

        public func makeAsyncIterator() -> Iterator {
            Iterator(connection: connection, framing: framing, isSet: isSet)
        }

        public struct Iterator: AsyncIteratorProtocol {
            @usableFromInline let connection: Connection
            private let framing: Framing?
            @usableFromInline var isSet: Bool

            init(connection: Connection, framing: Framing?, isSet: Bool) {
                self.connection = connection
                self.framing = framing
                self.isSet = isSet
            }

            @inlinable @inline(__always) public mutating func next() async throws -> Bytes? {
                if !isSet { try set() }
                return try await connection.read()
            }

            @inlinable @inline(__always)
            public mutating func next(isolation actor: isolated (any Actor)?) async throws -> Bytes? {
                if !isSet { try set() }
                return try await connection.read()
            }

            @usableFromInline mutating func set() throws {
                if let framing {
                    try connection.frame(by: framing)
                } else if connection.core.framing?.isLines != true {
                    try connection.frame(by: .lines())
                }
                isSet = true
            }
        }
    }
}
