import TagMemCore

/// Pages that an object is to have, and the size that it is to grow to with them.
struct PageDemand {
    /// Who wants them, which says what the kernel holds meanwhile.
    enum Cause: Equatable {
        /// truncate(2): write-backs of the inode are held back until it is answered, and then its pages are dropped.
        case truncate
        /// fallocate(2), or a direct write.
        case direct
        /// A write through the page cache from this offset of `mem`, which may hold the locks of some of its pages: of its
        /// own, and of the next, which the same request may have a part of.
        case cached(from: UInt64, locked: Range<UInt64>)
    }

    let object: ObjectID
    let pages: Range<Int>
    let newSize: UInt64?
    let cause: Cause
}

extension MemoryState {
    /// The pages that an access needs in the first `count` bytes of its range; nil if memory has not that many.
    func pageDemand(of access: MemoryAccess, count: Int) -> PageDemand? {
        let scale = access.alias.scale
        let start = access.offset * scale
        return pageDemand(
            access.alias.object, start..<start + UInt64(count) * scale, growsTo: nil, cause(of: access))
    }

    /// The pages that an object needs for a write behind its end; nil if memory has not that many.
    func pageDemand(of access: MemoryAccess, growsTo size: UInt64) -> PageDemand? {
        let end = access.offset.addingReportingOverflow(UInt64(access.requested))
        if end.overflow || end.partialValue > UInt64(Int64.max) { return nil }
        let first = min(access.offset, objects[access.alias.object].memory.size)
        return pageDemand(access.alias.object, first..<size, growsTo: size, cause(of: access))
    }

    /// The pages that a range of an object touches; nil if memory has not that many.
    func pageDemand(
        _ object: ObjectID, _ range: Range<UInt64>, growsTo size: UInt64?, _ cause: PageDemand.Cause
    ) -> PageDemand? {
        let layout = pages.layout
        guard range.upperBound <= UInt64(pages.allocator.totalPages) * layout.pageSize else {
            reportNoSpace()
            return nil
        }
        let first = Int(range.lowerBound / layout.pageSize)
        return PageDemand(
            object: object, pages: first..<max(first, MemoryObject.pages(for: range.upperBound, layout)),
            newSize: size, cause: cause)
    }

    private func cause(of access: MemoryAccess) -> PageDemand.Cause {
        guard access.purpose == .cachedWrite else { return .direct }
        let end = access.offset + UInt64(access.requested)
        return .cached(
            from: access.offset,
            locked: Page.start(access.offset)..<Page.start(end + Page.size - 1) + Page.size)
    }
}
