// Addresses: what stands between the angle brackets of MAIL and RCPT.

/// A mailbox, `local-part@domain`, by the grammar of RFC 5321, section 4.1.2, with the letters beyond ASCII
/// that RFC 6531 adds.
public struct Mailbox: Sendable, Hashable {
    /// Without the quotes and backslashes that it may have been written with: `"a b"@c` and `a b`.
    public let localPart: String
    /// Empty for `<Postmaster>` alone, which every server has to accept.
    public let domain: String
    /// As it was written, without a source route.
    public let text: String

    /// RFC 5321, section 4.5.3.1.
    static let localPartByteCountMax = 64
    static let domainByteCountMax = 255
    static let pathByteCountMax = 254

    static let postmaster = Mailbox(localPart: "postmaster", domain: "", text: "postmaster")

    /// Whether it needs SMTPUTF8.
    public var isInternational: Bool { !text.utf8.allSatisfy { $0 < 0x80 } }

    private init(localPart: String, domain: String, text: String) {
        self.localPart = localPart
        self.domain = domain
        self.text = text
    }

    /// - Parameter path: what is between the brackets. A source route before it (`@a,@b:`) is looked at and
    ///   ignored, as the standard asks.
    public init?(path: Substring) {
        var text = path
        if text.first == "@" {
            guard let rest = Self.skippingRoute(text) else { return nil }
            text = rest
        }
        var scanner = text
        guard text.utf8.count <= Self.pathByteCountMax,
            let localPart = scanner.first == "\"" ? Self.quoted(&scanner) : Self.dotted(&scanner),
            localPart.utf8.count <= Self.localPartByteCountMax,
            scanner.popFirst() == "@", Self.isDomain(scanner)
        else { return nil }
        self.init(localPart: localPart, domain: String(scanner), text: String(text))
    }

    private static func skippingRoute(_ text: Substring) -> Substring? {
        guard let colon = text.firstIndex(of: ":") else { return nil }
        for hop in text[..<colon].split(separator: ",", omittingEmptySubsequences: false) {
            guard hop.first == "@", isDomain(hop.dropFirst()) else { return nil }
        }
        return text[text.index(after: colon)...]
    }

    /// Atoms with dots between them.
    private static func dotted(_ text: inout Substring) -> String? {
        let part = text.prefix { isAtomText($0) || $0 == "." }
        guard part.split(separator: ".", omittingEmptySubsequences: false).allSatisfy({ !$0.isEmpty })
        else { return nil }
        text = text[part.endIndex...]
        return String(part)
    }

    private static func quoted(_ text: inout Substring) -> String? {
        text.removeFirst()
        var value = ""
        while let character = text.popFirst() {
            if character == "\"" { return value }
            if character == "\\" {
                guard let escaped = text.popFirst(), escaped.isASCII else { return nil }
                value.append(escaped)
            } else {
                value.append(character)
            }
        }
        return nil
    }

    private static func isAtomText(_ character: Character) -> Bool {
        guard let ascii = character.asciiValue else { return !character.isWhitespace }
        return switch ascii {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "!#$%&'*+-/=?^_`{|}~".utf8.contains(ascii)
        }
    }

    /// Labels with dots between them, or an address literal in brackets.
    private static func isDomain(_ text: Substring) -> Bool {
        guard !text.isEmpty, text.utf8.count <= domainByteCountMax else { return false }
        if text.first == "[" { return isAddressLiteral(text) }
        return text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
            !label.isEmpty && label.utf8.count <= 63 && label.first != "-" && label.last != "-"
                && label.allSatisfy { isLetter($0) }
        }
    }

    private static func isLetter(_ character: Character) -> Bool {
        guard let ascii = character.asciiValue else { return !character.isWhitespace }
        return switch ascii {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    /// `[192.0.2.1]`, `[IPv6:2001:db8::1]`, `[tag:content]`: nobody is asked for them, so their insides are
    /// not judged.
    private static func isAddressLiteral(_ text: Substring) -> Bool {
        guard text.count > 2, text.last == "]" else { return false }
        return text.dropFirst().dropLast().allSatisfy { character in
            character.asciiValue.map { $0 > 0x20 && $0 != 0x5b && $0 != 0x5c && $0 != 0x5d } ?? false
        }
    }
}
