/// What happened since the allocator was made. Each only grows.
public struct AllocatorCounters: Sendable, Equatable {
    /// Pages given out and taken back, of either use.
    public var allocations = 0
    public var frees = 0
    /// Allocations that failed, whatever the reason.
    public var failures = 0
    /// Blocks whose Tag Pages were reserved, and allocations for which none could be.
    public var reserveSuccesses = 0
    public var reserveFailures = 0
    /// Pages moved to a free page, and pairs exchanged where none was free.
    public var migrations = 0
    public var exchanges = 0
    /// Moves and exchanges that the mover refused.
    public var refusals = 0
    /// Tagged blocks emptied: by compaction, and because an allocation needed it.
    public var compactions = 0
    public var directCompactions = 0
    /// Blocks turned from free or untagged to tagged use, and back.
    public var blocksToTagged = 0
    public var blocksToUntagged = 0
    /// Tag Storage Cleans, one a block: before tags are kept in its Tag Pages, and before data is.
    public var cleansForTags = 0
    public var cleansForData = 0
    /// Atomic allocations: served from the reserve, and refused.
    public var atomicFromReserve = 0
    public var atomicRefused = 0

    public init() {}
}
