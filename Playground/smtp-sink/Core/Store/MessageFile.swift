// One file that becomes a message, or nothing. All calls block; FileStore makes them on offload threads.

import AIO
import Glibc
import SystemPackage
import Synchronization

/// A file under a temporary name until `commit`. If it is let go of before, it is deleted.
final class MessageFile: Sendable {
    private enum State {
        case unopened
        case open(FileDescriptor)
        /// Stored, or deleted.
        case over
    }

    private let temporary: FilePath
    private let final: FilePath
    private let directory: FilePath
    /// Held over the disk's calls: of those who use a file, one waits for the other at most when it is let go
    /// of.
    private let state = Mutex(State.unopened)

    init(temporary: FilePath, final: FilePath, directory: FilePath) {
        self.temporary = temporary
        self.final = final
        self.directory = directory
    }

    /// - Parameter header: what comes before the first piece.
    func append(_ piece: Bytes, header: Bytes) throws {
        try state.withLock { state in
            let file: FileDescriptor
            switch state {
            case .over: throw Errno.badFileDescriptor
            case .open(let open): file = open
            case .unopened:
                file = try FileDescriptor.open(
                    temporary, .writeOnly, options: [.create, .exclusiveCreate, .closeOnExec],
                    permissions: [.ownerReadWrite, .groupRead])
                state = .open(file)
                try file.writeAll(header)
            }
            try file.writeAll(piece)
        }
    }

    /// Once this has returned, the message is there under its name, and will be after a loss of power.
    func commit() throws {
        try state.withLock { state in
            guard case .open(let file) = state else { throw Errno.badFileDescriptor }
            try synchronise(file)
            state = .over
            do {
                try file.close()
                try rename(temporary, to: final)
            } catch {
                unlink(temporary)
                throw error
            }
            do {
                let place = try FileDescriptor.open(
                    directory, .readOnly, options: [.directory, .closeOnExec])
                try place.closeAfter { try synchronise(place) }
            } catch {
                // Refused, it must not be there: the client will send it again.
                unlink(final)
                throw error
            }
        }
    }

    func discard() {
        state.withLock { state in
            if case .open(let file) = state {
                try? file.close()
                unlink(temporary)
            }
            state = .over
        }
    }

    deinit { discard() }
}

private func synchronise(_ file: FileDescriptor) throws(Errno) {
    guard fsync(file.rawValue) == 0 else { throw Errno(rawValue: errno) }
}

private func rename(_ path: FilePath, to other: FilePath) throws(Errno) {
    // SAFETY: Swift passes both strings as C strings that outlive the call; rename(2) keeps neither.
    guard unsafe Glibc.rename(path.string, other.string) == 0 else { throw Errno(rawValue: errno) }
}

private func unlink(_ path: FilePath) {
    // SAFETY: Swift passes the string as a C string that outlives the call; unlink(2) does not keep it.
    _ = unsafe Glibc.unlink(path.string)
}
