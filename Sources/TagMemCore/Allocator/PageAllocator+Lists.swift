/// Which list a block is in follows from its record alone.
extension PageAllocator {
    /// Stores a record, in the list that it belongs to.
    @inline(__always)
    mutating func relist(_ block: BlockIndex, _ record: BlockRecord) {
        let list = levels.list(for: record)
        var record = record
        if list != record.list {
            if record.list != .none { lists.remove(block, from: record.list) }
            if list != .none { lists.insert(block, into: list) }
            record.list = list
        }
        table[block] = record
    }

    /// Sets a mark that `clearMarks` takes back when the operation ends.
    mutating func mark(_ block: BlockIndex, _ mark: BlockRecord.Marks) {
        var record = table[block]
        record.marks.insert(mark)
        relist(block, record)
        marked.append(block)
    }

    mutating func unmark(_ block: BlockIndex, _ mark: BlockRecord.Marks) {
        var record = table[block]
        record.marks.remove(mark)
        relist(block, record)
    }

    mutating func clearMarks() {
        while let block = marked.popLast() { unmark(block, [.claimed, .tried, .lentTried]) }
    }

    /// The first block, of the fullest (or sparsest) lists of a kind first, that `accepts`.
    func firstBlock(
        _ kind: BlockLists.Kind, sparsestFirst: Bool, where accepts: (BlockIndex, BlockRecord) -> Bool
    ) -> BlockIndex? {
        for step in 0..<BlockLists.levels {
            let list = BlockLists.ID(kind, level: sparsestFirst ? BlockLists.levels - 1 - step : step)
            if let block = lists.first(list, where: { accepts($0, table[$0]) }) { return block }
        }
        return nil
    }
}
