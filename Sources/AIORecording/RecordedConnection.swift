// A connection of a handler's own, recorded where it is used: what the handler reads and writes passes through this value,
// which writes it down. For handlers that can take it in a connection's place; for all others there is recordingRelay.

public import AIO
public import AIOBytes
public import AIOKernel
public import AIOWorkers

extension ConnectionRecorder {
    /// Runs `body` with a connection that records what passes: what the other side sends when it is read, what this side
    /// sends when it is written.
    ///
    /// ```swift
    /// try await server.serve { connection in
    ///     try await ConnectionRecorder(to: path).record(connection) { connection in
    ///         for try await bytes in connection.chunks { try await connection.write(bytes) }
    ///     }
    /// }
    /// ```
    ///
    /// This side is the server of the recording if the connection was accepted, the client if it was made with `connect`.
    /// When `body` returns, the connection is closed gracefully (cut, if it throws a `CancellationError`), as the owner of a
    /// connection does, and the recording ends with this side's end: what the other side sends after that is not in it.
    /// Suspends until `body` has ended and the recording is written; the connection does not wait for that.
    /// - Throws: what `body` throws; `.misuse` if the recorder has been used before.
    public func record<Result>(
        _ connection: Connection, _ body: (RecordedConnection) async throws -> Result
    ) async throws -> Result {
        let recorded = RecordedConnection(connection, recorder: self)
        try begin(on: connection)
        do {
            let result = try await body(recorded)
            recorded.close()
            await finish()
            return result
        } catch {
            if error is CancellationError { recorded.abort() } else { recorded.close() }
            await finish()
            throw error
        }
    }
}

/// A connection that writes down what passes. A value like `Connection`: all copies stand for the same connection. Its
/// methods do what those of `Connection` do, suspend, are cancelled and throw as those.
public struct RecordedConnection: Sendable {
    /// The connection itself. What is read and written here is not recorded.
    public let connection: Connection
    private let recorder: ConnectionRecorder
    /// Who this side is in the recording, and who the other.
    private let side: Recording.Side
    private let otherSide: Recording.Side

    fileprivate init(_ connection: Connection, recorder: ConnectionRecorder) {
        self.connection = connection
        self.recorder = recorder
        (side, otherSide) = connection.isAccepted ? (.server, .client) : (.client, .server)
    }

    // MARK: Reading

    /// What arrives, in the pieces it was received in, until the peer ends its side.
    public var chunks: Chunks { Chunks(connection: self) }

    /// As `Connection.read(atMost:)`; the end of the stream is recorded with the read that finds it.
    public func read(atMost byteCountMax: Int = .max) async throws -> Bytes? {
        try await noting { try await connection.read(atMost: byteCountMax) }
    }

    /// As `Connection.read(exactly:)`: recorded as one piece.
    public func read(exactly byteCount: Int) async throws -> Bytes? {
        try await noting { try await connection.read(exactly: byteCount) }
    }

    /// As `Connection.readAll(atMost:)`: recorded as one piece, and the end.
    public func readAll(atMost byteCountMax: Int) async throws -> Bytes {
        let all = try await noting { try await connection.readAll(atMost: byteCountMax) as Bytes? } ?? Bytes()
        recorder.noteEnd(of: otherSide, on: connection)
        return all
    }

    /// The next bytes, without taking them: they are recorded when they are read.
    public func peek(atLeast byteCount: Int = 1) async throws -> Bytes? {
        try await noting(isTaken: false) { try await connection.peek(atLeast: byteCount) }
    }

    private func noting(
        isTaken: Bool = true, _ read: () async throws -> Bytes?
    ) async throws -> Bytes? {
        do {
            let bytes = try await read()
            guard let bytes else {
                recorder.noteEnd(of: otherSide, on: connection)
                return nil
            }
            if isTaken, !bytes.isEmpty { recorder.note(otherSide, .bytes(bytes)) }
            return bytes
        } catch {
            recorder.noteFailure(error, of: otherSide, on: connection)
            throw error
        }
    }

    // MARK: Writing

    /// As `Connection.write(_:)`. If it is cancelled, and so has sent nothing, the recording is cut there.
    public func write(_ bytes: Bytes) async throws { try await write([bytes]) }

    /// As `Connection.write(_:)` of several parts: recorded as one piece.
    public func write(_ parts: [Bytes]) async throws {
        // Before it is sent: an answer to it is to come after it.
        recorder.note(side, .bytes(parts.count == 1 ? parts[0] : Bytes(joining: parts)))
        do {
            try await connection.write(parts)
        } catch {
            // It was not sent, and the recording has it: what follows would be read wrongly.
            if error is CancellationError { recorder.end(.cut("a write was cancelled")) }
            recorder.noteFailure(error, of: otherSide, on: connection)
            throw error
        }
    }

    /// As `Connection.send(_:)`. What is refused is not recorded.
    @discardableResult
    public func send(_ bytes: Bytes) -> SendOutcome { send([bytes]) }

    /// As `Connection.send(_:)` of several parts: recorded as one piece.
    @discardableResult
    public func send(_ parts: [Bytes]) -> SendOutcome {
        recorder.note(side, unlessRefused: parts) { connection.send(parts) }
    }

    /// As `Connection.flush()`.
    public func flush() async throws { try await connection.flush() }

    // MARK: Ending

    /// Ends this side's writing, as `Connection.finish()`.
    public func finish() {
        recorder.note(side, .end)
        connection.finish()
    }

    /// Closes the connection gracefully, as `Connection.close()`; the recording ends with this side's end.
    public func close() {
        recorder.note(side, .end)
        recorder.end(.closed)
        connection.close()
    }

    /// Cuts the connection, as `Connection.abort()`; the recording ends with this side's reset.
    public func abort() {
        recorder.note(side, .reset)
        recorder.end(.closed)
        connection.abort()
    }

    // MARK: Knowing

    /// The other side.
    public var peer: Endpoint { connection.peer }
    /// This side; nil until the connection is made.
    public var local: Endpoint? { connection.local }
    /// The proactor that the connection belongs to.
    public var proactor: Proactor? { connection.proactor }

    /// What arrives on a connection, as an asynchronous sequence.
    public struct Chunks: AsyncSequence, Sendable {
        public typealias Element = Bytes
        public typealias Failure = any Error

        fileprivate let connection: RecordedConnection

        public func makeAsyncIterator() -> Iterator { Iterator(connection: connection) }

        public struct Iterator: AsyncIteratorProtocol {
            fileprivate let connection: RecordedConnection

            public mutating func next() async throws -> Bytes? { try await connection.read() }

            public mutating func next(isolation actor: isolated (any Actor)?) async throws -> Bytes? {
                try await connection.read()
            }
        }
    }
}
