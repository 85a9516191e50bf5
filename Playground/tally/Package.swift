// swift-tools-version: 6.2
import PackageDescription

// A package as somebody would begin it who uses swift-aio for the first time: a protocol, a program that serves it, and tests of
// the protocol. docs/testing.md goes through it.

let package = Package(
    name: "tally",
    dependencies: [
        // In a package of your own: .package(url: "https://github.com/…/swift-aio", branch: "main")
        .package(name: "swift-aio", path: "../..")
    ],
    targets: [
        .target(name: "Tally", dependencies: [.product(name: "AIO", package: "swift-aio")]),
        .executableTarget(
            name: "tally-server", dependencies: ["Tally", .product(name: "AIO", package: "swift-aio")]),
        .testTarget(
            name: "TallyTests",
            dependencies: [
                "Tally",
                .product(name: "AIO", package: "swift-aio"),
                .product(name: "AIOTesting", package: "swift-aio"),
            ]),
    ]
)
