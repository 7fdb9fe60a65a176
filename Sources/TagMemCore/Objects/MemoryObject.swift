import Synchronization

/// An address space on physical memory, with the tag check mode of the programs that use it.
///
/// `phys` is the object whose addresses are physical ones. Thread-safe.
public final class MemoryObject: Sendable {
    /// As in paths and in the fault log: `phys`.
    public let name: String
    public let dram: DRAM

    private let modeValue: Atomic<UInt8>
    private let asynchronousFault = Atomic(false)

    /// The physical address space itself.
    public init(physical dram: DRAM) {
        name = "phys"
        self.dram = dram
        modeValue = Atomic(TagCheckMode.sync.rawValue)
    }

    /// The first address behind the object's memory, in bytes.
    public var end: UInt64 { dram.map.end.rawValue }

    /// Bytes of memory in the object, holes not counted.
    public var memorySize: UInt64 { dram.map.regions.reduce(0) { $0 + $1.size } }

    /// The memory at the object's `address` as far as it is contiguous, `limit` bytes at most; nil in a hole.
    @inline(__always)
    public func run(at address: UInt64, limit: Int) -> DRAM.Run? {
        dram.run(at: PhysicalAddress(address), limit: limit)
    }

    /// The object's address of a physical address that is part of it.
    public func address(of physical: PhysicalAddress) -> UInt64 { physical.rawValue }

    /// The next address at or above `address` that is memory (or, with `memory` false, that is none); nil behind the
    /// last. What SEEK_DATA and SEEK_HOLE ask.
    public func next(from address: UInt64, memory: Bool) -> UInt64? {
        var position = address
        for region in dram.map.regions where position < region.end.rawValue {
            let isInside = region.start.rawValue <= position
            if memory { return isInside ? position : region.start.rawValue }
            guard isInside else { return position }
            position = region.end.rawValue
        }
        return memory || address >= end ? nil : position
    }

    /// The mode that checked accesses to this object have.
    public var mode: TagCheckMode {
        get { TagCheckMode(rawValue: modeValue.load(ordering: .relaxed)) ?? .sync }
        set { modeValue.store(newValue.rawValue, ordering: .relaxed) }
    }

    /// TFSR: whether an asynchronous tag check fault happened since the bit was cleared.
    public var hasAsynchronousFault: Bool {
        get { asynchronousFault.load(ordering: .relaxed) }
        set { asynchronousFault.store(newValue, ordering: .relaxed) }
    }
}
