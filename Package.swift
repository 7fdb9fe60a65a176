// swift-tools-version: 6.2
import PackageDescription

/// Every Swift target is compiled alike: unsafe code is marked, imports stay internal, warnings are errors.
let strict: [SwiftSetting] = [
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("ExistentialAny"),
]

let package = Package(
    name: "tagmemd",
    products: [
        .executable(name: "tagmemd", targets: ["tagmemd"]),
        .library(name: "TagMemCore", targets: ["TagMemCore"]),
        .library(name: "TagMemDeviceTree", targets: ["TagMemDeviceTree"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.1.0"),
    ],
    targets: [
        // libfuse3's low-level interface for Swift.
        .target(name: "CFuse", linkerSettings: [.linkedLibrary("fuse3")]),

        // The ioctls, for the file system and for programs.
        .target(name: "CTagMemABI"),

        // libfdt for Swift.
        .systemLibrary(name: "CFDT"),

        // The model: no FUSE, no C types in its interface.
        .target(name: "TagMemCore", swiftSettings: strict),

        // Machines as device trees describe them.
        .target(name: "TagMemDeviceTree", dependencies: ["TagMemCore", "CFDT"], swiftSettings: strict),

        // The file system.
        .target(
            name: "TagMemFS",
            dependencies: [
                "TagMemCore", "TagMemDeviceTree", "CFuse", "CTagMemABI", "SVGDrawing",
                .product(name: "DequeModule", package: "swift-collections"),
            ],
            swiftSettings: strict),

        // Pictures for browsers.
        .target(name: "SVGDrawing", swiftSettings: strict),

        // How much tag storage the allocator gives back over time.
        .target(
            name: "TagMemSimulation", dependencies: ["TagMemCore", "SVGDrawing"], swiftSettings: strict),

        // Programs that are started and given memory.
        .target(name: "CGuest"),

        // The command.
        .executableTarget(
            name: "tagmemd",
            dependencies: [
                "TagMemFS", "TagMemDeviceTree", "TagMemCore", "TagMemSimulation", "CFuse", "CGuest",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strict),

        // Tests: a target per module, what they share, and an end-to-end target that mounts.
        .target(name: "TestSupport", path: "Tests/TestSupport", swiftSettings: strict),
        .target(
            name: "InstructionLog", dependencies: ["TagMemCore", "TestSupport"], path: "Tests/InstructionLog",
            exclude: ["Fixtures"], swiftSettings: strict),
        .testTarget(
            name: "TagMemCoreTests", dependencies: ["TagMemCore", "InstructionLog", "TestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "TagMemDeviceTreeTests", dependencies: ["TagMemDeviceTree", "TagMemCore", "TestSupport"],
            exclude: ["Fixtures"], swiftSettings: strict),
        .testTarget(
            name: "TagMemFSTests",
            dependencies: ["TagMemFS", "TagMemCore", "TagMemDeviceTree", "CFuse", "TestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "SVGDrawingTests", dependencies: ["SVGDrawing", "TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "TagMemSimulationTests", dependencies: ["TagMemSimulation", "TagMemCore", "TestSupport"],
            exclude: ["Fixtures"], swiftSettings: strict),
        .testTarget(
            name: "tagmemdTests", dependencies: ["tagmemd", "TagMemDeviceTree", "TagMemCore", "TestSupport"],
            swiftSettings: strict),
        .executableTarget(name: "tagmem-client", dependencies: ["CGuest"], path: "Tests/Client"),
        .testTarget(
            name: "EndToEndTests",
            dependencies: [
                "tagmemd", "tagmem-client", "CTagMemABI", "TagMemCore", "InstructionLog", "TestSupport",
            ],
            exclude: ["Guest/Fixtures"],
            swiftSettings: strict),
    ],
    swiftLanguageModes: [.v6]
)
