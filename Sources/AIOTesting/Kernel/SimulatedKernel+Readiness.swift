// epoll(7) in memory. Files say that something changed; the set remembers whom to ask; `wait` asks them.

package import AIOKernel
import SystemPackage

/// Theory of operation, which is Linux's own (fs/eventpoll.c). A set has watches and a ready list. A change
/// of a file puts its watch on the ready list, if the change is of interest and the watch is not there
/// already; so do adding and modifying, if the file is ready then. `wait` takes watches off the front and
/// *asks each file what is possible now*: nothing of interest, and the watch is dropped; else it is reported,
/// with all that is possible and not only with what changed. A level-triggered watch goes back to the end of
/// the list at once, an edge-triggered one waits for the next change. Hence an edge is reported once, two
/// changes before a `wait` are one report, and a change between the last read and the next `wait` is not
/// lost.
final class EpollWatch {
    unowned let epoll: EpollSet
    unowned let file: SimulatedFile
    let number: Int32
    var interest: Interest
    var token: UInt64
    @safe @exclusivity(unchecked) var isOnReadyList = false

    init(epoll: EpollSet, file: SimulatedFile, number: Int32, interest: Interest, token: UInt64) {
        self.epoll = epoll
        self.file = file
        self.number = number
        self.interest = interest
        self.token = token
    }

    /// What is always reported, whatever the interest: EPOLLERR and EPOLLHUP.
    var mask: Readiness {
        let always = Readiness.error.rawValue | Readiness.hangUp.rawValue
        return Readiness(rawValue: interest.rawValue | always)
    }

    func fileChanged(_ change: Readiness) {
        if change.isEmpty || !change.isDisjoint(with: mask) { putOnReadyList() }
    }

    func putOnReadyList() {
        guard !isOnReadyList else { return }
        isOnReadyList = true
        epoll.ready.append(self)
    }
}

final class EpollSet: SimulatedFile {
    @safe @exclusivity(unchecked) var members: [EpollWatch] = []
    @safe @exclusivity(unchecked) var ready: [EpollWatch] = []

    /// Whether a `wait` would report something.
    var hasSomething: Bool {
        var index = 0
        while index < ready.count {
            let watch = ready[index]
            if watch.file.poll().rawValue & watch.mask.rawValue != 0 { return true }
            index += 1
        }
        return false
    }

    func forget(_ watch: EpollWatch) {
        members.removeAll { $0 === watch }
        ready.removeAll { $0 === watch }
    }

    override func closed(by kernel: SimulatedKernel) {
        for watch in members { watch.file.watches.removeAll { $0 === watch } }
    }
}

extension SimulatedKernel {
    package func makeEpoll() throws(AIOError) -> Descriptor {
        try check(SimulatedCall(.makeEpoll))
        return try openOrThrow(EpollSet(), call: "epoll_create1")
    }

    package func add(
        _ target: borrowing Descriptor, to epoll: borrowing Descriptor, interest: Interest, token: UInt64
    ) throws(AIOError) {
        guard
            let set = file(epoll.number, as: EpollSet.self, for: "epoll_ctl"),
            let file = file(target.number, as: SimulatedFile.self, for: "epoll_ctl, add")
        else { throw AIOError(errno: .badFileDescriptor, call: "epoll_ctl") }
        guard !set.members.contains(where: { $0.file === file }) else {
            trace.violation("epoll_ctl, add of \(target.number), which is in the set")
            throw AIOError(errno: .fileExists, call: "epoll_ctl")
        }
        guard file.canBeWatched else {
            throw AIOError(
                errno: .notPermitted, call: "epoll_ctl", detail: "add descriptor \(target.number)")
        }
        try check(control(of: file), detail: "add descriptor \(target.number)")
        let watch = EpollWatch(
            epoll: set, file: file, number: target.number, interest: interest, token: token)
        set.members.append(watch)
        file.watches.append(watch)
        let current = file.poll()
        trace.note("epoll_ctl, add", Int(target.number), Int(current.rawValue))
        if !current.isDisjoint(with: watch.mask) { watch.putOnReadyList() }
    }

