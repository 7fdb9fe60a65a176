import TagMemCore

@testable import TagMemFS

/// What programs and the kernel do of their own accord.
extension SimulatedKernel {
    func begin(_ action: Action) {
        switch action {
        case .directRead: beginDirectRead()
        case .directWrite: beginDirectWrite()
        case .retag: beginRetag()
        case .fill: beginFill(of: 1)
        case .fillMany: beginFill(of: Int.random(in: 2...4, using: &generator))
        case .cachedWrite: beginCachedWrite()
        case .modeChange: beginModeChange()
        case .sync: beginSync()
        case .store: store()
        case .evict: evict()
        case .writeBack: pick { $0.isDirty && !$0.isLocked }.map { writeBack($0) }
        case .openForWriting, .closeForWriting: changeWriters(opens: action == .openForWriting)
        }
    }

    // MARK: Direct requests

    private func beginDirectRead() {
        let (kind, tag, offset, count) = randomRange()
        // The kernel writes its own dirty pages back before it asks.
        if let kind { flush(kind, offset, count) }
        submit(.directRead, .read, kind, tag, offset, count)
    }

    private func beginDirectWrite() {
        let (kind, tag, offset, count) = randomRange()
        if let kind, generator.oneIn(2) { flush(kind, offset, count) }
        submit(.directWrite(value: randomValue()), .write, kind, tag, offset, count)
    }

    /// Gives whole pages of data one tag.
    private func beginRetag() {
        let run = randomRun()
        let address =
            run.lowerBound + UInt64.random(in: 0..<UInt64(run.count) / 4096, using: &generator) * 4096
        let length = min(run.upperBound - address, [4096, 8192][Int(generator.bits(1))])
        let tag = Self.tags[Int(generator.bits(2))]
        let isHex = generator.oneIn(2)
        submit(
            .directWrite(value: tag << 4 | tag), .write, isHex ? .tagsHex : .tags, nil,
            address / (isHex ? 16 : 32), Int(length / (isHex ? 16 : 32)))
    }

    private func submit(
        _ kind: Request.Kind, _ purpose: MemoryAccess.Purpose, _ alias: AliasKind?, _ tag: AddressTag?,
        _ offset: UInt64, _ count: Int
    ) {
        let footprint = physical.footprint(of: alias, at: offset, count: count, directory.map)
        guard footprint.count > 0 else { return }
        let access = access(purpose, alias, tag, offset, count)
        submit(Request(self, kind, claim: access, file: alias.map { "\($0)" } ?? "checked"), access)
    }

    /// An access with what it shows, which does not change here.
    private func access(
        _ purpose: MemoryAccess.Purpose, _ kind: AliasKind?, _ tag: AddressTag?, _ offset: UInt64,
        _ count: Int
    ) -> MemoryAccess {
        var access = MemoryAccess(
            purpose, Alias(object: .physical, kind: kind), at: offset, count: count, tag: tag)
        access.footprint = physical.footprint(of: kind, at: offset, count: count, directory.map)
        return access
    }

    func submit(_ request: Request, _ claim: MemoryAccess) {
        request.historyPosition = history.position
        if case .directRead = request.kind { request.contentBefore = modelContent(claim.footprint) }
        switch directory.begin(claim) as Begun {
        case .decided(let grant):
            decided(request, grant)
        case .queued(let ticket):
            note("\(request): waits")
            request.wasQueued = true
            waiting.append(request)
            if case .fill(let pages) = request.kind, pages.count > 1 {
                failure = "a fill of several pages waits: \(request)"
            }
            directory.wait(ticket, request)
        }
    }

    // MARK: The page cache

    private func beginFill(of count: Int) {
        guard let first = pick({ $0.bytes == nil && !$0.isLocked }) else { return }
        var chosen = [first]
        while chosen.count < count, let next = pages[chosen[chosen.count - 1]].next,
            pages[next].bytes == nil, !pages[next].isLocked
        {
            chosen.append(next)
        }
        for index in chosen {
            nextInstance += 1
            pages[index].isLocked = true
            pages[index].instance = nextInstance
        }
        let page = pages[first]
        let claim = access(
            .fill(pages: chosen.count), page.kind, checkedTag(page.kind), page.offset,
            chosen.count * Int(Page.size))
        submit(Request(self, .fill(chosen), claim: claim, file: "\(page.kind)"), claim)
    }

    private func beginCachedWrite() {
        guard let index = pick({ !$0.isLocked }) else { return }
        let page = pages[index]
        let size = page.footprint.count
        let part = generator.oneIn(2) ? 0..<size : randomPart(of: size)
        if page.bytes == nil { nextInstance += 1 }
        pages[index].isLocked = true
        if page.bytes == nil { pages[index].instance = nextInstance }
        let claim = access(.cachedWrite, page.kind, checkedTag(page.kind), page.offset, Int(Page.size))
        submit(
            Request(
                self, .cachedWrite(page: index, part: part, value: randomValue()), claim: claim,
                file: "\(page.kind)"), claim)
    }

