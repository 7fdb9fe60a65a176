import Testing

/// What one program does or waits for costs others little. Each is a program of its own that measures and judges, here with
/// what is not optimized; `make latency` does it with more.
@Suite("Nobody holds others up", .serialized, .timeLimit(.minutes(3))) struct HoldUpTests {
    private func run(
        _ arguments: String..., size: String = "1G", sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        try withDevice(size: size, limit: 100) { device in
            let outcome = try client(
                [arguments[0], device.mountpoint] + arguments.dropFirst(), timeout: 80,
                sourceLocation: sourceLocation)
            #expect(
                outcome.succeeded && outcome.output.contains("ok \(arguments[0])"), "\(outcome)",
                sourceLocation: sourceLocation)
        }
    }

    @Test("2000 readers of pages that change hands") func crowd() throws {
        try run("crowd", "1", "2000", "300", "20")
    }

    @Test("Changes of a large object") func holds() throws { try run("holds", "256", "60") }

    @Test("A writer whose buffer does not come", .needsRoot) func stuck() throws { try run("stuck") }
}
