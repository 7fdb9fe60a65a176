/// Which list a block is in follows from its record alone.
extension PageAllocator {
    @inline(__always)
    func list(for record: BlockRecord) -> BlockLists.ID {
        if record.marks.contains(.claimed) { return .none }
        switch record.state {
        case .free: return .pool
        case .untagged:
            let used = record.used
            return used == geometry.pages ? .none : BlockLists.ID(.untagged, used: used, of: geometry.pages)
        case .tagged:
            let tagged = Int(record.tagged)
            if tagged == geometry.dataPages { return .none }
            let kind: BlockLists.Kind = Int(record.usedData) < geometry.dataPages ? .room : .lent
            return BlockLists.ID(kind, used: tagged, of: geometry.dataPages)
        }
    }

    /// Stores a record, in the list that it belongs to.
    @inline(__always)
    mutating func relist(_ block: BlockIndex, _ record: BlockRecord) {
        let list = list(for: record)
        var record = record
        if list != record.list {
            unlink(&record)
            link(block, &record, list)
        }
        table[block] = record
    }

    private mutating func unlink(_ record: inout BlockRecord) {
        guard record.list != .none else { return }
        if record.previous == 0 {
            lists[record.list] = record.next
        } else {
            let block = BlockIndex(record.previous - 1)
            var previous = table[block]
            previous.next = record.next
            table[block] = previous
        }
        if record.next != 0 {
            let block = BlockIndex(record.next - 1)
            var next = table[block]
            next.previous = record.previous
            table[block] = next
        }
        record.next = 0
        record.previous = 0
        record.list = .none
    }

    private mutating func link(_ block: BlockIndex, _ record: inout BlockRecord, _ list: BlockLists.ID) {
        guard list != .none else { return }
        let head = lists[list]
        if head != 0 {
            var next = table[BlockIndex(head - 1)]
            next.previous = block.rawValue + 1
            table[BlockIndex(head - 1)] = next
        }
        record.next = head
        record.list = list
        lists[list] = block.rawValue + 1
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
        for step in 0..<32 {
            var link = lists[BlockLists.ID(kind, level: sparsestFirst ? 31 - step : step)]
            while link != 0 {
                let block = BlockIndex(link - 1)
                let record = table[block]
                if accepts(block, record) { return block }
                link = record.next
            }
        }
        return nil
    }
}
