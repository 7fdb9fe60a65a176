/// A set of blocks for each list: bitmaps, and above them trees of bitmaps of the words that are not empty.
///
/// ```
///   depth 2   | bit w: word w of depth 1 is not empty      |
///   depth 1   | bit w: word w of depth 0 is not empty      | …
///   depth 0   | bit b: block b is in the set               | …
/// ```
///
/// The words of all sets for the same 64 blocks lie side by side, so that a block that goes from one set to another
/// touches one place of memory. With 32 sets that is 4 bytes a block, and 64 times less for each depth above. An
/// operation takes one step a depth at most, and mostly one alone.
struct BlockTree: ~Copyable, Sendable {
    static let sets = 32

    private let memory: TableMemory
    private let depths: Depths

    init(blocks: Int) throws(AllocatorError) {
        precondition(blocks > 0, "a tree of no blocks")
        let width = (blocks + 63) / 64
        let count = Depths.words(width: width)
        memory = try TableMemory(bytes: count * 8)
        // SAFETY: the memory is aligned, zero, of that size, and lives as long as this.
        unsafe depths = Depths(
            words: memory.base.bindMemory(to: UInt64.self, capacity: count), width: width)
    }

    var bytes: Int { memory.bytes }

    @inline(__always)
    func insert(_ block: Int, into set: Int) {
        let old = depths[block &>> 6, set]
        depths[block &>> 6, set] = old | Depths.bit(block)
        if old == 0, let above = depths.above { above.insert(block &>> 6, set) }
    }

    /// - Returns: whether the set is empty now.
    @inline(__always) @discardableResult
    func remove(_ block: Int, from set: Int) -> Bool {
        let left = depths[block &>> 6, set] & ~Depths.bit(block)
        depths[block &>> 6, set] = left
        return left == 0 && depths.above?.remove(block &>> 6, set) ?? true
    }

    func contains(_ block: Int, in set: Int) -> Bool { depths[block >> 6, set] & Depths.bit(block) != 0 }

    /// The first block of the set that is not below `start`.
    func next(in set: Int, from start: Int) -> Int? { depths.next(in: set, from: start) }
}

/// A depth of the tree and those above it. A value, so that calls take it in registers.
///
/// Unchecked because of its pointers: who upholds what is said at each (SAFETY).
@safe
private struct Depths: @unchecked Sendable {
    // SAFETY: `sets * width` words, and behind them those of the depths above; the tree's, and used by it alone. Word
    // numbers and sets are checked.
    let words: UnsafeMutablePointer<UInt64>
    /// Words a set.
    let width: Int

    static func words(width: Int) -> Int {
        width * BlockTree.sets + (width > 1 ? words(width: (width + 63) / 64) : 0)
    }

    /// nil for the last, which has one word a set.
    @inline(__always)
    var above: Self? {
        guard width > 1 else { return nil }
        return unsafe Self(words: words + width &* BlockTree.sets, width: (width &+ 63) / 64)
    }

    @inline(__always)
    static func bit(_ index: Int) -> UInt64 { 1 &<< UInt64(truncatingIfNeeded: index & 63) }

    subscript(_ word: Int, _ set: Int) -> UInt64 {
        @inline(__always) get {
            precondition(UInt(bitPattern: word) < UInt(bitPattern: width) && set < BlockTree.sets)
            // SAFETY: both were checked.
            return unsafe words[word &* BlockTree.sets &+ set]
        }
        @inline(__always) nonmutating set(value) {
            precondition(UInt(bitPattern: word) < UInt(bitPattern: width) && set < BlockTree.sets)
            // SAFETY: both were checked.
            unsafe words[word &* BlockTree.sets &+ set] = value
        }
    }

    /// The word below is no longer empty.
    @inline(never)
    func insert(_ index: Int, _ set: Int) {
        let old = self[index >> 6, set]
        self[index >> 6, set] = old | Self.bit(index)
        if old == 0, let above { above.insert(index >> 6, set) }
    }

    /// The word below is empty. Returns whether the set is.
    @inline(never)
    func remove(_ index: Int, _ set: Int) -> Bool {
        let left = self[index >> 6, set] & ~Self.bit(index)
        self[index >> 6, set] = left
        return left == 0 && above?.remove(index >> 6, set) ?? true
    }

    func next(in set: Int, from start: Int) -> Int? {
        guard start >> 6 < width else { return nil }
        let bits = self[start >> 6, set] & UInt64.max << UInt64(start & 63)
        if bits != 0 { return start & ~63 + bits.trailingZeroBitCount }
        guard let word = above?.next(in: set, from: start >> 6 + 1) else { return nil }
        return word << 6 + self[word, set].trailingZeroBitCount
    }
}
