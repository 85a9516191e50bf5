// A file as the simulated disk keeps it: a length, and the blocks that were ever written. SimulatedDisk.swift
// finds it by path; DiskQueue.swift moves bytes in and out.

/// What is behind a path, and stays behind the descriptors that were opened of it when the path is gone (an
/// inode).
///
/// A block that was never written is a hole: it reads as zeros, and takes no memory, so a file may be as long
/// as an offset can say. To write there the file system has to allocate, which is what `RWF_NOWAIT` does not
/// wait for.
final class StoredFile {
    /// The unit in which the file system allocates.
    private static let blockByteCount = 4_096

    private(set) var byteCount: Int64 = 0
    /// By their number.
    private var blocks: [Int64: [UInt8]] = [:]

    init(_ contents: [UInt8]) { write(contents, at: 0) }

    var contents: [UInt8] { read(Int(byteCount), at: 0) }

    /// So many bytes, or as many as there are from `offset` on.
    func read(_ count: Int, at offset: Int64) -> [UInt8] {
        var bytes: [UInt8] = []
        for piece in pieces(min(count, readableByteCount(at: offset)), at: offset) {
            if let block = blocks[piece.block] {
                bytes += block[piece.range]
            } else {
                bytes += [UInt8](repeating: 0, count: piece.range.count)
            }
        }
        return bytes
    }

    /// The file grows if it has to; between its former end and `offset` is a hole then. Nothing written,
    /// nothing grown.
    func write(_ bytes: [UInt8], at offset: Int64) {
        guard !bytes.isEmpty else { return }
        var rest = bytes[...]
        for piece in pieces(bytes.count, at: offset) {
            blocks[piece.block, default: Self.emptyBlock].replaceSubrange(
                piece.range, with: rest.prefix(piece.range.count))
            rest = rest.dropFirst(piece.range.count)
        }
        byteCount = max(byteCount, offset + Int64(bytes.count))
    }

    /// ftruncate(2): what is added is a hole, or zeros where a block is.
    func truncate(to newByteCount: Int64) {
        precondition(newByteCount >= 0, "a file has at least no bytes")
        if newByteCount < byteCount {
            let (last, kept) = newByteCount.quotientAndRemainder(dividingBy: Int64(Self.blockByteCount))
            blocks = blocks.filter { $0.key < last || ($0.key == last && kept > 0) }
            blocks[last]?.replaceSubrange(
                Int(kept)..., with: [UInt8](repeating: 0, count: Self.blockByteCount - Int(kept)))
        }
        byteCount = newByteCount
    }

    /// How many bytes there are from `offset` on.
    func readableByteCount(at offset: Int64) -> Int { Int(max(byteCount - offset, 0)) }

    /// Whether so many bytes at `offset` can be written without growing the file or filling a hole of it.
    func isAllocated(_ count: Int, at offset: Int64) -> Bool {
        count <= readableByteCount(at: offset)
            && pieces(count, at: offset).allSatisfy { blocks[$0.block] != nil }
    }

    private static var emptyBlock: [UInt8] { [UInt8](repeating: 0, count: blockByteCount) }

    /// A range of the file, block by block.
    private func pieces(_ count: Int, at offset: Int64) -> [(block: Int64, range: Range<Int>)] {
        let end = offset + Int64(count)
        var pieces: [(block: Int64, range: Range<Int>)] = []
        var position = offset
        while position < end {
            let (block, start) = position.quotientAndRemainder(dividingBy: Int64(Self.blockByteCount))
            let length = min(Int64(Self.blockByteCount) - start, end - position)
            pieces.append((block, Int(start)..<Int(start + length)))
            position += length
        }
        return pieces
    }
}
