import TagMemCore

/// Where the files of `phys` have holes: where the memory map has them, and where memory was never touched, which is
/// zero. So tools that copy or search all files need not read what nobody has used.
///
/// Whatever a program was ever given, through whichever file, is no hole: what it stores may still be on its way.
struct PhysicalHoles {
    let dram: DRAM
    /// Bytes of memory that a byte of the file stands for; those of `tags` and `tags.hex` are in the memory that holds
    /// the tags.
    let showsTags: Bool

    /// The next address at or above `address` whose byte is no hole (or, with `data` false, is one). nil if there is none
    /// below the end of memory, where the last hole begins.
    func next(data: Bool, from address: UInt64) -> UInt64? {
        var position = address
        while position < dram.map.end.rawValue {
            guard let run = dram.run(at: PhysicalAddress(position), limit: .max) else {
                if !data { return position }
                guard let next = start(above: position) else { return nil }
                position = next
                continue
            }
            if let found = next(data: data, in: run) { return position + found }
            position += UInt64(run.count)
        }
        return data || address >= dram.map.end.rawValue ? nil : dram.map.end.rawValue
    }

    /// The same within memory of one region, as an offset.
    private func next(data: Bool, in run: DRAM.Run) -> UInt64? {
        guard showsTags else {
            return dram.next(touched: data, at: run.address, count: run.count).map { UInt64($0) }
        }
        // Memory without tags shows zeros.
        guard let tags = run.tagAddress else { return data ? nil : 0 }
        let scale = Int(TagGranule.bytesPerTagByte)
        let skipped = Int(run.address.rawValue) % scale
        let found = dram.next(touched: data, at: tags, count: (skipped + run.count + scale - 1) / scale)
        return found.map { UInt64(max(0, $0 * scale - skipped)) }
    }

    private func start(above address: UInt64) -> UInt64? {
        dram.map.regions.map(\.start.rawValue).filter { $0 > address }.min()
    }
}

extension MemoryFile {
    /// The next address of the object that is memory, or none; see `CoherenceDirectory.next` and `PhysicalHoles`.
    func next(memory: Bool, from address: UInt64) -> UInt64? {
        guard object.isPhysical else { return directory.next(from: address, memory: memory, object) }
        return PhysicalHoles(dram: dram, showsTags: alias.showsTags).next(data: memory, from: address)
    }
}
