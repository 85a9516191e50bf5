// Where state lives that one thread at a time owns: a worker's, a datagram socket's two sides, a consumer's place
// in the stream. Used by Worker, JobQueue, DatagramCore and EventCursor.

/// A box for state whose accesses are ordered by ownership or by a lock, not by the language.
///
/// The language checks at run time that accesses to a class's properties do not overlap, with a look-up a
/// property. For an echo that came to sixty look-ups a message, a quarter of all user-mode instructions
/// (docs/decisions/0007). State in a box is not checked in release builds, because its owner excludes what
/// the check would find: one thread, or the holder of one lock, touches it. Debug builds check the same rule
/// here, at the same granularity: a change to the box while another access to it is under way traps.
///
/// Sendable, unchecked: whoever makes a box says next to it who owns it, and how ownership passes on.
@safe @usableFromInline
package struct Owned<Value: ~Copyable>: ~Copyable, @unchecked Sendable {
    @usableFromInline let pointer: UnsafeMutablePointer<Value>
    #if DEBUG
        @usableFromInline let accesses: UnsafeMutablePointer<Int>
    #endif

    @inlinable
    package init(_ value: consuming Value) {
        unsafe pointer = .allocate(capacity: 1)
        unsafe pointer.initialize(to: value)
        #if DEBUG
            unsafe accesses = .allocate(capacity: 1)
            unsafe accesses.initialize(to: 0)
        #endif
    }

    /// The state. SAFETY: the pointer is initialised from `init` to `deinit`, and accesses through it do not
    /// overlap: the invariant of this type, checked in debug builds.
    @inlinable
    package var value: Value {
        _read {
            #if DEBUG
                beginReading()
                defer { unsafe accesses.pointee -= 1 }
            #endif
            yield unsafe pointer.pointee
        }
        nonmutating _modify {
            #if DEBUG
                beginModifying()
                defer { unsafe accesses.pointee = 0 }
            #endif
            yield unsafe &pointer.pointee
        }
    }

    #if DEBUG
        @usableFromInline
        func beginReading() {
            precondition(unsafe accesses.pointee >= 0, "state is read while it is being changed")
            unsafe accesses.pointee += 1
        }

        @usableFromInline
        func beginModifying() {
            precondition(unsafe accesses.pointee == 0, "state is changed while another access is under way")
            unsafe accesses.pointee = -1
        }
    #endif

    @inlinable
    deinit {
        unsafe pointer.deinitialize(count: 1)
        unsafe pointer.deallocate()
        #if DEBUG
            unsafe accesses.deallocate()
        #endif
    }
}
