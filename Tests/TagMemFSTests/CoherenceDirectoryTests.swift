import TagMemCore
import Testing

@testable import TagMemFS

/// Each rule of the directory by itself. `CoherenceDirectoryPropertyTests` mixes them.
@Suite("CoherenceDirectory") struct CoherenceDirectoryTests {
    let fixture: DirectoryFixture
    var directory: CoherenceDirectory { fixture.directory }
    static let view0 = DirectoryFixture.view(0)
    static let view1 = DirectoryFixture.view(1)

    init() throws { fixture = try DirectoryFixture() }

    @Test("what was not handed out is not recalled")
    func nothingHandedOut() throws {
        for purpose in [MemoryAccess.Purpose.read, .write] {
            for kind in [AliasKind.mem, .tags, .tagsHex, Self.view0] {
                let operation = fixture.begin(purpose, kind, page: 3)
                #expect(operation.isGranted)
                try fixture.end(operation)
            }
        }
        #expect(try fixture.changeMode(to: .async).isGranted)
        #expect(try fixture.afterRecalls().isGranted)
        #expect(fixture.counters[.recalls] == 0)
        #expect(fixture.wakeups.count == 0)
    }

    @Test("a page is handed out to one alias; another waits until it was recalled")
    func oneAlias() throws {
        try fixture.fill(.mem, page: 1)
        let fill = fixture.begin(.fill(pages: 1), Self.view0, page: 1)
        #expect(fill.isWaiting)
        #expect(fixture.wakeups.count == 1)
        let job = try fixture.nextRecall(.mem, page: 1)
        #expect(directory.isRecalling)
        #expect(fill.isWaiting)
        try fixture.finish(job)
        #expect(fill.isGranted)
        #expect(!directory.isRecalling)
        #expect(fixture.counters[.requestsQueued] == 1)
    }

    @Test("a fill from the alias that is being recalled is answered at once, and the recall is repeated")
    func refill() throws {
        try fixture.fill(Self.view0, page: 1)
        let write = fixture.begin(.write, .mem, page: 1)
        let job = try fixture.nextRecall(Self.view0, page: 1)
        let again = fixture.begin(.fill(pages: 1), Self.view0, page: 1)
        #expect(again.isGranted)
        try fixture.end(again)
        let wakeups = fixture.wakeups.count
        try fixture.finish(job)
        #expect(write.isWaiting)
        #expect(fixture.counters[.recallsRepeated] == 1)
        #expect(fixture.wakeups.count > wakeups)
        let repeated = try fixture.nextRecall(Self.view0, page: 1)
        #expect(repeated.sequence == job.sequence)
        try fixture.finish(repeated)
        #expect(write.isGranted)
    }

    @Test("only the pages that were filled again are recalled again")
    func partialRepeat() throws {
        for page in 4..<8 { try fixture.fill(.mem, page: page) }
        let write = fixture.begin(.write, Self.view0, page: 4, count: 4 << 12)
        let job = try fixture.nextRecall(.mem, page: 4)
        #expect(job.length == 4 << 12)
        for page in [5, 7] {
            try fixture.fill(.mem, page: page)
        }
        try fixture.finish(job)
        #expect(write.isWaiting)
        for page in [5, 7] {
            let repeated = try fixture.nextRecall(.mem, page: page)
            #expect(repeated.length == 4096)
            try fixture.finish(repeated)
        }
        #expect(write.isGranted)
    }

    @Test("a fill of several pages that would wait is refused")
    func readahead() throws {
        try fixture.fill(.mem, page: 2)
        let batch = fixture.begin(.fill(pages: 3), Self.view0, page: 1)
        #expect(batch.error == .readaheadRefused)
        #expect(fixture.counters[.recalls] == 0)
        try directory.checkInvariants()
        #expect(fixture.begin(.fill(pages: 2), Self.view0, page: 3).isGranted)
    }

    @Test("a direct write needs the page cached nowhere, its own alias included")
    func directWrite() throws {
        try fixture.fill(.mem, page: 1)
        let write = fixture.begin(.write, .mem, page: 1)
        #expect(write.isWaiting)
        // Neither is the page handed out while it is written.
        #expect(try fixture.recallAll() == 1)
        #expect(write.isGranted)
        let fill = fixture.begin(.fill(pages: 1), .mem, page: 1)
        #expect(fill.isWaiting)
        try fixture.end(write)
        #expect(fill.isGranted)
    }

    @Test("a direct read leaves its own alias what it has")
    func directReadOfOwnPage() throws {
        fixture.open(.mem)
        try fixture.fill(.mem, page: 1)
        let read = fixture.begin(.read, .mem, page: 1)
        #expect(read.isGranted)
        #expect(fixture.counters[.recalls] == 0)
    }

