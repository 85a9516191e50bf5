// The value that carries bytes everywhere: out of a worker's slab, through framers and filters, in events
// and messages, and back into a connection's outbound queue. Copying or slicing one copies no bytes.
// Bytes+Collection.swift makes it a collection, Bytes+Text.swift ties it to text, Bytes+Storage.swift is
// about the memory behind it.

// Theory of operation
//
// A value is a reference that keeps memory alive, the address of *index 0*, and two indices. Byte `i` is at
// `origin + i`, in a slice as in the value it was cut from, so a slice keeps its base's indices at no cost,
// as `ArraySlice` does. Values that come out of the engine, and those that an initialiser makes, start at
// 0; `Bytes(slice)` starts at 0 again without copying.
//
// `storage` is nil when there is nothing to keep alive: the value is empty, or its bytes are a literal in
// the program's constants, which makes canned replies free. An empty slice drops its slab.

/// An immutable run of bytes: a slice of memory that it keeps alive and shares with other slices.
///
/// Copies and slices share memory, so even a one-byte slice keeps all of its slab: see `heldByteCount`, and
/// `compacted()` for bytes that you mean to keep. Two values are equal when their bytes are.
@safe
public struct Bytes: @unchecked Sendable {
    // Proof for @unchecked Sendable: a value, whose fields nobody else can change. The slab's header is a
    // constant, of a pointer and Sendable parts. The memory behind `origin` is a literal or part of the slab,
    // written by one owner before this value was made and never after: the invariant in Slab.swift.

    @usableFromInline let storage: Slab?

    /// The address of index 0; nil when empty. Between `startIndex` and `endIndex` it may be read for as
    /// long as `storage` is retained.
    @usableFromInline var origin: UnsafeRawPointer?

    @usableFromInline var start: Int
    @usableFromInline var end: Int

    // MARK: initialisers

    /// No bytes. Holds no memory.
    @inlinable
    public init() {
        storage = nil
        unsafe origin = nil
        start = 0
        end = 0
    }

    /// A copy of `bytes`.
    public init(_ bytes: some Sequence<UInt8>) {
        let copied = bytes.withContiguousStorageIfAvailable {
            unsafe Bytes(copying: UnsafeRawBufferPointer($0))
        }
        self = copied ?? Bytes(Array(bytes))
    }

    /// A copy of `bytes`.
    public init(_ bytes: [UInt8]) {
        // SAFETY: the buffer is read before the closure returns.
        self = unsafe bytes.withUnsafeBytes { unsafe Bytes(copying: $0) }
    }

    /// The same bytes with indices from 0. Nothing is copied.
    public init(_ bytes: Bytes) {
        self = unsafe Bytes(storage: bytes.storage, first: bytes.baseAddress, count: bytes.count)
    }

    /// A copy of what `span` covers.
    public init(copying span: RawSpan) {
        // SAFETY: the buffer is read before the closure returns.
        self = unsafe span.withUnsafeBytes { unsafe Bytes(copying: $0) }
    }

    /// The bytes of all `parts`, one after another, copied into one allocation.
    public init(joining parts: [Bytes]) {
        let byteCount = parts.reduce(0) { $0 + $1.count }
        self = unsafe Bytes(byteCount: byteCount) { memory in
            var next = unsafe memory
            for part in parts where !part.isEmpty {
                // SAFETY: the counts of the parts add up to `byteCount`.
                unsafe part.withUnsafeBytes {
                    unsafe next.copyMemory(from: $0.baseAddress!, byteCount: $0.count)
                }
                unsafe next += part.count
            }
        }
    }

    // MARK: access

    /// The index of the first byte: 0 unless this is a slice of another value.
    @inlinable public var startIndex: Int { start }

    /// One past the index of the last byte.
    @inlinable public var endIndex: Int { end }

    /// Calls `body` with the bytes. The span cannot leave the closure.
    @inlinable
    public func withRawSpan<Result: ~Copyable, Failure: Error>(
        _ body: (RawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        defer { extendLifetime(storage) }
        // SAFETY: `storage` outlives the call, and nobody writes these bytes.
        return try body(unsafe RawSpan(_unsafeBytes: unsafe buffer))
    }

    /// Calls `body` with the bytes, for interfaces that want a pointer.
    ///
    /// Unsafe: the pointer is valid until `body` returns, and must not be written through.
    @unsafe
    @inlinable
    public func withUnsafeBytes<Result: ~Copyable, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        defer { extendLifetime(storage) }
        return try unsafe body(buffer)
    }

    /// The address of the first byte, for an iovec; nil when empty.
    ///
    /// Unsafe: valid while a copy of this value, or any slice of it, is kept.
    @unsafe
    package var baseAddress: UnsafeRawPointer? {
        isEmpty ? nil : unsafe origin.unsafelyUnwrapped + startIndex
    }

    @unsafe
    @inlinable
    var buffer: UnsafeRawBufferPointer {
        if isEmpty { return unsafe UnsafeRawBufferPointer(start: nil, count: 0) }
        // SAFETY: a value that is not empty has an origin.
        return unsafe UnsafeRawBufferPointer(start: origin.unsafelyUnwrapped + startIndex, count: count)
    }

    // MARK: private parts

    /// The slice `bounds` of the memory at `origin`.
    @unsafe
    @inlinable
    init(storage: Slab?, origin: UnsafeRawPointer?, bounds: Range<Int>) {
        self.storage = bounds.isEmpty ? nil : storage
        unsafe self.origin = bounds.isEmpty ? nil : origin
        start = bounds.lowerBound
        end = bounds.upperBound
    }

    /// `count` bytes from `first` on, which `storage` keeps alive, with indices from 0.
    @unsafe
    init(storage: Slab?, first: UnsafeRawPointer?, count: Int) {
        unsafe self.init(storage: storage, origin: first, bounds: 0..<count)
    }

    /// Storage of its own, exactly `byteCount` long, all of which `fill` must write.
    @unsafe
    init(byteCount: Int, account: SlabAccount? = nil, _ fill: (UnsafeMutableRawPointer) -> Void) {
        guard byteCount > 0 else {
            self.init()
            return
        }
        let slab = Slab.makePrivate(byteCount: byteCount, account: account)
        unsafe fill(slab.base)
        unsafe self.init(storage: slab, first: slab.base, count: byteCount)
    }

    @unsafe
    init(copying source: UnsafeRawBufferPointer, account: SlabAccount? = nil) {
        // SAFETY: the new storage is as long as the source, which is not empty when `fill` is called.
        unsafe self.init(byteCount: source.count, account: account) {
            unsafe $0.copyMemory(from: source.baseAddress!, byteCount: source.count)
        }
    }

    init(copying bytes: Bytes, account: SlabAccount? = nil) {
        // SAFETY: the buffer is read before the closure returns.
        self = unsafe bytes.withUnsafeBytes { unsafe Bytes(copying: $0, account: account) }
    }
}
