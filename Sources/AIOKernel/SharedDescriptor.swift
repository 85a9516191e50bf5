// A descriptor with several owners, for what must stay open until the last of them is done: a file with disk
// requests in flight, an event counter that their completions signal.

/// A descriptor that is closed when its last reference goes.
///
/// `Descriptor` has one owner, which is right for everything a worker owns. A disk request outlives whoever
/// asked for it, until the kernel answers; were the file closed before, its number could by then mean another
/// file.
package final class SharedDescriptor: Sendable {
    package let descriptor: Descriptor

    package init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }
}