    @Test(
        "a read of the same bytes through another file waits for what may be stored there",
        arguments: [AliasKind.mem, .tags])
    func borrowedRead(_ kind: AliasKind) throws {
        let alias = Alias(object: .physical, kind: kind, isBorrowed: true)
        let access = MemoryAccess(.read, alias, at: fixture.offset(1, kind), count: 1)
        try fixture.fill(kind, page: 1)
        let clean: DirectoryFixture.Operation = directory.begin(access)
        #expect(clean.isGranted)
        try fixture.end(clean)
        fixture.open(kind)
        let read: DirectoryFixture.Operation = directory.begin(access)
        #expect(read.isWaiting)
        try fixture.finish(fixture.nextRecall(kind, page: 1))
        #expect(read.isGranted)
        // It has made nothing its own.
        try fixture.end(read)
        #expect(directory.line(1).holder == 0)
    }

    @Test(
        "an alias that nobody has open for writing is not recalled for a direct read",
        arguments: [false, true])
    func cleanAlias(_ isWritable: Bool) throws {
        try fixture.fill(Self.view0, page: 1)
        if isWritable { fixture.open(Self.view0) }
        let read = fixture.begin(.read, .mem, page: 1)
        #expect(read.isWaiting == isWritable)
        #expect(fixture.counters[.recalls] == (isWritable ? 1 : 0))
        if isWritable {
            // The last one closes it, which writes everything back: but the page is on its way back already.
            fixture.close(Self.view0)
            #expect(try fixture.recallAll() == 1)
        }
        #expect(read.isGranted)
        // Two readers of two aliases.
        let other = fixture.begin(.read, Self.view0, page: 1)
        #expect(other.isGranted)
    }

    @Test("readers share a line, a writer excludes them, and who waits goes before who comes later")
    func firstComeFirstServed() throws {
        let reads = (0..<3).map { _ in fixture.begin(.read, .mem, page: 1) }
        let write = fixture.begin(.write, .mem, page: 1)
        let later = fixture.begin(.read, .mem, page: 1)
        let elsewhere = fixture.begin(.read, .mem, page: 2)
        #expect(reads.allSatisfy { $0.isGranted })
        #expect(elsewhere.isGranted)
        for read in reads {
            #expect(write.isWaiting)
            try fixture.end(read)
        }
        #expect(write.isGranted)
        #expect(later.isWaiting)
        try fixture.end(write)
        #expect(later.isGranted)
    }

    @Test(
        "a change of tags recalls the views of the memory, and nothing but them",
        arguments: [AliasKind.tags, .tagsHex])
    func tagWrite(_ kind: AliasKind) throws {
        try fixture.fill(Self.view0, page: 1)
        try fixture.fill(.mem, page: 2)
        try fixture.fill(Self.view0, page: 3)
        let elsewhere = fixture.begin(.write, kind, page: 2)
        #expect(elsewhere.isGranted)
        let write = fixture.begin(.write, kind, page: 1)
        #expect(write.isWaiting)
        // Views of that page wait for the new tags.
        let fill = fixture.begin(.fill(pages: 1), Self.view1, page: 1)
        try fixture.finish(fixture.nextRecall(Self.view0, page: 1))
        #expect(write.isGranted)
        #expect(fill.isWaiting)
        fixture.setTags(1, page: 1)
        try fixture.end(write)
        #expect(fill.isGranted)
        #expect(fixture.counters[.recalls] == 1)
    }

    @Test("tags that are being checked do not change, and are not checked while they change")
    func checksAgainstTagWrites() throws {
        let read = fixture.begin(.read, Self.view0, page: 1)
        let tagWrite = fixture.begin(.write, .tags, page: 1)
        let later = fixture.begin(.write, Self.view0, page: 1)
        #expect(tagWrite.isWaiting)
        #expect(later.isWaiting)
        try fixture.end(read)
        #expect(tagWrite.isGranted)
        try fixture.end(tagWrite)
        #expect(later.isGranted)
    }

    @Test("a fill is refused where tags mismatch and loads or stores fault", arguments: TagCheckMode.allCases)
    func mismatch(_ mode: TagCheckMode) throws {
        #expect(try fixture.changeMode(to: mode).isGranted)
        fixture.setTags(1, page: 1)
        fixture.dram.setAllocationTag(AllocationTag(truncating: 2), at: at(0x21030))
        let fill = fixture.begin(.fill(pages: 1), Self.view1, page: 1)
        let isRefused =
            switch mode.faults {
            case .none, .async: false
            case .sync: true
            case .asymm: !mode.options.contains(.storeOnly)
            }
        #expect(fill.mismatch == (isRefused ? at(0x21030) : nil))
        #expect(fill.isGranted == !isRefused)
        // Nothing was claimed where it was refused.
        #expect(directory.line(1).holder == (fill.isGranted ? Self.view1.rawValue : 0))
    }

