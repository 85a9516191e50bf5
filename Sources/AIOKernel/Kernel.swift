// The seam between the engine and the operating system: every call the engine makes, the time and randomness
// it uses. `LinuxKernel` is the real one; tests put a simulated one in its place and run the same engine over
// it.

package import AIOBytes
package import SystemPackage

/// The operating system, as the engine sees it.
///
/// Three rules make a kernel replaceable:
/// - a descriptor is made by a kernel, carries it, and is closed by it;
/// - a call on the hot path takes its memory as a span or a batch and answers with a `CallResult`; a call
///   that sets something up throws an `AIOError` that names the call and what it was about;
/// - only `wait` may block, and only when its timeout says so. (`resolve` blocks too, and is therefore only
///   called on an offload thread of the `Host`.)
package protocol Kernel: AnyObject, Sendable {
    // MARK: Time and chance

    /// The monotonic clock, clock_gettime(2).
    var now: MonotonicTime { get }
    /// Sixty-four random bits: hash seeds, the choice of a worker.
    func random() -> UInt64
    /// The number of processors this process may use: by affinity and by cgroup quota, at least 1.
    var usableProcessorCount: Int { get }

    // MARK: Descriptors

    /// Closes a descriptor; called by `Descriptor.deinit` and by nothing else. Never retried on EINTR: on
    /// Linux the descriptor is gone by then (close(2)).
    func close(_ number: Int32)
    /// A descriptor that only takes up a place in the table, to be given up when the table is full.
    func openPlaceholder() throws(AIOError) -> Descriptor

    // MARK: Readiness, epoll(7) and eventfd(2)

    func makeEpoll() throws(AIOError) -> Descriptor
    func add(
        _ target: borrowing Descriptor, to epoll: borrowing Descriptor, interest: Interest, token: UInt64
    ) throws(AIOError)
    func modify(
        _ target: borrowing Descriptor, in epoll: borrowing Descriptor, interest: Interest, token: UInt64
    ) throws(AIOError)
    /// Takes a descriptor out of the set, if it is in it. Explicit because a duplicated descriptor stays in it after `close`.
    func remove(_ target: borrowing Descriptor, from epoll: borrowing Descriptor)
    /// Waits until something is ready or `timeout` is over: nil waits without end, zero does not wait. The
    /// result is the number of pairs in `batch`; EINTR is reported as zero pairs.
    func wait(on epoll: borrowing Descriptor, into batch: ReadinessBatch, timeout: Duration?) -> CallResult

    func makeEventCounter() throws(AIOError) -> Descriptor
    /// Adds one to an event counter, which makes it readable: the wake-up. Any thread.
    func signal(_ counter: borrowing Descriptor)

    // MARK: Sockets, socket(7)

    /// A nonblocking, close-on-exec stream socket of the family of `endpoint`, which must be an address (not
    /// a host name).
    func makeStreamSocket(for endpoint: Endpoint) throws(AIOError) -> Descriptor
    func set(_ option: SocketOption, on socket: borrowing Descriptor) throws(AIOError)
    func bind(_ socket: borrowing Descriptor, to endpoint: Endpoint) throws(AIOError)
    func listen(_ socket: borrowing Descriptor, backlog: Int) throws(AIOError)
    /// One connection from the queue (accept4(2), nonblocking, close-on-exec), or why there is none.
    func accept(from listener: borrowing Descriptor) -> AcceptResult
    /// Starts connecting: success at once, or `EINPROGRESS` and later a writable readiness, or an error.
    func connect(_ socket: borrowing Descriptor, to endpoint: Endpoint) -> CallResult
    /// The pending error of a socket (`SO_ERROR`), which reading clears; nil if there is none.
    func takeError(of socket: borrowing Descriptor) -> Errno?
    func localEndpoint(of socket: borrowing Descriptor) throws(AIOError) -> Endpoint
    func peerEndpoint(of socket: borrowing Descriptor) throws(AIOError) -> Endpoint
    /// recv(2): appends to `span` and returns how many bytes, 0 at the peer's end, or `-errno`.
    func receive(from socket: borrowing Descriptor, into span: inout OutputRawSpan) -> CallResult
    /// sendmsg(2) with `MSG_NOSIGNAL`: how many bytes the kernel took, which may be fewer than offered.
    func send(_ batch: WriteBatch, to socket: borrowing Descriptor) -> CallResult
    /// The same with a single part, which most writes are: send(2).
    func send(_ part: Bytes, to socket: borrowing Descriptor) -> CallResult
    /// shutdown(2) of the write side: what was sent before is delivered, then the peer reads the end.
    func finishWriting(_ socket: borrowing Descriptor) -> CallResult
    /// Makes the coming close discard everything and send a reset (`SO_LINGER` with zero seconds).
    func resetOnClose(_ socket: borrowing Descriptor)

    // MARK: Datagrams, udp(7). A kernel without them has the defaults of DatagramSocketOption.swift.

    /// A nonblocking, close-on-exec datagram socket of the family of `endpoint`, an IP address or `any`.
    func makeDatagramSocket(for endpoint: Endpoint) throws(AIOError) -> Descriptor
    func set(_ option: DatagramSocketOption, on socket: borrowing Descriptor) throws(AIOError)
    func interfaceIndex(named name: String) throws(AIOError) -> UInt32
    /// recvmmsg(2): how many datagrams are in `batch` now, of each at most `byteCountMax` bytes.
    func receiveDatagrams(
        from socket: borrowing Descriptor, into batch: InboundDatagrams, atMost byteCountMax: Int
    ) -> CallResult
    /// sendmmsg(2): how many of `batch` the kernel took; an error is about the first.
    func sendDatagrams(_ batch: OutboundDatagrams, to socket: borrowing Descriptor) -> CallResult

    // MARK: Unix socket paths

    /// Removes the socket file at `path` if nobody listens there: what a process that died leaves behind.
    /// Returns whether it removed one.
    func removeStaleSocket(at path: String) -> Bool
    /// Identifies the socket file, so that it is only removed at the end if it is still the same one; nil if
    /// gone.
    func socketFileIdentity(at path: String) -> FileIdentity?
    func removeSocketFile(at path: String)

    // MARK: Names

    /// getaddrinfo(3): the addresses of a host, in the order to try them, at least one. Blocks: offload
    /// threads only.
    func resolve(host: String, port: UInt16) throws(AIOError) -> [Endpoint]

    // MARK: Disk, Linux AIO, io_setup(2)

    func makeDiskContext(requestsMax: Int) throws(AIOError) -> DiskContext
    /// Called by `DiskContext.deinit` and by nothing else; waits for what is in flight (io_destroy(2)).
    func destroyDiskContext(_ identity: UInt)
    /// io_submit(2): how many of `requests`, from the first on, the kernel took; or `-errno`, about the
    /// first.
    func submit(_ requests: [DiskRequest], to context: borrowing DiskContext) -> CallResult
    /// io_getevents(2) without waiting: appends what has completed to `completions`.
    func reap(from context: borrowing DiskContext, into completions: inout [DiskCompletion]) -> CallResult
}

