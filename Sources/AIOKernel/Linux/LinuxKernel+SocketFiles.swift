// The files that Unix sockets leave in the file system: is this one still ours, does anybody listen on it.
// Called before a listener binds and after it has closed.

internal import CAIOLinux
internal import Glibc
internal import SystemPackage

extension LinuxKernel {
    /// A socket file is stale if connecting to it is refused: nobody has it bound. Between that answer and
    /// the removal another process could do the same and bind; the file's identity is compared again at the
    /// last moment, which leaves a window of one system call. Who needs more takes a lock file.
    package func removeStaleSocket(at path: String) -> Bool {
        let endpoint = Endpoint.unix(path)
        guard let identity = socketFileIdentity(at: path), let socket = try? makeStreamSocket(for: endpoint)
        else { return false }
        guard connect(socket, to: endpoint).errno == .connectionRefused,
            socketFileIdentity(at: path) == identity
        else { return false }
        // SAFETY: the path is a NUL-terminated copy made for the call.
        return unsafe unlink(path) == 0
    }

    package func socketFileIdentity(at path: String) -> FileIdentity? {
        guard !path.utf8.contains(0) else { return nil }
        var device: UInt64 = 0
        var inode: UInt64 = 0
        // SAFETY: the path is a NUL-terminated copy made for the call; both numbers are set if it succeeds.
        guard unsafe caio_socket_file(path, &device, &inode) == 0 else { return nil }
        return FileIdentity(device: device, inode: inode)
    }

    package func removeSocketFile(at path: String) {
        guard socketFileIdentity(at: path) != nil else { return }
        // SAFETY: the path is a NUL-terminated copy made for the call.
        _ = unsafe unlink(path)
    }
}
