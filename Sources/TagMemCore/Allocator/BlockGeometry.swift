/// How many pages a Tag Block has, and what that allows.
///
/// The emulated machine's is `dataPages == 32 * tagPages`, `tagPages` being the block size in pages; any other shape
/// follows the same equations, which is what exhaustive tests use.
public struct BlockGeometry: Sendable, Equatable {
    /// *d*: Data Pages a block.
    public let dataPages: Int
    /// *g*: Tag Pages a block. All are reserved while one of the block's Data Pages is tagged.
    public let tagPages: Int
    /// The position's bits in a frame.
    let frameShift: UInt32
    /// Lists tell blocks apart by pages in units of `1 << levelShift`: one page, where a block has fewer than 64.
    let levelShift: Int

    /// The largest block: a block size of 64 pages.
    public static let maximumPages = 33 * 64

    public init(dataPages: Int, tagPages: Int) {
        precondition(dataPages > 0 && tagPages > 0, "a Tag Block has Data Pages and Tag Pages")
        precondition(dataPages + tagPages <= Self.maximumPages, "a Tag Block has at most 2112 pages")
        self.dataPages = dataPages
        self.tagPages = tagPages
        frameShift = UInt32(Int.bitWidth - (dataPages + tagPages - 1).leadingZeroBitCount)
        levelShift = max(0, Int.bitWidth - ((dataPages + tagPages) / 2).leadingZeroBitCount - 5)
    }

    /// The machine's Tag Block with a block size of `pages` pages.
    public init(blockSizeInPages pages: Int) {
        self.init(dataPages: pages * Int(TagGranule.bytesPerTagByte), tagPages: pages)
    }

    /// *d + g*: pages a block.
    public var pages: Int { dataPages &+ tagPages }

    /// Words of a bitmap of a block's pages.
    var maskWords: Int { (pages + 63) / 64 }

    /// Blocks that `tagged` pages need at least: ceil(t / d).
    public func blocksNeeded(tagged: Int) -> Int { (tagged + dataPages - 1) / dataPages }

    /// Whether `blocks` blocks can hold that many pages: u + t + g * ceil(t / d) <= (d + g) * N.
    public func isPossible(untagged: Int, tagged: Int, blocks: Int) -> Bool {
        untagged >= 0 && tagged >= 0
            && untagged + tagged + tagPages * blocksNeeded(tagged: tagged) <= pages * blocks
    }

    /// The most tagged pages beside `untagged` untagged ones: the pages that are left, in whole blocks, and the rest
    /// of them in one more block if more than its Tag Pages are left.
    public func mostTagged(untagged: Int, blocks: Int) -> Int {
        let left = max(0, pages * blocks - untagged)
        return left / pages * dataPages + max(0, left % pages - tagPages)
    }
}
