/// Pages set aside for allocations that can neither wait nor migrate: one stack for each use.
///
/// A reserved page is a page in use, with the reserve as its owner and its slot as index, so that compaction can move
/// it like any other.
struct ReservePair: Sendable {
    /// By slot: a stack that grows and shrinks without moving what is in it.
    private var untagged = PageTable()
    private var tagged = PageTable()
    var untaggedTarget = 0
    var taggedTarget = 0

    subscript(_ use: PageUse) -> PageTable { use == .untagged ? untagged : tagged }

    func target(_ use: PageUse) -> Int { use == .untagged ? untaggedTarget : taggedTarget }

    /// Pages in the reserve, in slots 0 to this.
    func count(_ use: PageUse) -> Int { self[use].present }

    mutating func push(_ use: PageUse, _ frame: PageFrame) {
        if use == .untagged { untagged.append(frame) } else { tagged.append(frame) }
    }

    mutating func pop(_ use: PageUse) -> PageFrame? {
        use == .untagged ? untagged.popLast() : tagged.popLast()
    }

    mutating func relocate(_ use: PageUse, slot: Int, to frame: PageFrame) {
        if use == .untagged { untagged.relocate(slot, to: frame) } else { tagged.relocate(slot, to: frame) }
    }
}

extension PageTable {
    fileprivate mutating func append(_ frame: PageFrame) {
        extend(to: present + 1)
        insertPending(frame, at: present)
    }

    fileprivate mutating func popLast() -> PageFrame? {
        guard let frame = frame(at: present - 1) else { return nil }
        remove(present - 1)
        return frame
    }
}

/// Atomic allocations.
extension PageAllocator {
    /// Gives out a page at once: one that is at hand and not promised, otherwise one of the reserve. Never moves a page.
    /// Constant time.
    ///
    /// - Throws: `.reserveEmpty`.
    public mutating func allocateAtomic(
        _ use: PageUse, for owner: PageOwner, with mover: inout (some PageMover & ~Copyable)
    ) throws(AllocationError) -> PageFrame {
        if promises.isEmpty || refusal(use) == nil, let place = placeAtHand(use, &mover) {
            return giveOut(place, use, owner, &mover)
        }
        guard let frame = reserves.pop(use) else {
            counters.atomicRefused += 1
            counters.failures += 1
            throw .reserveEmpty(use)
        }
        let place = Place(frame, geometry)
        table[place] = table[place].owned(by: owner)
        counters.atomicFromReserve += 1
        mover.zero(frame, for: use)
        return frame
    }

    /// Pages in the reserve now.
    public func reservedPages(_ use: PageUse) -> Int { reserves.count(use) }

    /// How many pages the reserve should have.
    public func reserveWatermark(_ use: PageUse) -> Int { reserves.target(use) }

    /// Sets the watermark. Constant time: `refillReserve` gets the pages that are missing, and `releaseReserve` gives
    /// back those above it.
    public mutating func setReserveWatermark(_ use: PageUse, to count: Int) {
        precondition(count >= 0, "a watermark is not negative")
        if use == .untagged { reserves.untaggedTarget = count } else { reserves.taggedTarget = count }
    }

    /// Whether a reserve is above its watermark.
    public var needsReserveRelease: Bool {
        PageUse.allCases.contains { reserves.count($0) > reserves.target($0) }
    }

    /// Frees pages of the reserves above their watermarks, `budget` at most. Moves none.
    ///
    /// - Returns: the part of the budget that was used.
    @discardableResult
    public mutating func releaseReserve(
        budget: Int = .max, with mover: inout (some PageMover & ~Copyable)
    ) -> Int {
        var left = budget
        for use in PageUse.allCases {
            while left > 0, reserves.count(use) > reserves.target(use), let frame = reserves.pop(use) {
                free(frame, with: &mover)
                left -= 1
            }
        }
        return budget - left
    }

    /// Whether a reserve is below its watermark.
    public var needsRefill: Bool { PageUse.allCases.contains { reserves.count($0) < reserves.target($0) } }

    /// Fills the reserves up to their watermarks, migrating as allocations do, with at most `budget` pages.
    ///
    /// - Throws: as `allocate`; what was filled stays.
    public mutating func refillReserve(
        budget: Int = .max, with mover: inout (some PageMover & ~Copyable)
    ) throws(AllocationError) {
        var left = budget
        for use in PageUse.allCases {
            while left > 0, reserves.count(use) < reserves.target(use) {
                let owner = PageOwner(reserve: use, slot: reserves.count(use))
                let frame = try allocate(use, for: owner, with: &mover)
                reserves.push(use, frame)
                left -= 1
            }
        }
    }
}
