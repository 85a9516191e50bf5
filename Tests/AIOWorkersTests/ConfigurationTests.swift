// What makes no sense is refused by the name of the setting, before anything is started with it.

import AIOKernel
import Testing

@testable import AIOWorkers

@Suite struct ConfigurationTests {
    @Test func theDefaultsMakeSense() throws {
        try EngineConfiguration().validate()
        try ConnectionLimits().validate()
    }

    // MARK: The engine

    @Test func everySettingOfTheEngineHasItsRange() throws {
        let marks = ConnectionLimits()
        for (name, setting, range) in [
            ("connectionsMax", \.connectionsMax, 1...Int.max),
            ("unseenConnectionsMax", \.unseenConnectionsMax, 1...Int.max),
            ("timersMax", \.timersMax, 0...Int.max),
            ("postsMax", \.postsMax, 0...Int.max),
            ("offloadQueuedMax", \.offloadQueuedMax, 0...Int.max),
            ("slabByteCount", \.slabByteCount, 4_096...1_048_576),
            ("idleSlabsMax", \.idleSlabsMax, 0...Int.max),
            ("inboundByteCountMax", \.inboundByteCountMax, 65_536...Int.max),
            ("readBudgetByteCount", \.readBudgetByteCount, 1...Int.max),
            ("writeBudgetByteCount", \.writeBudgetByteCount, 1...Int.max),
            ("acceptBudget", \.acceptBudget, 1...65_536),
            ("readinessBatchMax", \.readinessBatchMax, 1...512),
            ("receiveWindow", \.connection.receiveWindow, 1...(1 << 30)),
            ("highWaterMark", \.connection.highWaterMark, marks.lowWaterMark...marks.outboundByteCountMax),
            ("lowWaterMark", \.connection.lowWaterMark, 0...marks.highWaterMark),
            ("outboundByteCountMax", \.connection.outboundByteCountMax, marks.highWaterMark...Int.max),
            ("lingerByteCountMax", \.connection.lingerByteCountMax, 0...Int.max),
        ] as [(String, WritableKeyPath<EngineConfiguration, Int>, ClosedRange<Int>)] {
            for value in [range.lowerBound, range.upperBound] {
                var configuration = EngineConfiguration()
                configuration[keyPath: setting] = value
                #expect(throws: Never.self, "\(name): \(value)") { try configuration.validate() }
            }
            for value in outside(range) {
                var configuration = EngineConfiguration()
                configuration[keyPath: setting] = value
                // A high-water mark that is wrong by itself is named; one that is at odds with another mark
                // is too, or the other is.
                let names = name == "highWaterMark" ? marksNamed(for: value) : [name]
                expectRefusal(names, "\(name): \(value)") { () throws(AIOError) in
                    try configuration.validate()
                }
            }
        }
    }

    @Test func theNumberOfWorkersIsLeftOpenOrAtLeastOne() throws {
        var configuration = EngineConfiguration()
        for count in [nil, 1, 1_024] as [Int?] {
            configuration.workerCount = count
            try configuration.validate()
        }
        for count in [0, -1, 1_025, .max, .min] {
            configuration.workerCount = count
            expectRefusal(["workerCount"], "\(count)") { () throws(AIOError) in try configuration.validate() }
        }
    }

    @Test func theNumberOfOffloadThreadsIsLeftOpenOrAtLeastOne() throws {
        var configuration = EngineConfiguration()
        for count in [nil, 1, 1_024] as [Int?] {
            configuration.offloadThreadsMax = count
            try configuration.validate()
        }
        for count in [0, -1, 1_025, .max, .min] {
            configuration.offloadThreadsMax = count
            expectRefusal(["offloadThreadsMax"], "\(count)") { () throws(AIOError) in
                try configuration.validate()
            }
        }
    }

    @Test func theInboundBudgetHoldsAtLeastASlab() throws {
        var configuration = EngineConfiguration()
        configuration.slabByteCount = 4_096
        configuration.inboundByteCountMax = 4_096
        try configuration.validate()
        configuration.slabByteCount = 4_097
        expectRefusal(["inboundByteCountMax"]) { () throws(AIOError) in try configuration.validate() }
    }

    // MARK: Connections

    @Test func everyLimitOfAConnectionHasItsRange() {
        let defaults = ConnectionLimits()
        for (name, setting, values) in [
            ("receiveWindow", \.receiveWindow, [0, -1, (1 << 30) + 1, .max, .min]),
            ("highWaterMark", \.highWaterMark, [-1, .min]),
            ("lowWaterMark", \.lowWaterMark, [-1, .min, defaults.highWaterMark + 1, .max]),
            ("outboundByteCountMax", \.outboundByteCountMax, [0, -1, .min, defaults.highWaterMark - 1]),
            ("lingerByteCountMax", \.lingerByteCountMax, [-1, .min]),
        ] as [(String, WritableKeyPath<ConnectionLimits, Int>, [Int])] {
            for value in values {
                var limits = ConnectionLimits()
                limits[keyPath: setting] = value
                expectRefusal([name], "\(name): \(value)") { () throws(AIOError) in try limits.validate() }
            }
        }
    }

