// What a system call on the hot path returned: a count, or an error number. Made by a `Kernel`, read by the
// worker's read and write loops, where `EAGAIN` is an ordinary answer and a thrown error would be the wrong
// shape.

package import SystemPackage

/// The result of a system call: zero or more on success, the negated error number on failure.
package struct CallResult: Equatable, Sendable {
    package let rawValue: Int

    /// `rawValue` as the kernel itself returns it: a count, or `-errno`.
    package init(rawValue: Int) { self.rawValue = rawValue }
    package init(_ errno: Errno) { self.rawValue = -Int(errno.rawValue) }

    package var isSuccess: Bool { rawValue >= 0 }
    package var count: Int { max(rawValue, 0) }
    package var errno: Errno? { rawValue < 0 ? Errno(rawValue: CInt(-rawValue)) : nil }

    /// Nothing to be had now: the call would have blocked.
    package var wouldBlock: Bool { errno == .wouldBlock || errno == .resourceTemporarilyUnavailable }
    package var wasInterrupted: Bool { errno == .interrupted }
}
