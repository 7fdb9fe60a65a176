import Synchronization

/// An address space on physical memory, with the tag check mode of the programs that use it.
///
/// `phys` is the object whose addresses are physical ones; the others have pages of their own, from address 0.
///
/// Thread safety: the mode and TFSR can be used from any thread. What changes in the life of an object with pages
/// (`kind`, `name`, `size`, `pages`) is guarded by the lock of the page allocator that the pages come from; `phys` does
/// not change.
public final class MemoryObject: @unchecked Sendable {
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

    private let modeValue: Atomic<UInt8>
    private let asynchronousFault = Atomic(false)

    /// The physical address space itself.
    public init(physical dram: DRAM) {
        kind = .physical
        name = "phys"
        self.dram = dram
        layout = nil
        modeValue = Atomic(TagCheckMode.sync.rawValue)
    }

    /// An object without pages. `layout` must be made from `dram`'s map.
    public init(_ use: PageUse, name: String, dram: DRAM, layout: BlockLayout) {
        kind = use == .tagged ? .tagged : .untagged
        self.name = name
        self.dram = dram
        self.layout = layout
        modeValue = Atomic(TagCheckMode.sync.rawValue)
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
            while available < limit, pages[index] == nil {
                available += Int(pageSize)
                index += 1
            }
            return .unpopulated(count: min(available, limit))
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

    /// The next address at or above `address` that is memory (or, with `memory` false, that is none); nil behind the
    /// last. What SEEK_DATA and SEEK_HOLE ask.
    public func next(from address: UInt64, memory: Bool) -> UInt64? {
        guard let layout else { return nextRegion(from: address, memory: memory) }
        guard address < size else { return nil }
        var position = address
        while position < size {
            if (pages[Int(position / layout.pageSize)] != nil) == memory { return position }
            position = (position / layout.pageSize + 1) * layout.pageSize
        }
        return memory ? nil : size
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

    /// The mode that checked accesses to this object have.
    public var mode: TagCheckMode {
        get { TagCheckMode(rawValue: modeValue.load(ordering: .relaxed)) ?? .sync }
        set { modeValue.store(newValue.rawValue, ordering: .relaxed) }
    }

    /// TFSR: whether an asynchronous tag check fault happened since the bit was cleared.
    public var hasAsynchronousFault: Bool {
        get { asynchronousFault.load(ordering: .relaxed) }
        set { asynchronousFault.store(newValue, ordering: .relaxed) }
    }
}

extension MemoryObject {
    /// Pages that the object's size needs.
    public var sizeInPages: Int { layout.map { Self.pages(for: size, $0) } ?? 0 }

    /// Pages that `size` bytes need.
    public static func pages(for size: UInt64, _ layout: BlockLayout) -> Int {
        Int(size / layout.pageSize) + (size % layout.pageSize == 0 ? 0 : 1)
    }

    /// Forgets the room for pages behind the last that is there or that the size needs.
    public func shortenPages() {
        var count = pages.count
        let needed = sizeInPages
        while count > needed, pages.frame(at: count - 1) == nil { count -= 1 }
        pages.shorten(to: count)
    }
}
