// A slab is the memory that bytes from the kernel land in. `SlabPool` fills it, slices of it (`Bytes`)
// travel through framers, completions and your code, and when the last of them is gone the memory goes back
// to where it came from: to the pool's idle blocks, or to the heap.

// Theory of operation
//
// One class serves both kinds of memory, so that a `Bytes` has one way to keep its bytes alive:
//
//   pooled    the block is a separate allocation of the pool's block size; the slab object is small and new
//             for each use of the block, and gives the block to `home` when it dies;
//   private   the block is the tail of the slab object itself: one allocation, freed with the object.
//
// The reference count of the slab object *is* the count of slices. That is why a pooled block gets a new
// slab object each time round: the last release of the old object is the proof that nobody reads the block
// any more.
//
// Invariant (written once): the bytes of a slab that a published slice covers are never written again. A
// slab has one writer, its owner: the pool's thread, or the initialiser that makes a private slab. The
// owner writes only at or beyond its cursor, publishes a slice that ends at the cursor, and moves the
// cursor past it. Whoever hands the slice to another thread does so through something that orders memory
// (the completion list, a lock, a task switch), so the reader sees the bytes; nobody writes them until
// `deinit` below, which runs after every release of every slice.

/// What every slab knows of its memory. Set once, when the slab is made; read by anybody.
@safe
@usableFromInline
package struct SlabHeader {
    /// The first byte. Bound to `UInt8` for the life of the slab.
    let base: UnsafeMutableRawPointer
    let byteCount: Int
    /// Where the block goes when the slab dies; nil for a private slab.
    let home: SlabBlocks?
    /// Who counts what is undelivered in here; nil when nobody does.
    ///
    /// One reference, which the header owns. Unmanaged, because a look at a strong one retains and releases
    /// it, for every read and every frame. That is safe: it is set when the slab is made, never changes, and
    /// is let go of in the slab's `deinit`, when nobody can look any more.
    let account: Unmanaged<SlabAccount>?
}

/// A block of memory, kept alive by the slices of it.
@usableFromInline
package final class Slab: ManagedBuffer<SlabHeader, UInt8> {
    // Not Sendable, because `ManagedBuffer` rules that out for its subclasses; `Bytes` is, and says why.

    /// A slab whose bytes are its own tail: one allocation, exact size.
    static func makePrivate(byteCount: Int, account: SlabAccount? = nil) -> Slab {
        let buffer = Slab.create(minimumCapacity: byteCount) { buffer in
            // SAFETY: the tail lives exactly as long as the object whose header points at it.
            let base = unsafe buffer.withUnsafeMutablePointerToElements { UnsafeMutableRawPointer($0) }
            return unsafe SlabHeader(
                base: base, byteCount: byteCount, home: nil,
                account: account.map { unsafe .passRetained($0) })
        }
        // SAFETY: `create` on a subclass returns an instance of that subclass; it is typed as the base
        // class.
        return unsafe unsafeDowncast(buffer, to: Slab.self)
    }

    /// A slab over a block taken from `home`, which gets it back when the slab dies.
    @unsafe
    static func makePooled(block: UnsafeMutableRawPointer, home: SlabBlocks, account: SlabAccount) -> Slab {
        let buffer = Slab.create(minimumCapacity: 0) { _ in
            unsafe _ = block.bindMemory(to: UInt8.self, capacity: home.blockByteCount)
            return unsafe SlabHeader(
                base: block, byteCount: home.blockByteCount, home: home,
                account: .passRetained(account))
        }
        // SAFETY: as in `makePrivate`.
        return unsafe unsafeDowncast(buffer, to: Slab.self)
    }

    /// The first byte; valid while the slab is retained.
    @unsafe
    var base: UnsafeMutableRawPointer { unsafe withUnsafeMutablePointerToHeader { unsafe $0.pointee.base } }

    /// The bytes of memory that this slab keeps alive.
    var byteCount: Int { unsafe withUnsafeMutablePointerToHeader { unsafe $0.pointee.byteCount } }

    // SAFETY, of all these: the header is set when the slab is made, never changes, and lives as long.
    // Through the pointer because `header` is checked for exclusive access at run time, at each use.
    var account: SlabAccount? {
        unsafe withUnsafeMutablePointerToHeader { unsafe $0.pointee.account?.takeUnretainedValue() }
    }

    /// Tells the account, if there is one, of bytes that are held from now on.
    @inline(__always)
    func charge(_ byteCount: Int) {
        unsafe withUnsafeMutablePointerToHeader {
            unsafe $0.pointee.account?._withUnsafeGuaranteedRef { $0.charge(byteCount) }
        }
    }

    /// Tells the account, if there is one, of bytes that are no longer held.
    @inline(__always)
    func discharge(_ byteCount: Int) {
        unsafe withUnsafeMutablePointerToHeader {
            unsafe $0.pointee.account?._withUnsafeGuaranteedRef { $0.discharge(byteCount) }
        }
    }

    deinit {
        // Bytes that were dropped without being delivered hold no memory any more, so they stop counting
        // here.
        let header = header
        unsafe header.account?.takeRetainedValue().settle()
        // SAFETY: no slice is left, hence no reader; this was the only slab over the block.
        unsafe header.home?.giveBack(header.base)
    }
}
