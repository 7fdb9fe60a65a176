import TagMemCore

/// What a thread was refused last of the pages of mappings: which of the refusals that follow are the same fault, and which
/// of them are answered later.
///
/// One access to a page that is refused makes the kernel read it several times, all from one thread (mm/filemap.c,
/// `filemap_fault`; arch/x86/mm/fault.c, `do_user_addr_fault`):
///
/// - it does not have the page's folio: a batch of readahead, or a single page of it, and two reads (it drops the lock
///   for the first, and faults again under it);
/// - it has the folio, because the page was refused before: three reads (the first under the lock of the mapping, the
///   second and the third under that of the address space).
///
/// So a fault is counted at its second read. A page that is read once was read ahead, alone because those around it are there
/// already or are read by others, if the thread asks for another page at once. If it does not, it has touched that very page,
/// and had waited for another thread's read of it before. A system call may read a page once, too (ptrace, /proc/PID/mem):
/// what one is refused is counted at its first read.
///
/// A program that touches the page again, after a SIGBUS that it took, makes another fault. But the system calls that touch
/// all pages of a mapping (mlock, mlockall, mmap with MAP_POPULATE: mm/gup.c, `__mm_populate`) begin again when a page is
/// refused, for as long as it is: that is one fault. There is no answer that ends it, so it is slowed down.
struct Refusal: Equatable {
    let node: NodeID
    /// The page, or the pages of the batch.
    let offsets: Range<UInt64>
    /// Whether this is a refused batch: the reads of one of its pages follow.
    let isBatch: Bool
    /// The page that was refused last.
    let page: UInt64?
    /// Reads that still belong to the fault.
    let retries: Int
    /// Whether the fault has been counted.
    private(set) var isCounted: Bool
    /// How often in a row the kernel began again with the page.
    let repeats: Int
    /// In nanoseconds.
    let time: Int

    struct Verdict: Equatable {
        /// Whether a fault is to be counted now.
        let isNew: Bool
        /// When to answer, in nanoseconds from now; 0: at once.
        let delay: Int
    }

    /// Retries follow at once; what comes later than this is the program's next access.
    static let retryWindow = 200_000_000
    /// How long a thread that does not wait takes at most from reading a single page ahead to asking for the page that it
    /// touches.
    static let doubtWindow = 20_000_000
    /// Repetitions that are answered at once.
    static let promptRepeats = 16
    private static let shortestDelay = 100_000
    static let longestDelay = 20_000_000

    /// When the so-manieth repetition is answered, in nanoseconds.
    static func delay(ofRepeat repeats: Int) -> Int {
        guard repeats > promptRepeats else { return 0 }
        return min(longestDelay, shortestDelay << min(repeats - promptRepeats - 1, 16))
    }

    /// A batch of readahead was refused.
    static func batch(_ node: NodeID, _ offsets: Range<UInt64>, at time: Int, after last: Refusal?) -> Refusal
    {
        var goesOn = false
        if let last, let page = last.page, last.node == node, time - last.time < retryWindow {
            if !last.isBatch, last.retries > 0 {
                // The kernel also reads ahead of the fault that is being retried, and does not wait for that; or it lost
                // the page's folio between two retries, to another thread that was refused it, and begins with a batch.
                return Refusal(
                    node: node, offsets: last.offsets, isBatch: false, page: page,
                    retries: offsets.contains(page) ? 2 : last.retries, isCounted: last.isCounted,
                    repeats: last.repeats, time: time)
            }
            // In the midst of a repetition it says nothing new.
            goesOn = offsets.contains(page)
        }
        return Refusal(
            node: node, offsets: offsets, isBatch: true, page: goesOn ? last?.page : nil, retries: 0,
            isCounted: true, repeats: goesOn ? last?.repeats ?? 0 : 0, time: time)
    }

    /// A read of a page was refused.
    static func page(
        _ node: NodeID, _ offset: UInt64, at time: Int, after last: Refusal?, isInSystemCall: () -> Bool?
    ) -> (Refusal, Verdict) {
        let last = last.flatMap { $0.node == node && $0.offsets.contains(offset) ? $0 : nil }
        if let last, !last.isBatch, last.retries > 0, time - last.time < retryWindow {
            return verdict(
                Refusal(
                    node: node, page: offset, retries: last.retries - 1, isCounted: true,
                    repeats: last.repeats, time: time), isNew: !last.isCounted)
        }
        let recent = last.flatMap { time - $0.time < retryWindow ? $0 : nil }
        let isAgain = recent?.page == offset
        var (isNew, isCounted, repeats) = (true, true, 0)
        switch isInSystemCall() {
        case false?: (isNew, isCounted) = (false, false)
        case true?: if isAgain { (isNew, repeats) = (false, (recent?.repeats ?? 0) + 1) }
        // Not known: a handler of SIGBUS that tries again and again looks the same.
        case nil:
            if isAgain, let recent { (isNew, repeats) = (recent.repeats < promptRepeats, recent.repeats + 1) }
        }
        return verdict(
            Refusal(
                node: node, page: offset, retries: recent?.isBatch == true ? 1 : 2, isCounted: isCounted,
                repeats: repeats, time: time), isNew: isNew)
    }

    /// The same refusal, when its fault is counted.
    var counted: Refusal {
        var copy = self
        copy.isCounted = true
        return copy
    }

    private static func verdict(_ refusal: Refusal, isNew: Bool) -> (Refusal, Verdict) {
        (refusal, Verdict(isNew: isNew, delay: delay(ofRepeat: refusal.repeats)))
    }
}

extension Refusal {
    /// Of a read of one page.
    private init(node: NodeID, page: UInt64, retries: Int, isCounted: Bool, repeats: Int, time: Int) {
        self.init(
            node: node, offsets: page..<(page + Page.size), isBatch: false, page: page, retries: retries,
            isCounted: isCounted, repeats: repeats, time: time)
    }
}