    @Test("a write-back that changes tags takes views away; fsync waits until they are back")
    func writebackOfTags() throws {
        try fixture.fill(Self.view0, page: 1)
        try fixture.fill(.mem, page: 2)
        directory.recallViews(of: [1, 2, 3])
        #expect(fixture.counters[.recalls] == 1)
        let sync = try fixture.afterRecalls()
        #expect(sync.isWaiting)
        try fixture.finish(fixture.nextRecall(Self.view0, page: 1))
        #expect(sync.isGranted)
        directory.recallViews(of: [])
        #expect(try fixture.afterRecalls().isGranted)
    }

    @Test("fsync waits for recalls that were merged into a later one, and no longer than for those before it")
    func afterMergedRecalls() throws {
        for page in [1, 5, 6, 9] { try fixture.fill(Self.view0, page: page) }
        directory.recallViews(of: [1])
        let first = try fixture.nextRecall(Self.view0, page: 1)
        directory.recallViews(of: [5])
        let sync = try fixture.afterRecalls()
        // A neighbour of what waits: one notification for both.
        directory.recallViews(of: [6])
        let syncOfNeighbour = try fixture.afterRecalls()
        directory.recallViews(of: [9])
        try fixture.finish(first)
        #expect(sync.isWaiting)
        let merged = try fixture.nextRecall(Self.view0, page: 5)
        #expect(merged.length == 8192)
        try fixture.finish(merged)
        #expect(sync.isGranted)
        #expect(syncOfNeighbour.isGranted)
        #expect(try fixture.afterRecalls().isWaiting)
    }

    @Test("fsync waits for the repetition of a recall")
    func afterRepeatedRecalls() throws {
        fixture.setTags(1, page: 5)
        for page in [1, 5] { try fixture.fill(page == 1 ? Self.view0 : Self.view1, page: page) }
        directory.recallViews(of: [1])
        let sync = try fixture.afterRecalls()
        directory.recallViews(of: [5])
        let later = try fixture.afterRecalls()
        let job = try fixture.nextRecall(Self.view0, page: 1)
        #expect(fixture.begin(.fill(pages: 1), Self.view0, page: 1).isGranted)
        try fixture.finish(job)
        #expect(sync.isWaiting)
        try fixture.finish(fixture.nextRecall(Self.view0, page: 1))
        #expect(sync.isGranted)
        #expect(later.isWaiting)
        try fixture.finish(fixture.nextRecall(Self.view1, page: 5))
        #expect(later.isGranted)
    }

    @Test("a change of mode waits for the pages that mismatch, and for those alone")
    func modeChange() throws {
        #expect(try fixture.changeMode(to: .none).isGranted)
        fixture.setTags(1, page: 2)
        for page in 1..<4 { try fixture.fill(Self.view0, page: page) }
        let change = try fixture.changeMode(to: .sync)
        #expect(change.isWaiting)
        #expect(fixture.mode == .none)
        // What has its page already is served under the old mode; what has not waits.
        #expect(fixture.begin(.fill(pages: 1), Self.view0, page: 1).isGranted)
        let fill = fixture.begin(.fill(pages: 1), Self.view0, page: 4)
        let unchecked = fixture.begin(.read, .mem, page: 4)
        #expect(fill.isWaiting)
        #expect(unchecked.isWaiting)
        #expect(fixture.begin(.read, .mem, page: 5).isGranted)
        try fixture.finish(fixture.nextRecall(Self.view0, page: 2))
        #expect(change.isGranted)
        #expect(fixture.mode == .sync)
        #expect(fill.isGranted)
        #expect(directory.nextRecall() == nil)
    }

    @Test("a change of mode lets checked accesses finish under the old one")
    func modeChangeDuringAccess() throws {
        let read = fixture.begin(.read, Self.view0, page: 1)
        let first = try fixture.changeMode(to: .async)
        let second = try fixture.changeMode(to: .none)
        let later = fixture.begin(.read, Self.view0, page: 2)
        #expect(first.isWaiting)
        #expect(later.isWaiting)
        #expect(fixture.mode == .sync)
        try fixture.end(read)
        #expect(first.isGranted)
        #expect(second.isGranted)
        #expect(later.isGranted)
        #expect(fixture.mode == .none)
    }

