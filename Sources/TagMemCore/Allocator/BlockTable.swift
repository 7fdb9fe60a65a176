#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The blocks' records and the reverse map, in memory that is committed as it is written.
///
/// ```
///   records:  | BlockRecord, 24 bytes | bitmap of used pages | bitmap of tagged pages | next block …
///   entries:  | PageEntry, 8 bytes, of each of the d + g pages               | next block …
/// ```
///
/// With 32 + 1 pages a block that is 40 + 33 * 8 = 304 bytes a block, 9.2 bytes a page, 0.22 % of 4 KiB pages.
///
/// The bitmaps say what a page is used for, so that a page is freed without a look at its entry: at random in large
/// memory that is a cache miss. The entry of a free page is stale.
///
/// Indices are checked against the number of blocks; positions by the callers, who have them from bitmaps or from
/// frames that were checked.
@safe
struct BlockTable: ~Copyable, @unchecked Sendable {
    // SAFETY: both mappings are made in `init` and unmapped in `deinit`, and hold `count` blocks of `recordStride`
    // and `pages` entries; zero bytes are valid records and entries. `@unchecked`: the owner is used under a lock.
    private let records: UnsafeMutableRawPointer
    private let entries: UnsafeMutablePointer<UInt64>
    let count: Int
    private let recordStride: Int
    private let pages: Int
    let words: Int

    private static let maskOffset = 24
    private static let hugeTableBytes = 16 << 20

    init(blocks: Int, geometry: BlockGeometry) throws(AllocatorError) {
        precondition(MemoryLayout<BlockRecord>.stride == Self.maskOffset, "the record fits before its bitmap")
        let stride = Self.maskOffset + 16 * geometry.maskWords
        let recordBytes = blocks * stride
        let entryBytes = blocks * geometry.pages * 8
        guard let first = unsafe Self.map(recordBytes) else { throw .noHostMemory(bytes: recordBytes) }
        guard let second = unsafe Self.map(entryBytes) else {
            // SAFETY: mapped above with that size, and nobody else knows of it.
            unsafe munmap(first, recordBytes)
            throw .noHostMemory(bytes: entryBytes)
        }
        unsafe records = first
        unsafe entries = second.bindMemory(to: UInt64.self, capacity: entryBytes / 8)
        count = blocks
        recordStride = stride
        pages = geometry.pages
        words = geometry.maskWords
    }

    deinit {
        // SAFETY: mapped in `init` with these sizes.
        unsafe munmap(records, count * recordStride)
        unsafe munmap(entries, count * pages * 8)
    }

    private static func map(_ bytes: Int) -> UnsafeMutableRawPointer? {
        let base = unsafe mmap(
            nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        guard let base = unsafe base, unsafe base != MAP_FAILED else { return nil }
        // A table that is larger than the reach of the TLB is walked at random: twice the speed with huge pages. Small
        // tables are committed by the page.
        if bytes >= hugeTableBytes { unsafe madvise(base, bytes, MADV_HUGEPAGE) }
        return unsafe base
    }

    /// Bytes of address space, all of which are committed once every block was used.
    var bytes: Int { count * (recordStride + pages * 8) }

    @inline(__always)
    private func record(_ block: BlockIndex) -> UnsafeMutableRawPointer {
        precondition(block.offset < count, "no such Tag Block")
        // SAFETY: the index was checked.
        return unsafe records + block.offset * recordStride
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

    /// A word of a bitmap: those of used pages come first, then those of tagged ones.
    subscript(_ block: BlockIndex, word word: Int) -> UInt64 {
        @inline(__always) get {
            precondition(word < 2 &* words, "no such bitmap word")
            // SAFETY: both indices were checked.
            return unsafe record(block).load(fromByteOffset: Self.maskOffset + 8 * word, as: UInt64.self)
        }
        @inline(__always) nonmutating set {
            precondition(word < 2 &* words, "no such bitmap word")
            // SAFETY: both indices were checked.
            unsafe record(block).storeBytes(
                of: newValue, toByteOffset: Self.maskOffset + 8 * word, as: UInt64.self)
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
