/// Which list a block belongs to, by its state and its counts.
///
/// Levels 0 to 3 are blocks of which the better part is used: all but 1, 2 to 3, 4 to 7, or more pages; levels 7 down to
/// 4 the others, in which as many are used. In blocks of more than 63 pages the numbers are of units of
/// `1 << geometry.levelShift` pages. Where the choice matters (nearly full, nearly empty) the levels are fine, and a
/// page at random seldom takes its block to another one.
///
/// A table, because which blocks are tagged, and how full, cannot be foretold: branches on it would be guessed wrong.
///
/// Unchecked because of its pointers: who upholds what is said at each (SAFETY).
@safe
struct BlockLevels: ~Copyable, @unchecked Sendable {
    // SAFETY: `span` bytes for untagged and then `span` for tagged blocks, allocated in `init`, constant from then on and
    // freed in `deinit`. Indices are checked. `@unchecked`: constant.
    private let lists: UnsafeMutablePointer<UInt8>
    private let span: Int
    private let dataPages: Int

    init(_ geometry: BlockGeometry) {
        span = geometry.pages + 1
        dataPages = geometry.dataPages
        unsafe lists = .allocate(capacity: 2 * span)
        unsafe lists.initialize(repeating: 0, count: 2 * span)
        // A block whose first page has not come yet stays in the pool.
        unsafe lists[0] = BlockLists.ID.pool.rawValue
        for used in 1..<geometry.pages {
            let level = Self.level(used: used, of: geometry.pages, geometry)
            unsafe lists[used] = BlockLists.ID(.untagged, level: level).rawValue
        }
        for tagged in 0..<geometry.dataPages {
            let level = Self.level(used: tagged, of: geometry.dataPages, geometry)
            unsafe lists[span + tagged] = BlockLists.ID(.room, level: level).rawValue
        }
    }

    deinit { unsafe lists.deallocate() }

    private static func level(used: Int, of capacity: Int, _ geometry: BlockGeometry) -> Int {
        let unused = capacity - used
        let units = min(used, unused) >> geometry.levelShift
        let step = min(max(0, Int.bitWidth - units.leadingZeroBitCount - 1), BlockLists.levels / 2 - 1)
        return used >= unused ? step : BlockLists.levels - 1 - step
    }

    /// The list that the record's counts ask for; none if the block has nothing to give.
    @inline(__always)
    func list(for record: BlockRecord) -> BlockLists.ID {
        if record.marks.contains(.claimed) { return .none }
        let isTagged = Int(truncatingIfNeeded: record.stateBits &>> 1)
        let ifTagged = 0 &- isTagged
        // Of a tagged block the tagged pages count, of another one all. All are Data Pages in the first.
        let count = record.used & ~ifTagged | record.tagged & ifTagged
        precondition(count < span, "a block with more pages than it has")
        // SAFETY: `isTagged` is 0 or 1, as states are 0 to 2, and `count` was checked.
        let list = unsafe lists[count &+ span & ifTagged]
        // From a room list to the lent one of the same level.
        let isLent = isTagged & (record.usedData == dataPages ? 1 : 0) & (list == 0 ? 0 : 1)
        return BlockLists.ID(rawValue: list &+ UInt8(truncatingIfNeeded: isLent &<< 3))
    }
}
