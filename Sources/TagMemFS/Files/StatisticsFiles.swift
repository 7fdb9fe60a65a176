import TagMemCore

/// `meminfo`: amounts of memory, in the layout of /proc/meminfo.
final class MeminfoFile: TextFile, @unchecked Sendable {
    private let map: MemoryMap

    init(node: NodeID, map: MemoryMap) {
        self.map = map
        super.init(node: node)
    }

    override func makeText() -> String {
        let rows = [
            ("MemTotal", map.memorySize),
            ("DataTotal", map.dataSize),
            ("TagStorageTotal", map.tagStorageSize),
        ]
        return rows.map { name, bytes in
            let label = name + ":"
            let amount = String(bytes >> 10)
            return label + String(repeating: " ", count: max(1, 28 - label.count - amount.count)) + amount
                + " kB\n"
        }.joined()
    }
}

/// `vmstat`: event counts, one a line.
final class VmstatFile: TextFile, @unchecked Sendable {
    private let counters: Counters

    init(node: NodeID, counters: Counters) {
        self.counters = counters
        super.init(node: node)
    }

    override func makeText() -> String {
        Counter.allCases.map { "\($0.name) \(counters[$0])\n" }.joined()
    }
}
