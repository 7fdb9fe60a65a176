/// Capacity that is set aside for pages that will be taken one at a time: how many, not which.
struct Promises: Sendable {
    private(set) var untagged = 0
    private(set) var tagged = 0
    /// Untagged pages that will turn tagged: tagged pages more, and untagged ones fewer.
    private(set) var conversions = 0

    @inline(__always)
    var isEmpty: Bool { untagged | tagged | conversions == 0 }

    subscript(_ use: PageUse) -> Int { use == .untagged ? untagged : tagged }

    mutating func add(_ use: PageUse, _ pages: Int) {
        if use == .untagged { untagged += pages } else { tagged += pages }
        precondition(self[use] >= 0, "more pages than were promised")
    }

    mutating func addConversions(_ pages: Int) {
        conversions += pages
        precondition(conversions >= 0, "more conversions than were promised")
    }
}

/// Promises: of several that each know how much they need, those that start get it all.
///
/// The state in which every promise is kept stays possible: u' + t' + g ceil(t' / d) <= (d + g) N, with *u'* and *t'*
/// the pages in use once they all are. The sum and the Tag Pages needed only grow on the way there, so every state
/// between now and then is possible, in whatever order promises are kept; and an allocation that leads to a possible
/// state succeeds. What is not promised is had only as far as this stays true.
extension PageAllocator {
    /// Sets capacity aside for `pages` pages, without picking any. Constant time.
    ///
    /// Take them with `allocatePromised`, and release what is not taken.
    ///
    /// - Returns: false if not all of them can be had beside what is in use and promised; nothing is promised then.
    public mutating func promise(_ use: PageUse, pages: Int) -> Bool {
        precondition(pages >= 0, "a promise of fewer than no pages")
        guard pages <= available(use) else { return false }
        promises.add(use, pages)
        return true
    }

    /// Gives promised pages up that were not taken.
    public mutating func releasePromise(_ use: PageUse, pages: Int) {
        precondition(pages >= 0, "a promise of fewer than no pages")
        promises.add(use, -pages)
    }

    /// Pages that are promised and not taken.
    public func promisedPages(_ use: PageUse) -> Int { promises[use] }

    /// Gives out a promised page, as `allocate` does.
    ///
    /// - Throws: `.mustWait`; `.immovable` if pages that are pinned, or that the mover refused to move, are in the way.
    ///   The promise stands.
    public mutating func allocatePromised(
        _ use: PageUse, for owner: PageOwner, with mover: inout (some PageMover & ~Copyable)
    ) throws(AllocationError) -> PageFrame {
        precondition(promises[use] > 0, "the page was not promised")
        let frame = try allocateUnchecked(use, for: owner, with: &mover)
        promises.add(use, -1)
        return frame
    }

    /// Sets capacity aside for `pages` untagged pages, now in use or promised, to turn tagged. Constant time.
    ///
    /// Turn them with `tagPromised`, and release what does not turn, also if the page was freed.
    ///
    /// - Returns: false if not all of them can turn; nothing is promised then.
    public mutating func promiseTagging(pages: Int) -> Bool {
        precondition(pages >= 0, "a promise of fewer than no pages")
        guard isPossible(untagged: committedUntagged - pages, tagged: committedTagged + pages) else {
            return false
        }
        promises.addConversions(pages)
        return true
    }

    /// Gives promised conversions up.
    public mutating func releaseTaggingPromise(pages: Int) {
        precondition(pages >= 0, "a promise of fewer than no pages")
        promises.addConversions(-pages)
    }

    /// Conversions that are promised and not made.
    public var promisedTaggings: Int { promises.conversions }

    /// Turns an untagged page tagged, as `setUse` does, and takes it off the promise.
    ///
    /// - Throws: `.mustWait`; `.immovable` if pages that cannot move, this one included, are in the way. The promise
    ///   stands.
    public mutating func tagPromised(
        _ frame: PageFrame, inPlace: Bool = false, with mover: inout (some PageMover & ~Copyable)
    ) throws(AllocationError) -> PageFrame {
        precondition(promises.conversions > 0, "the conversion was not promised")
        precondition(use(of: frame) == .untagged, "the page is not untagged")
        let moved = try turnTagged(Place(frame, geometry), inPlace: inPlace, &mover)
        promises.addConversions(-1)
        return moved
    }

    /// *u'* and *t'*: pages in use once all promises are kept.
    var committedUntagged: Int { untaggedPages + promises.untagged - promises.conversions }
    var committedTagged: Int { taggedPages + promises.tagged + promises.conversions }

    /// Why one page that is not promised cannot be had; nil if it can.
    ///
    /// Around pins, conversions are left out: the pages may be pinned themselves, and turn where they are.
    @inline(never)
    func refusal(_ use: PageUse) -> AllocationError? {
        let (untagged, tagged) = use == .untagged ? (1, 0) : (0, 1)
        guard isPossible(untagged: committedUntagged + untagged, tagged: committedTagged + tagged) else {
            return .noMemory(use)
        }
        let isPossible = isPossibleAroundPins(
            untagged: untaggedPages + promises.untagged + untagged,
            tagged: taggedPages + promises.tagged + tagged)
        return isPossible ? nil : .immovable(use)
    }
}
