// Pieces that say what they are, for checks in which several tasks write: who wrote it, which one it is, and
// how long.

import AIOBytes

/// What one write sends. The first byte is the writer, the second the number, then two for how many bytes
/// follow.
struct Piece {
    static let headByteCount = 4
    let writer: Int
    let number: Int
    let byteCount: Int

    var bytes: Bytes {
        let head = [UInt8(writer), UInt8(number), UInt8(byteCount >> 8), UInt8(byteCount & 255)]
        return Bytes(joining: [Bytes(head), content])
    }

    fileprivate var content: Bytes {
        StreamContent(number: writer).bytes(at: number * 1_000, count: byteCount)
    }
}

/// Takes pieces out of a stream.
struct PieceReader {
    /// Of each writer, in the order in which they came.
    private(set) var numbers: [[Int]] = []
    private var left: [UInt8] = []

    var isBetweenPieces: Bool { left.isEmpty }

    /// What is wrong with them; nil if nothing is.
    mutating func add(_ bytes: Bytes) -> String? {
        left.append(copying: bytes)
        while left.count >= Piece.headByteCount {
            let piece = Piece(
                writer: Int(left[0]), number: Int(left[1]), byteCount: Int(left[2]) << 8 | Int(left[3]))
            let byteCount = Piece.headByteCount + piece.byteCount
            guard left.count >= byteCount else { return nil }
            guard Bytes(left[Piece.headByteCount..<byteCount]) == piece.content else {
                return
                    "piece \(piece.number) of writer \(piece.writer), of \(piece.byteCount) bytes, is broken"
            }
            while numbers.count <= piece.writer { numbers.append([]) }
            numbers[piece.writer].append(piece.number)
            left.removeFirst(byteCount)
        }
        return nil
    }
}
