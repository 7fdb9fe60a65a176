import TestSupport
import Testing

/// Objects that grow and shrink under everybody: nothing hangs, nothing is lost. Each is a program of its own that ends
/// in time, or fails.
@Suite("Growth and ends under many users") struct GrowthTests {
    /// The client's tests, each with what it needs of the device.
    static let scenarios: [(name: String, arguments: [String], size: String)] = [
        ("scattered", ["1100"], "1G"), ("storm", ["2"], "1G"), ("shrink", ["2"], "1G"), ("behind", [], "1G"),
        ("rivals", ["20"], "64M"), ("tagstores", ["2"], "1G"), ("always", ["2"], "1G"),
    ]

    @Test("Nothing hangs, nothing is lost", arguments: scenarios.map(\.name))
    func direct(_ name: String) throws { try run(name) }

    @Test(
        "The same in page cache mode, where tags cannot be mapped", arguments: ["storm", "shrink", "behind"])
    func pageCache(_ name: String) throws { try run(name, pageCache: true) }

    private func run(_ name: String, pageCache: Bool = false) throws {
        let scenario = try #require(Self.scenarios.first { $0.name == name })
        try withDevice(
            size: scenario.size, mountOptions: pageCache ? ["page_cache"] : [], runsOut: name == "rivals",
            limit: 100
        ) { device in
            let arguments = scenario.arguments + (pageCache && name == "behind" ? ["--page-cache"] : [])
            let outcome = try client([name, device.mountpoint] + arguments, timeout: 80)
            #expect(outcome.succeeded && outcome.output.contains("ok \(name)"), "\(outcome)")
        }
    }

    @Test("Objects in page cache mode keep every byte", .repeatable)
    func objects() throws {
        try withSeed { generator in
            try withDevice(size: "2M", mountOptions: ["page_cache"], limit: 90) { device in
                let seed = String(generator.next() % 1_000_000)
                let outcome = try client(
                    [
                        "objects", device.mountpoint, "4", seed, "--objects", "4", "--processes", "3",
                        "--threads", "2",
                    ], timeout: 70)
                #expect(outcome.succeeded && outcome.output.contains("ok objects"), "\(outcome)")
            }
        }
    }
}
