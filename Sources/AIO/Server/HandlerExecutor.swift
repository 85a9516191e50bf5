// Where handlers run: chosen for each `serve` and `connect`.

import AIOWorkers

/// The threads on which a connection's handler runs.
public enum HandlerExecutor: Sendable, Hashable {
    /// On the I/O worker that owns the connection, between two polls: nothing is handed from thread to thread
    /// between the kernel and the handler. A handler that computes for long or blocks holds up all connections
    /// of its worker; the watchdog says so. Blocking work belongs in `Proactor.offload`.
    case worker
    /// On the worker's partner, a thread for handlers alone: workers do nothing but I/O, whatever handlers do.
    case partner
    /// On Swift's global executor.
    case global

    var place: HandlerPlace {
        switch self {
        case .worker: .worker
        case .partner: .partner
        case .global: .global
        }
    }
}

extension Worker {
    /// The executor of tasks for connections of this worker. A partner must have been started.
    func taskExecutor(for place: HandlerPlace) -> any TaskExecutor {
        switch place {
        case .worker: executors.task
        case .partner: partner?.executors.task ?? executors.task
        case .global: executors.global
        }
    }
}
