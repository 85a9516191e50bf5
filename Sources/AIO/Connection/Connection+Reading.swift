// Straight-line reading: `for try await chunk in connection.chunks` and its relatives. The waiting is done in
// AIOWorkers (ConnectionCore+Reading).

public import AIOBytes
import AIOKernel
import AIOWorkers

/// Reading is for connections of `serve` and `connect`; what arrives on connections of the event stream comes
/// as events, and to read one is an error.
///
/// One task at a time may read; a second read while one waits throws `.misuse`. Another task may write
/// meanwhile. All reads suspend only when what they want has not arrived yet, and throw
/// - `CancellationError` if the task is cancelled. Nothing is lost: bytes that have arrived stay for the next
///   read;
/// - `.connectionReset`, `.timedOut` (the idle or write-progress timeout closed it), `.closed` (this side closed
///   it), `.shutDown`, once everything that arrived before has been read.
extension Connection {
    /// What arrives, in the pieces it was received in, until the peer ends its side.
    ///
    /// The sequence can be begun and left any number of times; each piece is handed out once.
    public var chunks: Chunks { Chunks(connection: self) }

    /// At least one byte and at most `byteCountMax`; nil at the end of the stream.
    // Inlined into the handler, because an asynchronous call costs as much as all the rest of a read: a frame, and
    // two visits to the task's executor.
    @inlinable @inline(__always)
    public func read(atMost byteCountMax: Int = .max) async throws -> Bytes? {
        var attempt = try tryRead(atMost: byteCountMax)
        while true {
            switch attempt {
            case .bytes(let bytes): return bytes
            case .end: return nil
            case .waitAsOwner: unsafe await withUnsafeContinuation { unsafe suspendReader($0) }
            case .wait(let number): await waitForInput(number)
            }
            attempt = try readAgain(atMost: byteCountMax)
        }
    }

    /// What a read found: see `ConnectionCore.ReadAttempt`.
    @usableFromInline enum ReadAttempt {
        case bytes(Bytes)
        case end
        case waitAsOwner
        case wait(number: UInt32)

        init(_ attempt: ConnectionCore.ReadAttempt) {
            switch attempt {
            case .bytes(let bytes): self = .bytes(bytes)
            case .end: self = .end
            case .wait(_, isOwner: true): self = .waitAsOwner
            case .wait(let number, isOwner: false): self = .wait(number: number)
            }
        }
    }

    @usableFromInline func tryRead(atMost byteCountMax: Int) throws -> ReadAttempt {
        ReadAttempt(try core.tryRead(atMost: byteCountMax))
    }

    @usableFromInline func readAgain(atMost byteCountMax: Int) throws -> ReadAttempt {
        ReadAttempt(try core.readAgain(atMost: byteCountMax))
    }

    @usableFromInline func suspendReader(_ continuation: UnsafeContinuation<Void, Never>) {
        unsafe core.suspendReader(continuation)
    }

    @usableFromInline func waitForInput(_ number: UInt32) async { await core.waitForInput(number) }

    /// Exactly `byteCount` bytes in one piece; nil if the stream ends before the first of them.
    ///
    /// A read of more than the receive window widens it while it waits.
    /// - Throws: `.connectionClosedEarly` if the stream ends in the middle, in which case what has arrived can
    ///   still be read; `.limitReached` for more than half of `EngineConfiguration.inboundByteCountMax`.
    public func read(exactly byteCount: Int) async throws -> Bytes? {
        try await core.read(exactly: byteCount, memoryMax: readMax)
    }

    /// Everything up to the end of the stream, in one piece; empty if nothing comes.
    /// - Throws: `.limitReached` once more than `byteCountMax` bytes have come, all of which can still be read.
    public func readAll(atMost byteCountMax: Int) async throws -> Bytes {
        try await core.readAll(atMost: byteCountMax, memoryMax: readMax)
    }

    /// The next bytes, at least `byteCount` of them in one piece, without taking them; fewer only if the stream
    /// ends after them, nil at its end.
    public func peek(atLeast byteCount: Int = 1) async throws -> Bytes? {
        try await core.peek(atLeast: byteCount, memoryMax: readMax)
    }

    private var readMax: Int { core.worker.configuration.inboundByteCountMax / 2 }

    /// What arrives on a connection, as an asynchronous sequence.
    public struct Chunks: AsyncSequence, Sendable {
        public typealias Element = Bytes
        public typealias Failure = any Error

        @usableFromInline let connection: Connection

        @inlinable public func makeAsyncIterator() -> Iterator { Iterator(connection: connection) }

        public struct Iterator: AsyncIteratorProtocol {
            @usableFromInline let connection: Connection

            @usableFromInline init(connection: Connection) { self.connection = connection }

            @inlinable @inline(__always) public mutating func next() async throws -> Bytes? {
                try await connection.read()
            }

            @inlinable @inline(__always)
            public mutating func next(isolation actor: isolated (any Actor)?) async throws -> Bytes? {
                try await connection.read()
            }
        }
    }
}
