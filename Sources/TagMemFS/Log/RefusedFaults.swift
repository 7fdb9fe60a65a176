import Glibc
import Synchronization
import TagMemCore

/// Tells a fault on a mapping from the kernel's retries of the same one: remembers of each thread what it was refused last,
/// see `Refusal`. Thread-safe.
final class RefusedFaults: Sendable {
    private struct Entry {
        let thread: Int32
        let refusal: Refusal
    }

    private static let capacity = 64

    private let entries = Guarded<[Entry]>([])
    /// Whether there are none, so that pages that are handed out cost no lock.
    private let isEmpty = Atomic(true)

    /// A read of a page was refused: whether a fault is to be counted now, and when to answer.
    ///
    /// - Parameter isInSystemCall: Whether the thread touched the page in a system call; nil if that is not known. Asked
    ///   at the first read for a fault, without a lock held.
    func pageWasRefused(
        thread: Int32, node: NodeID, offset: UInt64,
        isInSystemCall: (Int32) -> Bool? = TagMemFS.isInSystemCall
    ) -> Refusal.Verdict {
        let last = last(of: thread)
        let (next, verdict) = Refusal.page(
            node, offset, at: monotonicNanoseconds(), after: last, isInSystemCall: { isInSystemCall(thread) })
        keep(next, of: thread)
        return verdict
    }

    /// A batch of readahead was refused.
    func batchWasRefused(thread: Int32, node: NodeID, offset: UInt64, count: Int) {
        let batch = Refusal.batch(
            node, offset..<(offset + UInt64(count)), at: monotonicNanoseconds(), after: last(of: thread))
        keep(batch, of: thread)
    }

    /// A page was handed out to a thread: what it had been refused before is over.
    func forget(thread: Int32) {
        guard !isEmpty.load(ordering: .relaxed) else { return }
        entries.withLock { entries in
            entries.removeAll { $0.thread == thread }
            if entries.isEmpty { isEmpty.store(true, ordering: .relaxed) }
        }
    }

    // A thread touches one page at a time: nobody else looks at its entry between the two.

    private func last(of thread: Int32) -> Refusal? {
        isEmpty.load(ordering: .relaxed)
            ? nil : entries.withLock { $0.first { $0.thread == thread }?.refusal }
    }

    private func keep(_ refusal: Refusal, of thread: Int32) {
        entries.withLock { entries in
            isEmpty.store(false, ordering: .relaxed)
            entries.removeAll { $0.thread == thread }
            if entries.count == Self.capacity { entries.removeFirst() }
            entries.append(Entry(thread: thread, refusal: refusal))
        }
    }
}

/// Whether a thread that waits is in a system call, and not in a fault of its own; nil if the host does not say.
func isInSystemCall(thread: Int32) -> Bool? {
    // The number of the system call, -1 outside of one, or "running".
    guard let text = readHostFile("/proc/\(thread)/syscall", limit: 256), let first = text.utf8.first else {
        return nil
    }
    return (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first)
}
