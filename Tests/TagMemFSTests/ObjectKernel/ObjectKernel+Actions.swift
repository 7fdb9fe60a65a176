import TagMemCore

@testable import TagMemFS

/// What programs and the kernel do of their own accord.
extension ObjectKernel {
    func begin(_ action: Action) {
        switch action {
        case .read: beginRead()
        case .write: beginWrite(tags: false)
        case .writeTags: beginWrite(tags: true)
        case .instruct: beginInstruction()
        case .fill: beginFill(of: 1)
        case .fillMany: beginFill(of: Int.random(in: 2...4, using: &generator))
        case .create: create()
        case .resize: resize()
        case .append: append()
        case .punch: punch()
        case .convert: convert()
        case .remove: remove()
        case .compact: change("compact", CompactJob())
        case .refill: change("refill", RefillJob())
        case .changeMode: changeMode()
        case .store: store()
        case .evict: evict()
        case .writeBack:
            pick { $0.isDirty && !$0.isLocked && !$0.isWriting }.map { beginWriteback($0.file, $0.offset) }
        case .changeWriters: changeWriters()
        case .storeBehindEnd: storeBehindEnd()
        case .allocate: allocate()
        case .planFill: planFill()
        case .pin: pin()
        }
    }

    // MARK: Random choices

    func randomFile(_ accepts: (File) -> Bool = { _ in true }) -> File? {
        let objectFiles = objects.filter { !$0.isRemoved }.flatMap { $0.files }.filter(accepts)
        let others = physicalFiles.filter(accepts)
        let choice = generator.oneIn(5) || objectFiles.isEmpty ? others : objectFiles
        return choice.randomElement(using: &generator)
    }

    /// Somewhere in a file, often where a page begins.
    func randomOffset(_ file: File) -> UInt64? {
        guard let object = file.object else {
            let region = dram.map.regions[
                generator.oneIn(3) || file.tag != nil || file.kind.showsTags ? 0 : 1]
            let address = region.start.rawValue + UInt64.random(in: 0..<region.size, using: &generator)
            return (generator.oneIn(2) ? Page.start(address) : address) / file.kind.scale
        }
        guard object.size > 0 else { return nil }
        let address = UInt64.random(in: 0..<object.size, using: &generator)
        return (generator.oneIn(2) ? Page.start(address) : address) / file.kind.scale
    }

    /// The kernel takes files other than `mem` for longer than they are, by a page after growth, and until it asks by
    /// whatever they have lost.
    private func randomFillOffset(_ file: File) -> UInt64? {
        guard let object = file.object, file.kind != .mem, generator.oneIn(4) else {
            return randomOffset(file).map { Page.start($0) }
        }
        let address = UInt64.random(in: 0..<object.size + 2 * pageSize, using: &generator)
        return Page.start(address / file.kind.scale)
    }

    private func pick(
        _ accepts: (CachePage) -> Bool
    ) -> (file: File, offset: UInt64)? {
        let found = files.filter { !($0.object?.isRemoved ?? false) }.flatMap { file in
            file.pages.filter { accepts($0.value) && !(file.holdsBack && $0.value.isDirty) }
                .keys.sorted().map { (file: file, offset: $0) }
        }
        return found.randomElement(using: &generator)
    }

    func randomValue() -> UInt8 {
        if generator.oneIn(3) { return generator.oneIn(2) ? 0 : 0x11 }
        nextValue &+= 1
        return nextValue
    }

    private func randomCount(_ file: File) -> Int {
        let count = [1, 16, 128, 4096, 5000, 8192][Int.random(in: 0..<6, using: &generator)]
        return max(2, count / Int(file.kind.scale)) & ~1
    }

    // MARK: Requests

    private func beginRead() {
        if generator.oneIn(4) { return beginCoreRead() }
        guard let file = randomFile(), let offset = randomOffset(file) else { return }
        if isCached(file) { return beginFill(of: 1) }
        let count = randomCount(file)
        let start = file.kind == .tagsHex ? offset & ~1 : offset
        for page in stride(from: Page.start(start), to: start + UInt64(count), by: 4096) {
            guard let cached = file.pages[page] else { continue }
            if cached.isDirty, !cached.isLocked, !cached.isWriting, !file.holdsBack {
                beginWriteback(file, page)
            }
            if cached.isDirty || cached.isWriting { return }
        }
        submit(Request(self, file, .read, start, count))
    }

    /// A read of a core file: the kernel writes no pages of `mem` or `tags` back for it.
    private func beginCoreRead() {
        let dirty = pick { $0.isDirty }.flatMap { [.mem, .tags].contains($0.file.kind) ? $0 : nil }
        guard let file = dirty?.file ?? randomFile({ [.mem, .tags].contains($0.kind) }),
            let offset = dirty?.offset ?? randomOffset(file)
        else { return }
        submit(Request(self, file, .read, offset, randomCount(file), isOfCore: true))
    }

