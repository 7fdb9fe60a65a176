import TagMemCore

/// What there is to count, for `meminfo`, `vmstat` and `metrics`. Each number is exact, together they are of one moment
/// as far as they are about pages.
struct Statistics: Sendable {
    private let directory: CoherenceDirectory
    private let counters: Counters
    private let map: MemoryMap
    private let objects: ObjectTree

    init(_ directory: CoherenceDirectory, _ counters: Counters, map: MemoryMap, objects: ObjectTree) {
        self.directory = directory
        self.counters = counters
        self.map = map
        self.objects = objects
    }

    struct Amount {
        /// As in `meminfo`.
        let name: String
        let bytes: UInt64
        let help: String
    }

    /// Amounts of memory.
    func amounts() -> [Amount] {
        directory.withPages { amounts($0.allocator, $0.layout) }
    }

    private func amounts(_ allocator: borrowing PageAllocator, _ layout: BlockLayout) -> [Amount] {
        func amount(_ name: String, _ count: Int, _ help: String) -> Amount {
            Amount(name: name, bytes: UInt64(count) * layout.pageSize, help: help)
        }
        let tagPages = allocator.totalTagPages
        return [
            Amount(
                name: "MemTotal", bytes: map.memorySize,
                help: "All memory, tag storage included"),
            Amount(name: "DataTotal", bytes: map.dataSize, help: "Data memory"),
            Amount(name: "TagStorageTotal", bytes: map.tagStorageSize, help: "Tag storage"),
            amount("Tagged", allocator.taggedPages, "Pages in tagged use"),
            amount("Untagged", allocator.untaggedInUse, "Pages in untagged use"),
            amount("Free", allocator.freePages, "Pages in no use, reserved Tag Pages aside"),
            amount("TaggedAvailable", allocator.availableTagged, "Tagged pages that can be had"),
            amount("UntaggedAvailable", allocator.availableUntagged, "Untagged pages that can be had"),
            amount("TagStorageReserved", allocator.tagPagesReserved, "Tag Pages that hold tags"),
            amount(
                "TagStorageReservedBest", allocator.tagPagesNeeded,
                "Tag Pages that the tagged pages need at least"),
            amount("TagStorageReused", allocator.tagPagesInUse, "Tag Pages in use for data"),
            amount(
                "TagStorageGivenBack", tagPages - allocator.tagPagesReserved,
                "Tag Pages that data can use, in use or free"),
            amount(
                "TagStorageGivenBackBest", tagPages - allocator.tagPagesNeeded,
                "Tag Pages that data could use at best, with the tagged pages there are"),
            amount("Pinned", allocator.pinnedInUse, "Pages that do not move"),
            amount(
                "AtomicReserve", allocator.reservedPages(.tagged) + allocator.reservedPages(.untagged),
                "Pages set aside for atomic allocations"),
        ]
    }

    struct Event {
        /// As in `vmstat`.
        let name: String
        let count: Int
    }

    /// What happened since the mount. Where Linux or Arm's series has a counter of the kind, it has that name.
    func events() -> [Event] {
        let (allocator, tagPages) = directory.withPages {
            ($0.allocator.counters, $0.allocator.geometry.tagPages)
        }
        let pages = [
            Event(name: "pgalloc", count: allocator.allocations),
            Event(name: "pgfree", count: allocator.frees),
            Event(name: "pgalloc_fail", count: allocator.failures),
            Event(name: "tag_storage_reserve_success", count: allocator.blocksToTagged * tagPages),
            Event(name: "tag_storage_reserve_fail", count: allocator.reserveFailures * tagPages),
            Event(name: "tag_storage_reserve_free", count: allocator.blocksToUntagged * tagPages),
            Event(name: "tag_storage_clean_for_tags", count: allocator.cleansForTags),
            Event(name: "tag_storage_clean_for_data", count: allocator.cleansForData),
            Event(name: "pgmigrate_success", count: allocator.migrations + 2 * allocator.exchanges),
            Event(name: "pgmigrate_fail", count: allocator.refusals),
            Event(name: "compact_blocks", count: allocator.compactions),
            Event(name: "compact_blocks_direct", count: allocator.directCompactions),
            Event(name: "atomic_from_reserve", count: allocator.atomicFromReserve),
            Event(name: "atomic_refused", count: allocator.atomicRefused),
        ]
        return Counter.allCases.map { Event(name: $0.name, count: counters[$0]) } + pages
    }

    /// Objects in `tagged/` and `untagged/`.
    func objectCount(_ use: PageUse) -> Int { objects.count(in: use) }
}
