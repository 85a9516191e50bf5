// `Bytes` as a collection and as a hashable value: the laws, at every split point.

import AIOBytes
import Testing

@Suite struct BytesCollectionTests {
    @Test func `Slices keep the indices of their base at every split point`() {
        let array = (0..<12).map { UInt8($0) }
        let bytes = Bytes(array)
        for lower in 0...array.count {
            for upper in lower...array.count {
                let slice = bytes[lower..<upper]
                let expected = array[lower..<upper]
                #expect(slice.startIndex == expected.startIndex)
                #expect(slice.endIndex == expected.endIndex)
                #expect(slice.count == expected.count)
                #expect(slice.indices == expected.indices)
                #expect(slice.elementsEqual(expected))
                #expect(Array(slice) == Array(expected))
                for index in slice.indices {
                    #expect(slice[index] == expected[index])
                    #expect(slice[index...].elementsEqual(expected[index...]))
                    #expect(slice[..<index].elementsEqual(expected[..<index]))
                }
            }
        }
    }

    @Test func `Collection operations agree with those of an array slice`() {
        let model = Array("GET /index.html HTTP/1.1\r\n".utf8)[4...]
        let bytes = Bytes(Array("GET /index.html HTTP/1.1\r\n".utf8))[4...]
        let space = UInt8(ascii: " ")
        #expect(bytes.first == model.first && bytes.last == model.last)
        #expect(bytes.firstIndex(of: space) == model.firstIndex(of: space))
        #expect(bytes.firstIndex(of: 0) == nil)
        #expect(bytes[5..<5].firstIndex(of: space) == nil)
        #expect(bytes.lastIndex(of: space) == model.lastIndex(of: space))
        #expect(bytes.contains(space) && !bytes.contains(0))
        let (words, modelWords) = (bytes.split(separator: space), model.split(separator: space))
        #expect(words.map(Array.init) == modelWords.map(Array.init))
        #expect(words.map(\.startIndex) == modelWords.map(\.startIndex))
        #expect(Array(bytes.reversed()) == model.reversed())
        #expect(Array(bytes.prefix(3)) == Array(model.prefix(3)))
        #expect(Array(bytes.suffix(3)) == Array(model.suffix(3)))
        #expect(Array(bytes.dropFirst(30)) == [])
        #expect(bytes.index(bytes.startIndex, offsetBy: bytes.count) == bytes.endIndex)
        #expect(bytes.distance(from: bytes.startIndex, to: bytes.endIndex) == bytes.count)
        #expect(bytes.index(bytes.startIndex, offsetBy: 99, limitedBy: bytes.endIndex) == nil)
        #expect(bytes.index(after: 4) == 5 && bytes.index(before: 5) == 4)
        var first = bytes
        #expect(first.popFirst() == model.first)
        #expect(first.startIndex == 5)
        #expect(unsafe bytes.withContiguousStorageIfAvailable { unsafe Array($0) } == Array(model))
    }

    @Test func `Reading outside the bounds traps`() async {
        await #expect(processExitsWith: .failure) { _ = pattern(10)[3..<5][2] }
        await #expect(processExitsWith: .failure) { _ = pattern(10)[3..<5][5] }
        await #expect(processExitsWith: .failure) { _ = pattern(10)[3..<5][2..<4] }
        await #expect(processExitsWith: .failure) { _ = pattern(10)[3..<5][4..<6] }
    }

    @Test func `Equality and hash depend on the bytes and on nothing else`() {
        let text = Array("same bytes".utf8)
        let pool = SlabPool()
        _ = pool.receive(pattern(33))
        let values: [Bytes] = [
            "same bytes", Bytes(text), Bytes([1] + text)[1...], Bytes(text + [1])[..<text.count],
            pool.receive(Bytes(text)), pool.copyOut("same bytes"),
        ]
        for a in values {
            for b in values {
                #expect(a == b)
                #expect(a.hashValue == b.hashValue)
            }
        }
        #expect(Set(values).count == 1)
        #expect(Bytes(text) != Bytes(text.dropLast()))
        for index in text.indices {
            var other = text
            other[index] ^= 1
            #expect(Bytes(other) != Bytes(text))
        }
        #expect(Set([Bytes(), Bytes([0]), Bytes([0, 0])]).count == 3)
    }

    @Test func `A literal can be a prefix and a case`() {
        let line: Bytes = "EHLO example.org"
        #expect(line.starts(with: "EHLO"))
        #expect(line[5...].starts(with: "example"))
        #expect(line.starts(with: Bytes()))
        #expect(line.starts(with: line))
        #expect(!line.starts(with: "EHLO example.org "))
        #expect(!line.starts(with: "HELO"))
        #expect(line.starts(with: [69, 72] as [UInt8]))
        switch line[..<4] {
        case "HELO": Issue.record("the wrong case matched")
        case "EHLO": break
        default: Issue.record("no case matched")
        }
    }
}
