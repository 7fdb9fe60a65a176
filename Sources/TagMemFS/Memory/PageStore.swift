import TagMemCore

/// Whose the pages of memory are: the page allocator, and the objects that own its pages.
///
/// Guarded by the lock of the `CoherenceDirectory`, like the table of lines.
final class PageStore: @unchecked Sendable {
    let layout: BlockLayout
    var allocator: PageAllocator
    /// The objects by their number as owners; nil for numbers that are free.
    private(set) var owners: [ObjectAliases?] = []
    private var freeSlots: [UInt32] = []

    /// What the allocator's count of freed pages was when the reserve could not be filled: it is tried again after the
    /// next one.
    var refillFailed = -1

    var canRefill: Bool { refillFailed != allocator.counters.frees }

    /// Pins a page, or unpins it, whatever it is.
    func setPinned(_ isPinned: Bool, _ frame: PageFrame) {
        guard let page = allocator.page(at: frame), page.isPinned != isPinned else { return }
        if isPinned { allocator.pin(frame) } else { allocator.unpin(frame) }
    }

    /// Objects there can be at a time.
    static let maximumObjects = 1 << 20

    init(_ layout: BlockLayout) throws(AllocatorError) {
        self.layout = layout
        allocator = try PageAllocator(layout)
    }

    /// Calls `make` with a number for a new owner of pages; nil if there are too many objects.
    func addOwner(_ make: (UInt32) -> ObjectAliases) -> ObjectAliases? {
        guard let slot = freeSlots.popLast() else {
            guard owners.count < Self.maximumObjects else { return nil }
            let aliases = make(UInt32(owners.count))
            owners.append(aliases)
            return aliases
        }
        let aliases = make(slot)
        owners[Int(slot)] = aliases
        return aliases
    }

    /// An object that has no page any more.
    func removeOwner(_ slot: UInt32) {
        owners[Int(slot)] = nil
        freeSlots.append(slot)
    }

    /// The object that owns the page at a physical address, and the object's address of it; nil for a page that is
    /// free, reserved, or not the allocator's.
    func owner(at address: PhysicalAddress) -> (aliases: ObjectAliases, address: UInt64)? {
        guard let frame = layout.frame(at: address), let page = allocator.page(at: frame),
            let aliases = owners[Int(page.owner.object)]
        else { return nil }
        let offset = address - layout.address(of: frame)
        return (aliases, UInt64(page.owner.index) * layout.pageSize + offset)
    }
}
