/// What the allocator asks of the memory that it manages: the allocator itself touches none.
///
/// Every call comes from within a call of the allocator, which must not be called back. A mover may be noncopyable: the
/// allocator borrows it for the call.
public protocol PageMover: ~Copyable {
    /// Whether the call that is under way is to end without trying other pages: a page that would have to be waited for
    /// was refused. The allocator then throws `AllocationError.mustWait`, or ends its step.
    var hasGivenUp: Bool { get }

    /// The page is being given out: sets its contents to zero, and for tagged use its tags to 0.
    mutating func zero(_ frame: PageFrame, for use: PageUse)

    /// The page turns from untagged to tagged where it is: sets its tags to 0.
    mutating func clearTags(of frame: PageFrame)

    /// The Tag Storage Clean of all Tag Pages of a block, before their first use as `use`.
    mutating func clean(_ block: BlockIndex, for use: TagPageUse)

    /// Copies a page's contents, and its tags if it is tagged, to a page that is free.
    ///
    /// - Returns: false if the page cannot move now, with nothing changed.
    mutating func move(_ page: MovingPage, to target: PageFrame) -> Bool

    /// Exchanges the contents of two pages, and their tags as far as each is tagged.
    ///
    /// Unless `.done`, nothing was changed.
    mutating func exchange(_ first: MovingPage, _ second: MovingPage) -> ExchangeOutcome

    /// The owner's page is at `frame` from now on. Comes after the move or exchange, page by page.
    mutating func relocated(_ owner: PageOwner, to frame: PageFrame)
}

extension PageMover where Self: ~Copyable {
    /// A mover that never waits never gives up.
    public var hasGivenUp: Bool { false }
}

/// A page that is asked to move.
public struct MovingPage: Sendable, Equatable {
    public let frame: PageFrame
    public let use: PageUse
    /// nil for a page of the reserve, which nobody has yet.
    public let owner: PageOwner?

    public init(frame: PageFrame, use: PageUse, owner: PageOwner?) {
        self.frame = frame
        self.use = use
        self.owner = owner
    }
}

/// How an exchange ended.
public enum ExchangeOutcome: Sendable {
    case done
    /// The first page cannot move now.
    case firstRefused
    /// The second page cannot move now.
    case secondRefused
}
