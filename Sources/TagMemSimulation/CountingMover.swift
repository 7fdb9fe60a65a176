import TagMemCore

/// A page that a workload holds, wherever it is moved.
public struct PageHandle: Hashable, Sendable {
    let index: UInt32
}

/// Memory that does not exist: counts the pages that move, and knows where each is.
struct CountingMover: PageMover {
    /// Pages moved to another place: one for a migration, two for an exchange.
    private(set) var pagesMoved = 0
    /// By handle. Handles that are nobody's are in `unused`.
    private var frames: [PageFrame] = []
    private var unused: [UInt32] = []

    mutating func newHandle() -> PageHandle {
        if let index = unused.popLast() { return PageHandle(index: index) }
        frames.append(PageFrame(rawValue: 0))
        return PageHandle(index: UInt32(frames.count - 1))
    }

    mutating func place(_ handle: PageHandle, _ frame: PageFrame) { frames[Int(handle.index)] = frame }

    mutating func drop(_ handle: PageHandle) { unused.append(handle.index) }

    func frame(of handle: PageHandle) -> PageFrame { frames[Int(handle.index)] }

    mutating func zero(_ frame: PageFrame, for use: PageUse) {}

    mutating func clearTags(of frame: PageFrame) {}

    mutating func clean(_ block: BlockIndex, for use: TagPageUse) {}

    mutating func move(_ page: MovingPage, to target: PageFrame) -> Bool {
        pagesMoved += 1
        return true
    }

    mutating func exchange(_ first: MovingPage, _ second: MovingPage) -> ExchangeOutcome {
        pagesMoved += 2
        return .done
    }

    mutating func relocated(_ owner: PageOwner, to frame: PageFrame) { frames[Int(owner.index)] = frame }
}
