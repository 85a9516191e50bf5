// Between the lines: the bytes of a message, as they come.

import AIO

// Theory of operation
//
// While a message comes, the connection has no framing, and no filter: its text is not commands. The decoder
// says how many of the bytes that are there belong to the message; so many are taken, and what is behind them
// is cut into lines again.
//
// Of the bytes that have been looked at, the last stays unread until another has come. A connection with
// something unread is at something, as far as a drain is concerned: it waits for the rest of the message, up
// to its own deadline, where it would end the reading of a connection without. So a message whose first byte
// has come is received, stored and answered.

extension SinkHandler {
    /// Receives what `decoder` asks for into `incoming`, or into nothing. False if the session is over before
    /// it is complete.
    func receive(_ decoder: BodyDecoder) async throws -> Bool {
        if decoder.isEnd { return true }
        try setRawMode()
        do {
            let isComplete = try await connection.withTimeout(options.dataTimeout) { [self] in
                try await read(decoder)
            }
            guard isComplete else {
                await giveUp(Reply(421, "4.3.2", "this ends before the message does"))
                return false
            }
        } catch let error as AIOError where error.code == .timedOut {
            await giveUp(Reply(421, "4.4.2", "the message took too long"))
            return false
        }
        try setLineMode()
        return true
    }

    /// False at the stream's end.
    private func read(_ decoder: BodyDecoder) async throws -> Bool {
        var decoder = decoder
        /// Of what is unread, how many bytes the decoder has seen.
        var seenCount = 0
        while true {
            guard let unread = try await connection.peek(atLeast: seenCount + 1), unread.count > seenCount
            else { return false }
            let step = decoder.advance(over: unread.dropFirst(seenCount))
            try await incoming?.append(step.text)
            let isOver = step.isEnd
            let takenCount = seenCount + step.byteCount - (isOver ? 0 : 1)
            if takenCount > 0 { _ = try await connection.read(exactly: takenCount) }
            if isOver { return true }
            seenCount = 1
        }
    }

    /// The peer may be gone already: who does not read the reply does not need it.
    private func giveUp(_ reply: Reply) async {
        await dropIncoming()
        connection.send(reply.bytes)
        connection.close()
    }
}