    @Test("a checked claim that waited ahead of a change of mode is not forgotten by it")
    func claimAheadOfModeChange() throws {
        #expect(try fixture.changeMode(to: .none).isGranted)
        fixture.setTags(1, page: 2)
        try fixture.fill(Self.view0, page: 2)
        try fixture.fill(.mem, page: 1)
        let fill = fixture.begin(.fill(pages: 1), Self.view0, page: 1)
        let change = try fixture.changeMode(to: .sync)
        #expect(try fixture.recallAll() == 2)
        #expect(change.isGranted)
        #expect(fill.isGranted)
    }

    @Test(
        "a cached write to a page that its alias holds is granted at once, and views of the tags are recalled after it"
    )
    func cachedWriteOfTags() throws {
        func begin() -> DirectoryFixture.Operation {
            fixture.begin(.cachedWrite, .mem, at: 0x40000, count: 4096)
        }
        let first = begin()
        #expect(first.isGranted)
        try fixture.end(first)
        try fixture.fill(Self.view0, page: 1)
        let second = begin()
        #expect(second.isGranted)
        #expect(fixture.counters[.recalls] == 0)
        try fixture.end(second)
        #expect(fixture.wakeups.count == 1)
        try fixture.finish(fixture.nextRecall(Self.view0, page: 1))
    }

    @Test("a cached write waits while tags that it checks are written, also where its alias holds the page")
    func cachedWriteDuringTagWrite() throws {
        let tagWrite = fixture.begin(.cachedWrite, .tags, page: 0)
        try fixture.end(tagWrite)
        try fixture.fill(Self.view0, page: 1)
        let secondTagWrite = fixture.begin(.cachedWrite, .tags, page: 0)
        #expect(secondTagWrite.isGranted)
        let write = fixture.begin(.cachedWrite, Self.view0, page: 1)
        #expect(write.isWaiting)
        // A fill checks when it is decided, and keeps the lock of its page no longer than that.
        let fill = fixture.begin(.fill(pages: 1), Self.view0, page: 1)
        #expect(fill.isGranted)
        try fixture.end(secondTagWrite)
        #expect(write.isWaiting)
        try fixture.end(fill)
        #expect(write.isGranted)
        try fixture.end(write)
    }

    @Test("a fill that came after a cached write of its page is ahead of who waits for that page's recall")
    func fillAfterCachedWrite() throws {
        try fixture.fill(.mem, page: 0)
        let write = fixture.begin(.cachedWrite, Self.view0, page: 0)
        let other = fixture.begin(.write, .mem, page: 0)
        // The kernel did not keep the page locked for the write, so that a fill can have its lock now.
        let fill = fixture.begin(.fill(pages: 1), Self.view0, page: 0)
        #expect(write.isWaiting && other.isWaiting && fill.isWaiting)
        try fixture.finish(fixture.nextRecall(.mem, page: 0))
        #expect(write.isGranted)
        try fixture.end(write)
        // The recall waits for the lock, and `other` for the recall.
        let recall = try fixture.nextRecall(Self.view0, page: 0)
        #expect(fill.isGranted && other.isWaiting)
        try fixture.end(fill)
        try fixture.finish(recall)
        try fixture.finish(fixture.nextRecall(Self.view0, page: 0))
        #expect(other.isGranted)
        try fixture.end(other)
    }

    @Test("a cached write whose page was taken while it waited stands in line as any other")
    func cachedWriteLosesItsPage() throws {
        try fixture.fill(Self.view0, page: 0)
        let read = fixture.begin(.read, Self.view0, page: 0)
        let write = fixture.begin(.cachedWrite, Self.view0, page: 0)
        let others = [fixture.begin(.write, .mem, page: 0), fixture.begin(.write, .mem, page: 0)]
        #expect(read.isGranted && write.isWaiting)
        try fixture.recallAll()
        try fixture.end(read)
        for other in others {
            #expect(other.isGranted && write.isWaiting)
            try fixture.end(other)
        }
        #expect(write.isGranted)
        try fixture.end(write)
    }

    @Test("a cached write against the tags leaves its view nothing that loads could not have")
    func cachedWriteAgainstTags() throws {
        #expect(try fixture.changeMode(to: .asymm).isGranted)
        let write = fixture.begin(.cachedWrite, Self.view1, page: 1)
        #expect(write.isGranted)
        try fixture.end(write)
        try fixture.finish(fixture.nextRecall(Self.view1, page: 1))
        let allowed = fixture.begin(.cachedWrite, Self.view0, page: 1)
        try fixture.end(allowed)
        #expect(directory.nextRecall() == nil)
    }

