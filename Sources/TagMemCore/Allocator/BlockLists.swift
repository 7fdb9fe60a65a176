/// The lists of blocks that have something to give, by what and by how full they are.
///
/// ```
///   pool        free blocks
///   untagged    untagged blocks with free pages, by used pages
///   room        tagged blocks with free Data Pages, by tagged pages
///   lent        tagged blocks without free Data Pages but with lent ones, by tagged pages
/// ```
///
/// Blocks that have nothing to give (all pages used, all Data Pages tagged) are in no list. Within a kind a block is in
/// one of eight levels, see `BlockLevels`: the fullest block is in the lowest level that is not empty and the sparsest
/// in the highest, give or take a factor of two.
///
/// A list has its front, the block that joined it last, and a tree of bitmaps for the others (see `BlockTree`). So a
/// block joins and leaves without a look at others' records, and a page that is needed comes from a block that was
/// just used, otherwise from the one with the lowest address.
///
/// Unchecked because of its pointers: who upholds what is said at each (SAFETY).
@safe
struct BlockLists: ~Copyable, @unchecked Sendable {
    enum Kind: UInt8 { case other, untagged, room, lent }

    static let count = BlockTree.sets
    /// Beside the lists, in the place of one that there is not: the set of blocks with pinned pages. Tag Pages that are
    /// not there do not count, Data Pages do.
    static let pinnedSet = 2
    static let levels = 8

    /// A list: kind * 8 + level.
    struct ID: Equatable {
        let rawValue: UInt8

        static let none = Self(rawValue: 0)
        static let pool = Self(rawValue: 1)

        @inline(__always)
        init(rawValue: UInt8) { self.rawValue = rawValue }

        @inline(__always)
        init(_ kind: Kind, level: Int) {
            rawValue = kind.rawValue &<< 3 | UInt8(truncatingIfNeeded: level & 7)
        }

        @inline(__always) fileprivate var offset: Int { Int(rawValue & 31) }
        @inline(__always) fileprivate var bit: UInt32 { 1 &<< UInt32(rawValue & 31) }
    }

    // SAFETY: 32 words, allocated in `init` and freed in `deinit`; `ID.offset` is below 32. `@unchecked`: the owner is
    // used under a lock.
    /// The blocks that joined last, index + 1, 0 for none. A front is not in the tree.
    private let fronts: UnsafeMutablePointer<UInt32>
    /// The lists with a front, and with others.
    private var fronted: UInt32 = 0
    private var treed: UInt32 = 0
    private let tree: BlockTree

    init(blocks: Int) throws(AllocatorError) {
        tree = try BlockTree(blocks: blocks)
        unsafe fronts = .allocate(capacity: Self.count)
        unsafe fronts.initialize(repeating: 0, count: Self.count)
    }

    deinit { unsafe fronts.deallocate() }

    var bytes: Int { tree.bytes }

    @inline(__always)
    mutating func insert(_ block: BlockIndex, into list: ID) {
        let front = unsafe fronts[list.offset]
        unsafe fronts[list.offset] = block.rawValue &+ 1
        fronted |= list.bit
        guard front != 0 else { return }
        tree.insert(Int(front &- 1), into: list.offset)
        treed |= list.bit
    }

    /// The block must be in the list.
    @inline(__always)
    mutating func remove(_ block: BlockIndex, from list: ID) {
        if unsafe fronts[list.offset] == block.rawValue &+ 1 {
            unsafe fronts[list.offset] = 0
            fronted &= ~list.bit
        } else if tree.remove(block.offset, from: list.offset) {
            treed &= ~list.bit
        }
    }

    func contains(_ block: BlockIndex, in list: ID) -> Bool {
        let isFront = unsafe fronts[list.offset] == block.rawValue + 1
        return isFront != tree.contains(block.offset, in: list.offset)
    }

    /// A block of the list, its front from now on; nil if the list is empty.
    @inline(__always)
    mutating func first(_ list: ID) -> BlockIndex? {
        let front = unsafe fronts[list.offset]
        if front != 0 { return BlockIndex(front &- 1) }
        return treed & list.bit == 0 ? nil : promote(list)
    }

    /// The block with the lowest address comes to the front of a list that has none there.
    @inline(never)
    private mutating func promote(_ list: ID) -> BlockIndex? {
        guard let index = tree.next(in: list.offset, from: 0) else { return nil }
        let block = BlockIndex(UInt32(index))
        remove(block, from: list)
        insert(block, into: list)
        return block
    }

    /// The first block that `accepts`, from the front on and then by address.
    func first(_ list: ID, where accepts: (BlockIndex) -> Bool) -> BlockIndex? {
        let front = unsafe fronts[list.offset]
        if front != 0, accepts(BlockIndex(front - 1)) { return BlockIndex(front - 1) }
        var index = 0
        while let found = tree.next(in: list.offset, from: index) {
            let block = BlockIndex(UInt32(found))
            if accepts(block) { return block }
            index = found + 1
        }
        return nil
    }

    func setHasPinnedPages(_ block: BlockIndex, _ hasPins: Bool) {
        if hasPins {
            tree.insert(block.offset, into: Self.pinnedSet)
        } else {
            tree.remove(block.offset, from: Self.pinnedSet)
        }
    }

    func hasPinnedPages(_ block: BlockIndex) -> Bool { tree.contains(block.offset, in: Self.pinnedSet) }

    /// The first block with pinned pages, from `block` on.
    func nextWithPinnedPages(from block: Int) -> BlockIndex? {
        tree.next(in: Self.pinnedSet, from: block).map { BlockIndex(UInt32($0)) }
    }

    @inline(__always)
    private func levels(_ kind: Kind) -> UInt32 { (fronted | treed) &>> (UInt32(kind.rawValue) &* 8) & 0xff }

    /// A block of the fullest level; nil if all lists of the kind are empty.
    @inline(__always)
    mutating func fullest(_ kind: Kind) -> BlockIndex? {
        let levels = levels(kind)
        return levels == 0 ? nil : first(ID(kind, level: levels.trailingZeroBitCount))
    }

    /// A block of the sparsest level; nil if all lists of the kind are empty.
    mutating func sparsest(_ kind: Kind) -> BlockIndex? {
        let levels = levels(kind)
        return levels == 0 ? nil : first(ID(kind, level: 31 - levels.leadingZeroBitCount))
    }
}
