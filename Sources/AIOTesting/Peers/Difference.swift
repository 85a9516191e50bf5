// Bytes in words: what a failed expectation shows.

/// Printable ASCII as it is, the rest escaped, within quotation marks; long ones shortened.
func quoted(_ bytes: some Collection<UInt8>, limit: Int = 200) -> String {
    var text = "\""
    for byte in bytes.prefix(limit) { text += escaped(byte) }
    return bytes.count > limit ? text + "…\" (\(bytes.count) bytes)" : text + "\""
}

private func escaped(_ byte: UInt8) -> String {
    switch byte {
    case 10: return "\\n"
    case 13: return "\\r"
    case 9: return "\\t"
    case 34: return "\\\""
    case 92: return "\\\\"
    case 32..<127: return String(UnicodeScalar(byte))
    default:
        let digits = String(byte, radix: 16)
        return "\\x" + (digits.count == 1 ? "0" + digits : digits)
    }
}

/// Both, with a mark under the first byte that differs.
func difference(expected: [UInt8], got: [UInt8]) -> String {
    let got = Array(got.prefix(expected.count + 40))
    let same = zip(expected, got).prefix { $0 == $1 }.count
    // From the beginning of the line in which they differ, if there are many before.
    let start = same < 60 ? 0 : same - 40
    let before = quoted(expected[start..<same], limit: .max).count - 1
    let skipped = start > 0 ? "…" : ""
    return """
        expected \(skipped)\(quoted(expected[start...]))
             got \(skipped)\(quoted(got[min(start, got.count)...]))
                 \(String(repeating: " ", count: skipped.count + before))^ byte \(same)
        """
}
