import TagMemCore

@testable import TagMemFS

/// What happens when the directory decides, when a granted request is done, and what recalls do.
extension SimulatedKernel {
    func decided(_ request: Request, _ grant: Decided) {
        let position = waiting.firstIndex { $0 === request }
        if (position != nil) != request.wasQueued {
            failure = "decided twice: \(request)"
            return
        }
        note("\(request): \(grant)")
        switch grant {
        case .granted(let access):
            request.claim = access
            request.mode = access.mode
            checkGrant(request)
            granted.append(request)
        case .mismatch(let access, let address):
            guard case .fill(let filled) = request.kind else {
                failure = "refused for its tags: \(request)"
                break
            }
            // One that waited may hear of it when the tags are others again.
            if !access.mode.refusesMismatchingPages || !request.wasQueued && naiveMismatch(access) != address
            {
                failure =
                    "refused a fill at \(String(describing: address)) in mode \(access.mode), expected"
                    + " \(String(describing: naiveMismatch(access)))"
            }
            for index in filled { pages[index].isLocked = false }
        case .endOfFile:
            failure = "the end, where there is none: \(request)"
        case .failed(let error):
            guard case .fill(let filled) = request.kind, filled.count > 1, error == .readaheadRefused else {
                failure = "failed with \(error): \(request)"
                break
            }
            for index in filled { pages[index].isLocked = false }
        }
        if let position { waiting.remove(at: position) }
    }

    /// A change, or a wait for recalls, is done.
    func changed(_ request: Request, _ error: FileError?) {
        guard let position = waiting.firstIndex(where: { $0 === request }), error == nil else {
            failure = "answered twice, or with an error: \(request)"
            return
        }
        note("\(request): done")
        switch request.kind {
        case .modeChange(let wanted): checkModeChange(request, wanted)
        case .sync(let recalled): checkSync(request, recalled)
        case .directRead, .directWrite, .fill, .cachedWrite: failure = "no change: \(request)"
        }
        waiting.remove(at: position)
    }

    /// Copies and answers.
    func finish(_ request: Request) {
        guard let claim = request.claim else { return }
        note("\(request): done")
        if claim.checksDirectly, directory.mode(of: .physical) != request.mode {
            failure = "the mode changed under \(request)"
        }
        var changed: [Int] = []
        switch request.kind {
        case .directRead:
            checkRead(request, claim)
        case .directWrite(let value):
            let count = allowedCount(claim, request.mode, claim.footprint, 0..<claim.footprint.count)
            let bytes = Array(repeating: value, count: count)
            checkUncached(request, claim)
            write(bytes, to: claim.footprint, from: 0)
            remember(bytes, in: claim.footprint, from: 0)
        case .fill(let filled):
            for index in filled {
                pages[index].isLocked = false
                keep(content(pages[index].footprint), in: index)
            }
        case .cachedWrite(let index, let part, let value):
            changed = finishCachedWrite(request, claim, index, part, value)
        case .modeChange, .sync:
            break
        }
        directory.end(claim)
        for line in changed
        where cachingPage[line] >= 0 && pages[cachingPage[line]].kind.isView
            && !directory.line(line).isRecalled
        {
            failure = "\(request) changed tags of line \(line), which a view keeps"
        }
    }

    /// Returns the data lines whose tags were changed.
    private func finishCachedWrite(
        _ request: Request, _ claim: MemoryAccess, _ index: Int, _ part: Range<Int>, _ value: UInt8
    ) -> [Int] {
        let page = pages[index]
        let count = allowedCount(claim, request.mode, page.footprint, part)
        let bytes = Array(repeating: value, count: count)
        let written = part.lowerBound..<part.lowerBound + count
        // The page may be dirty elsewhere: only these bytes go to memory.
        let changed = changedDataLines(bytes, page.footprint, from: part.lowerBound)
        write(bytes, to: page.footprint, from: part.lowerBound)
        remember(bytes, in: page.footprint, from: part.lowerBound)
        pages[index].isLocked = false
        if page.bytes != nil {
            pages[index].bytes?.replaceSubrange(written, with: bytes)
        } else if written == 0..<page.footprint.count {
            keep(bytes, in: index)
        }
        return changed
    }

