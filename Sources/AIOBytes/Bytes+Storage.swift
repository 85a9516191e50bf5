// `Bytes` as a share in memory: how much a value keeps alive, a copy that keeps only itself, and what the
// engine does with slices that lie side by side or have reached the user.

extension Bytes {
    /// The bytes of memory that this value keeps alive: the size of its slab, however short the slice. A
    /// literal and an empty value keep none.
    public var heldByteCount: Int { storage?.byteCount ?? 0 }

    /// The same bytes in storage of exactly their size, with indices from 0; without a copy if they are
    /// already stored so.
    ///
    /// Received bytes share slabs of 64 KiB. Compact what you keep for long.
    public func compacted() -> Bytes {
        guard let storage, storage.byteCount != count else { return Bytes(self) }
        return Bytes(copying: self)
    }

    /// This value and `next` as one, if `next` begins in the same slab exactly where this one ends; else
    /// nil.
    ///
    /// Reads that follow each other in a slab become one slice, and one iovec, again. An empty side adds
    /// nothing. The result starts where this value starts.
    package func extended(by next: Bytes) -> Bytes? {
        if next.isEmpty { return self }
        if isEmpty { return next }
        guard let storage, storage === next.storage else { return nil }
        // SAFETY: both are slices of one slab that we hold, so the addresses compare and the join is in it.
        guard unsafe origin.unsafelyUnwrapped + endIndex == next.baseAddress else { return nil }
        return unsafe Bytes(storage: storage, origin: origin, bounds: startIndex..<endIndex + next.count)
    }

    /// The bytes of `range`, counted from the first byte, with indices from 0. They must be there.
    @inline(__always)
    func slice(_ range: Range<Int>) -> Bytes {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "range out of bounds")
        guard !range.isEmpty else { return Bytes() }
        // SAFETY: the range is within these bytes, so there is an origin, and it keeps their storage.
        return unsafe Bytes(
            storage: storage, origin: origin.unsafelyUnwrapped + startIndex + range.lowerBound,
            bounds: 0..<range.count)
    }

    /// Drops the first `n` bytes, of which there must be more. The indices start at 0 then.
    ///
    /// In place, because a slice would be retained and this value released, for every frame of a slice.
    @inline(__always)
    mutating func removeFirst(byteCount n: Int) {
        precondition(n >= 0 && n < count, "dropping all bytes, or more")
        // SAFETY: there is a byte at the new origin, in the same storage.
        unsafe origin = unsafe origin.unsafelyUnwrapped + startIndex + n
        end = count - n
        start = 0
    }

    /// `delivered()` for the first `n` bytes, of which there must be as many.
    @inline(__always)
    func deliveredFirst(byteCount n: Int) {
        assert(n <= count)
        storage?.discharge(n)
    }

    /// The engine no longer holds these bytes: somebody has taken them. Any thread.
    ///
    /// Call it once for each byte that `SlabPool` handed out, in whatever slices; bytes with storage of
    /// their own ignore it.
    package func delivered() {
        guard !isEmpty else { return }
        storage?.discharge(count)
    }
}

extension OutputRawSpan {
    /// Appends a copy of `bytes`, of which there must not be more than fit.
    package mutating func append(copying bytes: Bytes) {
        precondition(bytes.count <= freeCapacity, "more bytes than room")
        // SAFETY: there is room for them after the ones initialised so far.
        unsafe withUnsafeMutableBytes { buffer, initializedCount in
            let free = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[initializedCount...])
            unsafe bytes.withUnsafeBytes { unsafe free.copyMemory(from: $0) }
            initializedCount += bytes.count
        }
    }
}
