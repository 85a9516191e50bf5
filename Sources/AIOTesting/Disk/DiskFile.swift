// A file of the simulated disk that was opened: what a descriptor stands for. SimulatedKernel+Disk.swift
// opens it, DiskQueue.swift reads and writes what is behind it.

import AIOKernel
import SystemPackage

/// A file that was opened.
final class DiskFile: SimulatedFile {
    let path: String
    let stored: StoredFile
    let access: FileDescriptor.AccessMode
    /// `O_DIRECT`: past the page cache, so that io_submit(2) does not have to wait.
    let isDirect: Bool

    init(_ stored: StoredFile, path: String, access: FileDescriptor.AccessMode, isDirect: Bool) {
        self.stored = stored
        self.path = path
        self.access = access
        self.isDirect = isDirect
    }

    func allows(_ operation: DiskRequest.Operation) -> Bool {
        access != (operation == .read ? .writeOnly : .readOnly)
    }

    /// Files are always ready, so epoll does not take them (EPERM).
    override var canBeWatched: Bool { false }
}
