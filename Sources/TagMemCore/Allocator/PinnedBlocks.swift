/// What pins leave the blocks to be used for: how many blocks must be tagged, must not be, or lend pages that they cannot
/// get rid of. Counted as pages are pinned and unpinned, whatever state the blocks are in.
struct PinnedBlocks: Sendable {
    /// Blocks that stay tagged (a tagged page is pinned there, or the tags are hidden), and their Data Pages that can be
    /// tagged.
    private(set) var tagged = 0
    private(set) var taggedRoom = 0
    /// Blocks that stay untagged: a page in a Tag Page is pinned.
    private(set) var untagged = 0
    /// Other blocks with pinned untagged Data Pages, and by how many those are.
    private(set) var lending = 0
    private var byLent: [Int]
    private let dataPages: Int

    init(_ geometry: BlockGeometry) {
        dataPages = geometry.dataPages
        byLent = Array(repeating: 0, count: dataPages + 1)
    }

    /// A block's pins changed.
    mutating func change(from old: BlockRecord, to new: BlockRecord) {
        count(old, -1)
        count(new, 1)
    }

    private mutating func count(_ record: BlockRecord, _ change: Int) {
        if record.isFixed || record.pinnedTagged > 0 {
            tagged += change
            taggedRoom += change * (dataPages - record.pinnedData)
        } else if record.pinnedTag > 0 {
            untagged += change
        } else if record.pinnedData > 0 {
            lending += change
            byLent[record.pinnedData] += change
        }
    }

    /// Blocks that need not be tagged and can be, `of` so many, those with the most room for tagged pages first. Ends when
    /// `body` returns false. One step, and where blocks lend pinned pages one for each number of those.
    func forEachKind(of blocks: Int, _ body: (_ blocks: Int, _ room: Int) -> Bool) {
        guard body(blocks - tagged - untagged - lending, dataPages), lending > 0 else { return }
        for lent in 1..<dataPages where byLent[lent] > 0 {
            if !body(byLent[lent], dataPages - lent) { return }
        }
    }
}

extension PinnedBlocks: Equatable {}
