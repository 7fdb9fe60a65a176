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
    /// How often in a row the kernel began again with the page.
    let repeats: Int
    /// In nanoseconds.
    let time: Int

    struct Verdict: Equatable {
        /// Whether this is a fault, and no part of one that was counted.
        let isNew: Bool
        /// When to answer, in nanoseconds from now; 0: at once.
        let delay: Int
    }

    /// Retries follow at once; what comes later than this is the program's next access.
    static let retryWindow = 200_000_000
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
                    retries: offsets.contains(page) ? 2 : last.retries, repeats: last.repeats, time: time)
            }
            // In the midst of a repetition it says nothing new.
            goesOn = offsets.contains(page)
        }
        return Refusal(
            node: node, offsets: offsets, isBatch: true, page: goesOn ? last?.page : nil, retries: 0,
            repeats: goesOn ? last?.repeats ?? 0 : 0, time: time)
    }

    /// A read of a page was refused. Whether the thread is in a system call is asked only if that makes a difference.
    static func page(
        _ node: NodeID, _ offset: UInt64, at time: Int, after last: Refusal?, isInSystemCall: () -> Bool?
    ) -> (Refusal, Verdict) {
        var (isNew, retries, repeats) = (true, 2, 0)
        if let last, last.node == node, last.offsets.contains(offset), time - last.time < retryWindow {
            if !last.isBatch, last.retries > 0 {
                (isNew, retries, repeats) = (false, last.retries - 1, last.repeats)
            } else {
                retries = last.isBatch ? 1 : 2
                if last.page == offset {
                    switch isInSystemCall() {
                    case true?: (isNew, repeats) = (false, last.repeats + 1)
                    case false?: break
                    // Not known: a handler of SIGBUS that tries again and again looks the same.
                    case nil: (isNew, repeats) = (last.repeats < promptRepeats, last.repeats + 1)
                    }
                }
            }
        }
        let refusal = Refusal(
            node: node, offsets: offset..<(offset + Page.size), isBatch: false, page: offset,
            retries: retries,
            repeats: repeats, time: time)
        return (refusal, Verdict(isNew: isNew, delay: delay(ofRepeat: repeats)))
    }
}
