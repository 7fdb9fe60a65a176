import TagMemCore

/// What the nodes say of each other.
extension MemoryNodes {
    mutating func check() throws(DeviceTreeError) {
        try checkOverlaps()
        for node in storage { try checkTagged(node) }
        try checkTaggedOnce()
        try checkComplete()
        try checkUntaggable()
        for node in storage { try checkPlace(node) }
    }

    private func checkOverlaps() throws(DeviceTreeError) {
        for (left, right) in zip(memoryRanges, memoryRanges.dropFirst())
        where left.range.overlaps(right.range) {
            throw DeviceTreeError(
                .overlap(right.range.start, size: right.range.size, with: left.node.path),
                node: right.node.path, property: right.node.property)
        }
        for (left, right) in zip(storage, storage.dropFirst()) where left.range.overlaps(right.range) {
            throw DeviceTreeError(
                .overlap(right.range.start, size: right.range.size, with: left.path), node: right.path,
                property: "reg")
        }
        for (index, reservation) in reserved.enumerated() {
            let range = reservation.range
            let nodes = reserved[..<index].filter { $0.path != nil && reservation.path != nil }
            let others = nodes.filter { $0.range.overlaps(range) }.map(\.name)
            let storage = storage.filter { $0.range.overlaps(range) }.map(\.path)
            guard let other = (others + storage).first else { continue }
            throw DeviceTreeError(
                .overlap(range.start, size: range.size, with: other), node: reservation.name,
                property: reservation.path == nil ? nil : "reg")
        }
    }

    /// The memory whose tags a node holds is there, and is not tag storage.
    private func checkTagged(_ node: TagStorageNode) throws(DeviceTreeError) {
        func fail(_ problem: DeviceTreeError.Problem) -> DeviceTreeError {
            DeviceTreeError(problem, node: node.path, property: node.property)
        }
        if node.tagged.overlaps(node.range) { throw fail(.holdsOwnTags) }
        if let other = storage.first(where: { $0.range.overlaps(node.tagged) }) {
            throw fail(.holdsTagsOfStorage(other.path))
        }
        if let hole = node.tagged.subtracting(memoryRanges.map(\.range)).first {
            throw fail(.holdsTagsOfNothing(hole.start, size: hole.size))
        }
    }

    /// Tag storage is in memory nodes, or in none.
    private mutating func checkPlace(_ node: TagStorageNode) throws(DeviceTreeError) {
        let outside = node.range.subtracting(memoryRanges.map(\.range))
        guard let first = outside.first else { return }
        guard first == node.range else {
            throw DeviceTreeError(
                .partlyMemory(first.start, size: first.size), node: node.path, property: "reg")
        }
        // Arm's first two series describe it so.
        if node.property == "memory" { return }
        warn("\(node.path): reg: is in no memory node; it is memory all the same")
    }

    private func checkTaggedOnce() throws(DeviceTreeError) {
        let sorted = storage.sorted { $0.tagged.lowerBound < $1.tagged.lowerBound }
        for (left, right) in zip(sorted, sorted.dropFirst()) where left.tagged.overlaps(right.tagged) {
            throw DeviceTreeError(
                .holdsTagsAgain(right.tagged.start, of: left.path), node: right.path, property: right.property
            )
        }
    }

    /// All tags of a memory are described, or none.
    private func checkComplete() throws(DeviceTreeError) {
        for (piece, _) in dataRanges {
            let left = piece.subtracting(storage.map(\.tagged)).reduce(0) { $0 + $1.size }
            guard left > 0, let node = storage.first(where: { $0.tagged.overlaps(piece) }) else { continue }
            throw DeviceTreeError(
                .tooSmall(covered: piece.size - left, of: piece.size, at: piece.start), node: node.path,
                property: "reg")
        }
    }

    private func checkUntaggable() throws(DeviceTreeError) {
        for node in memory where node.isUntaggable {
            for range in node.ranges {
                guard let rest = range.subtracting(storage.map(\.range)).first else { continue }
                throw DeviceTreeError(
                    .notCovered(rest.start, size: rest.size), node: node.path, property: "arm,no-mte")
            }
        }
    }
}
