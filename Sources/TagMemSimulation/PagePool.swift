import TagMemCore

/// Pages that a workload holds, to be taken out at random.
struct PagePool {
    private var pages: [PageHandle] = []

    var count: Int { pages.count }
    var isEmpty: Bool { pages.isEmpty }

    mutating func append(_ page: PageHandle) { pages.append(page) }

    /// Which page is taken says `index`; the order of the others is lost.
    mutating func remove(at index: Int) -> PageHandle {
        pages.swapAt(index, pages.count - 1)
        return pages.removeLast()
    }

    /// nil if it is empty.
    mutating func popLast() -> PageHandle? { pages.popLast() }
}

extension Machine {
    /// Frees a page of the pool at random. It must have one.
    mutating func freeAny(of pool: inout PagePool) { free(pool.remove(at: random.below(pool.count))) }

    /// Adds a page to the pool. False if there is none to be had.
    mutating func allocate(_ use: PageUse, into pool: inout PagePool) -> Bool {
        guard let page = allocate(use) else { return false }
        pool.append(page)
        return true
    }

    /// Frees all pages of the pool, the last one first.
    mutating func freeAll(of pool: inout PagePool) {
        while let page = pool.popLast() { free(page) }
    }
}
