/// The blocks' records and the reverse map, in memory that is committed as it is written.
///
/// ```
///   records:  | BlockRecord, 16 bytes | used, tagged: 64 pages each | …               | next block …
///   entries:  | PageEntry, 8 bytes, of each of the d + g pages                        | next block …
/// ```
///
/// With 32 + 1 pages a block that is 32 + 33 * 8 = 296 bytes a block, two records a cache line and none across two.
///
/// The bitmaps say what a page is used for, so that a page is freed without a look at its entry: at random in large
/// memory that is a cache miss. The entry of a free page is stale.
///
/// Indices are checked against the number of blocks; positions by the callers, who have them from bitmaps or from
/// frames that were checked.
///
/// Unchecked because of its pointers: who upholds what is said at each (SAFETY).
@safe
struct BlockTable: ~Copyable, @unchecked Sendable {
    // SAFETY: `memory` holds the records of `count` blocks, `recordStride` apart, and then `pages` entries for each;
    // zero bytes are valid records and entries. `@unchecked`: the owner is used under a lock.
    private let memory: TableMemory
    private let records: UnsafeMutableRawPointer
    private let entries: UnsafeMutablePointer<UInt64>
    let count: Int
    private let recordStride: Int
    private let pages: Int
    /// Pairs of bitmap words a block.
    let words: Int

    private static let bitsOffset = 16

    init(blocks: Int, geometry: BlockGeometry) throws(AllocatorError) {
        precondition(
            MemoryLayout<BlockRecord>.stride == Self.bitsOffset, "the record fits before its bitmaps")
        let stride = Self.bitsOffset * (1 + geometry.maskWords)
        // The entries begin at a cache line, too.
        let recordBytes = (blocks * stride + 63) & ~63
        let entryBytes = blocks * geometry.pages * 8
        memory = try TableMemory(bytes: recordBytes + entryBytes)
        unsafe records = memory.base
        unsafe entries = (memory.base + recordBytes).bindMemory(to: UInt64.self, capacity: entryBytes / 8)
        count = blocks
        recordStride = stride
        pages = geometry.pages
        words = geometry.maskWords
    }

    /// Bytes of address space, all of which are committed once every block was used.
    var bytes: Int { memory.bytes }

    @inline(__always)
    private func record(_ block: BlockIndex) -> UnsafeMutableRawPointer {
        precondition(block.offset < count, "no such Tag Block")
        // SAFETY: the index was checked.
        return unsafe records + block.offset &* recordStride
    }

    subscript(_ block: BlockIndex) -> BlockRecord {
        @inline(__always) get {
            // SAFETY: `record` points to an initialized record; zero is one.
            unsafe record(block).assumingMemoryBound(to: BlockRecord.self).pointee
        }
        @inline(__always) nonmutating set {
            // SAFETY: as above; the type is trivial.
            unsafe record(block).assumingMemoryBound(to: BlockRecord.self).pointee = newValue
        }
    }

    /// Which of 64 pages of a block are in use, and which of those are tagged.
    struct Bits {
        var used: UInt64
        var tagged: UInt64
    }

    subscript(_ block: BlockIndex, word word: Int) -> Bits {
        @inline(__always) get {
            precondition(word < words, "no such bitmap word")
            // SAFETY: both indices were checked; words of zero are bitmaps.
            return unsafe record(block).load(fromByteOffset: Self.bitsOffset &* (1 &+ word), as: Bits.self)
        }
        @inline(__always) nonmutating set {
            precondition(word < words, "no such bitmap word")
            // SAFETY: both indices were checked.
            unsafe record(block).storeBytes(
                of: newValue, toByteOffset: Self.bitsOffset &* (1 &+ word), as: Bits.self)
        }
    }

    /// A page's entry in the reverse map; `.free` for a page that is not in use.
    subscript(_ place: Place) -> PageEntry {
        @inline(__always) get {
            // SAFETY: `slot` checked the indices.
            isUsed(place) ? PageEntry(word: unsafe entries[slot(place)]) : .free
        }
        @inline(__always) nonmutating set {
            // SAFETY: `slot` checked the indices.
            unsafe entries[slot(place)] = newValue.rawValue
        }
    }

    @inline(__always)
    private func slot(_ place: Place) -> Int {
        precondition(place.block.offset < count && place.position < pages, "no such page")
        return place.block.offset &* pages &+ place.position
    }
}
