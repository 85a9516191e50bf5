// The operating system itself. The engine calls it through the `Kernel` protocol; each call below is one
// system call of CAIOLinux or Glibc with its answer in our types. The other files of this folder hold the
// rest by theme.

internal import AIOBytes
internal import CAIOLinux
internal import Glibc
internal import SystemPackage

/// Linux.
///
/// Holds no state of its own but the table of disk contexts, so one is as good as another; a program makes
/// one. Every descriptor it makes is nonblocking and close-on-exec from birth, by flags of the call that
/// makes it: setting them afterwards would leave a moment in which another thread's fork(2) inherits it.
package final class LinuxKernel: Kernel {
    let diskContexts = LinuxDiskContextTable()

    package init() {}

    package var now: MonotonicTime { MonotonicTime(nanoseconds: caio_monotonic_nanoseconds()) }

    /// From getrandom(2), which the standard generator calls.
    package func random() -> UInt64 {
        var generator = SystemRandomNumberGenerator()
        return generator.next()
    }

    package var usableProcessorCount: Int {
        let byAffinity = max(Int(caio_affinity_processor_count()), 1)
        guard let byQuota = ProcessorQuota.processorCount(readFile: PseudoFile.read) else {
            return byAffinity
        }
        return min(byAffinity, byQuota)
    }

    package func close(_ number: Int32) {
        // The result is dropped: EINTR and EIO come after the descriptor is gone, EBADF would be a double
        // close.
        let result = Glibc.close(number)
        assert(result == 0 || errno != EBADF, "descriptor \(number) was closed twice")
    }

    package func openPlaceholder() throws(AIOError) -> Descriptor {
        do {
            let file = try FileDescriptor.open(FilePath("/dev/null"), .readOnly, options: .closeOnExec)
            return Descriptor(number: file.rawValue, kernel: self)
        } catch {
            throw AIOError(errno: error as? Errno ?? .ioError, call: "open", detail: "/dev/null")
        }
    }

    /// The descriptor in a call's answer, owned from here on; or its error, which says what it was about.
    func descriptor(_ answer: Int, call: String, detail: String? = nil) throws(AIOError) -> Descriptor {
        try check(answer, call: call, detail: detail)
        return Descriptor(number: Int32(truncatingIfNeeded: answer), kernel: self)
    }

    /// Throws if a call answered with a negated error number.
    func check(_ answer: Int, call: String, detail: @autoclosure () -> String? = nil) throws(AIOError) {
        guard let errno = CallResult(rawValue: answer).errno else { return }
        throw AIOError(errno: errno, call: call, detail: detail())
    }
}
