// Faults on demand: rules that are asked at the calls of one simulated kernel, and may have them fail. A test adds them;
// SimulatedKernel+Faults.swift asks them.

/// The rules of one machine, in the order in which they were added; the first that has an answer gives it.
///
/// Sendable, unchecked: a simulation and all its parts are used by one thread at a time.
public final class Faults: @unchecked Sendable {
    private var rules: [Rule] = []
    private var lastNumber = 0

    fileprivate final class Rule {
        let number: Int
        let answer: (SimulatedCall) -> CallFault?
        var usesLeft: Int
        var useCount = 0

        init(number: Int, usesLeft: Int, _ answer: @escaping (SimulatedCall) -> CallFault?) {
            self.number = number
            self.usesLeft = usesLeft
            self.answer = answer
        }
    }

    /// Asked before every call, so it costs nothing while there are no rules.
    var isEmpty: Bool { rules.isEmpty }

    /// Adds a rule, which is in force until it has answered `times` times, or what is returned is ended or released.
    /// - Parameter answer: what goes wrong with a call; nil lets it go on, as far as this rule is concerned.
    public func add(
        times: Int = .max, _ answer: @escaping (_ call: SimulatedCall) -> CallFault?
    ) -> FaultRule {
        precondition(times > 0, "a rule is used at least once")
        lastNumber += 1
        let rule = Rule(number: lastNumber, usesLeft: times, answer)
        rules.append(rule)
        return FaultRule(rule, of: self)
    }

    /// The same for all calls of one name.
    public func add(_ name: SimulatedCall.Name, _ fault: CallFault, times: Int = .max) -> FaultRule {
        add(times: times) { $0.name == name ? fault : nil }
    }

    func answer(to call: SimulatedCall) -> CallFault? {
        // A copy: an answer may end its own rule.
        for rule in rules {
            guard rule.usesLeft > 0, let fault = rule.answer(call) else { continue }
            rule.useCount += 1
            rule.usesLeft -= 1
            if rule.usesLeft == 0 { remove(rule.number) }
            return fault
        }
        return nil
    }

    fileprivate func remove(_ number: Int) { rules.removeAll { $0.number == number } }
}

/// A rule for faults. It is in force as long as this is held, and `end` was not called, and it was not used up.
///
/// Sendable, unchecked: a simulation and all its parts are used by one thread at a time.
public final class FaultRule: @unchecked Sendable {
    private let rule: Faults.Rule
    private weak var faults: Faults?

    fileprivate init(_ rule: Faults.Rule, of faults: Faults) {
        self.rule = rule
        self.faults = faults
    }

    deinit { end() }

    /// How often it has made something go wrong.
    public var useCount: Int { rule.useCount }

    /// From here on calls go on, as far as this rule is concerned. May be called more than once.
    public func end() {
        rule.usesLeft = 0
        faults?.remove(rule.number)
    }
}
