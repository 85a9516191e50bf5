// Everything that can be chosen about a sink, and what follows from it for the server that carries it.

public import AIO
import Glibc

/// A sink's limits, names and store.
public struct SinkOptions: Sendable {
    public var rules = SessionRules()
    public var store: any MessageStore = CountingStore()
    public let counts = SinkCounts()
    /// How long the text of a message, or a chunk of it, may take to come and be stored.
    public var dataTimeout: Duration = .seconds(600)
    /// How long a client may be silent (RFC 5321, section 4.5.3.2.7).
    public var idleTimeout: Duration = .seconds(300)
    public var connectionsMax: Int?
    /// The time for Received: lines, in seconds since 1970.
    public var now: @Sendable () -> Int = { time(nil) }

    public init() {}

    /// Lines as SMTP has them: CR LF alone ends one, and half a line at the stream's end is none. A longer
    /// one is cut, so that the filter sees that it is too long, and can say so without ending the session.
    public func serverOptions() throws -> ServerOptions {
        var options = ServerOptions()
        options.framing = .lines(
            ending: .crlf, byteCountMax: SinkFilter.mailLineByteCountMax + 1, overlong: .truncate,
            unterminated: .fail)
        options.filter = try SinkFilter.make(rules: rules)
        options.connectionsMax = connectionsMax
        options.refusal = .reply("421 4.3.2 too many connections; try again later\r\n")
        var limits = ConnectionLimits()
        limits.idleTimeout = idleTimeout
        options.connection = limits
        return options
    }
}
