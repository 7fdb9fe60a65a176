import TagMemCore

extension MemoryFile {
    /// Copies a page that may show tag storage, and takes the pages away whose tags it changes.
    func storeTagWriteback(_ bytes: UnsafeRawBufferPointer, _ footprint: Footprint) {
        let changed = unsafe changedDataLines(bytes, footprint)
        unsafe copy(bytes, to: footprint)
        directory.recallViews(of: changed)
    }

    /// The data lines whose tags differ between `bytes` and memory.
    private func changedDataLines(_ bytes: UnsafeRawBufferPointer, _ footprint: Footprint) -> [Int] {
        let hasTags = footprint.spans.indices.contains { footprint.spans[$0].isTagStorage }
        guard hasTags else { return [] }
        let step = Int(Page.tagBytes)
        var changed: [Int] = []
        var position = 0
        for index in footprint.pieces.indices where position < bytes.count {
            let length = min(footprint.pieces[index].count, bytes.count - position)
            defer { position += length }
            guard case .memory(let address, _) = footprint.pieces[index],
                let run = dram.bankRun(at: address, limit: length),
                dram.map.banks[run.region].kind == .tagStorage
            else { continue }
            for offset in stride(from: 0, to: length, by: step) {
                let part = address + UInt64(offset)
                let count = min(step, length - offset)
                if unsafe dram.equals(
                    UnsafeRawBufferPointer(rebasing: bytes[(position + offset)...].prefix(count)), at: part)
                {
                    continue
                }
                let span = directory.map.span(at: part, count: count, inRegion: run.region)
                changed.append(contentsOf: span.companions)
            }
        }
        return changed
    }
}
