// swift-tools-version: 6.2
import PackageDescription

// The framers under libFuzzer: scripts/fuzz builds and runs this. A package of its own, because it is built with
// -sanitize=fuzzer, which brings a main function. The sources of what is fuzzed are compiled here anew, through
// symbolic links: so they are instrumented, and `package` declarations are of the same package.

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .strictMemorySafety(),
    .treatWarning("StrictMemorySafety", as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]
let deque = Target.Dependency.product(name: "DequeModule", package: "swift-collections")

let package = Package(
    name: "swift-aio-fuzz",
    dependencies: [.package(url: "https://github.com/apple/swift-collections", from: "1.1.0")],
    targets: [
        .target(name: "AIOBytes", dependencies: [deque], swiftSettings: strict),
        .target(name: "AIOFraming", dependencies: ["AIOBytes", deque], swiftSettings: strict),
        .executableTarget(
            name: "fuzz", dependencies: ["AIOBytes", "AIOFraming"], swiftSettings: strict),
    ]
)
