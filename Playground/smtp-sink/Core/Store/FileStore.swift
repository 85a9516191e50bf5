// Messages as files of one directory. Everything that waits for the disk is done by offload threads.

public import AIO
public import SystemPackage

/// Stores each message in a file `ID.eml`, which is there when it is whole, and not before.
///
/// A message is written to `.ID.partial` in the same directory, synchronised, renamed, and the directory
/// synchronised: when the client is told that it is stored, it survives a loss of power. Files of a program
/// that was killed in between keep the temporary name, and can be deleted.
public struct FileStore: MessageStore {
    private let directory: FilePath
    private let ids: MessageIDs

    /// - Throws: what open(2) says of the directory, which must be there.
    public init(directory: FilePath, ids: MessageIDs = MessageIDs()) throws(AIOError) {
        self.directory = directory
        self.ids = ids
        do {
            try FileDescriptor.open(directory, .readOnly, options: .directory).close()
        } catch {
            throw AIOError(
                .notFound, errno: error as? Errno, call: "open", detail: "the store \(directory)")
        }
    }

    public func begin(on aio: Proactor, header: (_ id: String) -> Bytes) -> any MessageDraft {
        let id = ids.next()
        return FileDraft(id, in: directory, header: header(id), on: aio)
    }
}

/// A message that is written to a file. The file is made with the first piece, so a short message takes one
/// trip to an offload thread.
private final class FileDraft: MessageDraft {
    let id: String
    private let header: Bytes
    private let aio: Proactor
    private let file: MessageFile

    init(_ id: String, in directory: FilePath, header: Bytes, on aio: Proactor) {
        self.id = id
        self.header = header
        self.aio = aio
        file = MessageFile(
            temporary: directory.appending(".\(id).partial"), final: directory.appending("\(id).eml"),
            directory: directory)
    }

    func write(_ piece: Bytes, isLast: Bool) async throws {
        try await aio.offload { [file, header] in
            try file.append(piece, header: header)
            if isLast { try file.commit() }
        }
    }

    func discard() async {
        // Whoever is cancelled, or comes when too much is waiting, gets no thread: then it is done here,
        // rather than not.
        do { try await aio.offload { [file] in file.discard() } } catch { file.discard() }
    }
}
