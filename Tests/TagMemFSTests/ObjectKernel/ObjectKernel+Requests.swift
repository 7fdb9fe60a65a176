import TagMemCore

@testable import TagMemFS

/// Reads, writes and fills, as `MemoryFile` serves them.
extension ObjectKernel {
    func submit(_ request: Request) {
        note("\(request)")
        outstanding[ObjectIdentifier(request)] = request.description
        attempt(request)
    }

    private func attempt(_ request: Request) {
        request.attempts += 1
        if request.attempts > 200 {
            failure = "begun again and again: \(request)"
            return
        }
        let file = request.file
        let isWrite = request.purpose == .write
        if isWrite, file.kind == .mem, let object = file.object,
            request.offset + UInt64(request.count) > object.aliases.object.size
        {
            let end = request.offset + UInt64(request.count)
            return memory.grow(file.aliases, over: request.offset..<end, then: again(request))
        }
        let footprint = directory.footprint(
            of: file.kind, file.aliases, at: request.offset, count: request.count, handsOut: request.isFill)
        guard footprint.count > 0 else { return drop(request) }
        if footprint.needsPages, request.isFill || isWrite {
            if request.count > 4096, request.isFill { return drop(request) }
            let scale = file.kind.scale
            let start = request.offset * scale
            let length = footprint.count * (file.kind.showsTags ? 32 : 1)
            return memory.populate(
                file.aliases, start..<start + UInt64(length), then: again(request))
        }
        if request.isFill, footprint.count <= (request.count / 4096 - 1) * file.pageBytes {
            return drop(request)
        }
        let claim = Claim(
            request.purpose, aliases: file.aliases, kind: file.kind, checkedTag: request.tag,
            footprint: footprint)
        request.claim = claim
        switch directory.begin(claim) {
        case .decided(let grant): decided(request, grant)
        case .queued(let waiter):
            if request.isFill, request.count > 4096 { failure = "a fill of several pages waits: \(request)" }
            directory.wait(waiter, request)
        }
    }

    private func again(_ request: Request) -> Answer {
        Answer { [self] error in
            guard let error else { return attempt(request) }
            if error != .noSpace { failure = "\(request) failed with \(error)" }
            drop(request)
        }
    }

    func decided(_ request: Request, _ grant: Grant) {
        note("\(request): \(grant)")
        switch grant {
        case .granted(let mode):
            request.mode = mode
            clock += 1
            request.granted = clock
            request.cuts = request.file.object?.cuts ?? 0
            granted.append(request)
        case .stale:
            attempt(request)
        case .mismatch:
            if !request.isFill { failure = "refused for its tags: \(request)" }
            drop(request)
        case .failed(let error):
            if error != .readaheadRefused { failure = "failed with \(error): \(request)" }
            drop(request)
        }
    }

    /// The request has an answer.
    private func drop(_ request: Request) {
        outstanding[ObjectIdentifier(request)] = nil
        if request.isFill {
            for offset in request.offsets {
                if request.file.pages[offset]?.bytes == nil { request.file.pages[offset] = nil }
                request.file.pages[offset]?.isLocked = false
            }
        }
        if request.purpose == .write {
            request.file.isLocked = false
            if request.file.kind == .mem, let object = request.file.object {
                object.size = object.aliases.object.size
            }
        }
    }

    /// Copies and answers.
    func finish(_ request: Request) {
        guard let claim = request.claim else { return }
        granted.removeAll { $0 === request }
        note("\(request): done")
        checkPlace(of: request.file, request.offset, request.count, claim.footprint, cuts: request.cuts)
        switch request.purpose {
        case .read: checkRead(request, claim)
        case .write: copy(request, claim)
        case .fill:
            var position = 0
            for offset in request.offsets {
                let part = position..<min(position + request.file.pageBytes, claim.footprint.count)
                checkFill(request, claim, part)
                let bytes = content(claim.footprint, count: position + request.file.pageBytes)
                request.file.pages[offset]?.bytes = Array(bytes[position...])
                clock += 1
                request.file.pages[offset]?.filled = clock
                position += request.file.pageBytes
            }
        case .cachedWrite, .writeback: break
        }
        drop(request)
        directory.end(claim)
    }

    private func copy(_ request: Request, _ claim: Claim) {
        var allowed = claim.footprint.count
        if let tag = request.tag, request.mode.effect(onStore: true) == .fault {
            forEachLine(of: claim.footprint, 0..<allowed) { address, position, count in
                guard position < allowed else { return }
                if let mismatch = dram.firstMismatch(of: tag, at: address, count: count) {
                    allowed = min(allowed, position + Int(mismatch - address))
                }
            }
        }
        let caching = cachingPages()
        for index in claim.footprint.spans.indices {
            for line in claim.footprint.spans[index].lines {
                if let (file, _) = caching[line] { failure = "\(request) writes what \(file) caches" }
            }
        }
        forEachKnown(of: claim.footprint, 0..<allowed) { address, _, count, place in
            let bytes = Array(repeating: request.value, count: count)[...]
            write(bytes, to: address)
            remember(bytes, at: place)
        }
    }

    /// What is read is what was last written, save for what was stored meanwhile: through the file itself, or through
    /// pages that were filled since.
    private func checkRead(_ request: Request, _ claim: Claim) {
        let caching = cachingPages()
        forEachKnown(of: claim.footprint) { address, _, count, place in
            if isInMemory(model(place, count), address) { return }
            let line = caching.first { key, value in
                guard let page = value.file.pages[value.offset], page.isDirty || page.isWriting else {
                    return false
                }
                return (value.file === request.file || page.filled > request.granted)
                    && directory.table.location(of: key).address.rawValue
                        == address.rawValue & ~(directory.table.size(of: key) - 1)
            }
            if line == nil { failure = "\(request) read something old at \(address)" }
        }
    }

    private func checkFill(_ request: Request, _ claim: Claim, _ part: Range<Int>) {
        forEachKnown(of: claim.footprint, part) { address, _, count, place in
            if !isInMemory(model(place, count), address) {
                failure = "\(request) was given something old at \(address)"
            }
        }
    }
}
