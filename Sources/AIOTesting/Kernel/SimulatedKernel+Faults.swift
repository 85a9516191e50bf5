// Where the calls of a simulated kernel ask the rules of Faults.swift, and how their answers become what the `Kernel`
// protocol promises of errors.

import AIOKernel
import SystemPackage

extension SimulatedKernel {
    /// How often one call is interrupted at most; a rule that goes on for longer would keep it for ever.
    private static let interruptionsMax = 100

    /// What goes wrong with a call, nil as a rule. The call is put together only if somebody asks.
    func fault(_ call: @autoclosure () -> SimulatedCall) -> CallFault? {
        faults.isEmpty ? nil : askRules(about: call())
    }

    private func askRules(about call: SimulatedCall) -> CallFault? {
        for _ in 0..<Self.interruptionsMax {
            guard let fault = faults.answer(to: call), network.deviations.takes() else { return nil }
            switch fault {
            case .fail(let errno):
                trace.note("fault: \(call.name.rawValue), errno", Int(errno.rawValue))
                if errno == .interrupted, call.isCalledAgain { continue }
            case .shorten(let count):
                guard call.canBeShort else {
                    trace.violation("a rule would shorten \(call.name.rawValue), which does all or nothing")
                    return nil
                }
                trace.note("fault: \(call.name.rawValue), shortened to", count)
            }
            return fault
        }
        trace.violation("a rule interrupts \(call.name.rawValue) again and again")
        return nil
    }

    /// Throws what goes wrong with a call that sets something up.
    func check(
        _ call: @autoclosure () -> SimulatedCall, detail: @autoclosure () -> String? = nil
    ) throws(AIOError) {
        guard !faults.isEmpty else { return }
        let call = call()
        guard case .fail(let errno) = askRules(about: call) else { return }
        throw AIOError(errno: errno, call: call.name.rawValue, detail: detail())
    }

    /// A call on a socket was told EAGAIN, or cut short, though more could be done: epoll has to report that in the end,
    /// or whoever waits for it waits for ever.
    func failed(_ errno: Errno, on file: SimulatedFile, edge: Readiness) -> CallResult {
        let result = CallResult(errno)
        if result.wouldBlock { network.owe(edge, to: file) }
        return result
    }

    /// What chaos does to a call that could move so many bytes: see `Arrival.chaos`.
    func disturbance(of stream: SimulatedStream, byteCount: Int) -> CallFault? {
        guard stream.incoming?.arrival == .chaos, byteCount > 0, chance.isOne(in: 3) else { return nil }
        guard network.deviations.takes() else { return nil }
        if byteCount == 1 || chance.isOne(in: 3) { return .fail(.resourceTemporarilyUnavailable) }
        return .shorten(to: chance.number(in: 1...byteCount - 1))
    }

    func call(
        _ name: SimulatedCall.Name, on stream: SimulatedStream, byteCount: Int? = nil
    ) -> SimulatedCall {
        SimulatedCall(name, local: stream.local, peer: stream.peer, byteCount: byteCount)
    }

    /// What accept(2) says when a rule has it fail. Errors of the connection, as opposed to those of the listener or the
    /// machine, take the connection with them.
    func acceptFailure(_ errno: Errno, on listener: SimulatedStream) -> AcceptResult {
        let result = LinuxKernel.refusal(errno)
        switch result {
        case .wouldBlock: network.owe(.readable, to: listener)
        case .skipped:
            let lost = listener.waiting.removeFirst()
            lost.resetsOnClose = true
            lost.closed(by: self)
        case .accepted: break
        case .exhausted: break
        case .failed: break
        }
        return result
    }
}
