// What a server allows, and says of itself: the part of its options that sessions and replies need.

/// Limits and names that the replies of a session depend on.
public struct SessionRules: Sendable {
    public var hostname = "localhost"
    /// Of a message, without the dots that only its transport needs, and without the trace header.
    public var messageByteCountMax = 32 << 20
    /// RFC 5321 asks for 100 at least.
    public var recipientsMax = 100

    public init() {}

    var tooLarge: Reply {
        Reply(552, "5.3.4", "a message may have \(messageByteCountMax) bytes here")
    }

    /// What EHLO is told; `SinkFilter` and the parsers are what keeps these promises.
    var extensions: [String] {
        [
            "PIPELINING", "SIZE \(messageByteCountMax)", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES",
            "CHUNKING", "HELP",
        ]
    }
}