    @Test("bytes of waiting writes are limited")
    func queuedBytes() throws {
        let size = WaitTable.share(WaitTable.maximumBytes)
        let base = DirectoryFixture.base
        let fixture = try DirectoryFixture([
            TestMaps.data(base, blocks: 1024, tags: base + 1024 * TestMaps.block),
            TestMaps.storage(base + 1024 * TestMaps.block, pages: 1024),
        ])
        try fixture.fill(.mem, page: 0)
        let first = fixture.begin(.write, .mem, page: 0, count: size - 10)
        let second = fixture.begin(.write, .mem, page: 0, count: 10)
        let third = fixture.begin(.write, .mem, page: 0, count: 1)
        #expect(first.isWaiting && second.isWaiting)
        #expect(third.error == .overloaded)
        // Reads keep no bytes, and what need not wait is not limited.
        let read = fixture.begin(.read, .mem, page: 0)
        #expect(read.isWaiting)
        #expect(fixture.begin(.write, .mem, page: 20000).isGranted)
        while let job = fixture.directory.nextRecall() { fixture.directory.finishRecall(job.lane) }
        try fixture.end(first)
        #expect(second.isGranted)
        #expect(fixture.begin(.write, .mem, page: 0, count: size).isWaiting)
    }

    @Test("fills that wait are limited")
    func queuedFills() throws {
        directory.limitQueuedFills(to: 2)
        for page in 0..<4 { try fixture.fill(.mem, page: page) }
        let fills = (0..<4).map { fixture.begin(.fill(pages: 1), Self.view0, page: $0) }
        #expect(fills.map(\.error) == [nil, nil, .overloaded, .overloaded])
        try directory.checkInvariants()
        #expect(try fixture.recallAll() == 1)
        #expect(fills[0].isGranted && fills[1].isGranted)
        #expect(fixture.begin(.fill(pages: 1), Self.view0, page: 2).isWaiting)
    }

    @Test("draining fails everything that waits, and everything that would")
    func drain() throws {
        #expect(try fixture.changeMode(to: .none).isGranted)
        fixture.setTags(1, page: 2)
        for page in 0..<4 { try fixture.fill(Self.view0, page: page) }
        let granted = fixture.begin(.write, .mem, page: 9)
        let waiting = [
            fixture.begin(.write, .mem, page: 0), fixture.begin(.fill(pages: 1), .mem, page: 1),
            fixture.begin(.read, .mem, page: 0), try fixture.changeMode(to: .sync),
            try fixture.afterRecalls(),
        ]
        #expect(waiting.allSatisfy { $0.isWaiting })
        directory.drain()
        try fixture.goOn()
        #expect(waiting.map(\.error) == Array(repeating: .unmounting, count: waiting.count))
        #expect(directory.nextRecall() == nil)
        try fixture.end(granted)
        #expect(fixture.begin(.write, .mem, page: 3).error == .unmounting)
        #expect(try fixture.afterRecalls().error == .unmounting)
        #expect(try fixture.changeMode(to: .async).error == .unmounting)
        #expect(fixture.begin(.write, .mem, page: 9).isGranted)
        directory.drain()
        try fixture.goOn()
        #expect(waiting.allSatisfy { $0.count == 1 })
    }

    @Test("an operation that is decided before it is left is run when it is left, once")
    func decidedEarly() throws {
        let write = fixture.begin(.write, .mem, page: 1)
        let asked = MemoryAccess(
            .write, Alias(object: .physical, kind: .mem), at: fixture.offset(1, .mem), count: 1)
        guard case .queued(let ticket) = directory.begin(asked) as Begun else {
            Issue.record("granted twice")
            return
        }
        try fixture.end(write)
        let operation = DirectoryFixture.Operation()
        directory.wait(ticket, operation)
        directory.runReady()
        #expect(operation.isGranted)
        try fixture.end(operation)
    }

    @Test("a page of hexadecimal tags and a page of packed tags recall one another")
    func tagFiles() throws {
        try fixture.fill(.tags, page: 0)
        let lower = fixture.begin(.fill(pages: 1), .tagsHex, page: 0)
        let upper = fixture.begin(.fill(pages: 1), .tagsHex, page: 16)
        #expect(try fixture.recallAll() == 1)
        #expect(lower.isGranted && upper.isGranted)
        try fixture.end(lower)
        try fixture.end(upper)
        let storage = fixture.begin(.write, .mem, at: 0x40000, count: 1)
        #expect(storage.isWaiting)
        try fixture.finish(fixture.nextRecall(.tagsHex, page: 0))
        #expect(storage.isGranted)
        #expect(directory.nextRecall() == nil)
    }
}
