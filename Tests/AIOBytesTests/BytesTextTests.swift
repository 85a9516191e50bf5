// Literals, interpolation and strings.

import AIOBytes
import Testing

@Suite struct BytesTextTests {
    @Test func `A literal owns no memory`() {
        let bytes: Bytes = "hello, wörld\r\n"
        #expect(Array(bytes) == Array("hello, wörld\r\n".utf8))
        #expect(bytes.heldByteCount == 0)
        #expect(bytes[7..<12].compacted().startIndex == 0)
        #expect(unsafe bytes[7..<12].compacted().baseAddress == bytes[7..<12].baseAddress)
        let empty: Bytes = ""
        #expect(empty.isEmpty)
        let one: Bytes = "x"
        #expect(Array(one) == [120])
        let array: Bytes = [1, 2, 255]
        #expect(Array(array) == [1, 2, 255])
    }

    @Test func `Interpolated bytes go in as they are, even if they are not UTF-8`() {
        let raw: Bytes = [0xff, 0x00, 0xc3]
        let reply: Bytes = "you said \(raw)!\r\n"
        #expect(Array(reply) == Array("you said ".utf8) + [0xff, 0x00, 0xc3] + Array("!\r\n".utf8))
        #expect(reply.heldByteCount == reply.count)
        let slice: Bytes = "\(pattern(10)[3..<5])"
        #expect(Array(slice) == [3, 4])
        let array: Bytes = "\([1, 0x80] as [UInt8])"
        #expect(Array(array) == [1, 0x80])
    }

    @Test func `Interpolated text is UTF-8, and other values are their description`() {
        let string = "wörld"
        let substring = string.dropFirst()
        let character: Character = "é"
        let bytes: Bytes = "\(string)|\(substring)|\(character)|\(42)|\(-1.5)|\(true)|\(string as String)"
        #expect(String(decoding: bytes, as: UTF8.self) == "wörld|örld|é|42|-1.5|true|wörld")
        let long = String(repeating: "0123456789", count: 1_000)
        let copied: Bytes = "<\(long)>"
        #expect(copied.count == 10_002)
        #expect(copied[1..<10_001] == Bytes(long))
    }

    @Test func `Text goes in and comes out unchanged`() {
        for text in ["", "a", "hello", "wörld", "😀😀", String(repeating: "é", count: 5_000)] {
            let bytes = Bytes(text)
            #expect(Array(bytes) == Array(text.utf8))
            #expect(String(decoding: bytes, as: UTF8.self) == text)
            #expect(String(validating: bytes) == text)
            #expect(Bytes(text.dropFirst()) == Bytes(String(text.dropFirst())))
        }
    }

    @Test func `Text that is not UTF-8 is refused, or repaired, as asked`() {
        let cut = Bytes("wörld")[..<2]
        #expect(String(validating: cut) == nil)
        #expect(String(decoding: cut, as: UTF8.self) == "w\u{fffd}")
        #expect(String(validating: Bytes("wörld")[..<3]) == "wö")
        #expect(String(validating: [0xff]) == nil)
        #expect(String(validating: Bytes()) == "")
    }

    @Test func `A description is an escaped literal`() {
        #expect(Bytes("hello\r\n").description == #""hello\r\n""#)
        #expect("\(Bytes([0, 9, 0x1f, 0x7f, 0xff]))" == #""\x00\t\x1f\x7f\xff""#)
        #expect(Bytes(#"say "\""#).description == #""say \"\\\"""#)
        #expect(Bytes().description == #""""#)
        let full = String(repeating: "a", count: 64)
        #expect(Bytes(full).description == "\"\(full)\"")
        #expect(Bytes(full + "b").description == "\"\(full)\"… (65 bytes)")
    }
}
