// The inside of a recording proxy: `relay`, with somebody who writes down what passes.

public import AIO
import AIOBytes
import AIOKernel

/// Carries bytes between two connections until both sides have ended, as `relay` does, and records what each side sends:
/// `client` is the side that connected to this program, `server` the one that this program connected to.
///
/// ```swift
/// try await aio.serve(on: "127.0.0.1:8001") { client in
///     try await aio.connect(to: "127.0.0.1:25") { server in
///         let recorder = ConnectionRecorder(to: directory.appending("\(client.id).recording"))
///         _ = try await recordingRelay(client, server, into: recorder)
///     }
/// }
/// ```
///
/// What a side sends is recorded when it comes, before it is passed on. Suspends until both sides have ended and the
/// recording is written. If it cannot be, or is cut at a limit, the bytes pass all the same, and the recorder says so.
/// - Throws: `CancellationError`, as `relay`; `.misuse` if the recorder has been used before.
public func recordingRelay(
    _ client: Connection, _ server: Connection, into recorder: ConnectionRecorder
) async throws -> RelayReport {
    try recorder.begin(client: client.peer, server: server.peer, on: client)
    do {
        let report = try await relay(
            client, server, observedBy: RelayTap(client: client, recorder: recorder))
        recorder.end(.closed)
        await recorder.finish()
        return report
    } catch {
        recorder.end(.cut("the relay was cancelled"))
        await recorder.finish()
        throw error
    }
}

/// Passes on to a recorder what a relay sees.
private struct RelayTap: RelayObserver {
    let client: Connection
    let recorder: ConnectionRecorder

    private func side(_ connection: Connection) -> Recording.Side { connection == client ? .client : .server }

    func came(_ bytes: Bytes, from connection: Connection) { recorder.note(side(connection), .bytes(bytes)) }

    func ended(_ connection: Connection) { recorder.noteEnd(of: side(connection), on: connection) }

    func broke(_ connection: Connection, _ error: AIOError) {
        recorder.noteFailure(error, of: side(connection), on: connection)
    }
}
