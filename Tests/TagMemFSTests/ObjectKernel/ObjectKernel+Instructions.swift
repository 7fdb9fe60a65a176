import TagMemCore

@testable import TagMemFS

/// Instructions, as `MemoryFile` does them: accesses to data and tags that the kernel caches no pages of.
extension ObjectKernel {
    private static let effects: [(data: MemoryAccess.Effect, tags: MemoryAccess.Effect)] = [
        (.none, .load), (.none, .store), (.zero, .store), (.store, .store), (.load, .none), (.store, .none),
    ]

    func beginInstruction() {
        guard let file = randomFile({ $0.kind == .mem }), let offset = randomOffset(file),
            let (data, tags) = Self.effects.randomElement(using: &generator)
        else { return }
        // Whole bytes of tags, over the ends of pages.
        let count = [32, 64, 4096, 8192][Int(generator.bits(2))]
        let value = data == .zero ? 0 : randomValue()
        submit(Request(self, file, .instruction(data: data, tags: tags), offset & ~31, count, value: value))
    }

    /// Does what was granted.
    func perform(
        _ request: Request, _ access: MemoryAccess, _ data: MemoryAccess.Effect, _ tags: MemoryAccess.Effect
    ) {
        let tagFootprint = tagFootprint(of: access.footprint)
        if data == .load { checkRead(request, access.footprint) }
        if tags == .load { checkRead(request, tagFootprint) }
        if data == .store || data == .zero { fill(access.footprint, with: request.value, request) }
        guard tags == .store else { return }
        let caching = cachingPages()
        for index in access.footprint.spans.indices {
            for line in access.footprint.spans[index].lines {
                if let (file, _) = caching[line], file.kind.isView {
                    failure = "\(request) changes the tags of what \(file) caches"
                }
            }
        }
        fill(tagFootprint, with: request.value & 0xf * 0x11, request)
    }

    /// The packed tags of a footprint of whole tag bytes.
    private func tagFootprint(of footprint: Footprint) -> Footprint {
        var tags = Footprint()
        for index in footprint.pieces.indices {
            guard case .memory(let start, let count) = footprint.pieces[index],
                let run = dram.run(at: start, limit: count), let address = run.tagAddress
            else { continue }
            let region = dram.map.banks.firstIndex { $0.contains(address) } ?? 0
            tags.append(.memory(address, count: (count + 31) / 32), inRegion: region)
            directory.map.forEachSpan(of: address, count: (count + 31) / 32, inRegion: region) {
                tags.append($0)
            }
        }
        return tags
    }
}