    private func beginWrite(tags: Bool) {
        guard let file = randomFile({ !$0.isLocked && (!tags || $0.kind.showsTags) }),
            let offset = randomOffset(file)
        else { return }
        let count = randomCount(file)
        let start = file.kind == .tagsHex ? offset & ~1 : offset
        if let object = file.object, file.kind == .mem, start + UInt64(count) > object.size { return }
        if isCached(file) { return beginCachedWrite(file, start, count) }
        file.isLocked = true
        submit(Request(self, file, .write, start, count, value: randomValue()))
    }

    private func append() {
        guard let object = randomObject({ !$0.mem.isLocked }) else { return }
        let start = UInt64.random(in: 0...3 * pageSize, using: &generator) + object.size
        let offset = generator.oneIn(2) ? start : object.size
        guard offset + 8192 < UInt64(object.data.count) else { return }
        if isCached(object.mem) { return beginCachedWrite(object.mem, offset, randomCount(object.mem)) }
        object.mem.isLocked = true
        submit(Request(self, object.mem, .write, offset, randomCount(object.mem), value: randomValue()))
    }

    /// Whether a file is read and written through the page cache. In that mode the others cannot be mapped.
    func isCached(_ file: File) -> Bool { shape.pageCache && !file.kind.showsTags }

    private func beginFill(of count: Int) {
        guard let file = randomFile({ !shape.pageCache || isCached($0) }), let offset = randomFillOffset(file)
        else { return }
        let offsets = (0..<count).map { offset + UInt64($0) * 4096 }
        guard offsets.allSatisfy({ file.pages[$0] == nil }) else { return }
        // The kernel asks for nothing behind the end that it knows.
        if file.kind == .mem, let object = file.object, offsets[count - 1] >= object.size { return }
        for offset in offsets { file.pages[offset] = CachePage(isLocked: true) }
        submit(Request(self, file, .fill(pages: count), offset, count * 4096))
    }

    // MARK: The page cache

    private func store() {
        guard let (file, offset) = pick({ $0.bytes != nil && !$0.isLocked && !$0.isWriting }),
            isOpenForWriting(file), file.pages[offset]?.isRefused == false
        else { return }
        // Of the bytes of a write that are overwritten meanwhile nobody can tell whether they came back with the page.
        if file.object?.isConverting == true, file.pages[offset]?.pending != nil { return }
        let isUnknown = file.pages[offset].map { self.isUnknown($0, file, offset) } ?? false
        var parts: [(Int, Int, Place)] = []
        // Behind the end that the kernel knows there is nothing, also if the object has grown.
        let end = file.kind == .mem ? file.object.map { Int($0.size) - Int(offset) } : nil
        let tail = min(file.pages[offset]?.tail ?? .max, end ?? .max)
        forEachKnown(of: footprint(file, offset, 4096)) { _, position, count, place in
            let count = min(count, tail - position)
            if count > 0 { parts.append((position, count, place)) }
        }
        guard let (position, count, place) = parts.randomElement(using: &generator) else { return }
        let start = Int.random(in: 0..<count, using: &generator)
        let length = min(count - start, [1, 16, 128, 4096][Int(generator.bits(2))])
        // Behind the end that the kernel knows, nothing can be stored.
        if file.kind == .mem, let object = file.object, place.offset + start + length > object.size { return }
        let bytes = Array(repeating: randomValue(), count: length)[...]
        note("store \(bytes.first ?? 0) \(file) 0x\(String(offset, radix: 16)) \(position + start)+\(length)")
        if let page = file.pages[offset], page.isApart, let own = page.bytes {
            // It comes back as a whole now.
            for (position, count, place) in parts { remember(own[position..<position + count], at: place) }
            file.pages[offset]?.isApart = false
        }
        file.pages[offset]?.bytes?.replaceSubrange(
            position + start..<position + start + length, with: bytes)
        file.pages[offset]?.isDirty = true
        clock += 1
        file.pages[offset]?.stored = clock
        if isUnknown { return }
        remember(bytes, at: Place(object: place.object, isTags: place.isTags, offset: place.offset + start))
    }

    private func evict() {
        guard
            let (file, offset) = pick({ page in
                page.bytes != nil && !page.isDirty && !page.isLocked && !page.isWriting && page.pending == nil
            })
        else { return }
        note("evict \(file) 0x\(String(offset, radix: 16))")
        file.pages[offset] = nil
    }

    private func changeWriters() {
        guard let file = randomFile(), !file.pages.values.contains(where: { $0.isDirty || $0.isWriting })
        else { return }
        let isOpen = isOpenForWriting(file)
        note("\(file) is \(isOpen ? "closed" : "opened") for writing")
        if isOpen {
            _ = directory.closed(file.alias, isWritable: true)
        } else {
            _ = directory.opened(file.alias, isWritable: true)
        }
    }

    func isOpenForWriting(_ file: File) -> Bool {
        directory.look { $0.objects[file.alias.object].openWriters[Int(file.kind.rawValue)] > 0 }
    }
}
