// Recordings in files, as a whole: what a test reads before it replays, and what it may write to keep.

import AIOBytes
public import AIOKernel
public import SystemPackage

extension Recording {
    /// Reads a recording from a file. Blocks; on a worker, in `aio.offload`.
    /// - Throws: `AIOError` if the file cannot be read, or `.tooLarge` if it has more than `byteCountMax` bytes;
    ///   `RecordingFormatError` for the first line that is wrong.
    public init(contentsOf path: FilePath, byteCountMax: Int = RecordingLimits().byteCountMax) throws {
        let file = try OpenFile(path, for: .reading)
        var text: [UInt8] = []
        while text.count <= byteCountMax {
            let block = try file.read()
            if block.isEmpty { break }
            text += block
        }
        guard text.count <= byteCountMax else {
            throw AIOError(.tooLarge, call: "read", detail: "\(path) has more than \(byteCountMax) bytes")
        }
        try self.init(parsing: text)
    }

    /// Writes the recording to a new file, which only this user may read: what went over a connection may be secret.
    /// Blocks; on a worker, in `aio.offload`.
    /// - Throws: what open(2) and write(2) say; a file that is there already is not touched.
    public func write(to path: FilePath) throws(AIOError) {
        try OpenFile(path, for: .writing).append(textBytes)
    }
}

/// A file that is open until this object goes.
final class OpenFile: Sendable {
    enum Purpose {
        case reading, writing
        /// At a directory.
        case looking
    }

    private let path: FilePath
    private let descriptor: FileDescriptor
    private static let blockByteCount = 1 << 16

    init(_ path: FilePath, for purpose: Purpose) throws(AIOError) {
        self.path = path
        descriptor = try Self.call("open", path) {
            switch purpose {
            case .reading: try FileDescriptor.open(path, .readOnly, options: .closeOnExec)
            case .looking: try FileDescriptor.open(path, .readOnly, options: [.directory, .closeOnExec])
            case .writing:
                try FileDescriptor.open(
                    path, .writeOnly, options: [.create, .exclusiveCreate, .closeOnExec],
                    permissions: [.ownerReadWrite])
            }
        }
    }

    deinit { try? descriptor.close() }

    /// Some bytes; none at the end.
    func read() throws(AIOError) -> [UInt8] {
        try Self.call("read", path) {
            // SAFETY: read(2) has written as many bytes to the buffer as it says.
            try unsafe [UInt8](unsafeUninitializedCapacity: Self.blockByteCount) { buffer, count in
                count = try unsafe descriptor.read(into: UnsafeMutableRawBufferPointer(buffer))
            }
        }
    }

    func append(_ text: [UInt8]) throws(AIOError) {
        try Self.call("write", path) { _ = try descriptor.writeAll(text) }
    }

    private static func call<Result>(
        _ name: String, _ path: FilePath, _ body: () throws -> Result
    ) throws(AIOError) -> Result {
        do {
            return try body()
        } catch {
            guard let errno = error as? Errno else {
                throw AIOError(.inputOutput, call: name, detail: path.string)
            }
            throw AIOError(errno: errno, call: name, detail: path.string)
        }
    }
}
