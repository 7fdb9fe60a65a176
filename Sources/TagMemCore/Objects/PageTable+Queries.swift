/// Questions about many pages at once: no more than one step a chunk, and none for chunks that are not there.
extension PageTable {
    /// What pages are looked for.
    public enum Wanted: Sendable {
        /// There and prepared: data.
        case ready
        /// Not there, or not prepared: a hole.
        case hole
        /// There, prepared or not.
        case present
    }

    /// How a search ended.
    public enum Search: Sendable, Equatable {
        case found(Int)
        /// There is none before this page, and the budget is used up.
        case goOn(from: Int)
        /// There is none below the limit.
        case none
    }

    /// The first wanted page at or above `index` and below `limit`. Pages behind `count` are holes.
    ///
    /// - Parameter budget: chunks that are looked at, one at least.
    public func next(
        _ wanted: Wanted, from index: Int, below limit: Int, budget: Int = .max
    ) -> Search {
        var index = index
        var position = firstPosition(from: index >> Chunk.shift)
        var left = max(1, budget)
        while index < limit {
            guard position < chunks.count, chunks[position].start < limit else {
                return wanted == .hole ? .found(index) : .none
            }
            if index < chunks[position].start {
                if wanted == .hole { return .found(index) }
                index = chunks[position].start
            }
            if left == 0 { return .goOn(from: index) }
            left -= 1
            if let found = chunks[position].first(wanted, from: index & Chunk.mask) {
                let page = chunks[position].start + found
                return page < limit ? .found(page) : .none
            }
            index = chunks[position].start + Chunk.size
            position += 1
        }
        return .none
    }

    /// The first page at or above `index` and below `limit` that is there, prepared or not.
    public func nextPresent(from index: Int, below limit: Int = PageTable.limit) -> Int? {
        if case .found(let page) = next(.present, from: index, below: limit) { page } else { nil }
    }

    /// How many pages of a range are not there. One step a chunk that is.
    public func absentCount(in range: Range<Int>) -> Int {
        var absent = range.count
        var position = firstPosition(from: range.lowerBound >> Chunk.shift)
        while position < chunks.count, chunks[position].start < range.upperBound {
            let start = chunks[position].start
            let part = max(range.lowerBound - start, 0)..<min(range.upperBound - start, Chunk.size)
            absent -=
                part.count == Chunk.size
                ? Int(chunks[position].present)
                : part.count { chunks[position].entries[$0] != Chunk.absent }
            position += 1
        }
        return absent
    }

    /// Behind the last page that is there, prepared or not. Constant time.
    public var end: Int {
        guard let last = chunks.last, let page = last.entries.lastIndex(where: { $0 != Chunk.absent }) else {
            return 0
        }
        return last.start + page + 1
    }

    /// Bytes of the table, about.
    public var bytes: Int {
        chunks.count * (MemoryLayout<Chunk>.stride + Chunk.size * MemoryLayout<UInt32>.size)
    }

    /// Counts and order of the chunks, for tests.
    func checkInvariants() throws(InvariantViolation) {
        var sum = 0
        for (position, chunk) in chunks.enumerated() {
            let present = chunk.entries.count { $0 != Chunk.absent }
            let ready = chunk.entries.count { $0 & Chunk.pendingBit == 0 }
            guard chunk.entries.count == Chunk.size, present > 0, present == chunk.present,
                ready == chunk.ready, position == 0 || chunks[position - 1].number < chunk.number
            else { throw InvariantViolation(description: "chunk \(chunk.number) of a page table is wrong") }
            sum += present
        }
        guard sum == present, end <= count else {
            throw InvariantViolation(description: "\(sum) pages in a page table, not \(present)")
        }
    }
}
