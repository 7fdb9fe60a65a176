/// An address space on physical memory, with the tag check mode of the programs that use it.
///
/// `phys` is the object whose addresses are physical ones; the others have pages of their own, from address 0.
///
/// A value: whoever keeps it guards it.
public struct MemoryObject: Sendable {
    public enum Kind: Sendable, Equatable {
        /// The physical address space: all memory, tag storage included.
        case physical
        /// Pages for untagged use: there are no views of it.
        case untagged
        /// Pages for tagged use.
        case tagged
    }

    public var kind: Kind
    /// As in paths and in the fault log: `phys`, `tagged/NAME`.
    public var name: String
    public let dram: DRAM
    /// Where pages are; nil for `phys`.
    public let layout: BlockLayout?
    public var pages = PageTable()
    /// Bytes that files of the object show of its pages.
    public var size: UInt64 = 0

    /// The mode that checked accesses to this object have.
    public var mode = TagCheckMode.sync
    /// TFSR: whether an asynchronous tag check fault happened since the bit was cleared.
    public var hasAsynchronousFault = false

    /// The physical address space itself.
    public init(physical dram: DRAM) {
        kind = .physical
        name = "phys"
        self.dram = dram
        layout = nil
    }

    /// An object without pages. `layout` must be made from `dram`'s map.
    public init(_ use: PageUse, name: String, dram: DRAM, layout: BlockLayout) {
        kind = use == .tagged ? .tagged : .untagged
        self.name = name
        self.dram = dram
        self.layout = layout
    }

    /// What the object's pages are allocated for.
    public var use: PageUse { kind == .tagged ? .tagged : .untagged }

    /// The first address behind the object's memory, in bytes.
    public var end: UInt64 { layout == nil ? dram.map.end.rawValue : size }

    /// Tag bytes of the object: one for 32 bytes, the last also where the object ends within them.
    public var tagBytes: UInt64 {
        (end + TagGranule.bytesPerTagByte - 1) / TagGranule.bytesPerTagByte
    }

    /// What an object has at an address, as far as it is the same.
    public enum Extent {
        case memory(DRAM.Run)
        /// Pages that nobody has written yet: zero, with tag 0.
        case unpopulated(count: Int)
        /// A hole of the memory map, or behind the end.
        case nothing
    }

    /// How far an object reaches, for different files.
    public enum Bound: Sendable {
        /// To its size.
        case size
        /// To the end of the 32 bytes that the last byte shares its tag byte with.
        case tags
        /// To the end of the page that the size ends in.
        case lastPage
        /// To the end of the last page that is there, which may be far behind the size.
        case pages
    }

    /// What is at the object's `address`, `limit` bytes at most.
    @inline(__always)
    public func extent(at address: UInt64, limit: Int, within bound: Bound = .size) -> Extent {
        guard let layout else {
            return dram.run(at: PhysicalAddress(address), limit: limit).map { .memory($0) } ?? .nothing
        }
        let end =
            switch bound {
            case .size: size
            case .tags: tagBytes * TagGranule.bytesPerTagByte
            case .lastPage: UInt64(sizeInPages) * layout.pageSize
            case .pages: UInt64(pages.count) * layout.pageSize
            }
        return pagedExtent(at: address, limit: limit, end, layout)
    }

    private func pagedExtent(at address: UInt64, limit: Int, _ end: UInt64, _ layout: BlockLayout) -> Extent {
        guard address < end else { return .nothing }
        let limit = Int(min(UInt64(limit), end - address))
        let pageSize = layout.pageSize
        let first = Int(address / pageSize)
        let inPage = address % pageSize
        // Pages that lie one behind the other, of the object and of memory, are one piece.
        var available = Int(pageSize - inPage)
        var index = first + 1
        guard let frame = pages[first] else {
            let last = Self.pages(for: address + UInt64(limit), layout)
            guard case .found(let next) = pages.next(.ready, from: index, below: last) else {
                return .unpopulated(count: limit)
            }
            return .unpopulated(count: available + (next - index) * Int(pageSize))
        }
        let start = layout.address(of: frame)
        while available < limit, let next = pages[index],
            layout.address(of: next) == start + (inPage + UInt64(available))
        {
            available += Int(pageSize)
            index += 1
        }
        guard let run = dram.run(at: start + inPage, limit: min(available, limit)) else {
            preconditionFailure("page \(first) of \(name) is not in memory")
        }
        return .memory(run)
    }

    /// How a search for memory, or for a hole, ended. Addresses in bytes.
    public enum Search: Sendable, Equatable {
        case found(UInt64)
        /// There is none before this address, and the budget is used up.
        case goOn(from: UInt64)
        case none
    }

    /// The next address at or above `address` that is memory (or, with `memory` false, that is none); none behind the
    /// last. What SEEK_DATA and SEEK_HOLE ask.
    ///
    /// - Parameter budget: chunks of the page table that are looked at; see `PageTable.next`.
    public func next(from address: UInt64, memory: Bool, budget: Int = .max) -> Search {
        guard let layout else { return nextRegion(from: address, memory: memory).map { .found($0) } ?? .none }
        guard address < size else { return .none }
        let first = Int(address / layout.pageSize)
        switch pages.next(memory ? .ready : .hole, from: first, below: sizeInPages, budget: budget) {
        case .found(let page): return .found(max(address, UInt64(page) * layout.pageSize))
        case .goOn(let page): return .goOn(from: max(address, UInt64(page) * layout.pageSize))
        case .none: return memory ? .none : .found(size)
        }
    }

    private func nextRegion(from address: UInt64, memory: Bool) -> UInt64? {
        var position = address
        for region in dram.map.regions where position < region.end.rawValue {
            let isInside = region.start.rawValue <= position
            if memory { return isInside ? position : region.start.rawValue }
            guard isInside else { return position }
            position = region.end.rawValue
        }
        return memory || address >= end ? nil : position
    }
}

extension MemoryObject {
    /// Pages that the object's size needs.
    public var sizeInPages: Int { layout.map { Self.pages(for: size, $0) } ?? 0 }

    /// Pages that `size` bytes need.
    public static func pages(for size: UInt64, _ layout: BlockLayout) -> Int {
        Int(size / layout.pageSize) + (size % layout.pageSize == 0 ? 0 : 1)
    }

    /// Forgets the room for pages behind the last that is there or that the size needs. Constant time.
    public mutating func shortenPages() { pages.shorten(to: max(sizeInPages, pages.end)) }
}
