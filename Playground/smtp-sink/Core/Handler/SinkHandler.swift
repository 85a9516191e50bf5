// One connection: lines go to the session, and what it decides is done here. How messages are received is in
// SinkHandler+Body.swift.

public import AIO

/// An actor for each connection of a sink. Serve it with `SinkOptions.serverOptions()`.
public actor SinkHandler: LineHandler {
    public let connection: Connection
    let options: SinkOptions
    private var session: Session
    /// From DATA's or the first BDAT's reception until it is stored or dropped.
    var incoming: IncomingMessage?

    public init(_ connection: Connection, options: SinkOptions) {
        self.connection = connection
        self.options = options
        session = Session(rules: options.rules)
    }

    public func connected() async throws {
        options.counts.sessionBegan()
        try await answer(session.greeting)
    }

    public func lineReceived(_ line: Bytes) async throws {
        do {
            try await perform(session.lineArrived(line))
        } catch let error as AIOError where Self.saysPeerIsGone(error) {
            // Not worth a report: clients come and go. The connection is broken, so no line follows, and
            // `closed` does.
        }
    }

    private static func saysPeerIsGone(_ error: AIOError) -> Bool {
        [.connectionReset, .connectionAborted, .closed].contains(error.code)
    }

    private func perform(_ action: Session.Action) async throws {
        switch action {
        case .reply(let reply): try await answer(reply)
        case .replyAndDrop(let reply):
            await dropIncoming()
            try await answer(reply)
        case .receiveText(let envelope, let reply):
            incoming = begin(envelope)
            try await answer(reply)
            guard try await receive(.text(DotDecoder())) else { return }
            try await endMessage(of: envelope)
        case .receiveChunk(let envelope, let byteCount, let isLast):
            if incoming == nil { incoming = begin(envelope) }
            guard try await receive(.chunk(byteCount: byteCount)) else { return }
            // What cannot be taken is refused at the first chunk that shows it.
            if isLast || incoming?.refusal != nil {
                try await endMessage(of: envelope)
            } else {
                try await answer(session.chunkEnded(byteCount: byteCount))
            }
        case .skipChunk(let byteCount, let reply):
            guard try await receive(.chunk(byteCount: byteCount)) else { return }
            try await answer(reply)
        }
    }

    /// Between commands; a message that has begun to come is waited for.
    public func serverDraining() async throws {
        try await answer(Reply(421, "4.3.2", "\(options.rules.hostname) is shutting down"))
    }

    public func closed(_ reason: CloseReason) async { await dropIncoming() }

    func answer(_ reply: Reply) async throws {
        try await connection.write(reply.bytes)
        if reply.closes { connection.close() }
    }

    private func begin(_ envelope: Envelope) -> IncomingMessage? {
        guard let aio = connection.proactor else { return nil }
        let draft = options.store.begin(on: aio) { id in
            TraceHeader.make(
                for: envelope, client: session.client, peer: connection.peer,
                hostname: options.rules.hostname, id: id, secondsSince1970: options.now())
        }
        return IncomingMessage(into: draft, rules: options.rules)
    }

    private func endMessage(of envelope: Envelope) async throws {
        guard let message = incoming else {
            // The program is ending.
            return try await answer(Reply(451, "4.3.2", "not now", closes: true))
        }
        let reply = try await message.ended()
        incoming = nil
        session.messageEnded()
        if reply.code == 250 {
            options.counts.messageTaken(
                byteCount: message.byteCount, recipientCount: envelope.recipients.count)
        } else {
            options.counts.messageRefused()
        }
        try await answer(reply)
    }

    func dropIncoming() async {
        await incoming?.drop()
        incoming = nil
    }
}
