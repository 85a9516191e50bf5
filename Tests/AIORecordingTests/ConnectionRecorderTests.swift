// Recording over real sockets: what is written down of a conversation, into memory and into files, and what happens at
// the limits and when the disk fails. The connection is to notice nothing of it.

import AIO
import AIOKernel
import AIORecording
import AIOWorkers
import Dispatch
import SystemPackage
import Testing

@Suite(.timeLimit(.minutes(20))) struct ConnectionRecorderTests {
    private func greet(_ connection: Connection) async throws {
        try await connection.write("hello\r\n")
        for try await bytes in connection.chunks { try await connection.write(["you said ", bytes]) }
        try await connection.write("bye\r\n")
    }

    private func talk(_ connection: Connection) async throws {
        #expect(try await connection.read(exactly: 7) == "hello\r\n")
        try await connection.write("one")
        #expect(try await connection.read(exactly: 12) == "you said one")
        connection.finish()
        #expect(try await connection.readAll(atMost: 100) == "bye\r\n")
    }

    private let story = [
        #"server "hello\r\n""#, #"client "one""#, #"server "you said one""#, "client end",
        #"server "bye\r\n""#, "server end",
    ]

    @Test func `a conversation is recorded in the order in which it was spoken`() async throws {
        let recorder = ConnectionRecorder()
        let report = try await recorded(by: recorder, serving: greet) { client, _ in try await talk(client) }
        let recording = try #require(recorder.recording)
        #expect(recording.story == story)
        #expect(recording.isComplete && recorder.failure == nil)
        #expect(recording.client?.address == .loopbackV4 && recording.server?.address == .loopbackV4)
        #expect(recording.client != recording.server)
        let times = recording.events.map(\.microseconds)
        #expect(times == times.sorted())
        #expect(report.forward == 3 && report.backward == 24 && report.failure == nil)
        #expect(recording.bytes(from: .server) == "hello\r\nyou said onebye\r\n")
        for case .bytes(let bytes) in recording.events.map(\.action) {
            #expect(bytes.heldByteCount == bytes.count, "and not the slab that they came in")
        }
    }

    @Test func `a recording in a file is what it would have been in memory`() async throws {
        try await withDirectory { directory in
            let path = directory.appending("one.recording")
            let recorder = ConnectionRecorder(to: path)
            _ = try await recorded(by: recorder, serving: greet) { client, _ in try await talk(client) }
            #expect(recorder.failure == nil && recorder.recording == nil)
            let recording = try Recording(contentsOf: path)
            #expect(recording.story == story)
            #expect(recording.ending == recorder.ending && recording.isComplete)
        }
    }

    @Test func `many bytes are recorded byte for byte, in pieces`() async throws {
        let block = Bytes((0..<1 << 18).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) })
        try await withDirectory { directory in
            let path = directory.appending("many.recording")
            var limits = RecordingLimits()
            // Never a matter of how fast the disk is.
            limits.unwrittenByteCountMax = 64 << 20
            let recorder = ConnectionRecorder(to: path, limits: limits)
            let report = try await recorded(by: recorder) { connection in
                try await connection.write(try await connection.readAll(atMost: 2 << 20))
            } _: { client, _ in
                try await client.write(block)
                client.finish()
                #expect(try await client.readAll(atMost: 2 << 20) == block)
            }
            #expect(report.forward == 1 << 18 && recorder.failure == nil)
            let recording = try Recording(contentsOf: path)
            #expect(recording.bytes(from: .client) == block && recording.bytes(from: .server) == block)
            #expect(recording.isComplete)
        }
    }

    @Test(arguments: [true, false]) func `a reset is recorded as that of the side that it came from`(
        byClient: Bool
    ) async throws {
        let recorder = ConnectionRecorder()
        let report = try await recorded(by: recorder) { connection in
            try await connection.write("before")
            if byClient {
                _ = try? await connection.read()
            } else {
                _ = try await connection.read()
                connection.abort()
            }
        } _: { client, _ in
            #expect(try await client.read(exactly: 6) == "before")
            if byClient {
                client.abort()
            } else {
                try await client.write("x")
                await #expect(throws: AIOError.self) { while try await client.read() != nil {} }
            }
        }
        #expect(report.failure?.code == .connectionReset)
        let recording = try #require(recorder.recording)
        #expect(
            recording.story
                == [#"server "before""#] + (byClient ? ["client reset"] : [#"client "x""#, "server reset"]))
        #expect(recording.ending?.kind == .closed)
    }

    /// Begins a recording of no connection.
    private func begin(_ recorder: ConnectionRecorder, _ aio: Proactor) throws {
        try recorder.begin(
            client: nil, server: nil, engine: aio.engine, worker: aio.engine.workers[0])
    }

    // MARK: Limits

    @Test func `past its limit a recording ends with a mark, and the connection goes on`() async throws {
        let byteCount = 300_000
        try await withDirectory { directory in
            var limits = RecordingLimits()
            limits.byteCountMax = 100_000
            for path in [directory.appending("one.recording"), nil] {
                let recorder =
                    path.map { ConnectionRecorder(to: $0, limits: limits) }
                    ?? ConnectionRecorder(limits: limits)
                let report = try await recorded(by: recorder) { connection in
                    #expect(try await connection.readAll(atMost: byteCount).count == byteCount)
                    try await connection.write("all of it")
                } _: { client, _ in
                    try await client.write(Bytes([UInt8](repeating: 97, count: byteCount)))
                    client.finish()
                    #expect(try await client.readAll(atMost: 100) == "all of it")
                }
                #expect(report.forward == UInt64(byteCount) && report.backward == 9)
                let recording = try path.map { try Recording(contentsOf: $0) } ?? recorder.recording
                #expect(recording?.ending?.kind == .cut("the limit of 100000 bytes is reached"))
                #expect(recording?.ending == recorder.ending)
                let kept = try #require(recording)
                #expect((1..<100_000).contains(kept.bytes(from: .client).count))
                #expect(kept.text.utf8.count <= 100_000)
                #expect(recorder.failure == nil)
            }
        }
    }

    @Test func `a disk that is slower than the connection cuts the recording and not the connection`()
        async throws
    {
        let byteCount = 400_000
        var configuration = Proactor.Configuration()
        configuration.offloadThreadsMax = 1
        try await withDirectory { directory in
            let path = directory.appending("slow.recording")
            var limits = RecordingLimits()
            limits.unwrittenByteCountMax = 100_000
            let recorder = ConnectionRecorder(to: path, limits: limits)
            let mayWrite = DispatchSemaphore(value: 0), isBusy = Box<Bool>()
            _ = try await recorded(by: recorder, configuration) { connection in
                let received = try await connection.readAll(atMost: byteCount)
                #expect(received.count == byteCount)
            } _: { client, aio in
                // The only thread that could write is busy until all has passed.
                async let disk: Void = aio.offload {
                    isBusy.value = true
                    mayWrite.wait()
                }
                while isBusy.value == nil { await Task.yield() }
                try await client.write(Bytes([UInt8](repeating: 97, count: byteCount)))
                client.finish()
                #expect(try await client.read() == nil)
                mayWrite.signal()
                try await disk
            }
            let recording = try Recording(contentsOf: path)
            #expect(recording.ending?.kind == .cut("the disk is slower than the connection"))
            #expect(recording.text.utf8.count <= 102_000)
            #expect(recorder.failure == nil)
        }
    }

    @Test func `a piece that no thread takes is written later`() async throws {
        var configuration = Proactor.Configuration()
        configuration.offloadThreadsMax = 1
        configuration.offloadQueuedMax = 0
        try await withDirectory { directory in
            let path = directory.appending("later.recording")
            let recorder = ConnectionRecorder(to: path)
            let mayWrite = DispatchSemaphore(value: 0), isBusy = Box<Bool>()
            try await withProactor(configuration) { aio in
                async let disk: Void = aio.offload {
                    isBusy.value = true
                    mayWrite.wait()
                }
                while isBusy.value == nil { await Task.yield() }
                try begin(recorder, aio)
                recorder.note(.client, .bytes("x"))
                recorder.end(.closed)
                async let isWritten: Void = withCheckedContinuation { done in
                    recorder.finish { done.resume() }
                }
                mayWrite.signal()
                try await disk
                await isWritten
            }
            #expect(recorder.failure == nil)
            #expect(try Recording(contentsOf: path).story == [#"client "x""#])
        }
    }

    // MARK: Trouble

    @Test func `a file that cannot be written is said, and the connection goes on`() async throws {
        try await withDirectory { directory in
            let recorder = ConnectionRecorder(to: directory.appending("missing").appending("x.recording"))
            _ = try await recorded(by: recorder, serving: greet) { client, _ in try await talk(client) }
            #expect(recorder.failure?.code == .notFound)
            #expect(recorder.failure?.call == "open")
        }
    }

    @Test func `once the file could not be written nothing more is kept for it`() async throws {
        try await withProactor { aio in
            let recorder = ConnectionRecorder(to: "/nowhere/x.recording")
            try begin(recorder, aio)
            while recorder.failure == nil { await Task.yield() }
            recorder.note(.client, .bytes("x"))
            #expect(recorder.ending?.kind == .cut("the file could not be written"))
        }
    }

    @Test func `a recorder records one connection`() async throws {
        let recorder = ConnectionRecorder()
        _ = try await recorded(by: recorder, serving: greet) { client, _ in try await talk(client) }
        try await withProactor { aio in
            let error = #expect(throws: AIOError.self) { try begin(recorder, aio) }
            #expect(error?.code == .misuse)
        }
    }

    @Test(arguments: [true, false]) func `a limit too small to say anything is an error`(
        ofUnwritten: Bool
    ) async throws {
        var limits = RecordingLimits()
        if ofUnwritten { limits.unwrittenByteCountMax = 4_095 } else { limits.byteCountMax = 4_095 }
        let recorder = ConnectionRecorder(limits: limits)
        try await withProactor { aio in
            let error = #expect(throws: AIOError.self) { try begin(recorder, aio) }
            #expect(error?.code == .invalidArgument)
        }
    }

    @Test(arguments: [true, false])
    func `a relay that is cancelled or drained cuts the recording, which is written as far as it is`(
        isCancelled: Bool
    ) async throws {
        try await withDirectory { directory in
            let path = directory.appending("cut.recording")
            let recorder = ConnectionRecorder(to: path)
            try await withProactor { aio in
                let upstream = try await aio.listen(on: "127.0.0.1:0")
                let proxy = try await aio.listen(on: "127.0.0.1:0")
                async let served = upstream.serve { connection in
                    while try await connection.read() != nil {}
                }
                let target = upstream.endpoint
                let relaying = Box<Task<RelayReport, any Error>>()
                async let proxied = proxy.serve { near in
                    try await aio.connect(to: target) { far in
                        let task = Task { try await recordingRelay(near, far, into: recorder) }
                        relaying.value = task
                        _ = try? await task.value
                    }
                }
                let client = try await aio.connect(to: proxy.endpoint)
                try await client.connection.write("x")
                // It can be read while it is being written: a second later at most.
                while (try? Recording(contentsOf: path))?.events.isEmpty != false { await Task.yield() }
                if isCancelled { relaying.value?.cancel() }
                proxy.drain(within: .seconds(20))
                while recorder.ending == nil { await Task.yield() }
                client.connection.close()
                _ = try await proxied
                upstream.drain(within: .zero)
                _ = try? await served
            }
            let recording = try Recording(contentsOf: path)
            #expect(recording.story == [#"client "x""#])
            let reason = isCancelled ? "relay was cancelled" : "server was drained"
            #expect(recording.ending?.kind == .cut("the \(reason)"))
        }
    }
}
