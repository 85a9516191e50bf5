// The disk of a simulated machine: its files by path, and what the disk is like. Tests make and look at files
// here; the kernel opens them (Kernel/SimulatedKernel+Disk.swift).

package import AIOKernel
import SystemPackage

/// The files of one machine.
///
/// Paths are names as a whole: there are no directories, and no links.
///
/// Sendable, unchecked: a simulation and all its parts are used by one thread at a time.
package final class SimulatedDisk: @unchecked Sendable {
    /// How long a request takes. Also of requests that take no time, which completes first is drawn.
    package var latency: ClosedRange<Duration> = .zero ... .zero
    /// Of offsets and lengths of direct requests: the size of the device's blocks, 512 or 4,096 as a rule.
    package var alignment = 512 {
        didSet {
            precondition(
                alignment > 0 && alignment & (alignment - 1) == 0, "an alignment is a power of two")
        }
    }
    /// Whether its file system takes `O_DIRECT`; else open(2) says EINVAL.
    package var takesDirect = true
    /// Whether its file system takes `RWF_NOWAIT`, as ext4 does and tmpfs does not; else io_submit(2) says
    /// EOPNOTSUPP.
    package var takesNonblocking = true

    private var files: [String: StoredFile] = [:]

    package init() {}

    /// Every path, sorted.
    package var paths: [String] { files.keys.sorted() }

    /// A new file in the place of what was at `path`; what is open stays what it is.
    package func makeFile(at path: String, contents: [UInt8] = []) { files[path] = StoredFile(contents) }

    /// All bytes of a file; nil if there is none.
    package func contents(of path: String) -> [UInt8]? { files[path]?.contents }

    /// The length of a file; nil if there is none.
    package func byteCount(of path: String) -> Int64? { files[path]?.byteCount }

    /// truncate(2): cuts a file off, or makes it longer by a hole. ENOENT if there is none.
    package func truncate(_ path: String, to byteCount: Int64) throws(AIOError) {
        try file(at: path, for: "truncate").truncate(to: byteCount)
    }

    /// unlink(2): what is open stays open. ENOENT if there is none.
    package func remove(_ path: String) throws(AIOError) {
        _ = try file(at: path, for: "unlink")
        files[path] = nil
    }

    func file(at path: String, for call: String) throws(AIOError) -> StoredFile {
        guard let file = files[path] else {
            throw AIOError(errno: .noSuchFileOrDirectory, call: call, detail: path)
        }
        return file
    }
}
