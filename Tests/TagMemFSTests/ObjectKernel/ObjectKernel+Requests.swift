import TagMemCore

@testable import TagMemFS

/// Reads, writes and fills, as `MemoryFile` serves them.
extension ObjectKernel {
    func submit(_ request: Request) {
        note("\(request)")
        outstanding[ObjectIdentifier(request)] = request.description
        send(.access(request))
    }

    func decided(_ request: Request, _ grant: Decided) {
        note("\(request): \(grant.summary)")
        switch grant {
        case .granted(let access):
            request.access = access
            check(request, granted: access)
            clock += 1
            request.granted = clock
            request.cuts = request.file.object?.cuts ?? 0
            granted.append(request)
        case .mismatch:
            if !request.isFill { failure = "refused for its tags: \(request)" }
            drop(request)
        case .endOfFile:
            if shape.pageCache, request.isFill, request.count == 4096 {
                // The kernel takes it for a page of zeros.
                request.file.pages[request.offset]?.bytes = Array(repeating: 0, count: 4096)
            } else if request.purpose != .read {
                failure = "answered with nothing: \(request)"
            }
            drop(request)
        case .failed(let error):
            let expected: [FileError] = [.readaheadRefused, .noSpace, .pastEnd, .hole, .notTaggable]
            if isDraining, error == .unmounting { return drop(request) }
            if !expected.contains(error) { failure = "failed with \(error): \(request)" }
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
                object.size = memory(of: object).size
                checkTails(of: object)
            }
        }
    }

    /// Copies and answers.
    func finish(_ request: Request) {
        guard let access = request.access else { return }
        granted.removeAll { $0 === request }
        note("\(request): done")
        checkPlace(of: request.file, request.offset, request.count, access.footprint, cuts: request.cuts)
        switch request.purpose {
        case .read: checkRead(request, access.footprint)
        case .write:
            copy(request, access)
            // What a write did is known however it is answered, once the kernel has asked for the size.
            _ = isAnswerLost(request)
        case .fill:
            let pages = filled(request, access)
            if isAnswerLost(request) { break }
            if shape.pageCache {
                putUpLate(request, pages)
                directory.end(access)
                if request.isServed { busyServers -= 1 }
                return
            }
            for page in pages { putUp(page, request.file) }
        case .instruction(let data, let tags): perform(request, access, data, tags)
        case .cachedWrite, .writeback: break
        }
        drop(request)
        directory.end(access)
        if request.isServed { busyServers -= 1 }
    }

    /// Whether the transport fails: the client gets an error, and the kernel nothing.
    func isAnswerLost(_ request: some CustomStringConvertible) -> Bool {
        guard shape.losesAnswers, generator.oneIn(8) else { return false }
        note("\(request): the answer is lost")
        return true
    }

    /// What a fill answers with, page by page.
    private func filled(_ request: Request, _ access: MemoryAccess) -> [(offset: UInt64, bytes: [UInt8])] {
        var position = 0
        return request.offsets.map { offset in
            let end = position + request.file.pageBytes
            defer { position = end }
            checkFill(request, access, position..<min(end, access.footprint.count))
            return (offset, Array(content(access.footprint, count: end)[position...]))
        }
    }

    private func putUp(_ page: (offset: UInt64, bytes: [UInt8]), _ file: File) {
        file.pages[page.offset]?.bytes = page.bytes
        clock += 1
        file.pages[page.offset]?.filled = clock
    }

    /// The kernel puts pages up, and unlocks them, one by one and later than they are answered.
    private func putUpLate(_ request: Request, _ pages: [(offset: UInt64, bytes: [UInt8])]) {
        for page in pages {
            request.late += 1
            filling.append { [self] in
                putUp(page, request.file)
                request.file.pages[page.offset]?.isLocked = false
                request.late -= 1
                if request.late == 0 { outstanding[ObjectIdentifier(request)] = nil }
            }
        }
    }

    private func copy(_ request: Request, _ access: MemoryAccess) {
        var allowed = access.footprint.count
        if let tag = request.tag, access.mode.effect(onStore: true) == .fault {
            forEachLine(of: access.footprint, 0..<allowed) { address, position, count in
                guard position < allowed else { return }
                if let mismatch = dram.firstMismatch(of: tag, at: address, count: count) {
                    allowed = min(allowed, position + Int(mismatch - address))
                }
            }
        }
        fill(access.footprint, 0..<allowed, with: request.value, request)
    }

    /// Writes one value to memory that nobody caches.
    func fill(_ footprint: Footprint, _ part: Range<Int>? = nil, with value: UInt8, _ request: Request) {
        let caching = cachingPages()
        for index in footprint.spans.indices {
            for line in footprint.spans[index].lines {
                if let (file, _) = caching[line] { failure = "\(request) writes what \(file) caches" }
            }
        }
        forEachKnown(of: footprint, part) { address, _, count, place in
            let bytes = Array(repeating: value, count: count)[...]
            write(bytes, to: address)
            remember(bytes, at: place)
        }
    }

    /// What is read is what was last written, save for what was stored meanwhile: through the file itself, or through
    /// pages that were filled since, or that were clean still.
    func checkRead(_ request: Request, _ footprint: Footprint) {
        let caching = cachingPages()
        forEachKnown(of: footprint) { address, _, count, place in
            if isInMemory(model(place, count), address) { return }
            let line = caching.first { key, value in
                guard let page = value.file.pages[value.offset], page.isDirty || page.isWriting else {
                    return false
                }
                let isOwn = value.file === request.file && !request.isOfCore
                return (isOwn || max(page.filled, page.stored) > request.granted)
                    && directory.map.location(of: key).address.rawValue
                        == address.rawValue & ~(directory.map.size(of: key) - 1)
            }
            if line == nil { failure = "\(request) read something old at \(address)" }
        }
    }

    private func checkFill(_ request: Request, _ access: MemoryAccess, _ part: Range<Int>) {
        forEachKnown(of: access.footprint, part) { address, _, count, place in
            if !isInMemory(model(place, count), address) {
                failure = "\(request) was given something old at \(address)"
            }
        }
    }
}

extension Decided {
    /// For the trace.
    fileprivate var summary: String {
        switch self {
        case .granted(let access): "granted \(access.count)"
        case .mismatch(_, let address): "mismatch at \(address.map { "\($0)" } ?? "a hole")"
        case .endOfFile: "end of file"
        case .failed(let error): "\(error)"
        }
    }
}
