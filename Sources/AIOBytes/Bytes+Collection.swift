// `Bytes` as a collection of `UInt8` with `Int` indices, and as a value that is equal, and hashes, by
// content. Framers and your code read bytes through this; the fast paths are here because the generic ones
// go byte by byte.

#if canImport(Glibc)
    import Glibc
#endif

extension Bytes: RandomAccessCollection {
    public typealias Element = UInt8
    public typealias Index = Int
    public typealias Indices = Range<Int>
    public typealias SubSequence = Bytes

    @inlinable public var count: Int { endIndex - startIndex }
    @inlinable public var isEmpty: Bool { endIndex == startIndex }
    @inlinable public var indices: Range<Int> { unsafe Range(uncheckedBounds: (startIndex, endIndex)) }

    @inlinable
    public subscript(position: Int) -> UInt8 {
        precondition(position >= startIndex && position < endIndex, "index out of bounds")
        defer { extendLifetime(storage) }
        // SAFETY: the position is in bounds, so there is an origin, and the byte may be read.
        return unsafe origin.unsafelyUnwrapped.assumingMemoryBound(to: UInt8.self)[position]
    }

    /// The bytes in `bounds`, sharing this value's memory and its indices.
    @inlinable
    public subscript(bounds: Range<Int>) -> Bytes {
        precondition(bounds.lowerBound >= startIndex && bounds.upperBound <= endIndex, "range out of bounds")
        // SAFETY: the bounds are within ours.
        return unsafe Bytes(storage: storage, origin: origin, bounds: bounds)
    }

    @inlinable public func index(after i: Int) -> Int { i + 1 }
    @inlinable public func index(before i: Int) -> Int { i - 1 }
    @inlinable public func index(_ i: Int, offsetBy distance: Int) -> Int { i + distance }
    @inlinable public func distance(from start: Int, to end: Int) -> Int { end - start }

    @inlinable
    public func withContiguousStorageIfAvailable<Result>(
        _ body: (UnsafeBufferPointer<UInt8>) throws -> Result
    ) rethrows -> Result? {
        defer { extendLifetime(storage) }
        // SAFETY: slabs and literals are bound to UInt8.
        return try unsafe body(buffer.assumingMemoryBound(to: UInt8.self))
    }

    /// The index of the first `byte`, or nil.
    public func firstIndex(of byte: UInt8) -> Int? {
        defer { extendLifetime(storage) }
        // SAFETY: `memchr` looks at `count` bytes from the first on, and points at one of them.
        guard let first = unsafe baseAddress, let found = unsafe memchr(first, Int32(byte), count) else {
            return nil
        }
        return unsafe startIndex + (UnsafeRawPointer(found) - first)
    }

    public func contains(_ byte: UInt8) -> Bool {
        firstIndex(of: byte) != nil
    }

    /// Whether the bytes begin with `prefix`. A literal will do: `line.starts(with: "QUIT")`.
    public func starts(with prefix: Bytes) -> Bool {
        prefix.count <= count && self[startIndex..<startIndex + prefix.count] == prefix
    }
}

extension Bytes: Hashable {
    /// Whether the bytes are the same; where they are stored, and their indices, do not matter.
    public static func == (a: Bytes, b: Bytes) -> Bool {
        guard a.count == b.count else { return false }
        defer { extendLifetime((a.storage, b.storage)) }
        guard let first = unsafe a.baseAddress, let second = unsafe b.baseAddress else { return true }
        // SAFETY: both have `count` bytes.
        return unsafe first == second || memcmp(first, second, a.count) == 0
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(count)
        // SAFETY: the hasher reads the buffer before it returns.
        unsafe withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
    }
}