    package func modify(
        _ target: borrowing Descriptor, in epoll: borrowing Descriptor, interest: Interest, token: UInt64
    ) throws(AIOError) {
        guard let watch = watch(of: target.number, in: epoll.number, for: "epoll_ctl, modify") else {
            throw AIOError(errno: .noSuchFileOrDirectory, call: "epoll_ctl")
        }
        try check(control(of: watch.file), detail: "modify descriptor \(target.number)")
        watch.interest = interest
        watch.token = token
        let current = watch.file.poll()
        trace.note("epoll_ctl, modify", Int(target.number), Int(current.rawValue))
        if !current.isDisjoint(with: watch.mask) { watch.putOnReadyList() }
    }

    package func remove(_ target: borrowing Descriptor, from epoll: borrowing Descriptor) {
        guard
            let set = file(epoll.number, as: EpollSet.self, for: "epoll_ctl, remove"),
            let file = file(target.number, as: SimulatedFile.self, for: "epoll_ctl, remove"),
            let watch = set.members.first(where: { $0.file === file })
        else { return }
        trace.note("epoll_ctl, remove", Int(target.number))
        watch.epoll.forget(watch)
        watch.file.watches.removeAll { $0 === watch }
    }

    private func control(of file: SimulatedFile) -> SimulatedCall {
        guard let stream = file as? SimulatedStream else { return SimulatedCall(.control) }
        return call(.control, on: stream)
    }

    private func watch(of target: Int32, in epoll: Int32, for call: String) -> EpollWatch? {
        guard
            let set = file(epoll, as: EpollSet.self, for: call),
            let file = file(target, as: SimulatedFile.self, for: call)
        else { return nil }
        if let watch = set.members.first(where: { $0.file === file }) { return watch }
        trace.violation("\(call) of \(target), which is not in the set")
        return nil
    }

    /// Never blocks: who may block has said so to the host with `.wait`, and is called when there is
    /// something. A call that would have to block is a violation: a thread that sleeps without the schedule
    /// knowing.
    package func wait(on epoll: borrowing Descriptor, into batch: ReadinessBatch, timeout: Duration?)
        -> CallResult
    {
        guard let set = file(epoll.number, as: EpollSet.self, for: "epoll_wait") else {
            return CallResult(.badFileDescriptor)
        }
        batch.removeAll()
        if case .fail(let errno) = fault(SimulatedCall(.wait)) {
            // As LinuxKernel says it: a signal came, and nothing is ready.
            return errno == .interrupted ? CallResult(rawValue: 0) : CallResult(errno)
        }
        var levels: [EpollWatch] = []
        while batch.count < batch.capacity, !set.ready.isEmpty {
            let watch = set.ready.removeFirst()
            watch.isOnReadyList = false
            let possible = watch.file.poll().intersection(watch.mask)
            guard !possible.isEmpty else { continue }
            trace.note("  is ready:", Int(watch.number), Int(possible.rawValue))
            _ = batch.append(token: watch.token, readiness: possible)
            if !watch.interest.contains(.edgeTriggered) { levels.append(watch) }
        }
        for watch in levels { watch.putOnReadyList() }
        if batch.count == 0, timeout != .zero, !mayWakeEarly {
            trace.violation("epoll_wait of \(epoll.number) would block outside the schedule")
        }
        trace.note("epoll_wait", Int(epoll.number), batch.count)
        return CallResult(rawValue: batch.count)
    }

    /// Whether a `wait` on this set would return with something, for the host. False for what is no set:
    /// whoever waits on that sleeps until its deadline.
    package func hasSomething(on epoll: Int32) -> Bool {
        guard epoll >= 0, epoll < table.count, let set = table[Int(epoll)] as? EpollSet else { return false }
        return set.hasSomething
    }
}
