#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Zeroed memory of this process for the allocator's tables, committed as it is written.
///
/// Begins at a cache line; from the size of a huge page on at a huge page, and is then made of huge pages as far as the
/// host has them: tables are walked at random, and there are soon more small pages than a TLB reaches. What is smaller
/// is committed by the small page.
///
/// Unchecked because of its pointers: who upholds what is said at each (SAFETY).
@safe
struct TableMemory: ~Copyable, @unchecked Sendable {
    // SAFETY: mapped in `init` with `bytes` bytes and unmapped in `deinit`. `@unchecked`: the owner is used under a lock.
    let base: UnsafeMutableRawPointer
    let bytes: Int

    private static let hugePage = 2 << 20

    init(bytes: Int) throws(AllocatorError) {
        let isHuge = bytes >= Self.hugePage
        let spare = isHuge ? Self.hugePage : 0
        let protection = PROT_READ | PROT_WRITE
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
        guard let start = unsafe mmap(nil, bytes + spare, protection, flags, -1, 0),
            unsafe start != MAP_FAILED
        else { throw .noHostMemory(bytes: bytes) }
        self.bytes = bytes
        // SAFETY: what is skipped before `base`, and what is left behind the table, is part of the mapping just made.
        let skipped = isHuge ? -Int(bitPattern: start) & (Self.hugePage - 1) : 0
        unsafe base = start + skipped
        guard isHuge else { return }
        if skipped > 0 { unsafe munmap(start, skipped) }
        let end = (bytes + Self.smallPage - 1) & ~(Self.smallPage - 1)
        if end < bytes + spare - skipped { unsafe munmap(base + end, bytes + spare - skipped - end) }
        unsafe madvise(base, bytes, MADV_HUGEPAGE)
    }

    deinit {
        // SAFETY: mapped in `init`.
        unsafe munmap(base, bytes)
    }

    private static let smallPage = max(4096, sysconf(Int32(_SC_PAGESIZE)))
}
