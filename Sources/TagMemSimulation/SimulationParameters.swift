/// What a simulation may choose.
public struct SimulationParameters: Sendable, Equatable {
    /// *N*: Tag Blocks of the machine, 32 + 1 pages of 4 KiB each.
    public var blocks: Int
    /// What the random numbers start from.
    public var seed: UInt64
    /// Events after which a workload is over.
    public var events: Int
    /// Page moves that background compaction may make for every 100 events.
    public var backgroundPercent: Int
    /// What moving a page takes, in nanoseconds, to turn page moves into time.
    public var moveCost: Int

    /// 128 GiB of data.
    public static let blockLimit = 1 << 20
    /// Sums over all events fit into 64 bits.
    public static let eventLimit = 10_000_000_000
    /// A second.
    public static let moveCostLimit = 1_000_000_000

    /// - Parameter events: 20 for each page of the machine unless given.
    /// - Precondition: The values are within the limits.
    public init(
        blocks: Int = 1024, seed: UInt64 = 1, events: Int? = nil, backgroundPercent: Int = 25,
        moveCost: Int = 3000
    ) {
        precondition((1...Self.blockLimit).contains(blocks), "too few or too many blocks")
        self.blocks = blocks
        self.seed = seed
        self.events = events ?? 20 * 33 * blocks
        self.backgroundPercent = backgroundPercent
        self.moveCost = moveCost
        precondition((1...Self.eventLimit).contains(self.events), "too few or too many events")
        precondition((0...100).contains(backgroundPercent), "a budget is 0 to 100 moves for 100 events")
        precondition((0...Self.moveCostLimit).contains(moveCost), "a move takes a second at most")
    }
}
