// swift-tools-version: 6.2
import PackageDescription

/// Fuzzers, for libFuzzer: `make fuzz`. A package of its own, since all of it is built with the fuzzer's sanitizer.
let package = Package(
    name: "fuzz",
    dependencies: [.package(name: "tagmemd", path: "../..")],
    targets: [
        .executableTarget(
            name: "fuzz-device-tree", dependencies: [.product(name: "TagMemDeviceTree", package: "tagmemd")],
            swiftSettings: [.strictMemorySafety(), .unsafeFlags(["-parse-as-library"])])
    ],
    swiftLanguageModes: [.v6]
)
