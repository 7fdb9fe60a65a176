import TagMemCore

/// A file in `control/`.
final class KnobFile: ControlFile, @unchecked Sendable {
    private let fileSystem: FileSystem
    private let knob: Knob

    private var directory: CoherenceDirectory { fileSystem.directory }
    private var worker: PageWorker { fileSystem.memory.worker }

    init(_ fileSystem: FileSystem, node: NodeID, _ knob: Knob) {
        self.fileSystem = fileSystem
        self.knob = knob
        super.init(node: node)
    }

    override func makeText() -> String {
        switch knob {
        case .compact: directory.withPages { $0.allocator.isCompact } ? "1\n" : "0\n"
        case .compaction: worker.compacts ? "1\n" : "0\n"
        case .reserveTagged: directory.withPages { "\($0.allocator.reserveWatermark(.tagged))\n" }
        case .reserveUntagged: directory.withPages { "\($0.allocator.reserveWatermark(.untagged))\n" }
        case .atomic: listAtomicObjects()
        case .pin: listPinnedRanges()
        case .unpin: ""
        }
    }

    override func set(_ word: String, _ reply: consuming Reply, count: Int) {
        do throws(FileError) {
            switch knob {
            case .compact:
                if word != "1" { return reply.error(.invalid) }
                worker.run(CompactJob(worker, then: DeferredReply(reply) { $0.written(count) }))
            case .compaction:
                worker.compacts = try flag(word)
                reply.written(count)
            case .reserveTagged: setReserve(.tagged, word, reply, count)
            case .reserveUntagged: setReserve(.untagged, word, reply, count)
            case .atomic:
                try setAtomic(word)
                reply.written(count)
            case .pin, .unpin:
                try setPinned(word)
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

    // MARK: Reserves

    private func setReserve(_ use: PageUse, _ word: String, _ reply: consuming Reply, _ count: Int) {
        let limit = directory.withPages { $0.allocator.totalPages }
        guard let pages = Int(word), (0...limit).contains(pages) else { return reply.error(.invalid) }
        directory.update { state in
            var mover = CoherentMover(directory)
            directory.pages.allocator.setReserveWatermark(use, to: pages)
            directory.pages.allocator.releaseReserve(with: &mover)
            directory.pages.refillFailed = -1
            state.releases += 1
            state.needsReview = true
        }
        // What is missing now comes when pages are free.
        let answer = DeferredReply(reply) { $0.written(count) }
        worker.run(RefillJob(worker, then: Always(answer)))
    }

    // MARK: Atomic objects

    private func setAtomic(_ word: String) throws(FileError) {
        let parts = word.split(separator: " ", omittingEmptySubsequences: true)
        guard let last = parts.last, parts.count > 1 else { throw .invalid }
        let isAtomic = try flag(last)
        let aliases = try object(word.dropLast(last.count))
        directory.withPages { _ in aliases.isAtomic = isAtomic }
    }

    private func listAtomicObjects() -> String {
        fileSystem.tree.all().filter { entry in directory.withPages { _ in entry.aliases.isAtomic } }
            .map { ObjectTree.Entry.path($0.use, $0.name) + "\n" }.joined()
    }

    private func object(_ path: some StringProtocol) throws(FileError) -> ObjectAliases {
        var path = path[...]
        while path.last == " " { path.removeLast() }
        guard let aliases = fileSystem.tree.aliases(at: path) else { throw .notFound }
        return aliases
    }

    // MARK: Pins

    private func setPinned(_ word: String) throws(FileError) {
        let parts = word.split(separator: " ", omittingEmptySubsequences: true)
        guard parts.count > 2, let length = ByteCount(parts[parts.count - 1]),
            let offset = ByteCount(parts[parts.count - 2]), length.value > 0
        else { throw .invalid }
        let aliases = try object(word[..<parts[parts.count - 2].startIndex])
        let pageSize = directory.pages.layout.pageSize
        let size = directory.size(of: .mem, aliases)
        guard offset.value < size, length.value <= size - offset.value else { throw .invalid }
        let end = offset.value + length.value
        let range = Int(offset.value / pageSize)..<Int((end + pageSize - 1) / pageSize)
        try forEachChunk(range) { pages, chunk throws(FileError) in
            for index in chunk where aliases.object.pages[index] == nil { throw .hole }
        }
        let isPinned = knob == .pin
        try forEachChunk(range) { pages, chunk throws(FileError) in
            for index in chunk {
                if let frame = aliases.object.pages[index] { pages.setPinned(isPinned, frame) }
            }
        }
        if !isPinned { worker.wakeForBackground() }
    }

    /// Pages that are looked at under one hold of the lock.
    private static let pagesAtOnce = 1 << 14

    private func forEachChunk(
        _ range: Range<Int>, _ body: (PageStore, Range<Int>) throws(FileError) -> Void
    ) throws(FileError) {
        for first in stride(from: range.lowerBound, to: range.upperBound, by: Self.pagesAtOnce) {
            let chunk = first..<min(first + Self.pagesAtOnce, range.upperBound)
            let error: FileError? = directory.withPages { pages in
                do throws(FileError) {
                    try body(pages, chunk)
                    return nil
                } catch {
                    return error
                }
            }
            if let error { throw error }
        }
    }

    private func listPinnedRanges() -> String {
        let pageSize = Int(directory.pages.layout.pageSize)
        var text = ""
        for entry in fileSystem.tree.all() {
            guard directory.withPages({ $0.allocator.pinnedInUse }) > 0 else { break }
            var start: Int?
            let count = directory.withPages { _ in entry.aliases.object.pages.count }
            for index in 0...count {
                let isPinned = directory.withPages { pages in
                    entry.aliases.object.pages[index].flatMap { pages.allocator.page(at: $0)?.isPinned }
                        ?? false
                }
                if isPinned, start == nil { start = index }
                if !isPinned, let first = start {
                    start = nil
                    let path = ObjectTree.Entry.path(entry.use, entry.name)
                    text += "\(path) \(first * pageSize) \((index - first) * pageSize)\n"
                }
            }
        }
        return text
    }
}

/// An operation that succeeds also where something failed that does not matter to it.
private final class Always: DeferredOperation, @unchecked Sendable {
    private let operation: any DeferredOperation
    init(_ operation: any DeferredOperation) { self.operation = operation }
    func run(_ grant: Grant) { operation.run(.granted(.none)) }
}
