// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that nobody who depends on swift-aio fetches what is only compared with it.
// The programs in C are not in it: SwiftPM would link the Swift runtime to them, and a yardstick should weigh
// what C weighs. scripts/bench compiles those itself, and needs nothing of this package when NIO is left out.

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
]
let nio: [Target.Dependency] = [
    .product(name: "NIOCore", package: "swift-nio"),
    .product(name: "NIOPosix", package: "swift-nio"),
]

let package = Package(
    name: "swift-aio-benchmarks",
    products: [
        .executable(name: "echo-nio", targets: ["echo-nio"]),
        .executable(name: "echo-nio-async", targets: ["echo-nio-async"]),
        .executable(name: "simulated", targets: ["simulated"]),
        .executable(name: "testing-channel-nio", targets: ["testing-channel-nio"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.80.0"),
        .package(name: "swift-aio", path: ".."),
    ],
    targets: [
        .executableTarget(name: "echo-nio", dependencies: nio, swiftSettings: strict),
        .executableTarget(name: "echo-nio-async", dependencies: nio, swiftSettings: strict),
        .executableTarget(
            name: "testing-channel-nio",
            dependencies: [
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "simulated",
            dependencies: [
                .product(name: "AIO", package: "swift-aio"),
                .product(name: "AIOTesting", package: "swift-aio"),
            ],
            swiftSettings: strict),
    ]
)
