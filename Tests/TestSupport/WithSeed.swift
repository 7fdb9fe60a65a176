public import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The seed that all property tests of this run start from: the environment's `TAGMEMD_SEED` if it is set, otherwise
/// random. Decimal, or hexadecimal after 0x.
public let runSeed: UInt64 = {
    // SAFETY: the result of `getenv` is copied at once, and no test changes the environment.
    guard let text = unsafe getenv("TAGMEMD_SEED").map({ unsafe String(cString: $0) }) else {
        return .random(in: 0 ... .max)
    }
    let seed = text.hasPrefix("0x") ? UInt64(text.dropFirst(2), radix: 16) : UInt64(text)
    guard let seed else { preconditionFailure("TAGMEMD_SEED=\(text) is not a number") }
    return seed
}()

extension Trait where Self == IssueHandlingTrait {
    /// For suites and tests that use `withSeed`: each failure says how to repeat it.
    public static var repeatable: Self {
        .compactMapIssues { issue in
            var issue = issue
            // A suite's trait is applied to its tests as well.
            let hint: Comment = "repeat with TAGMEMD_SEED=\(runSeed)"
            if !issue.comments.contains(hint) { issue.comments.append(hint) }
            return issue
        }
    }
}

/// Runs `body` with a generator that starts from the run's seed. The test needs the trait `.repeatable`.
public func withSeed<Result>(_ body: (inout SeededGenerator) throws -> Result) rethrows -> Result {
    var generator = SeededGenerator(seed: runSeed)
    return try body(&generator)
}
