// Which lines there are between the machines of a world, and what they are like: part of the network. Tests change it,
// also in the middle of a run.

package import AIOKernel

/// Routes, made when they are first used, and what is known about them before.
///
/// Sendable, unchecked: a simulation and all its parts are used by one thread at a time.
package final class Topology: @unchecked Sendable {
    private let time: SimulatedTime
    private var routes: [Route] = []
    private var special: [(one: IPAddress, other: IPAddress, conditions: LinkConditions)] = []
    private var cuts: [Cut] = []
    private var lastNumber = 0
    /// Whether anything has ever been set that makes things take time. Until then nobody looks for deadlines.
    private(set) var takesTime = false

    fileprivate struct Cut {
        let number: Int
        let group: [IPAddress]
        /// nil: all that are not of the group.
        let others: [IPAddress]?

        func parts(_ from: IPAddress, _ to: IPAddress) -> Bool {
            guard let others else { return group.contains(from) != group.contains(to) }
            return (group.contains(from) && others.contains(to))
                || (group.contains(to) && others.contains(from))
        }
    }

    init(time: SimulatedTime) { self.time = time }

    /// Of pairs for which nothing else was set, and of machines with themselves.
    package var defaultConditions = LinkConditions() {
        didSet {
            if defaultConditions.takesTime { takesTime = true }
            for route in routes where !isSpecial(route) { route.conditions = defaultConditions }
        }
    }

    /// Sets what the line between two machines is like, in both directions. What is under way keeps its time.
    package func set(_ conditions: LinkConditions, between one: IPAddress, and other: IPAddress) {
        if conditions.takesTime { takesTime = true }
        special.removeAll { ($0.one == one && $0.other == other) || ($0.one == other && $0.other == one) }
        special.append((one, other, conditions))
        for route in routes where matches(route, one, other) { route.conditions = conditions }
    }

    /// Cuts all lines between machines of `group` and of `others`, until what is returned heals or is released.
    ///
    /// What is sent is held, and arrives after that; so are handshakes, ends and resets. Datagrams are lost.
    package func partition(_ group: [IPAddress], from others: [IPAddress]) -> Partition {
        cut(group, from: others)
    }

    /// The same between those of `group` and all others.
    package func isolate(_ group: [IPAddress]) -> Partition { cut(group, from: nil) }

    private func cut(_ group: [IPAddress], from others: [IPAddress]?) -> Partition {
        lastNumber += 1
        let cut = Cut(number: lastNumber, group: group, others: others)
        cuts.append(cut)
        for route in routes where cut.parts(route.from, route.to) { route.cutCount += 1 }
        return Partition(number: lastNumber, of: self)
    }

    fileprivate func heal(_ number: Int) {
        guard let index = cuts.firstIndex(where: { $0.number == number }) else { return }
        let cut = cuts.remove(at: index)
        for route in routes where cut.parts(route.from, route.to) { route.cutCount -= 1 }
    }

    func route(from: IPAddress, to: IPAddress) -> Route {
        if let route = routes.first(where: { $0.from == from && $0.to == to }) { return route }
        let known = special.first {
            ($0.one == from && $0.other == to) || ($0.one == to && $0.other == from)
        }
        let route = Route(
            from: from, to: to, conditions: known?.conditions ?? defaultConditions, now: time.now)
        route.cutCount = cuts.count { $0.parts(from, to) }
        routes.append(route)
        return route
    }

    private func matches(_ route: Route, _ one: IPAddress, _ other: IPAddress) -> Bool {
        (route.from == one && route.to == other) || (route.from == other && route.to == one)
    }

    private func isSpecial(_ route: Route) -> Bool {
        special.contains { matches(route, $0.one, $0.other) }
    }
}

/// Machines that cannot reach each other. It lasts until it heals, or is released.
///
/// Sendable, unchecked: a simulation and all its parts are used by one thread at a time.
public final class Partition: @unchecked Sendable {
    private let number: Int
    private weak var topology: Topology?

    fileprivate init(number: Int, of topology: Topology) {
        self.number = number
        self.topology = topology
    }

    deinit { heal() }

    /// The machines can reach each other again, as far as no other partition is in the way. May be called more than once.
    public func heal() { topology?.heal(number) }
}