    @Test func attemptsToConnectFollowEachOtherAsRFC8305Allows() throws {
        var limits = ConnectionLimits()
        for delay in [Duration.milliseconds(10), .milliseconds(250), .seconds(2)] {
            limits.connectAttemptDelay = delay
            try limits.validate()
        }
        for delay in [Duration.zero, .seconds(-1), .microseconds(9_999), .milliseconds(2_001)] {
            limits.connectAttemptDelay = delay
            expectRefusal(["connectAttemptDelay"], "\(delay)") { () throws(AIOError) in
                try limits.validate()
            }
        }
    }

    @Test func marksMayAllBeTheSame() throws {
        var limits = ConnectionLimits()
        for mark in [1, 1 << 20] {
            limits.lowWaterMark = mark
            limits.highWaterMark = mark
            limits.outboundByteCountMax = mark
            try limits.validate()
        }
        // A queue that takes nothing would refuse every send.
        limits.lowWaterMark = 0
        limits.highWaterMark = 0
        limits.outboundByteCountMax = 1
        try limits.validate()
        limits.outboundByteCountMax = 0
        expectRefusal(["outboundByteCountMax"]) { () throws(AIOError) in try limits.validate() }
    }

    @Test func theRefusalSaysWhatTheValueIsAndWhatItMayBe() {
        var configuration = EngineConfiguration()
        configuration.readinessBatchMax = 600
        let error = #expect(throws: AIOError.self) { try configuration.validate() }
        #expect(error?.detail == "readinessBatchMax is 600, but must be in 1...512")
    }

    // MARK: Times

    @Test func `a deadline of a connection that is over before it begins is refused`() throws {
        for (name, setting) in [
            ("idleTimeout", \.idleTimeout), ("writeProgressTimeout", \.writeProgressTimeout),
            ("connectTimeout", \.connectTimeout), ("lingerTimeout", \.lingerTimeout),
        ] as [(String, WritableKeyPath<ConnectionLimits, Duration>)] {
            for value in [Duration.zero, .nanoseconds(-1), .seconds(-1)] {
                var limits = ConnectionLimits()
                limits[keyPath: setting] = value
                expectRefusal([name], "\(name): \(value)") { () throws(AIOError) in try limits.validate() }
                var configuration = EngineConfiguration()
                configuration.connection = limits
                expectRefusal([name]) { () throws(AIOError) in try configuration.validate() }
            }
            var limits = ConnectionLimits()
            limits[keyPath: setting] = .nanoseconds(1)
            try limits.validate()
        }
    }

    @Test func `the watchdog's threshold is more than nothing, or is left out`() throws {
        var configuration = EngineConfiguration()
        for threshold in [nil, .nanoseconds(1), .seconds(1 << 40)] as [Duration?] {
            configuration.watchdogThreshold = threshold
            try configuration.validate()
        }
        for threshold in [Duration.zero, .nanoseconds(-1), .seconds(-5)] {
            configuration.watchdogThreshold = threshold
            expectRefusal(["watchdogThreshold"], "\(threshold)") { () throws(AIOError) in
                try configuration.validate()
            }
        }
    }

    @Test func `a shutdown may have no time at all, but not less`() throws {
        var configuration = EngineConfiguration()
        configuration.shutdownTimeout = .zero
        try configuration.validate()
        configuration.shutdownTimeout = .nanoseconds(-1)
        expectRefusal(["shutdownTimeout"]) { () throws(AIOError) in try configuration.validate() }
    }

    // MARK: Refusals

    private func outside(_ range: ClosedRange<Int>) -> [Int] {
        var values = [range.lowerBound - 1, .min]
        if range.upperBound < .max { values += [range.upperBound + 1, .max] }
        return values
    }

    /// Who is named for a high-water mark that does not fit.
    private func marksNamed(for value: Int) -> [String] {
        if value < 0 { return ["highWaterMark"] }
        return value < ConnectionLimits().lowWaterMark ? ["lowWaterMark"] : ["outboundByteCountMax"]
    }

    private func expectRefusal(
        _ names: [String], _ comment: Comment? = nil, sourceLocation: SourceLocation = #_sourceLocation,
        _ validate: () throws(AIOError) -> Void
    ) {
        do throws(AIOError) {
            try validate()
            Issue.record(comment ?? "nothing was refused", sourceLocation: sourceLocation)
        } catch {
            #expect(error.code == .invalidArgument, comment, sourceLocation: sourceLocation)
            let name = error.detail.map { String($0.prefix { $0 != " " }) }
            #expect(names.contains(name ?? ""), comment, sourceLocation: sourceLocation)
        }
    }
}
