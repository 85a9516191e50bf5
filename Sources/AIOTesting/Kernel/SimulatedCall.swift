// What a rule for faults is asked about, and what it may answer: one call of a simulated kernel. See Faults.swift.

public import AIOKernel
public import SystemPackage

/// A call that a simulated machine's kernel is about to carry out.
public struct SimulatedCall: Sendable, Hashable {
    /// As in the manual, section 2 or 3.
    public enum Name: String, Sendable, Hashable {
        case open
        case makeEpoll = "epoll_create1"
        case control = "epoll_ctl"
        case wait = "epoll_wait"
        case makeEventCounter = "eventfd"
        case socket
        case setOption = "setsockopt"
        /// The error of a connection under way is asked for.
        case takeError = "getsockopt"
        case bind
        case listen
        case accept = "accept4"
        case connect
        case localEndpoint = "getsockname"
        case peerEndpoint = "getpeername"
        case receive = "recv"
        case send = "sendmsg"
        case finishWriting = "shutdown"
        case receiveDatagrams = "recvmmsg"
        case sendDatagrams = "sendmmsg"
        case resolve = "getaddrinfo"
        case makeDiskContext = "io_setup"
        /// What is said of a request is said of the first.
        case submit = "io_submit"
        /// The device carries out one request: what becomes of it is an `io_event` of io_getevents(2). Requests that are
        /// answered without the device, as reading at the end of a file is, are not asked about.
        case transfer = "io_event"
    }

    public let name: Name
    /// The socket's own address, or the one that it is about to be bound to; nil for calls about no socket.
    public var local: Endpoint?
    /// The other side's address. For `socket`, what the socket is made for; for `resolve`, the host.
    public var peer: Endpoint?
    /// Bytes that are to be sent, or that there is room for, or of a disk request; of datagrams, how many there are, and
    /// of io_setup and io_submit, how many requests.
    public var byteCount: Int?
    /// The file that is opened, or that a disk request is about.
    public var path: String?
    /// Where in the file a disk request begins, in bytes.
    public var offset: Int64?
    /// Which way the bytes of a disk request go.
    public var direction: Direction?
    /// Whether a disk request is to fail with EAGAIN rather than wait (`RWF_NOWAIT`).
    public var isNonblocking: Bool?

    public enum Direction: Sendable, Hashable {
        /// From the file.
        case read
        /// To the file.
        case write
    }

    init(
        _ name: Name, local: Endpoint? = nil, peer: Endpoint? = nil, byteCount: Int? = nil,
        path: String? = nil
    ) {
        self.name = name
        self.local = local
        self.peer = peer
        self.byteCount = byteCount
        self.path = path
    }

    /// Whether the production kernel calls again by itself when a signal has interrupted this one.
    var isCalledAgain: Bool {
        switch name {
        case .accept, .connect, .receive, .send, .receiveDatagrams, .sendDatagrams: true
        default: false
        }
    }

    /// Whether it can do less than it was asked for.
    var canBeShort: Bool {
        switch name {
        case .receive, .send, .receiveDatagrams, .sendDatagrams, .submit, .transfer: true
        default: false
        }
    }
}

/// What goes wrong with a call.
public enum CallFault: Sendable, Hashable {
    /// It does nothing, and fails with this error.
    ///
    /// It comes out as production's kernel lets it: what a signal interrupts (EINTR) is called again, and the rules are
    /// asked again; an accept that fails with ECONNABORTED or its like has lost the connection; who is told EAGAIN,
    /// though something could be done, gets an edge within the next millisecond. Disks owe nobody an edge: a request
    /// that failed has moved no byte, and its completion says so; one that was not submitted is forgotten.
    case fail(Errno)
    /// It does at most so much, at least 1: bytes, datagrams, or disk requests. For a socket an edge follows within the
    /// next millisecond, as if the rest had only come then.
    case shorten(to: Int)
}
