// How many processors' worth of time the control groups of this process allow: what a container's "2 CPUs"
// is. Read once, when the number of workers is chosen.

/// The CPU bandwidth of cgroups(7): version 2's `cpu.max` and version 1's `cpu.cfs_quota_us`.
///
/// Each group from the process's own up to the root of the hierarchy may have a quota, and all of them hold;
/// the smallest counts. Inside a container the path in /proc/self/cgroup may be the host's and not exist
/// under our mount: the walk upwards then ends at the mount's root, which is the container's own group.
package enum ProcessorQuota {
    /// The smallest quota, rounded up to whole processors, at least 1; nil if there is none.
    package static func processorCount(readFile: (String) -> String?) -> Int? {
        guard let groups = readFile("/proc/self/cgroup") else { return nil }
        var smallest: Double? = nil
        for line in groups.split(separator: "\n") {
            // hierarchy-id:controllers:path
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { continue }
            let controllers = fields[1].split(separator: ",")
            if fields[1].isEmpty {
                for mount in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"] {
                    walk(up: fields[2], from: mount) {
                        note(quotaV2(readFile("\($0)/cpu.max")), in: &smallest)
                    }
                }
            } else if controllers.contains("cpu") {
                for mount in ["/sys/fs/cgroup/\(fields[1])", "/sys/fs/cgroup/cpu"] {
                    walk(up: fields[2], from: mount) { group in
                        let quota = readFile("\(group)/cpu.cfs_quota_us")
                        let period = readFile("\(group)/cpu.cfs_period_us")
                        note(quotaV1(quota, period: period), in: &smallest)
                    }
                }
            }
        }
        return smallest.map { max(Int($0.rounded(.up)), 1) }
    }

    private static func walk(up path: Substring, from mount: String, _ visit: (String) -> Void) {
        var parts = path.split(separator: "/")
        while true {
            visit(([mount[...]] + parts).joined(separator: "/"))
            guard parts.popLast() != nil else { return }
        }
    }

    private static func note(_ quota: Double?, in smallest: inout Double?) {
        guard let quota else { return }
        smallest = min(smallest ?? quota, quota)
    }

    /// `max 100000` or `200000 100000`: microseconds of processor time in each period of so many
    /// microseconds.
    private static func quotaV2(_ text: String?) -> Double? {
        guard let fields = text?.split(whereSeparator: \.isWhitespace), fields.count == 2 else { return nil }
        return ratio(String(fields[0]), String(fields[1]))
    }

    /// -1 means no quota.
    private static func quotaV1(_ quota: String?, period: String?) -> Double? {
        guard let quota = quota?.split(whereSeparator: \.isWhitespace).first,
            let period = period?.split(whereSeparator: \.isWhitespace).first
        else { return nil }
        return ratio(String(quota), String(period))
    }

    private static func ratio(_ quota: String, _ period: String) -> Double? {
        guard let quota = Int32(quota), let period = Int32(period), quota > 0, period > 0 else { return nil }
        return Double(quota) / Double(period)
    }
}
