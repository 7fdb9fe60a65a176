/// Pages set aside for allocations that can neither wait nor migrate: one stack for each use.
///
/// A reserved page is a page in use, with the reserve as its owner and its slot as index, so that compaction can move
/// it like any other.
struct ReservePair: Sendable {
    private var untagged: [PageFrame] = []
    private var tagged: [PageFrame] = []
    var untaggedTarget = 0
    var taggedTarget = 0

    subscript(_ use: PageUse) -> [PageFrame] {
        _read { yield use == .untagged ? untagged : tagged }
        _modify {
            if use == .untagged { yield &untagged } else { yield &tagged }
        }
    }

    func target(_ use: PageUse) -> Int { use == .untagged ? untaggedTarget : taggedTarget }
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
        guard let frame = reserves[use].popLast() else {
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
    public func reservedPages(_ use: PageUse) -> Int { reserves[use].count }

    /// How many pages the reserve should have.
    public func reserveWatermark(_ use: PageUse) -> Int { reserves.target(use) }

    /// Sets the watermark. Pages above it are freed at once; `refillReserve` gets those that are missing.
    public mutating func setReserveWatermark(
        _ use: PageUse, to count: Int, with mover: inout (some PageMover & ~Copyable)
    ) {
        precondition(count >= 0, "a watermark is not negative")
        if use == .untagged { reserves.untaggedTarget = count } else { reserves.taggedTarget = count }
        while reserves[use].count > count, let frame = reserves[use].popLast() { free(frame, with: &mover) }
    }

    /// Whether a reserve is below its watermark.
    public var needsRefill: Bool { PageUse.allCases.contains { reserves[$0].count < reserves.target($0) } }

    /// Fills the reserves up to their watermarks, migrating as allocations do, with at most `budget` pages.
    ///
    /// - Throws: as `allocate`; what was filled stays.
    public mutating func refillReserve(
        budget: Int = .max, with mover: inout (some PageMover & ~Copyable)
    ) throws(AllocationError) {
        var left = budget
        for use in PageUse.allCases {
            while left > 0, reserves[use].count < reserves.target(use) {
                let owner = PageOwner(reserve: use, slot: reserves[use].count)
                let frame = try allocate(use, for: owner, with: &mover)
                reserves[use].append(frame)
                left -= 1
            }
        }
    }
}
