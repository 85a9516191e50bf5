// What a recorder makes of connections: their addresses and engine at the beginning, ends and errors in the recording's
// words. Called by the relay and by RecordedConnection.

import AIO
import AIOKernel
import AIOWorkers

extension ConnectionRecorder {
    /// Begins with a connection that a handler of this program has.
    func begin(on connection: Connection) throws(AIOError) {
        let (near, far) = (connection.local, connection.peer)
        let isAccepted = connection.isAccepted
        try begin(client: isAccepted ? far : near, server: isAccepted ? near : far, on: connection)
    }

    /// `connection` has the clock.
    func begin(client: Endpoint?, server: Endpoint?, on connection: Connection) throws(AIOError) {
        guard let engine = connection.proactor?.engine else { throw AIOError(.shutDown, call: "record") }
        try begin(client: client, server: server, engine: engine, worker: connection.core.worker)
    }

    /// A read has said that there is no more.
    func noteEnd(of side: Recording.Side, on connection: Connection) {
        let core = connection.core
        // Ended second, it is closed at once.
        if core.peerHasFinished || core.closeReason != nil {
            note(side, .end)
        } else {
            // Reads end because this program's server drains, and not because the other side has done anything.
            end(.cut("the server was drained"))
        }
    }

    /// A read or a write has failed, of the connection whose other end is `side`.
    func noteFailure(_ error: any Error, of side: Recording.Side, on connection: Connection) {
        guard let error = error as? AIOError else { return }
        switch error.code {
        case .connectionReset: note(side, .reset)
        // What the program asked for was wrong, or too much, and the connection is as it was.
        case .misuse, .invalidArgument, .connectionClosedEarly: return
        case .limitReached where connection.core.closeReason == nil: return
        default: end(.failed("\(side): \(error)"))
        }
    }

    /// Returns once all is written, or cannot be; cancelling does not end the wait.
    func finish() async { await withCheckedContinuation { done in finish { done.resume() } } }
}
