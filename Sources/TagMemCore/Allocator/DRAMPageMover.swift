#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The mover for emulated DRAM: copies contents and tags, exchanges them, refuses nothing.
///
/// A mover of the owner's own that must take pages from mappings first, or may refuse, calls this one for the copying.
/// The owner is told of moves through `onRelocation`, and of Tag Storage Cleans through `onClean`.
@safe
public struct DRAMPageMover: PageMover {
    public let dram: DRAM
    public let layout: BlockLayout
    /// An owner's page is at a frame from now on.
    public var onRelocation: (PageOwner, PageFrame) -> Void
    /// The Tag Storage Clean of a block's Tag Pages, before their first use for something else.
    public var onClean: (BlockIndex, TagPageUse) -> Void

    /// `layout` must be made from `dram`'s map.
    public init(
        dram: DRAM, layout: BlockLayout, onRelocation: @escaping (PageOwner, PageFrame) -> Void = { _, _ in },
        onClean: @escaping (BlockIndex, TagPageUse) -> Void = { _, _ in }
    ) {
        self.dram = dram
        self.layout = layout
        self.onRelocation = onRelocation
        self.onClean = onClean
    }

    private var pageBytes: Int { Int(layout.pageSize) }
    private var tagBytes: Int { pageBytes / Int(TagGranule.bytesPerTagByte) }

    public func zero(_ frame: PageFrame, for use: PageUse) {
        dram.zero(layout.address(of: frame), count: pageBytes)
        if use == .tagged { clearTags(of: frame) }
    }

    public func clearTags(of frame: PageFrame) {
        dram.fillTags(
            AllocationTag(truncating: 0), at: layout.address(of: frame), count: pageBytes)
    }

    public func clean(_ block: BlockIndex, for use: TagPageUse) { onClean(block, use) }

    public func move(_ page: MovingPage, to target: PageFrame) -> Bool {
        let (from, to) = (layout.address(of: page.frame), layout.address(of: target))
        // The tags first: their cache misses do not wait for the contents, which the processor fetches ahead, or these
        // for them.
        if page.use == .tagged { copyTags(from: from, to: to) }
        // SAFETY: `pointer` traps unless that many bytes of the mapping lie there; two pages never overlap.
        unsafe memcpy(
            dram.pointer(to: to, count: pageBytes), dram.pointer(to: from, count: pageBytes), pageBytes)
        return true
    }

    public func exchange(_ first: MovingPage, _ second: MovingPage) -> ExchangeOutcome {
        let (left, right) = (layout.address(of: first.frame), layout.address(of: second.frame))
        // SAFETY: `pointer` traps unless the page's bytes lie there; the pages are two and so do not overlap.
        unsafe Self.exchange(
            dram.pointer(to: left, count: pageBytes), dram.pointer(to: right, count: pageBytes), pageBytes)
        switch (first.use, second.use) {
        case (.untagged, .untagged): break
        case (.tagged, .tagged):
            // SAFETY: as above, of the pages' tags.
            unsafe Self.exchange(
                dram.tagPointer(of: left, count: pageBytes), dram.tagPointer(of: right, count: pageBytes),
                tagBytes)
        case (.tagged, .untagged): copyTags(from: left, to: right)
        case (.untagged, .tagged): copyTags(from: right, to: left)
        }
        return .done
    }

    public func relocated(_ owner: PageOwner, to frame: PageFrame) { onRelocation(owner, frame) }

    /// An untagged page has no tags to keep; those of where it comes to lie are cleared when that is tagged again.
    private func copyTags(from: PhysicalAddress, to: PhysicalAddress) {
        // SAFETY: `tagPointer` traps unless the page's tags lie there; two pages' tags never overlap.
        unsafe memcpy(
            dram.tagPointer(of: to, count: pageBytes), dram.tagPointer(of: from, count: pageBytes), tagBytes)
    }

    /// Exchanges two pieces of memory, each read and written once. `count` is a multiple of 64, as pages and their tags
    /// are.
    private static func exchange(
        _ left: UnsafeMutableRawPointer, _ right: UnsafeMutableRawPointer, _ count: Int
    ) {
        var offset = 0
        while offset < count {
            // SAFETY: `offset + 64` is at most `count`.
            let fromLeft = unsafe left.loadUnaligned(fromByteOffset: offset, as: SIMD8<UInt64>.self)
            let fromRight = unsafe right.loadUnaligned(fromByteOffset: offset, as: SIMD8<UInt64>.self)
            unsafe left.storeBytes(of: fromRight, toByteOffset: offset, as: SIMD8<UInt64>.self)
            unsafe right.storeBytes(of: fromLeft, toByteOffset: offset, as: SIMD8<UInt64>.self)
            offset += 64
        }
    }
}