extension Kernel {
    package func send(_ part: Bytes, to socket: borrowing Descriptor) -> CallResult {
        let batch = WriteBatch()
        batch.append(part)
        return send(batch, to: socket)
    }
}

/// What `Kernel.accept` found.
package enum AcceptResult: ~Copyable {
    case accepted(Descriptor, peer: Endpoint)
    /// The queue is empty: EAGAIN.
    case wouldBlock
    /// The connection failed between the handshake and now (ECONNABORTED, EPERM and the network errors of
    /// accept(2)), or the call was interrupted: go on with the next.
    case skipped(Errno)
    /// No descriptor or memory for it (EMFILE, ENFILE, ENOBUFS, ENOMEM): it stays in the queue.
    case exhausted(Errno)
    /// The listener itself is unusable.
    case failed(Errno)
}

/// Options of sockets that the engine sets; see socket(7), tcp(7) and ipv6(7).
package enum SocketOption: Hashable, Sendable {
    case reuseAddress(Bool)
    case reusePort(Bool)
    case noDelay(Bool)
    /// Of a listener: `TCP_DEFER_ACCEPT`, in whole seconds.
    case deferAccept(Duration)
    case ipv6Only(Bool)
    case keepAlive(Bool)
    case sendBufferByteCount(Int)
    case receiveBufferByteCount(Int)
}

/// Device and inode of a file.
package struct FileIdentity: Hashable, Sendable {
    package let device: UInt64
    package let inode: UInt64

    package init(device: UInt64, inode: UInt64) {
        self.device = device
        self.inode = inode
    }
}
