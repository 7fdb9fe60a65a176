#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Which memory was ever used: the host has committed nothing for the rest, which is zero.
///
/// The host knows by its own pages: the answer is "used" for a whole one of which a byte was written or read. It says it
/// in /proc/self/pagemap (present, or swapped out); where that cannot be read, everything counts as used.
extension DRAM {
    /// The first byte at or behind `address` that is touched (or, with `touched` false, is not), as an offset from
    /// there; nil if there is none in the `count` bytes, which must be memory of one region.
    ///
    /// Two nanoseconds a page, about. Memory that others touch meanwhile is the one or the other.
    public func next(touched: Bool, at address: PhysicalAddress, count: Int) -> Int? {
        guard count > 0 else { return nil }
        let first = unsafe UInt(bitPattern: pointer(to: address, count: count))
        var found: Int?
        HostPages.scan(first, count: count) { page, isTouched in
            guard isTouched == touched else { return true }
            found = page > first ? Int(page - first) : 0
            return false
        }
        return found
    }

    /// Bytes of the machine's memory that are touched. Linear in the memory that there is.
    public var touchedBytes: UInt64 {
        var bytes: UInt64 = 0
        for region in map.regions {
            let start = unsafe UInt(bitPattern: pointer(to: region.start, count: Int(region.size)))
            HostPages.scan(start, count: Int(region.size)) { _, isTouched in
                if isTouched { bytes += UInt64(HostPages.size) }
                return true
            }
        }
        return bytes
    }
}

/// The pages of this process, as the host sees them.
private enum HostPages {
    static let size = UInt(sysconf(Int32(_SC_PAGESIZE)))

    /// What is read at once.
    private static let pagesAtOnce = 8192
    /// Bits 63 and 62 of an entry: in memory, or swapped out.
    private static let inUse: UInt64 = 3 << 62
    /// -1 where there is none.
    private static let pagemap = unsafe open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)

    /// Calls `body` with the start of each page that has one of the `count` bytes at `address`, and with whether it is in
    /// use, until it returns false.
    static func scan(_ address: UInt, count: Int, _ body: (UInt, Bool) -> Bool) {
        let end = (address + UInt(count) - 1) / size + 1
        var page = address / size
        unsafe withUnsafeTemporaryAllocation(of: UInt64.self, capacity: pagesAtOnce) { entries in
            while page < end {
                let wanted = min(pagesAtOnce, Int(end - page))
                // SAFETY: `pread` writes at most the bytes of `wanted` entries.
                let bytes = unsafe pread(pagemap, entries.baseAddress, wanted * 8, off_t(page * 8))
                let known = max(0, bytes / 8)
                for index in 0..<(known == 0 ? wanted : known) {
                    let isInUse = unsafe known == 0 || entries[index] & inUse != 0
                    if !body((page + UInt(index)) * size, isInUse) { return }
                }
                page += UInt(known == 0 ? wanted : known)
            }
        }
    }
}
