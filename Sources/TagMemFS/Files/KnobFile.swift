import TagMemCore

/// A file in `control/`.
///
/// Unchecked, as all kinds of open file: what they keep is constant, or `Guarded`.
final class KnobFile: ControlFile, @unchecked Sendable {
    private let knob: Knob

    private var background: BackgroundWork { fileSystem.threads.background }

    init(_ fileSystem: FileSystem, node: NodeID, _ knob: Knob) {
        self.knob = knob
        super.init(fileSystem, node: node)
    }

    override func makeText() -> String {
        switch knob {
        case .compact: directory.withPages { $0.allocator.isCompact } ? "1\n" : "0\n"
        case .compaction: background.compacts ? "1\n" : "0\n"
        case .reserveTagged: directory.withPages { "\($0.allocator.reserveWatermark(.tagged))\n" }
        case .reserveUntagged: directory.withPages { "\($0.allocator.reserveWatermark(.untagged))\n" }
        case .atomic: listAtomicObjects()
        case .pin: listPinnedRanges()
        case .unpin: ""
        case .claim: fileSystem.tree.isClaimed ? "1\n" : "0\n"
        }
    }

    override func set(_ word: String, _ reply: consuming Reply, count: Int) {
        do throws(FileError) {
            switch knob {
            case .compact:
                if word != "1" { return reply.error(.invalid) }
                directory.start(CompactJob(), then: DeferredReply(reply) { $0.written(count) })
            case .compaction:
                background.compacts = try flag(word)
                reply.written(count)
            case .reserveTagged: setReserve(.tagged, word, reply, count)
            case .reserveUntagged: setReserve(.untagged, word, reply, count)
            case .atomic:
                try setAtomic(word)
                reply.written(count)
            case .pin, .unpin:
                try setPinned(word)
                reply.written(count)
            case .claim:
                try setClaim(word)
                reply.written(count)
            }
        } catch {
            reply.error(error)
        }
    }

    private func flag(_ word: some StringProtocol) throws(FileError) -> Bool {
        guard word == "0" || word == "1" else { throw .invalid }
        return word == "1"
    }

    // MARK: The claim

    private func setClaim(_ word: String) throws(FileError) {
        let claimant = ObjectIdentifier(self)
        guard try flag(word) else { return fileSystem.tree.endClaim(of: claimant) }
        try fileSystem.tree.claim(for: claimant)
        // Pages of a reserve are somebody's, too.
        let used = directory.withPages { $0.allocator.untaggedPages + $0.allocator.taggedPages }
        if used > 0 {
            fileSystem.tree.endClaim(of: claimant)
            throw .busy
        }
    }

    override func released() {
        if knob == .claim { fileSystem.tree.endClaim(of: ObjectIdentifier(self)) }
        super.released()
    }

    // MARK: Reserves

    private func setReserve(_ use: PageUse, _ word: String, _ reply: consuming Reply, _ count: Int) {
        let limit = directory.withPages { $0.allocator.totalPages }
        guard let pages = Int(word), (0...limit).contains(pages) else { return reply.error(.invalid) }
        if pages > 0, fileSystem.tree.isClaimed { return reply.error(.busy) }
        directory.update { state in
            state.pages.allocator.setReserveWatermark(use, to: pages)
            state.pages.refillFailed = -1
        }
        directory.start(RefillJob(), then: DeferredReply(reply) { $0.written(count) })
    }

    // MARK: Atomic objects

    private func setAtomic(_ word: String) throws(FileError) {
        guard let request = KnobRequest(word, numbers: 1) else { throw .invalid }
        let isAtomic = try flag(request.numbers[0])
        let object = try object(request.object)
        _ = directory.withObject(object) { $0.isAtomic = isAtomic }
    }

    private func listAtomicObjects() -> String {
        fileSystem.tree.all().filter { directory.withObject($0.id) { $0.isAtomic } == true }
            .map { ObjectTree.Entry.path($0.use, $0.name) + "\n" }.joined()
    }

    private func object(_ path: String) throws(FileError) -> ObjectID {
        guard let object = fileSystem.tree.object(at: path) else { throw .notFound }
        return object
    }

    // MARK: Pins

    private func setPinned(_ word: String) throws(FileError) {
        guard let request = KnobRequest(word, numbers: 2), let offset = ByteCount(request.numbers[0]),
            let length = ByteCount(request.numbers[1]), length.value > 0
        else { throw .invalid }
        let object = try object(request.object)
        let pageSize = directory.layout.pageSize
        let size = directory.size(of: .mem, object)
        guard offset.value < size, length.value <= size - offset.value else { throw .invalid }
        let end = offset.value + length.value
        let range = Int(offset.value / pageSize)..<Int((end + pageSize - 1) / pageSize)
        try forEachChunk(range) { state, chunk throws(FileError) in
            for index in chunk where state.objects[object].memory.pages[index] == nil { throw .hole }
        }
        let isPinned = knob == .pin
        try forEachChunk(range) { state, chunk throws(FileError) in
            for index in chunk {
                if let frame = state.objects[object].memory.pages[index] {
                    state.pages.setPinned(isPinned, frame)
                }
            }
        }
        if !isPinned { background.wakeIfNeeded() }
    }

    /// Pages that are looked at under one hold of the lock.
    private static let pagesAtOnce = 1 << 12

    private func forEachChunk(
        _ range: Range<Int>, _ body: (inout MemoryState, Range<Int>) throws(FileError) -> Void
    ) throws(FileError) {
        for first in stride(from: range.lowerBound, to: range.upperBound, by: Self.pagesAtOnce) {
            let chunk = first..<min(first + Self.pagesAtOnce, range.upperBound)
            let error: FileError? = directory.look { state in
                do throws(FileError) {
                    try body(&state, chunk)
                    return nil
                } catch {
                    return error
                }
            }
            if let error { throw error }
            directory.giveWay()
        }
    }

    /// Frames of pinned pages that are looked at under one hold of the lock.
    private static let pinnedAtOnce = 1 << 13

    private func listPinnedRanges() -> String {
        var pinned: [ObjectID: [Int]] = [:]
        var next: PageFrame?
        repeat {
            next = directory.look { state in
                var found: [(owner: PageOwner, frame: PageFrame)] = []
                let next = state.pages.allocator.forEachPinned(from: next, budget: Self.pinnedAtOnce) {
                    frame, owner, _ in
                    found.append((owner, frame))
                }
                for (owner, frame) in found {
                    // Pages that an object has lost, and the kernel has still, are pinned too.
                    guard let object = state.objects.id(inSlot: owner.object),
                        state.objects[object].memory.pages[Int(owner.index)] == frame
                    else { continue }
                    pinned[object, default: []].append(Int(owner.index))
                }
                return next
            }
            directory.giveWay()
        } while next != nil
        return fileSystem.tree.all().map { entry in
            ranges(of: pinned[entry.id] ?? [], ObjectTree.Entry.path(entry.use, entry.name))
        }.joined()
    }

    private func ranges(of pages: [Int], _ path: String) -> String {
        let pageSize = Int(directory.layout.pageSize)
        var ranges: [Range<Int>] = []
        for page in pages.sorted() {
            if let last = ranges.last, last.upperBound == page {
                ranges[ranges.count - 1] = last.lowerBound..<page + 1
            } else {
                ranges.append(page..<page + 1)
            }
        }
        return ranges.map { "\(path) \($0.lowerBound * pageSize) \($0.count * pageSize)\n" }.joined()
    }
}
