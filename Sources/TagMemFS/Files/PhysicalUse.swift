import TagMemCore

/// What of the machine's memory is in use, as `st_blocks` of `phys/mem` says. Thread-safe.
final class PhysicalUse: Sendable {
    /// A count that took more than this, in nanoseconds, is used for so many times the time that it took: counting never
    /// takes more than a part of a processor.
    private static let shortCount = 1_000_000
    private static let patience = 20

    private struct Count {
        let bytes: UInt64
        /// When it is too old, by the monotonic clock in nanoseconds.
        let end: Int
    }

    private let last = Guarded<Count?>(nil)

    /// In bytes. Two nanoseconds a page of the machine, about, now and then.
    func bytes(_ dram: DRAM) -> UInt64 {
        let start = monotonicNanoseconds()
        if let last = last.withLock({ $0 }), start < last.end { return last.bytes }
        let bytes = dram.touchedBytes
        let now = monotonicNanoseconds()
        if now - start > Self.shortCount {
            last.withLock { $0 = Count(bytes: bytes, end: now + (now - start) * Self.patience) }
        }
        return bytes
    }
}
