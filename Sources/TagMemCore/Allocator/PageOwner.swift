/// Whose page it is: the `index`th page of an object. The reverse map holds one for each page in use.
public struct PageOwner: Hashable, Sendable {
    /// Below `PageOwner.objectLimit`.
    public let object: UInt32
    public let index: UInt32

    /// Objects are numbered below this: 2^29 less the two that stand for the reserves, and one for pages that are not
    /// there.
    public static let objectLimit: UInt32 = 1 << 29 - 3

    /// Nobody: the page is not there, or not the allocator's.
    static let absent = PageOwner(object: objectLimit + 2, uncheckedIndex: 0)

    public init(object: UInt32, index: UInt32) {
        precondition(object < Self.objectLimit, "an owner's object number is too large")
        self.object = object
        self.index = index
    }

    /// The reserve of pages for atomic allocations; `index` is the slot in it.
    init(reserve use: PageUse, slot: Int) {
        object = Self.objectLimit + UInt32(use.rawValue - 1)
        index = UInt32(slot)
    }

    init(object: UInt32, uncheckedIndex index: UInt32) {
        self.object = object
        self.index = index
    }

    /// Whether the owner is none of the allocator's own.
    var isOutside: Bool { object < Self.objectLimit }

    /// Which reserve owns the page; nil if somebody outside the allocator does.
    var reserve: PageUse? {
        object < Self.objectLimit ? nil : PageUse(rawValue: UInt8(object - Self.objectLimit) + 1)
    }
}
