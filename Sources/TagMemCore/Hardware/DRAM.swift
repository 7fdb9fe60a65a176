#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The emulated machine's memory: bytes at physical addresses, data and tag storage alike.
///
/// Backed by anonymous memory of this process that is committed as it is written; what was never written reads as
/// zero and costs nothing. Tags are part of it: the tag byte of a data address is an ordinary byte of a region of
/// tag storage, or of a bank that the machine cannot address where tags are hidden.
///
/// Thread safety: the bytes are as shared as DRAM is. Callers that need an order between accesses keep it themselves
/// (in the file system: `CoherenceDirectory`).
///
/// Unchecked because of its pointers: who upholds what is said at each (SAFETY).
@safe
public final class DRAM: @unchecked Sendable {
    // SAFETY: `@unchecked` because of the pointers. `banks` is filled in `init` and unmapped in `deinit`, constant
    // between the two.
    public let map: MemoryMap
    private let banks: UnsafeMutableBufferPointer<Bank>

    /// A region, or the storage of hidden tags, with the memory behind it.
    @unsafe
    struct Bank {
        let start: UInt64
        let size: UInt64
        let bytes: UnsafeMutableRawPointer
        /// The tag byte of the region's first granules; nil where memory is not MTE-capable.
        let tags: UnsafeMutableRawPointer?
        /// The address of that byte.
        let tagBase: UInt64
    }

    /// - Throws: `DRAMError` if this process cannot have that much address space.
    public init(map: MemoryMap) throws(DRAMError) {
        // `deinit` runs for an initializer that throws once everything is set: `banks` is set when nothing can fail.
        let bases = unsafe try Self.reserve(map.banks)
        self.map = map
        unsafe banks = .allocate(capacity: map.banks.count)
        for (index, region) in map.banks.enumerated() {
            var tags: UnsafeMutableRawPointer?
            var tagBase: UInt64 = 0
            if let base = map.tagBase(of: region),
                let storage = map.banks.firstIndex(where: { $0.contains(base) })
            {
                unsafe tags = unsafe bases[storage] + Int(base - map.banks[storage].start)
                tagBase = base.rawValue
            }
            unsafe banks.initializeElement(
                at: index,
                to: Bank(
                    start: region.start.rawValue, size: region.size, bytes: bases[index], tags: tags,
                    tagBase: tagBase))
        }
    }

    /// Address space for each region, or for none.
    private static func reserve(
        _ regions: [MemoryMap.Region]
    ) throws(DRAMError) -> [UnsafeMutableRawPointer] {
        var bases: [UnsafeMutableRawPointer] = unsafe []
        for region in regions {
            let base = unsafe mmap(
                nil, Int(region.size), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                -1, 0)
            guard let base = unsafe base, unsafe base != MAP_FAILED else {
                let error = errno
                for index in unsafe bases.indices {
                    // SAFETY: mapped above with that size, and nobody else knows of it.
                    unsafe munmap(bases[index], Int(regions[index].size))
                }
                throw DRAMError(size: region.size, errno: error)
            }
            // A core dump of the daemon need not hold the machine's memory.
            unsafe madvise(base, Int(region.size), MADV_DONTDUMP)
            unsafe bases.append(base)
        }
        return unsafe bases
    }

    deinit {
        // SAFETY: mapped in `init`; nobody refers to this object any more, so nobody has a pointer into it.
        for index in unsafe banks.indices { unsafe munmap(banks[index].bytes, Int(banks[index].size)) }
        unsafe banks.deallocate()
    }

    /// A contiguous piece of one region, and where its tags are.
    public struct Run: Sendable, Equatable {
        public let address: PhysicalAddress
        /// Bytes, at least 1.
        public let count: Int
        /// The address of the tag byte of `address`; nil where memory is not MTE-capable. Where tags are hidden it is
        /// none of the machine's (see `MemoryMap.tagBase(of:)`).
        public let tagAddress: PhysicalAddress?
        /// Index into `map.banks`; of memory that the machine can address, also into `map.regions`.
        public let region: Int
    }

    /// The memory at `address` as far as its region reaches, `limit` bytes at most; nil in a hole.
    ///
    /// Linear in the number of regions, which is small.
    @inline(__always)
    public func run(at address: PhysicalAddress, limit: Int) -> Run? {
        address.rawValue < PhysicalAddress.limit ? bankRun(at: address, limit: limit) : nil
    }

