import Glibc
import Synchronization
import TagMemCore

/// Tells a fault on a mapping from the kernel's retries of the same one.
///
/// One access to a page that is refused makes the kernel read it several times, all from one thread (mm/filemap.c,
/// `filemap_fault`; arch/x86/mm/fault.c, `do_user_addr_fault`):
///
/// - it does not have the page's folio: a batch of readahead, or a single page of it, and two reads (it drops the lock
///   for the first, and faults again under it);
/// - it has the folio, because the page was refused before: three reads (the first under the lock of the mapping, the
///   second and the third under that of the address space).
///
/// Thread-safe.
final class RefusedFaults: Sendable {
    private struct Entry {
        let thread: Int32
        let node: NodeID
        /// The page, or the pages of the batch.
        let offsets: Range<UInt64>
        /// Whether this is a refused batch: the reads of one of its pages follow.
        let isBatch: Bool
        /// Reads that still belong to the fault.
        let retries: Int
        let time: Int
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
        return withEntry(of: thread) { entry in
            var isNew = true
            var retries = 2
            if let last = entry, last.node == node, last.offsets.contains(offset),
                now - last.time < Self.retryWindow
            {
                if last.isBatch {
                    retries = 1
                } else if last.retries > 0 {
                    isNew = false
                    retries = last.retries - 1
                }
            }
            entry = Entry(
                thread: thread, node: node, offsets: offset..<(offset + Page.size), isBatch: false,
                retries: retries,
                time: now)
            return isNew
        }
    }

    /// A batch of readahead was refused.
    func batchWasRefused(thread: Int32, node: NodeID, offset: UInt64, count: Int) {
        let now = monotonicNanoseconds()
        withEntry(of: thread) { entry in
            entry = Entry(
                thread: thread, node: node, offsets: offset..<(offset + UInt64(count)), isBatch: true,
                retries: 0,
                time: now)
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

    /// Calls `body` with what a thread was refused last, and keeps what `body` makes of it.
    private func withEntry<Result>(of thread: Int32, _ body: (inout Entry?) -> Result) -> Result {
        isEmpty.store(false, ordering: .relaxed)
        return entries.withLock { entries in
            var entry = entries.firstIndex { $0.thread == thread }.map { entries.remove(at: $0) }
            let result = body(&entry)
            if entries.count == Self.capacity { entries.removeFirst() }
            if let entry { entries.append(entry) }
            return result
        }
    }
}
