#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Clearing memory without taking more of the host's than was in use.
extension DRAM {
    /// Shorter stretches are simply set to zero.
    private static let shortBytes = 64 << 10
    /// Host pages that are looked at together.
    private static let pagesAtOnce = 4096

    /// Sets `count` bytes at `address` to zero, as `zero` does, but memory that the host has not committed stays so:
    /// what was never used costs nothing. All of it must be memory of one region.
    public func clear(_ address: PhysicalAddress, count: Int) {
        guard count >= Self.shortBytes else { return zero(address, count: count) }
        let base = unsafe pointer(to: address, count: count)
        let page = Int(Page.size)
        let head = (page - Int(address.rawValue) % page) % page
        let pages = (count - head) / page
        // SAFETY: `pointer` traps unless `count` bytes of the mapping lie there; all parts lie within them.
        unsafe memset(base, 0, head)
        unsafe memset(base + head + pages * page, 0, count - head - pages * page)
        for first in stride(from: 0, to: pages, by: Self.pagesAtOnce) {
            unsafe clearPages(base + head + first * page, min(Self.pagesAtOnce, pages - first))
        }
    }

    /// Sets the pages that are resident to zero, and forgets the others: they were never used, or are swapped out.
    private func clearPages(_ base: UnsafeMutableRawPointer, _ count: Int) {
        let page = Int(Page.size)
        unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: count) { resident in
            // SAFETY: `base` is the start of a host page, and `resident` has a byte for each of the `count` pages.
            guard unsafe mincore(base, count * page, resident.baseAddress) == 0 else {
                unsafe memset(base, 0, count * page)
                return
            }
            var first = 0
            while first < count {
                let isResident = unsafe resident[first] & 1
                var end = first + 1
                while end < count, unsafe resident[end] & 1 == isResident { end += 1 }
                let part = unsafe base + first * page
                // SAFETY: the mapping is private and anonymous, so pages that are given back read as zero.
                if unsafe isResident == 1 || madvise(part, (end - first) * page, MADV_DONTNEED) != 0 {
                    unsafe memset(part, 0, (end - first) * page)
                }
                first = end
            }
        }
    }
}
