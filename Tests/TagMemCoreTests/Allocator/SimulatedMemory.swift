@testable import TagMemCore

/// Memory of any geometry for the allocator: a number for each page's contents and one for its tags.
///
/// Tags lie in the block's Tag Pages: data stored there ruins the tags of the block's Data Pages, and a tag stored
/// ruins the data in the Tag Pages. Without the Tag Storage Clean both are ruined later, too, so every use is checked
/// against the last clean.
struct SimulatedMemory: PageMover {
    let geometry: BlockGeometry
    var contents: [Int]
    var tags: [Int]
    /// What the block's Tag Pages were cleaned for.
    var cleaned: [TagPageUse]
    var cleans = 0
    /// Frames whose pages refuse to move.
    var refusing: Set<PageFrame> = []
    var refusals: (() -> Bool)?
    /// Whether a refusal ends the call that is under way; set back before the next one.
    var givesUp = false
    var hasGivenUp = false
    /// Moves and exchanges.
    var moves = 0
    /// Where the owners' pages are, as they were told.
    var frames: [PageOwner: PageFrame] = [:]
    /// What was done wrong.
    var complaints: [String] = []

    static let ruined = -1

    init(_ layout: BlockLayout) {
        geometry = layout.geometry
        let count = layout.blocks << Int(geometry.frameShift)
        contents = Array(repeating: 7, count: count)
        tags = Array(repeating: 7, count: count)
        cleaned = Array(repeating: .data, count: layout.blocks)
    }

    private func place(_ frame: PageFrame) -> Place { Place(frame, geometry) }

    private func index(_ block: BlockIndex, _ position: Int) -> Int {
        Int(PageFrame(Place(block, position), geometry).rawValue)
    }

    mutating func store(_ value: Int, in frame: PageFrame) {
        contents[Int(frame.rawValue)] = value
        let place = place(frame)
        guard place.position >= geometry.dataPages else { return }
        if cleaned[place.block.offset] != .data { complaints.append("data in a Tag Page without a clean") }
        for position in 0..<geometry.dataPages { tags[index(place.block, position)] = Self.ruined }
    }

    mutating func storeTags(_ value: Int, of frame: PageFrame) {
        let place = place(frame)
        if place.position >= geometry.dataPages { complaints.append("tags of tag storage") }
        if cleaned[place.block.offset] != .tags { complaints.append("tags in a Tag Page without a clean") }
        tags[Int(frame.rawValue)] = value
        for position in geometry.dataPages..<geometry.pages {
            contents[index(place.block, position)] = Self.ruined
        }
    }

    mutating func zero(_ frame: PageFrame, for use: PageUse) {
        store(0, in: frame)
        if use == .tagged { storeTags(0, of: frame) }
    }

    mutating func clearTags(of frame: PageFrame) { storeTags(0, of: frame) }

    mutating func clean(_ block: BlockIndex, for use: TagPageUse) {
        if cleaned[block.offset] == use { complaints.append("a needless clean") }
        cleaned[block.offset] = use
        cleans += 1
    }

    private mutating func refuses(_ page: MovingPage) -> Bool {
        if hasGivenUp { complaints.append("asked to move a page after giving up") }
        let isRefused = refusing.contains(page.frame) || refusals?() == true
        if isRefused, givesUp { hasGivenUp = true }
        return isRefused
    }

    mutating func move(_ page: MovingPage, to target: PageFrame) -> Bool {
        if refuses(page) { return false }
        moves += 1
        store(contents[Int(page.frame.rawValue)], in: target)
        if page.use == .tagged { storeTags(tags[Int(page.frame.rawValue)], of: target) }
        return true
    }

    mutating func exchange(_ first: MovingPage, _ second: MovingPage) -> ExchangeOutcome {
        if refuses(first) { return .firstRefused }
        if refuses(second) { return .secondRefused }
        moves += 1
        let values = (contents[Int(first.frame.rawValue)], contents[Int(second.frame.rawValue)])
        let pair = (tags[Int(first.frame.rawValue)], tags[Int(second.frame.rawValue)])
        store(values.1, in: first.frame)
        store(values.0, in: second.frame)
        if second.use == .tagged { storeTags(pair.1, of: first.frame) }
        if first.use == .tagged { storeTags(pair.0, of: second.frame) }
        return .done
    }

    mutating func relocated(_ owner: PageOwner, to frame: PageFrame) {
        if frames[owner] == nil { complaints.append("an unknown owner was told") }
        frames[owner] = frame
    }
}
