extension PageTable {
    /// The entries of 512 pages, one of which is there.
    struct Chunk: Sendable {
        static let shift = 9
        static let size = 1 << shift
        static let mask = size - 1
        static let absent = UInt32.max
        static let pendingBit: UInt32 = 1 << 31

        let number: Int
        /// Pages that are there, and those of them that are prepared.
        var present: Int32 = 0
        var ready: Int32 = 0
        var entries = ContiguousArray(repeating: absent, count: size)

        init(number: Int) { self.number = number }

        var start: Int { number << Self.shift }
    }
}

extension PageTable.Chunk {
    /// The first wanted entry from `index` on. Full and empty chunks are not looked through.
    func first(_ wanted: PageTable.Wanted, from index: Int) -> Int? {
        switch wanted {
        case .ready:
            if ready == 0 { return nil }
            if ready == Self.size { return index }
            return entries[index...].firstIndex { $0 & Self.pendingBit == 0 }
        case .hole:
            if ready == 0 { return index }
            if ready == Self.size { return nil }
            return entries[index...].firstIndex { $0 & Self.pendingBit != 0 }
        case .present:
            if present == Self.size { return index }
            return entries[index...].firstIndex { $0 != Self.absent }
        }
    }
}