    /// How many bytes of a checked write are done.
    private func allowedCount(
        _ claim: MemoryAccess, _ mode: TagCheckMode, _ footprint: Footprint, _ part: Range<Int>
    ) -> Int {
        guard let tag = claim.tag, mode.effect(onStore: true) == .fault else { return part.count }
        var allowed = part.count
        forEachPiece(of: footprint, part) { address, position, count in
            guard allowed == part.count,
                let mismatch = dram.firstMismatch(of: tag, at: address, count: count)
            else { return }
            allowed = position - part.lowerBound + Int(mismatch - address)
        }
        return allowed
    }

    // MARK: The page cache

    private func keep(_ bytes: [UInt8], in index: Int) {
        pages[index].bytes = bytes
        pages[index].isDirty = false
        for line in pages[index].lines {
            if cachingPage[line] >= 0 {
                failure =
                    "line \(line) is cached through \(pages[cachingPage[line]].kind) and \(pages[index].kind)"
            }
            cachingPage[line] = index
        }
    }

    func drop(_ index: Int) {
        pages[index].bytes = nil
        pages[index].isDirty = false
        for line in pages[index].lines { cachingPage[line] = -1 }
    }

    /// A write-back: the daemon serves it at once.
    func writeBack(_ index: Int) {
        guard let bytes = pages[index].bytes else { return }
        note("write back \(pages[index].kind) 0x\(String(pages[index].offset, radix: 16))")
        pages[index].isDirty = false
        let changed = changedDataLines(bytes, pages[index].footprint, from: 0)
        write(bytes, to: pages[index].footprint, from: 0)
        directory.recallViews(of: changed)
    }

    /// The data lines whose tags these bytes change.
    private func changedDataLines(_ bytes: [UInt8], _ footprint: Footprint, from start: Int) -> [Int] {
        var changed: [Int] = []
        forEachPiece(of: footprint, start..<start + bytes.count) { address, position, count in
            guard let run = dram.bankRun(at: address, limit: count),
                dram.map.banks[run.region].kind == .tagStorage
            else { return }
            var done = 0
            while done < count {
                let part = address + UInt64(done)
                let length = min(count - done, 128 - Int(part.rawValue % 128))
                let offset = position - start + done
                let isSame = unsafe bytes[offset..<offset + length].withUnsafeBytes {
                    unsafe dram.equals($0, at: part)
                }
                if !isSame {
                    changed += directory.map.span(at: part, count: length, inRegion: run.region).companions
                }
                done += length
            }
        }
        return changed
    }

    // MARK: The recall thread

    var isRecallerIdle: Bool {
        if case .asleep = recaller { semaphore.count == 0 } else { false }
    }

    /// Whether the thread neither sleeps nor waits for the lock of a page.
    var canRecallerGoOn: Bool {
        switch recaller {
        case .asleep: semaphore.count > 0
        case .lookingForWork, .returning: true
        case .recalling(let job, let offset):
            !(pageIndices[PageKey(kind: job.kind, offset: offset)].map { pages[$0].isLocked } ?? false)
        }
    }

    func continueRecall() {
        switch recaller {
        case .asleep:
            semaphore.consume()
            recaller = .lookingForWork
        case .lookingForWork:
            guard let job = directory.nextRecall() else {
                recaller = .asleep
                return
            }
            note("recall \(job.kind) 0x\(String(job.offset, radix: 16))+\(job.length)")
            recaller = .recalling(job, offset: job.offset)
        case .recalling(let job, let offset):
            guard let index = pageIndices[PageKey(kind: job.kind, offset: offset)] else {
                failure = "a page is recalled that nobody has: \(job.kind) \(offset)"
                return
            }
            if pages[index].bytes != nil {
                if pages[index].isDirty { writeBack(index) }
                drop(index)
            }
            let next = offset + Page.size
            recaller =
                next < job.offset + job.length ? .recalling(job, offset: next) : .returning(job)
        case .returning(let job):
            note("recalled \(job.kind) 0x\(String(job.offset, radix: 16))")
            recaller = .lookingForWork
            directory.finishRecall(job.lane)
        }
    }
}