    /// The same for any memory of the model: a `Run.tagAddress`, too, where tags are hidden from the machine.
    @inline(__always)
    public func bankRun(at address: PhysicalAddress, limit: Int) -> Run? {
        guard let index = bank(of: address) else { return nil }
        // SAFETY: `bank(of:)` gives indices of `banks`.
        let bank = unsafe banks[index]
        let offset = unsafe address.rawValue - bank.start
        let available = unsafe bank.size - offset
        let tagAddress: PhysicalAddress? =
            unsafe bank.tags == nil
            ? nil : PhysicalAddress(bank.tagBase + offset / TagGranule.bytesPerTagByte)
        return Run(
            address: address, count: Int(min(available, UInt64(limit))), tagAddress: tagAddress, region: index
        )
    }

    /// The index of the bank that holds the byte at `address`.
    @inline(__always)
    private func bank(of address: PhysicalAddress) -> Int? {
        // SAFETY: the indices are those of `banks`.
        for index in unsafe banks.indices
        where unsafe address.rawValue &- banks[index].start < banks[index].size {
            return index
        }
        return nil
    }

    /// The host address of the byte at `address`, which must be memory; the `count` bytes from there must be in one
    /// region.
    @unsafe
    public func pointer(to address: PhysicalAddress, count: Int) -> UnsafeMutableRawPointer {
        guard let index = bank(of: address) else {
            preconditionFailure("DRAM access to a hole at \(address)")
        }
        let bank = unsafe banks[index]
        let offset = unsafe address.rawValue - bank.start
        precondition(unsafe UInt64(count) <= bank.size - offset, "DRAM access leaves its region")
        return unsafe bank.bytes + Int(offset)
    }

    /// The host address of the tag byte of the granule at `address`, which must be MTE-capable memory; so must the
    /// `count` bytes from there, in one region.
    @unsafe
    func tagPointer(of address: PhysicalAddress, count: Int) -> UnsafeMutableRawPointer {
        guard let index = bank(of: address), let tags = unsafe banks[index].tags else {
            preconditionFailure("tag access to memory without tags at \(address)")
        }
        let bank = unsafe banks[index]
        let offset = unsafe address.rawValue - bank.start
        precondition(unsafe UInt64(count) <= bank.size - offset, "tag access leaves its region")
        return unsafe tags + Int(offset / TagGranule.bytesPerTagByte)
    }

    /// Copies `source` to `address`. All of it must be memory of one region.
    public func write(_ source: UnsafeRawBufferPointer, to address: PhysicalAddress) {
        guard let base = source.baseAddress, source.count > 0 else { return }
        // SAFETY: `pointer` traps unless `count` bytes of the mapping lie there; the source is the caller's.
        unsafe pointer(to: address, count: source.count).copyMemory(from: base, byteCount: source.count)
    }

    /// Copies the bytes at `address` to `target`. All of it must be memory of one region.
    public func read(_ target: UnsafeMutableRawBufferPointer, from address: PhysicalAddress) {
        guard let base = target.baseAddress, target.count > 0 else { return }
        // SAFETY: `pointer` traps unless `count` bytes of the mapping lie there; the target is the caller's.
        unsafe base.copyMemory(from: pointer(to: address, count: target.count), byteCount: target.count)
    }

    /// Whether the bytes at `address` are those of `bytes`.
    public func equals(_ bytes: UnsafeRawBufferPointer, at address: PhysicalAddress) -> Bool {
        guard let base = bytes.baseAddress, bytes.count > 0 else { return true }
        // SAFETY: `pointer` traps unless `count` bytes of the mapping lie there.
        return unsafe memcmp(pointer(to: address, count: bytes.count), base, bytes.count) == 0
    }

    /// Sets `count` bytes at `address` to zero. All of it must be memory of one region.
    public func zero(_ address: PhysicalAddress, count: Int) {
        guard count > 0 else { return }
        // SAFETY: `pointer` traps unless `count` bytes of the mapping lie there.
        unsafe memset(pointer(to: address, count: count), 0, count)
    }
}

/// The host refused the address space for the machine's memory.
public struct DRAMError: Error, Equatable, CustomStringConvertible {
    /// In bytes.
    public let size: UInt64
    public let errno: Int32

    public init(size: UInt64, errno: Int32) {
        self.size = size
        self.errno = errno
    }

    public var description: String {
        "no address space for \(size) bytes of emulated memory: \(unsafe String(cString: strerror(errno)))"
    }
}
