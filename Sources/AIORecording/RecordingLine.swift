// One line of a recording's text and a place in it: words, quoted text, digits. Read by RecordingParser.

import AIOBytes

/// What is left of a line, and which line it is, for errors.
struct RecordingLine {
    let number: Int
    private(set) var rest: ArraySlice<UInt8>

    init(number: Int, rest: ArraySlice<UInt8>) {
        self.number = number
        self.rest = rest
    }

    func error(_ problem: String) -> RecordingFormatError {
        RecordingFormatError(line: number, problem: problem)
    }

    // MARK: Words

    mutating func skip() { _ = rest.popFirst() }
    mutating func skipSpaces() { rest = rest.drop { $0 == UInt8(ascii: " ") } }

    /// Up to the next space, as text to compare with and to show: no longer than such words are.
    mutating func word() -> String {
        let word = rest.prefix { $0 != UInt8(ascii: " ") }
        rest = rest[word.endIndex...]
        skipSpaces()
        return word.count <= 40 ? String(decoding: word, as: UTF8.self) : "…"
    }

    /// Nothing more may come.
    func end() throws(RecordingFormatError) {
        guard rest.isEmpty else { throw error("the line goes on with \(Bytes(rest))") }
    }

    // MARK: Bytes

    /// Quoted text that is UTF-8.
    mutating func text(what: String) throws(RecordingFormatError) -> String {
        guard rest.first == UInt8(ascii: "\"") else { throw error("\(what) in quotation marks is missing") }
        guard let text = String(validating: Bytes(try bytes())) else { throw error("\(what) is not UTF-8") }
        return text
    }

    /// Quoted text or digits in angle brackets, whichever it is.
    mutating func bytes() throws(RecordingFormatError) -> [UInt8] {
        let bytes: [UInt8]
        switch rest.popFirst() {
        case UInt8(ascii: "\""): bytes = try quoted()
        case UInt8(ascii: "<"): bytes = try digits()
        default: throw error("\"text\" or <digits> are missing")
        }
        skipSpaces()
        return bytes
    }

    /// Behind the opening quotation mark.
    private mutating func quoted() throws(RecordingFormatError) -> [UInt8] {
        var bytes: [UInt8] = []
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "\""): return bytes
            case UInt8(ascii: "\\"): bytes.append(try escaped())
            case 0x20..<0x7f: bytes.append(byte)
            default: throw error("\(Bytes([byte])) is not escaped")
            }
        }
        throw error("the closing quotation mark is missing")
    }

    private mutating func escaped() throws(RecordingFormatError) -> UInt8 {
        switch rest.popFirst() {
        case UInt8(ascii: "n"): return UInt8(ascii: "\n")
        case UInt8(ascii: "r"): return UInt8(ascii: "\r")
        case UInt8(ascii: "t"): return UInt8(ascii: "\t")
        case let byte? where byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\"): return byte
        case UInt8(ascii: "x"):
            guard let value = Self.value(rest.popFirst(), rest.popFirst()) else {
                throw error("\"\\x\" is followed by two hexadecimal digits")
            }
            return value
        case let byte?: throw error("there is no escape \"\\\" with \(Bytes([byte]))")
        case nil: throw error("the closing quotation mark is missing")
        }
    }

    /// Behind the opening bracket.
    private mutating func digits() throws(RecordingFormatError) -> [UInt8] {
        var bytes: [UInt8] = []
        while let first = rest.popFirst() {
            if first == UInt8(ascii: ">") { return bytes }
            guard let value = Self.value(first, rest.popFirst()) else {
                throw error("<digits> are pairs of hexadecimal digits")
            }
            bytes.append(value)
        }
        throw error("the closing \">\" is missing")
    }

    static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    /// Two hexadecimal digits, or nil if that is not what they are.
    private static func value(_ high: UInt8?, _ low: UInt8?) -> UInt8? {
        guard let high = high.flatMap(value), let low = low.flatMap(value) else { return nil }
        return high << 4 | low
    }

    private static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
