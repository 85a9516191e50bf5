// System calls of tests that Glibc's Swift module leaves out: they give the calling thread something of its
// own.

import Glibc
import Testing

/// setfsuid(2): the user whose permissions this thread has in the file system.
func setFileSystemUser(_ user: uid_t) throws {
    let call = try unsafe address(of: "setfsuid")
    // SAFETY: the type is that of the manual page.
    _ = unsafe unsafeBitCast(call, to: (@convention(c) (uid_t) -> CInt).self)(user)
}

/// close_range(2) with `CLOSE_RANGE_UNSHARE`: a descriptor table of this thread alone, with the numbers below
/// `first`. Needs Linux 5.9.
func separateDescriptors(from first: CUnsignedInt) throws {
    let call = try unsafe address(of: "close_range")
    // SAFETY: the type is that of the manual page.
    let closeRange = unsafe unsafeBitCast(
        call, to: (@convention(c) (CUnsignedInt, CUnsignedInt, CInt) -> CInt).self)
    let result = closeRange(first, .max, 1 << 1)
    try #require(result == 0)
}

private func address(of symbol: String) throws -> UnsafeMutableRawPointer {
    guard let address = unsafe dlsym(nil, symbol) else { throw MissingCall(symbol: symbol) }
    return unsafe address
}

private struct MissingCall: Error { let symbol: String }
