// `Bytes` and text: string literals, interpolation, and strings both ways, as UTF-8. What people write,
// `connection.write("you said \(line)\r\n")`, goes through here; the bytes of `line` are copied as they are,
// valid UTF-8 or not.

// Literals. The literal type is `StaticString`, whose bytes are in the program's constants: a literal value
// points at them, owns nothing and allocates nothing. Interpolation needs the same literal type, which is
// why `appendLiteral` takes a `StaticString` too.

extension Bytes: ExpressibleByStringInterpolation {
    public init(stringLiteral literal: StaticString) {
        guard literal.hasPointerRepresentation else {
            // SAFETY: the buffer is read before the closure returns.
            self = literal.withUTF8Buffer { unsafe Bytes(copying: UnsafeRawBufferPointer($0)) }
            return
        }
        // SAFETY: the constants of a program are there for as long as it runs, and nobody writes them.
        let first = unsafe UnsafeRawPointer(literal.utf8Start)
        unsafe self.init(storage: nil, first: first, count: literal.utf8CodeUnitCount)
    }

    public init(stringInterpolation interpolation: StringInterpolation) {
        self.init(interpolation.bytes)
    }

    /// Gathers the pieces of an interpolated literal.
    ///
    /// `Bytes`, `[UInt8]` and text go in as they are; anything else that has a `description` goes in as
    /// that.
    public struct StringInterpolation: StringInterpolationProtocol, Sendable {
        var bytes: [UInt8] = []

        public init(literalCapacity: Int, interpolationCount: Int) {
            bytes.reserveCapacity(literalCapacity + 64 * interpolationCount)
        }

        public mutating func appendLiteral(_ literal: StaticString) {
            // SAFETY: the buffer is copied before the closure returns.
            literal.withUTF8Buffer { unsafe bytes.append(contentsOf: $0) }
        }

        public mutating func appendInterpolation(_ value: Bytes) {
            // SAFETY: the buffer is copied before the closure returns.
            unsafe value.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) }
        }

        public mutating func appendInterpolation(_ value: [UInt8]) {
            bytes.append(contentsOf: value)
        }

        public mutating func appendInterpolation(_ value: String) {
            bytes.append(contentsOf: value.utf8)
        }

        public mutating func appendInterpolation(_ value: Substring) {
            bytes.append(contentsOf: value.utf8)
        }

        public mutating func appendInterpolation(_ value: some CustomStringConvertible) {
            bytes.append(contentsOf: value.description.utf8)
        }
    }
}

extension Bytes: ExpressibleByArrayLiteral {
    public init(arrayLiteral elements: UInt8...) {
        self.init(elements)
    }
}

extension Bytes {
    /// The UTF-8 bytes of `text`, copied.
    public init(_ text: some StringProtocol) {
        let copied = text.utf8.withContiguousStorageIfAvailable {
            unsafe Bytes(copying: UnsafeRawBufferPointer($0))
        }
        self = copied ?? Bytes(Array(text.utf8))
    }
}

extension String {
    /// The text that `bytes` are in UTF-8, or nil if they are not valid UTF-8.
    ///
    /// `String(decoding: bytes, as: UTF8.self)` repairs instead: it puts U+FFFD for what is not valid.
    public init?(validating bytes: Bytes) {
        self.init(validating: bytes, as: UTF8.self)
    }
}

extension Bytes: CustomStringConvertible {
    /// The bytes as an escaped literal, for logs: `"hello\r\n\xff"`. After 64 bytes it says how many there
    /// are.
    public var description: String {
        let shownMax = 64
        var text = "\""
        for byte in prefix(shownMax) {
            switch byte {
            case UInt8(ascii: "\r"): text += "\\r"
            case UInt8(ascii: "\n"): text += "\\n"
            case UInt8(ascii: "\t"): text += "\\t"
            case UInt8(ascii: "\""): text += "\\\""
            case UInt8(ascii: "\\"): text += "\\\\"
            case 0x20..<0x7f: text.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let digits = String(byte, radix: 16)
                text += digits.count == 1 ? "\\x0\(digits)" : "\\x\(digits)"
            }
        }
        return count <= shownMax ? text + "\"" : text + "\"… (\(count) bytes)"
    }
}
