#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// How many times longer than usual the tests with random interleavings run: the environment's `TAGMEMD_SOAK`.
public let soakFactor: Int = {
    // SAFETY: the result of `getenv` is copied at once, and no test changes the environment.
    guard let text = unsafe getenv("TAGMEMD_SOAK").map({ unsafe String(cString: $0) }) else { return 1 }
    guard let factor = Int(text), factor > 0 else { preconditionFailure("TAGMEMD_SOAK=\(text) is no count") }
    return factor
}()
