// Control groups of both versions, and the smallest of several quotas.

import Testing

@testable import AIOKernel

@Suite struct ProcessorQuotaTests {
    @Test(
        arguments: [
            (["/proc/self/cgroup": "0::/a/b\n", "/sys/fs/cgroup/a/b/cpu.max": "150000 100000\n"], 2),
            (["/proc/self/cgroup": "0::/a/b\n", "/sys/fs/cgroup/a/b/cpu.max": "max 100000\n"], nil),
            (
                [
                    "/proc/self/cgroup": "0::/a/b\n", "/sys/fs/cgroup/a/b/cpu.max": "max 100000\n",
                    "/sys/fs/cgroup/a/cpu.max": "300000 100000\n",
                ], 3
            ),
            (
                [
                    "/proc/self/cgroup": "0::/a\n", "/sys/fs/cgroup/a/cpu.max": "800000 100000",
                    "/sys/fs/cgroup/cpu.max": "50000 100000",
                ], 1
            ),
            (["/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "200000 100000"], 2),
            (["/proc/self/cgroup": "0::/on/the/host\n", "/sys/fs/cgroup/cpu.max": "400000 100000"], 4),
            (
                [
                    "/proc/self/cgroup": "2:cpu,cpuacct:/x\n0::/\n",
                    "/sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us": "250000\n",
                    "/sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us": "100000\n",
                ], 3
            ),
            (
                [
                    "/proc/self/cgroup": "1:cpu:/\n", "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                    "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
                ], nil
            ),
            (
                [
                    "/proc/self/cgroup": "2:cpuacct:/\n", "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "100000",
                    "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
                ], nil
            ),
            (["/proc/self/cgroup": "nonsense\n:::\n0::/a\n", "/sys/fs/cgroup/a/cpu.max": "x y z"], nil),
            (["/proc/self/cgroup": "0::/a\n", "/sys/fs/cgroup/a/cpu.max": "100000 0\n"], nil),
            ([:], nil),
        ] as [([String: String], Int?)])
    func `the quota is the smallest on the way to the root, rounded up`(
        files: [String: String], expected: Int?
    ) {
        #expect(ProcessorQuota.processorCount { files[$0] } == expected)
    }
}
