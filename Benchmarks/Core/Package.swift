// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "core-bench",
    dependencies: [.package(name: "tagmemd", path: "../..")],
    targets: [
        .executableTarget(
            name: "core-bench", dependencies: [.product(name: "TagMemCore", package: "tagmemd")],
            swiftSettings: [.strictMemorySafety()])
    ],
    swiftLanguageModes: [.v6]
)
