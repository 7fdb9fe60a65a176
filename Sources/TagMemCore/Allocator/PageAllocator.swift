/// The operating system's side of the dynamic carveout: gives out untagged and tagged pages of Tag Blocks.
///
/// Three pools: blocks that are all free; untagged pages; and tagged pages, whose Tag Pages are reserved. How blocks
/// change between them, and why the allocator is complete and frugal, is in Documentation/ALLOCATOR.md.
///
/// With *N* blocks of *d + g* pages (see `BlockGeometry`):
///
///     free          == (d + g) * N - untagged - tagged - g * taggedBlocks
///     taggedBlocks  >= ceil(tagged / d), and equal once compact (pinned pages aside)
///     tagPagesUsed  <= g * (N - taggedBlocks)
///
/// A page is allocated, freed, pinned and moved by its frame. Memory itself is touched only through a `PageMover`.
///
/// Thread safety: none. The owner's lock must be held across every call, and the mover is called under it.
public struct PageAllocator: ~Copyable, Sendable {
    public let layout: BlockLayout
    let table: BlockTable
    var lists: BlockLists
    let levels: BlockLevels
    /// Blocks from here on were never used, and are in no list.
    var freshBlock = 0

    // The counts that a page changes do not lie side by side: changed together as a vector and then one by one, they
    // would wait for all stores before, cache misses among them.

    /// *u*: untagged pages in use, the reserve's included.
    public internal(set) var untaggedPages = 0
    /// Blocks in tagged use.
    public internal(set) var taggedBlocks = 0
    /// *t*: tagged pages in use, the reserve's included.
    public internal(set) var taggedPages = 0
    /// Blocks all free.
    public internal(set) var freeBlocks: Int
    /// Tag Pages in use for data.
    public internal(set) var tagPagesUsed = 0
    /// Pages that may not move, and those of them that are lent by tagged blocks.
    public internal(set) var pinnedPages = 0
    var pinnedLent = 0
    /// What the layout counts and is not there, see `setUpSpecialBlocks`: pages, in use and pinned for good; those of
    /// them that would be Tag Pages; and blocks that are tagged for good.
    var absentPages = 0
    var absentTagPages = 0
    var fixedBlocks = 0

    public internal(set) var counters = AllocatorCounters()

    /// The block that compaction is emptying.
    var victim: BlockIndex?
    /// Whether compaction found nothing that it could do, and nothing changed since.
    var isStalled = false
    /// Blocks with the mark `.refused`.
    var refused: [BlockIndex] = []
    /// Blocks with marks of the operation that is under way.
    var marked: [BlockIndex] = []
    var reserves = ReservePair()
    var promises = Promises()
    var pinnedBlocks: PinnedBlocks

    /// All memory is free Tag Blocks. Takes address space for the tables, and memory as blocks are first used.
    public init(_ layout: BlockLayout) throws(AllocatorError) {
        let table = try BlockTable(blocks: layout.blocks, geometry: layout.geometry)
        let lists = try BlockLists(blocks: layout.blocks)
        levels = BlockLevels(layout.geometry)
        self.table = table
        self.lists = lists
        self.layout = layout
        freeBlocks = layout.blocks
        pinnedBlocks = PinnedBlocks(layout.geometry)
        setUpSpecialBlocks()
    }

    @inline(__always)
    public var geometry: BlockGeometry { layout.geometry }

    /// Gives out a page, zeroed (and its tags, for tagged use). Migrates pages if it must.
    ///
    /// Constant time while a page is at hand; otherwise up to *d* exchanges of pages.
    ///
    /// - Throws: `.noMemory` only if no arrangement of the pages in use, and of those that are promised, leaves room;
    ///   `.immovable` if one does, but pages that are pinned, or that the mover refused to move, are in the way;
    ///   `.mustWait` if the mover gave up.
    public mutating func allocate(
        _ use: PageUse, for owner: PageOwner, with mover: inout (some PageMover & ~Copyable)
    ) throws(AllocationError) -> PageFrame {
        if !promises.isEmpty, let refusal = refusal(use) {
            counters.failures += 1
            if use == .tagged { counters.reserveFailures += 1 }
            throw refusal
        }
        return try allocateUnchecked(use, for: owner, with: &mover)
    }

    /// Whether or not it is promised.
    @inline(__always)
    mutating func allocateUnchecked(
        _ use: PageUse, for owner: PageOwner, with mover: inout (some PageMover & ~Copyable)
    ) throws(AllocationError) -> PageFrame {
        if let frame = takeAtHand(use, owner) {
            mover.zero(frame, for: use)
            return frame
        }
        return try allocateElsewhere(use, for: owner, with: &mover)
    }

    @inline(never)
    private mutating func allocateElsewhere(
        _ use: PageUse, for owner: PageOwner, with mover: inout (some PageMover & ~Copyable)
    ) throws(AllocationError) -> PageFrame {
        var found = placeAtHand(use, &mover)
        if found == nil { found = try placeByMigration(use, &mover) }
        guard let place = found else {
            if mover.hasGivenUp { throw .mustWait(use) }
            counters.failures += 1
            throw .immovable(use)
        }
        return giveOut(place, use, owner, &mover)
    }

    /// Takes a page back. It must be in use and not pinned.
    public mutating func free(_ frame: PageFrame, with mover: inout (some PageMover & ~Copyable)) {
        guard let state = giveBack(frame) else { return }
        change(Place(frame, geometry).block, to: state, &mover)
    }

    /// Whose page it is, and what it is used for; nil if it is free, a reserved Tag Page, or in the reserve.
    public func page(at frame: PageFrame) -> (owner: PageOwner, use: PageUse, isPinned: Bool)? {
        let entry = table[Place(frame, geometry)]
        guard let use = entry.use, entry.owner.isOutside else { return nil }
        return (entry.owner, use, entry.isPinned)
    }

    /// What a page is used for; nil if it is free or a reserved Tag Page.
    public func use(of frame: PageFrame) -> PageUse? {
        let place = Place(frame, geometry)
        return table.isUsed(place) ? table.use(of: place) : nil
    }

    /// Hands a page over, as the rename of a file does to its pages.
    public mutating func setOwner(_ owner: PageOwner, of frame: PageFrame) {
        let place = Place(frame, geometry)
        let entry = table[place]
        precondition(!entry.isFree, "a free page has no owner")
        table[place] = entry.owned(by: owner).pinned(entry.isPinned)
    }

    /// The last step of an allocation.
    mutating func giveOut(
        _ place: Place, _ use: PageUse, _ owner: PageOwner, _ mover: inout (some PageMover & ~Copyable)
    ) -> PageFrame {
        let frame = take(place, use, owner)
        mover.zero(frame, for: use)
        return frame
    }
}