    private func store() {
        let storesTags = generator.oneIn(2)
        guard
            let index = pick({
                $0.bytes != nil && (!storesTags || $0.footprint.spans[0].isTagStorage)
                    && self.openWriters($0.kind) > 0
            })
        else { return }
        let part = randomPart(of: pages[index].footprint.count)
        let bytes = Array(repeating: randomValue(), count: part.count)
        note("store \(pages[index].kind) 0x\(String(pages[index].offset, radix: 16)) \(part) \(bytes[0])")
        pages[index].bytes?.replaceSubrange(part, with: bytes)
        pages[index].isDirty = true
        remember(bytes, in: pages[index].footprint, from: part.lowerBound)
    }

    private func evict() {
        guard let index = pick({ $0.bytes != nil && !$0.isDirty && !$0.isLocked }) else { return }
        note("evict \(pages[index].kind) 0x\(String(pages[index].offset, radix: 16))")
        drop(index)
    }

    private func flush(_ kind: AliasKind, _ offset: UInt64, _ count: Int) {
        for index in pages.indices
        where pages[index].kind == kind && pages[index].isDirty && !pages[index].isLocked
            && pages[index].offset < offset + UInt64(count) && offset < pages[index].offset + Page.size
        {
            writeBack(index)
        }
    }

    private func openWriters(_ kind: AliasKind) -> Int {
        directory.withObject(.physical) { Int($0.openWriters[Int(kind.rawValue)]) } ?? 0
    }

    private func changeWriters(opens: Bool) {
        let kind = pages[Int.random(in: 0..<pages.count, using: &generator)].kind
        let writers = openWriters(kind)
        let alias = Alias(object: .physical, kind: kind)
        if opens {
            guard writers < 2 else { return }
            _ = directory.opened(alias, isWritable: true)
        } else {
            guard writers > 0 else { return }
            if writers == 1 {
                if pages.contains(where: { $0.kind == kind && $0.isDirty && $0.isLocked }) { return }
                for index in pages.indices where pages[index].kind == kind && pages[index].isDirty {
                    writeBack(index)
                }
            }
            _ = directory.closed(alias, isWritable: true)
        }
        note("\(opens ? "open" : "close") \(kind) for writing")
    }

    // MARK: Modes and fsync

    private func beginModeChange() {
        let mode = TagCheckMode.allCases[Int(generator.bits(2))]
        let request = Request(self, .modeChange(mode), claim: nil, file: "mode")
        request.wasQueued = true
        waiting.append(request)
        note("\(request)")
        directory.changeMode(of: .physical, to: mode, then: request)
    }

    private func beginSync() {
        let kind: AliasKind = [.mem, .tags, .tagsHex][Int.random(in: 0..<3, using: &generator)]
        if pages.contains(where: { $0.kind == kind && $0.isDirty && $0.isLocked }) { return }
        for index in pages.indices where pages[index].kind == kind && pages[index].isDirty {
            writeBack(index)
        }
        var recalled: [(page: Int, instance: Int)] = []
        for index in pages.indices where pages[index].kind.isView {
            let page = pages[index]
            let line = directory.line(page.lines[0])
            if page.bytes != nil, line.holder == page.kind.rawValue, line.isRecalled {
                recalled.append((index, page.instance))
            }
        }
        let request = Request(self, .sync(recalled: recalled), claim: nil, file: "\(kind)")
        request.wasQueued = true
        waiting.append(request)
        note("\(request) until \(recalled.count) pages are back")
        directory.afterRecalls(request)
    }

    // MARK: Random choices

    func checkedTag(_ kind: AliasKind) -> AddressTag? {
        if case .view(let tag) = kind { tag } else { nil }
    }

    private func pick(_ isCandidate: (CachePage) -> Bool) -> Int? {
        let candidates = pages.indices.filter { isCandidate(pages[$0]) }
        return candidates.randomElement(using: &generator)
    }

    private func randomRun() -> Range<UInt64> {
        hotRuns[Int.random(in: 0..<hotRuns.count, using: &generator)]
    }

    private func randomPart(of size: Int) -> Range<Int> {
        let start = Int.random(in: 0..<size, using: &generator)
        return start..<min(size, start + [1, 16, 128, size][Int(generator.bits(2))])
    }

    /// Different ones one after the other; often a pair of tags that are used.
    private func randomValue() -> UInt8 {
        if generator.oneIn(2) {
            let tag = Self.tags[Int(generator.bits(2))]
            return tag << 4 | tag
        }
        nextValue &+= 1
        return nextValue
    }

    private func randomRange() -> (kind: AliasKind?, tag: AddressTag?, offset: UInt64, count: Int) {
        let run = randomRun()
        let offset = UInt64.random(in: 0..<UInt64(run.count), using: &generator)
        let address = run.lowerBound + (generator.oneIn(2) ? Page.start(offset) : offset)
        let wanted = [1, 16, 128, 4096, 5000, 8192][Int.random(in: 0..<6, using: &generator)]
        let count = min(wanted, Int(run.upperBound - address))
        let tag = AddressTag(truncating: UInt64(Self.tags[Int(generator.bits(2))]))
        switch Int.random(in: 0..<6, using: &generator) {
        case 0: return (.mem, nil, address, count)
        case 1: return (.view(tag), tag, address, count)
        case 2: return (nil, tag, address, count)
        case 3: return (.tags, nil, address / 32, max(1, count / 32))
        case 4: return (.tagsHex, nil, address / 16, max(1, count / 16))
        default:
            let tags = dram.run(at: at(address), limit: 1)?.tagAddress ?? at(address)
            return (.mem, nil, tags.rawValue, max(1, count / 32))
        }
    }
}
