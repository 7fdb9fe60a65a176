import TagMemCore

/// The page allocator, and what the jobs know of it.
struct PageStore: ~Copyable {
    let layout: BlockLayout
    var allocator: PageAllocator

    /// What the allocator's count of freed pages was when the reserve could not be filled: it is tried again after the
    /// next one.
    var refillFailed = -1

    var canRefill: Bool { refillFailed != allocator.counters.frees }

    /// Whether the background has something to do, if it may compact.
    var hasBackgroundWork: Bool { !allocator.isCompact || allocator.needsRefill && canRefill }

    init(_ layout: BlockLayout) throws(AllocatorError) {
        self.layout = layout
        allocator = try PageAllocator(layout)
    }

    /// Pins a page, or unpins it, whatever it is.
    mutating func setPinned(_ isPinned: Bool, _ frame: PageFrame) {
        guard let page = allocator.page(at: frame), page.isPinned != isPinned else { return }
        if isPinned { allocator.pin(frame) } else { allocator.unpin(frame) }
    }

    /// Whose page is at a physical address, and where in it; nil for a page that is free, reserved, or not the
    /// allocator's.
    func owner(at address: PhysicalAddress) -> (owner: PageOwner, offset: UInt64)? {
        guard let frame = layout.frame(at: address), let page = allocator.page(at: frame) else { return nil }
        return (page.owner, address - layout.address(of: frame))
    }
}
