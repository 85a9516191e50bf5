// What the client is told: a code, an enhanced status code, and words.

public import AIO

/// A reply (RFC 5321, section 4.2; status codes by RFC 2034 and RFC 3463). Also what parsers throw.
public struct Reply: Error, Sendable, Hashable {
    public let code: Int
    /// Such as `5.5.1`; nil for the greeting and for replies to HELO and EHLO, which have none.
    public let status: String?
    /// At least one; all but the last with a hyphen behind the code.
    public let lines: [String]
    /// Whether the connection ends behind it.
    public let closes: Bool

    public init(_ code: Int, _ status: String?, _ lines: String..., closes: Bool = false) {
        self.init(code, status, lines: lines, closes: closes)
    }

    public init(_ code: Int, _ status: String?, lines: [String], closes: Bool = false) {
        self.code = code
        self.status = status
        self.lines = lines
        self.closes = closes
    }

    /// As it is sent.
    public var bytes: Bytes {
        var text = ""
        for (index, line) in lines.enumerated() {
            text += "\(code)\(index == lines.count - 1 ? " " : "-")"
            if let status { text += "\(status) " }
            text += "\(line)\r\n"
        }
        return Bytes(text)
    }
}
