// Actor handlers that are called with whole lines or frames, and with raw bytes between them: Twisted's LineReceiver, awaited.

public import AIOBytes
public import AIOFraming
public import AIOKernel
import AIOWorkers

/// An actor that handles one connection, frame by frame.
///
/// ```swift
/// actor Shout: FrameHandler {
///     nonisolated static var framing: Framing { .netstrings() }
///     …
///     func frameReceived(_ frame: Bytes) async throws { … }
/// }
/// ```
///
/// The calls are those of `ConnectionHandler`, of which it is one: the next is made when the one before has returned.
public protocol FrameHandler: ConnectionHandler {
    /// How its connections' bytes are cut from the beginning, unless the server's options say it.
    static var framing: Framing { get }
    /// A whole frame, without delimiters and lengths.
    func frameReceived(_ frame: Bytes) async throws
    /// Bytes that came while the framing was `.raw`.
    func rawReceived(_ bytes: Bytes) async throws
}

extension FrameHandler {
    public func rawReceived(_ bytes: Bytes) async throws {}

    public func dataReceived(_ bytes: Bytes) async throws {
        if connection.core.isFramed { try await frameReceived(bytes) } else { try await rawReceived(bytes) }
    }

    /// Before the first call: if the options say nothing of frames, the handler does.
    nonisolated func beginFraming() throws(AIOError) {
        if connection.core.sink.framePolicy == nil { try connection.frame(by: Self.framing) }
    }

    /// The connection hands out bytes as they come from here on, beginning with what has been received already.
    public func setRawMode() throws(AIOError) { try connection.frame(by: .raw) }

    /// The connection hands out frames again, of `framing` or those it began with. `unread`: what `rawReceived` got beyond
    /// the raw bytes, which are cut first.
    public func setFrameMode(
        _ framing: Framing? = nil, isFiltered: Bool = true, unread: Bytes = Bytes()
    ) throws(AIOError) {
        let first = connection.core.sink.framePolicy?.framing ?? Self.framing
        try connection.frame(by: framing ?? first, isFiltered: isFiltered, unread: unread)
    }
}

/// A `FrameHandler` for lines.
///
/// ```swift
/// actor Shout: LineHandler {
///     let connection: Connection
///     init(_ connection: Connection) { self.connection = connection }
///     func lineReceived(_ line: Bytes) async throws { try await connection.write("\\(line)!\\r\\n") }
/// }
/// ```
public protocol LineHandler: FrameHandler {
    /// A whole line, without its ending.
    func lineReceived(_ line: Bytes) async throws
}

extension LineHandler {
    /// Lines of at most 8 KiB, with CR LF or LF.
    public static var framing: Framing { .lines() }
    public func frameReceived(_ frame: Bytes) async throws { try await lineReceived(frame) }
    /// `setFrameMode`, by its usual name.
    public func setLineMode(unread: Bytes = Bytes()) throws(AIOError) { try setFrameMode(unread: unread) }
}
