// A file descriptor with one owner. Kernels make them; whoever holds one when it goes out of scope has closed
// it.

/// An open descriptor that closes itself.
///
/// It carries the kernel that opened it and asks *that* kernel to close it: a simulated descriptor must never
/// close a real one that happens to have the same number. It is not copyable, so it is closed once, by its
/// last owner, on every path, early throws included.
package struct Descriptor: ~Copyable, Sendable {
    package let number: Int32
    package let kernel: any Kernel

    package init(number: Int32, kernel: any Kernel) {
        self.number = number
        self.kernel = kernel
    }

    deinit { kernel.close(number) }
}
