// A listener as the program sees it.

public import AIOFraming
public import AIOKernel
import AIOWorkers

/// A listening address of a proactor: one socket a worker for TCP, one shared socket for Unix sockets.
public struct Listener: Sendable {
    let core: ListenerCore

    init(_ core: ListenerCore) { self.core = core }

    /// Where it listens; if port 0 was asked for, with the port that the kernel chose.
    public var endpoint: Endpoint { core.endpoint }

    /// How many frames each rule of the filter given to `listen` has decided about, until now; nil without a filter.
    public var filterCounts: FilterCounts? { core.sink.framePolicy?.filterCounts }

    /// Stops listening; connections that were accepted stay. Connections that the kernel had queued are
    /// accepted first, as far as limits allow. Returns when the sockets are closed (and a Unix socket's file
    /// is removed).
    public func close() async {
        core.close()
        await withCheckedContinuation { continuation in
            core.whenClosed { continuation.resume() }
        }
    }
}

extension Listener: Hashable, Identifiable {
    public var id: UInt64 { core.id }
    public static func == (a: Listener, b: Listener) -> Bool { a.core === b.core }
    public func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(core)) }
}
