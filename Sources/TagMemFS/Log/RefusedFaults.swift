import Glibc
import Synchronization
import TagMemCore

/// Tells a fault on a mapping from the kernel's retries of the same one.
///
/// One access to a page that is refused makes the kernel read the page twice (it drops the mmap lock for the first
/// read and faults again under it: mm/filemap.c, `filemap_fault`), and once more before, by readahead of a single page,
/// where it does not have the page's folio yet. All come from one thread, with nothing of that page read in between.
/// Thread-safe.
final class RefusedFaults: Sendable {
    private struct Entry {
        let thread: Int32
        let node: NodeID
        let offset: UInt64
        /// Reads that still belong to the fault.
        var retries: Int
        var time: Int
    }

    /// Retries follow at once; what comes later than this is the program's next access.
    private static let retryWindow = 200_000_000
    private static let capacity = 64

    private let entries = Guarded<[Entry]>([])
    /// Whether there are none, so that pages that are handed out cost no lock.
    private let isEmpty = Atomic(true)

    /// Whether this refused read of a page begins a new fault.
    func isNew(thread: Int32, node: NodeID, offset: UInt64) -> Bool {
        let now = monotonicNanoseconds()
        isEmpty.store(false, ordering: .relaxed)
        return entries.withLock { entries in
            if let index = entries.firstIndex(where: { $0.thread == thread }) {
                let entry = entries.remove(at: index)
                if entry.node == node, entry.offset == offset {
                    if entry.retries > 0, now - entry.time < Self.retryWindow {
                        entries.append(
                            Entry(
                                thread: thread, node: node, offset: offset, retries: entry.retries - 1,
                                time: now))
                        return false
                    }
                    // The kernel has the folio since the last fault: no readahead comes before the two reads.
                    entries.append(Entry(thread: thread, node: node, offset: offset, retries: 1, time: now))
                    return true
                }
            }
            if entries.count == Self.capacity { entries.removeFirst() }
            entries.append(Entry(thread: thread, node: node, offset: offset, retries: 2, time: now))
            return true
        }
    }

    /// A page was handed out to a thread: what it had been refused before is over.
    func forget(thread: Int32) {
        guard !isEmpty.load(ordering: .relaxed) else { return }
        entries.withLock { entries in
            entries.removeAll { $0.thread == thread }
            if entries.isEmpty { isEmpty.store(true, ordering: .relaxed) }
        }
    }
}

private func monotonicNanoseconds() -> Int {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return time.tv_sec * 1_000_000_000 + time.tv_nsec
}
