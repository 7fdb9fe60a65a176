import Glibc
import Synchronization
import TagMemCore

/// Tells a fault on a mapping from the kernel's retries of the same one: remembers of each thread what it was refused last,
/// see `Refusal`. Thread-safe.
final class RefusedFaults: Sendable {
    private struct Entry {
        let thread: Int32
        let refusal: Refusal
        /// The fault, as long as it is not counted.
        let fault: TagCheckFault?
    }

    private struct State {
        /// The oldest first.
        var entries: [Entry] = []
        /// Whether somebody comes to look which faults are in doubt no more.
        var isLookDue = false
    }

    private static let capacity = 64

    private let state = Guarded(State())
    /// Whether there are none, so that pages that are handed out cost no lock.
    private let isEmpty = Atomic(true)
    private let later: Later
    private let now: @Sendable () -> Int
    private let isInFault: @Sendable (Int32) -> Bool
    private let record: @Sendable (TagCheckFault) -> Void

    /// Calls what it is given after so many nanoseconds, or at the end; returns false if it will not.
    typealias Later = @Sendable (Int, @escaping @Sendable () -> Void) -> Bool

    /// - Parameters:
    ///   - isInFault: Whether a thread waits in a fault.
    ///   - later: Used to count those of which only time tells that they are faults.
    ///   - record: Called for each fault, by whatever thread, without a lock held.
    ///   - now: In nanoseconds.
    init(
        later: @escaping Later, record: @escaping @Sendable (TagCheckFault) -> Void,
        now: @escaping @Sendable () -> Int = monotonicNanoseconds,
        isInFault: @escaping @Sendable (Int32) -> Bool = TagMemFS.isInFault
    ) {
        self.later = later
        self.record = record
        self.now = now
        self.isInFault = isInFault
    }

    /// A read of a page was refused. Returns when to answer, in nanoseconds from now.
    ///
    /// - Parameters:
    ///   - isInSystemCall: Whether the thread touched the page in a system call; nil if that is not known. Asked at the
    ///     first read for a fault, without a lock held.
    ///   - fault: What is recorded, now or later, if this is a fault.
    func pageWasRefused(
        thread: Int32, node: NodeID, offset: UInt64,
        isInSystemCall: (Int32) -> Bool? = TagMemFS.isInSystemCall, fault: () -> TagCheckFault
    ) -> Int {
        let last = entry(of: thread)
        let (next, verdict) = Refusal.page(
            node, offset, at: now(), after: last?.refusal,
            isInSystemCall: { isInSystemCall(thread) })
        if verdict.isNew { record(last?.refusal.page == offset ? last?.fault ?? fault() : fault()) }
        // Who it was is asked now: later the thread may be gone.
        keep(Entry(thread: thread, refusal: next, fault: next.isCounted ? nil : fault()))
        return verdict.delay
    }

    /// A batch of readahead was refused.
    func batchWasRefused(thread: Int32, node: NodeID, offset: UInt64, count: Int) {
        let last = entry(of: thread)
        let batch = Refusal.batch(
            node, offset..<(offset + UInt64(count)), at: now(), after: last?.refusal)
        keep(Entry(thread: thread, refusal: batch, fault: batch.isCounted ? nil : last?.fault))
    }

    /// A page was handed out to a thread: what it had been refused before is over.
    func forget(thread: Int32) {
        guard !isEmpty.load(ordering: .relaxed) else { return }
        state.withLock { state in
            state.entries.removeAll { $0.thread == thread }
            isEmpty.store(state.entries.isEmpty, ordering: .relaxed)
        }
    }

    // A thread touches one page at a time: nobody else looks at its entry between the two.

    private func entry(of thread: Int32) -> Entry? {
        isEmpty.load(ordering: .relaxed)
            ? nil : state.withLock { $0.entries.first { $0.thread == thread } }
    }

    private func keep(_ entry: Entry) {
        let (evicted, isLookNew) = state.withLock { state in
            isEmpty.store(false, ordering: .relaxed)
            state.entries.removeAll { $0.thread == entry.thread }
            let evicted = state.entries.count == Self.capacity ? state.entries.removeFirst() : nil
            state.entries.append(entry)
            let isLookNew = entry.fault != nil && !state.isLookDue
            if isLookNew { state.isLookDue = true }
            return (evicted, isLookNew)
        }
        if let fault = evicted?.fault { record(fault) }
        if isLookNew { look(later: Refusal.doubtWindow) }
    }

    /// Has what is in doubt looked at later; now, if nothing more will be heard of it.
    private func look(later wait: Int) {
        if !later(wait, { [weak self] in self?.countLoneReads() }) { countLoneReads(all: true) }
    }

    /// Counts the faults of which nothing more was heard in time, of threads that have left them.
    private func countLoneReads(all: Bool = false) {
        let now = now()
        let inDoubt = state.withLock { state in
            state.entries.filter {
                $0.fault != nil && (all || now - $0.refusal.time >= Refusal.doubtWindow)
            }
        }
        // Looked up without the lock. Who waits in its fault for another thread's read is still to ask for its page.
        let threads = Set(inDoubt.map(\.thread).filter { all || !isInFault($0) })
        let (faults, isLookNew) = state.withLock { state in
            var faults: [TagCheckFault] = []
            for (index, entry) in state.entries.enumerated() {
                guard let fault = entry.fault, threads.contains(entry.thread),
                    all || now - entry.refusal.time >= Refusal.doubtWindow
                else { continue }
                faults.append(fault)
                state.entries[index] = Entry(
                    thread: entry.thread, refusal: entry.refusal.counted, fault: nil)
            }
            state.isLookDue = state.entries.contains { $0.fault != nil }
            return (faults, state.isLookDue)
        }
        for fault in faults { record(fault) }
        if isLookNew { look(later: Refusal.doubtWindow) }
    }
}

/// Whether a thread that waits is in a system call, and not in a fault of its own; nil if the host does not say.
func isInSystemCall(thread: Int32) -> Bool? {
    guard let text = systemCall(of: thread), let first = text.utf8.first else { return nil }
    return (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first)
}

/// Whether a thread waits in a fault of its own. False also if the host does not say.
func isInFault(thread: Int32) -> Bool { systemCall(of: thread)?.hasPrefix("-1") == true }

/// The number of the system call in which a thread waits, -1 if it waits outside of one, or "running".
private func systemCall(of thread: Int32) -> String? { readHostFile("/proc/\(thread)/syscall", limit: 256) }
