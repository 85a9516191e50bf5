// Unix sockets with a path on a simulated machine, unix(7): the files that they leave behind, and connecting, which is done
// at once or not at all. Those of the abstract namespace are joined as TCP's are, by a handshake.

package import AIOKernel
import SystemPackage

/// A socket's file. It stays when the socket is closed, and nobody listens there any more.
struct SocketFile {
    let path: String
    let identity: FileIdentity
    weak var stream: SimulatedStream?
}

extension SimulatedKernel {
    /// bind(2) to a path that exists is EADDRINUSE, whoever left the file there.
    func makeSocketFile(at path: String, for stream: SimulatedStream) throws(AIOError) {
        guard socketFileIdentity(at: path) == nil else {
            throw AIOError(errno: .addressInUse, call: "bind", detail: Endpoint.unix(path).description)
        }
        lastInode += 1
        let identity = FileIdentity(device: 1, inode: lastInode)
        socketFiles.append(SocketFile(path: path, identity: identity, stream: stream))
    }

    package func removeStaleSocket(at path: String) -> Bool {
        guard let file = socketFile(at: path), listener(of: file) == nil else { return false }
        removeSocketFile(at: path)
        return true
    }

    package func socketFileIdentity(at path: String) -> FileIdentity? { socketFile(at: path)?.identity }

    package func removeSocketFile(at path: String) { socketFiles.removeAll { $0.path == path } }

    private func socketFile(at path: String) -> SocketFile? { socketFiles.first { $0.path == path } }

    private func listener(of file: SocketFile) -> SimulatedStream? {
        guard let stream = file.stream, !stream.isOrphan, stream.phase == .listening else { return nil }
        return stream
    }

    /// unix_stream_connect: ENOENT without a file, ECONNREFUSED if nobody listens, EAGAIN if the queue is full; else the
    /// connection is there.
    func connect(_ stream: SimulatedStream, toSocketAt path: String) -> CallResult {
        guard let file = socketFile(at: path) else { return CallResult(.noSuchFileOrDirectory) }
        guard let listener = listener(of: file) else { return CallResult(.connectionRefused) }
        guard listener.waiting.count < listener.backlog else {
            return CallResult(.resourceTemporarilyUnavailable)
        }
        stream.peer = .unix(path)
        stream.local = stream.local ?? .unnamed
        network.connect(stream, to: listener, by: network.topology.route(from: address, to: address))
        noteActivity()
        return CallResult(rawValue: 0)
    }
}
