// swift-tools-version: 6.2
import PackageDescription

// The layers of docs/architecture.md, bottom first. Imports point down only; scripts/test builds with
// --explicit-target-dependency-import-check error, which is what enforces it.

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .strictMemorySafety(),
    .treatWarning("StrictMemorySafety", as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

/// Libraries: an async function of ours runs where its caller does, so that a call from an actor hops nowhere.
let library = strict + [.enableUpcomingFeature("NonisolatedNonsendingByDefault")]

let package = Package(
    name: "swift-aio",
    products: [
        .library(name: "AIO", targets: ["AIO"]),
        .library(name: "AIOLogging", targets: ["AIOLogging"]),
        .library(name: "AIORecording", targets: ["AIORecording"]),
        .library(name: "AIORegularExpressions", targets: ["AIORegularExpressions"]),
        .library(name: "AIOService", targets: ["AIOService"]),
        .library(name: "AIOTesting", targets: ["AIOTesting"]),
        .executable(name: "event-echo", targets: ["event-echo"]),
        .executable(name: "chat", targets: ["chat"]),
        .executable(name: "echo", targets: ["echo"]),
        .executable(name: "line-echo", targets: ["line-echo"]),
        .executable(name: "proxy", targets: ["proxy"]),
        .executable(name: "record", targets: ["record"]),
        .executable(name: "smtp-sink", targets: ["smtp-sink"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-collections", from: "1.1.0"),
        .package(url: "https://github.com/apple/swift-system", from: "1.4.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.6.0"),
    ],
    targets: [
        // 0  what C declares and Swift's Glibc module leaves out
        .target(name: "CAIOLinux"),
        .systemLibrary(name: "CLibAIO", providers: [.apt(["libaio-dev"])]),

        // 1  memory, and the kernel with types
        .target(
            name: "AIOBytes",
            dependencies: [.product(name: "DequeModule", package: "swift-collections")],
            swiftSettings: strict),
        .target(
            name: "AIOKernel",
            dependencies: [
                "CAIOLinux", "CLibAIO", "AIOBytes",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict),
        .target(
            name: "AIOFraming",
            dependencies: ["AIOBytes", .product(name: "DequeModule", package: "swift-collections")],
            swiftSettings: strict),

        // 2  the pthreads that do the I/O
        .target(
            name: "AIOWorkers",
            dependencies: [
                "AIOBytes", "AIOFraming", "AIOKernel",
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: library),

        // 3  what people import
        .target(
            name: "AIO",
            dependencies: ["AIOBytes", "AIOFraming", "AIOKernel", "AIOWorkers"],
            swiftSettings: library),

        // 4  what is optional
        .target(
            name: "AIOService",
            dependencies: [
                "AIO", .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: library),

        // connections, written down
        .target(
            name: "AIORecording",
            dependencies: [
                "AIO", "AIOBytes", "AIOKernel", "AIOWorkers",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: library),

        // for programs that use swift-log; nothing else depends on it
        .target(
            name: "AIOLogging",
            dependencies: [
                "AIOKernel", "AIOWorkers", .product(name: "Logging", package: "swift-log"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict),

        // patterns for filters; nothing else needs libre2 or C++
        .target(name: "CAIORE2", linkerSettings: [.linkedLibrary("re2")]),
        .target(
            name: "AIORegularExpressions",
            dependencies: ["CAIORE2", "AIOFraming", "AIOBytes"],
            swiftSettings: strict),

        // 5  what tests of programs that use AIO stand on
        .target(name: "CAIOTesting"),
        .target(
            name: "AIOTesting",
            dependencies: [
                "CAIOTesting", "AIO", "AIORecording", "AIOBytes", "AIOKernel", "AIOWorkers",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: library),

        // programs to run and to copy from
        .executableTarget(
            name: "event-echo",
            dependencies: ["AIO", .product(name: "ArgumentParser", package: "swift-argument-parser")],
            path: "Playground/event-echo",
            swiftSettings: strict),

        .executableTarget(
            name: "chat",
            dependencies: ["AIO", .product(name: "ArgumentParser", package: "swift-argument-parser")],
            path: "Playground/chat",
            swiftSettings: strict),

        .executableTarget(
            name: "dial",
            dependencies: ["AIO", .product(name: "ArgumentParser", package: "swift-argument-parser")],
            path: "Playground/dial",
            swiftSettings: strict),

        .executableTarget(
            name: "proxy",
            dependencies: ["AIO", .product(name: "ArgumentParser", package: "swift-argument-parser")],
            path: "Playground/proxy",
            swiftSettings: strict),

        .executableTarget(
            name: "record",
            dependencies: [
                "AIO", "AIORecording", .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            path: "Playground/record",
            swiftSettings: strict),

        .executableTarget(
            name: "echo",
            dependencies: ["AIO", .product(name: "ArgumentParser", package: "swift-argument-parser")],
            path: "Playground/echo",
            swiftSettings: strict),

        // a library, so that its tests can have it, and a thin program
        .target(
            name: "SMTPSinkCore",
            dependencies: ["AIO", .product(name: "SystemPackage", package: "swift-system")],
            path: "Playground/smtp-sink/Core",
            swiftSettings: library),
        .executableTarget(
            name: "smtp-sink",
            dependencies: [
                "AIO", "SMTPSinkCore", .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            path: "Playground/smtp-sink/Program",
            swiftSettings: strict),

        .executableTarget(
            name: "line-echo",
            dependencies: ["AIO", .product(name: "ArgumentParser", package: "swift-argument-parser")],
            path: "Playground/line-echo",
            swiftSettings: strict),

        .executableTarget(
            name: "udp-echo",
            dependencies: ["AIO", .product(name: "ArgumentParser", package: "swift-argument-parser")],
            path: "Playground/udp-echo",
            swiftSettings: strict),

        .executableTarget(
            name: "hello-events", dependencies: ["AIO"], path: "Playground/hello-events",
            swiftSettings: strict),

        .executableTarget(
            name: "hello-server", dependencies: ["AIO"], path: "Playground/hello-server",
            swiftSettings: strict),

        .testTarget(
            name: "AIOBytesTests", dependencies: ["AIOBytes"], swiftSettings: strict),
        .testTarget(
            name: "AIOKernelTests",
            dependencies: [
                "AIOKernel", "AIOBytes", .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "AIOFramingTests", dependencies: ["AIOFraming", "AIOBytes"], swiftSettings: strict),
        .testTarget(
            name: "AIOWorkersTests",
            dependencies: [
                "AIOTesting", "AIOWorkers", "AIOKernel", "AIOBytes",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "AIOTestingTests",
            dependencies: [
                "AIO", "AIORecording", "AIOTesting", "AIOWorkers", "AIOKernel", "AIOBytes",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "AIORecordingTests",
            dependencies: [
                "AIO", "AIORecording", "AIOWorkers", "AIOKernel", "AIOBytes",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "AIOSimulatedTests",
            dependencies: [
                "AIO", "AIOTesting", "AIOWorkers", "AIOFraming", "AIOKernel", "AIOBytes",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "AIOLoggingTests",
            dependencies: [
                "AIOLogging", "AIOWorkers", "AIOKernel", .product(name: "Logging", package: "swift-log"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "AIORegularExpressionsTests",
            dependencies: ["AIORegularExpressions", "AIOFraming", "AIOBytes"],
            swiftSettings: strict),
        .testTarget(
            name: "SMTPSinkTests",
            dependencies: [
                "SMTPSinkCore", "AIO", "AIOTesting",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "AIOTests",
            dependencies: [
                "AIO", "AIORecording", "AIOService", "AIOTesting", "AIOWorkers", "AIOKernel", "AIOBytes",
                "chat", "dial", "echo", "hello-events", "hello-server", "proxy", "record", "udp-echo",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict),
    ],
    cxxLanguageStandard: .cxx17
)
