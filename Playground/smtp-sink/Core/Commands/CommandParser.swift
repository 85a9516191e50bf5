// From a line to a command, or to the reply that says what is wrong with it. Lines come from the handler,
// without their CR LF.

public import AIO

/// Parses command lines. Throws the `Reply` that a line deserves which is no command.
///
/// Strict where the standard is: no spaces around the colon of a path, one space before a parameter. Who
/// tests a client with this wants to be told. White space at a line's end is forgiven, as RFC 5321, section
/// 4.1.1, asks.
public enum CommandParser {
    /// - Parameter isExtended: the client has said EHLO, so parameters may follow a path.
    public static func parse(_ line: Bytes, isExtended: Bool) throws(Reply) -> Command {
        guard let text = String(validating: line, as: UTF8.self) else {
            throw Reply(500, "5.5.2", "the line is neither ASCII nor UTF-8")
        }
        guard !text.unicodeScalars.contains(where: { $0.value < 0x20 && $0 != "\t" || $0.value == 0x7f })
        else {
            throw Reply(500, "5.5.2", "the line contains a control character")
        }
        let trimmed = text.trimmingTrailingWhiteSpace()
        let verb = trimmed.prefix { $0 != " " && $0 != "\t" }
        let rest = trimmed[verb.endIndex...]
        return try command(verb.uppercased(), rest.isEmpty ? nil : rest.dropFirst(), isExtended: isExtended)
    }

    private static func command(
        _ verb: String, _ argument: Substring?, isExtended: Bool
    ) throws(Reply) -> Command {
        switch verb {
        case "HELO": .hello(domain: try domain(argument, "HELO"), isExtended: false)
        case "EHLO": .hello(domain: try domain(argument, "EHLO"), isExtended: true)
        case "MAIL": try PathParser.mail(argument ?? "", isExtended: isExtended)
        case "RCPT": try PathParser.recipient(argument ?? "")
        case "BDAT": try chunk(argument ?? "")
        case "DATA": try bare(.data, verb, argument)
        case "RSET": try bare(.reset, verb, argument)
        case "QUIT": try bare(.quit, verb, argument)
        default: throw Reply(500, "5.5.1", "unknown command")
        }
    }

    private static func bare(
        _ command: Command, _ verb: String, _ argument: Substring?
    ) throws(Reply) -> Command {
        guard argument == nil else { throw Reply(501, "5.5.4", "\(verb) takes no argument") }
        return command
    }

    /// A domain or an address literal; names with underscores and the like are common, and harmless here.
    private static func domain(_ argument: Substring?, _ verb: String) throws(Reply) -> String {
        guard let argument, !argument.isEmpty, argument.utf8.count <= Mailbox.domainByteCountMax,
            !argument.contains(where: { $0.isWhitespace || $0 == "<" || $0 == ">" || $0 == "(" || $0 == ")" })
        else { throw Reply(501, "5.5.4", "\(verb) needs a host name or an address in brackets") }
        return String(argument)
    }

    /// After a count that is none nobody knows where the next command begins: the reply ends the connection.
    private static func chunk(_ argument: Substring) throws(Reply) -> Command {
        let words = argument.split(separator: " ")
        guard (1...2).contains(words.count), (1...18).contains(words[0].utf8.count),
            words[0].utf8.allSatisfy({ (0x30...0x39).contains($0) }), let byteCount = Int(words[0]),
            words.count == 1 || words[1].uppercased() == "LAST"
        else { throw Reply(501, "5.5.4", "BDAT needs a count of bytes, and perhaps LAST", closes: true) }
        return .chunk(byteCount: byteCount, isLast: words.count == 2)
    }
}

extension String {
    fileprivate func trimmingTrailingWhiteSpace() -> Substring {
        var rest = self[...]
        while let last = rest.last, last == " " || last == "\t" { rest.removeLast() }
        return rest
    }
}
