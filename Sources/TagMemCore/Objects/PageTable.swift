/// Which page of physical memory holds which page of an object.
///
/// ```
///    entry:   31       30 … 0
///            | pending | frame |      all ones: no page there
/// ```
///
/// A pending page belongs to the object but is not prepared yet: to everybody but the allocator it is not there. Four
/// bytes a page. Not thread-safe.
public struct PageTable: Sendable {
    private var entries: [UInt32] = []
    /// Pages that are there, prepared or not.
    public private(set) var present = 0

    private static let absent = UInt32.max
    private static let pendingBit: UInt32 = 1 << 31

    public init() {}

    /// Pages that the table has room for; those behind are absent.
    public var count: Int { entries.count }

    /// Makes room for pages below `count`.
    public mutating func extend(to count: Int) {
        if count > entries.count {
            entries.append(contentsOf: repeatElement(Self.absent, count: count - entries.count))
        }
    }

    /// Forgets the room from `count` on, which must be absent pages.
    public mutating func shorten(to count: Int) {
        guard count < entries.count else { return }
        entries.removeLast(entries.count - count)
        if entries.isEmpty { entries = [] }
    }

    /// The page at `index`, if it is there and prepared.
    @inline(__always)
    public subscript(index: Int) -> PageFrame? {
        guard index < entries.count, entries[index] & Self.pendingBit == 0 else { return nil }
        return PageFrame(rawValue: entries[index])
    }

    /// The page at `index`, prepared or not.
    public func frame(at index: Int) -> PageFrame? {
        guard index < entries.count, entries[index] != Self.absent else { return nil }
        return PageFrame(rawValue: entries[index] & ~Self.pendingBit)
    }

    /// Puts a page that is not prepared at `index`, where none is.
    public mutating func insertPending(_ frame: PageFrame, at index: Int) {
        precondition(entries[index] == Self.absent, "the object has a page there")
        entries[index] = frame.rawValue | Self.pendingBit
        present += 1
    }

    /// The page at `index` is prepared.
    public mutating func setReady(_ index: Int) {
        precondition(entries[index] != Self.absent, "the object has no page there")
        entries[index] &= ~Self.pendingBit
    }

    /// The page at `index` has moved.
    public mutating func relocate(_ index: Int, to frame: PageFrame) {
        precondition(entries[index] != Self.absent, "the object has no page there")
        entries[index] = entries[index] & Self.pendingBit | frame.rawValue
    }

    /// Takes the page at `index`, which is there, out.
    public mutating func remove(_ index: Int) {
        precondition(entries[index] != Self.absent, "the object has no page there")
        entries[index] = Self.absent
        present -= 1
    }
}
