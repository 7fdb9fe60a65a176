import TagMemCore

@testable import TagMemFS

/// Page cache mode: reads fill pages, and writes go to the kernel's own pages before the daemon is asked.
///
/// A page that is up to date, or that a write covers as a whole, gets the bytes and is unlocked before WRITE is sent: it
/// can be stored to, written back and recalled meanwhile. A part of a page that is not there keeps it locked until WRITE is
/// answered, and is the last of its request. After an answer that says less than was asked, what was not written is out of
/// date; a page that a program stored to meanwhile comes back nevertheless.
extension ObjectKernel {
    /// WRITE, on its way.
    final class CachedRequest: CachedWriteFile, CustomStringConvertible, @unchecked Sendable {
        unowned let kernel: ObjectKernel
        let file: File
        let offset: UInt64
        let value: UInt8
        /// The pages that have its bytes, and which.
        let parts: [(page: UInt64, range: Range<Int>)]
        /// Where it stands among all that were sent.
        var number: UInt64 = 0
        /// How many are in memory.
        var stored = 0
        /// Whether the file ends in it.
        var isCut = false

        init(
            _ kernel: ObjectKernel, _ file: File, _ offset: UInt64, _ value: UInt8,
            _ parts: [(page: UInt64, range: Range<Int>)]
        ) {
            self.kernel = kernel
            self.file = file
            self.offset = offset
            self.value = value
            self.parts = parts
        }

        var directory: CoherenceDirectory { kernel.directory }
        var node: NodeID { NodeID(object: file.alias.object.number, role: file.kind.role) }
        var count: Int { parts.reduce(0) { $0 + $1.range.count } }
        var description: String { "cached write \(value) \(file) 0x\(String(offset, radix: 16))+\(count)" }

        func access(
            _ purpose: MemoryAccess.Purpose, at offset: UInt64, count: Int, user: UInt32
        ) throws(FileError) -> MemoryAccess {
            MemoryAccess(purpose, file.alias, at: offset, count: count, tag: file.tag, user: user)
        }

        func store(
            _ bytes: UnsafeRawBufferPointer, _ access: MemoryAccess, thread: Int32
        ) throws(FileError) -> Int {
            try kernel.store(self, access)
        }
    }

    // MARK: The kernel's part

    func beginCachedWrite(_ file: File, _ offset: UInt64, _ count: Int) {
        guard isSettled(file, offset, count) else { return }
        let value = randomValue()
        var parts: [(page: UInt64, range: Range<Int>)] = []
        var position = offset
        // As max_write is one page.
        let end = offset + UInt64(min(count, 4096))
        while position < end {
            let start = Page.start(position)
            let range = Int(position - start)..<Int(min(end - start, 4096))
            let page = file.pages[start]
            if page?.isLocked == true || page?.isWriting == true { break }
            parts.append((start, range))
            let bytes = Array(repeating: value, count: range.count)
            if page?.bytes != nil {
                file.pages[start]?.bytes?.replaceSubrange(range, with: bytes)
                file.pages[start]?.pending = range
            } else if range.count == 4096 {
                file.pages[start] = CachePage(bytes: bytes, pending: range, isNew: true)
            } else {
                var partial = [UInt8](repeating: 0xdd, count: 4096)
                partial.replaceSubrange(range, with: bytes)
                file.pages[start] = CachePage(isLocked: true, partial: partial, pending: range)
                break
            }
            position = start + 4096
        }
        if parts.isEmpty { return }
        file.isLocked = true
        let request = CachedRequest(self, file, offset, value, parts)
        note("\(request)")
        outstanding[ObjectIdentifier(request)] = request.description
        cachedWrites.append(request)
        send(.cachedWrite(request))
    }

    func begin(_ request: CachedRequest) {
        let bytes = Array(repeating: request.value, count: request.count)
        CachedWrite(request, at: request.offset, bytes, user: 0, thread: 0, number: request.number) {
            [self] count, error in
            answered(request, count, error)
        }.begin()
    }

    private func answered(_ request: CachedRequest, _ written: Int, _ error: FileError?) {
        // A dirty page that a write with an error was in is read anew by the kernel, over what was stored to it.
        let isDirty = request.parts.contains { offset, _ in
            request.file.pages[offset].map { $0.isDirty || $0.isWriting } ?? false
        }
        let isLost = !isDirty && isAnswerLost(request)
        let count = isLost ? 0 : written
        note("\(request): \(error.map { "\($0)" } ?? "\(written) written")")
        if outstanding.removeValue(forKey: ObjectIdentifier(request)) == nil {
            failure = "answered twice: \(request)"
        }
        cachedWrites.removeAll { $0 === request }
        if written < request.stored { failure = "in memory, and answered with \(written) bytes: \(request)" }
        let expected: [FileError] = [.tagCheckFault, .noSpace, .pastEnd, .hole, .notTaggable]
        if let error, !expected.contains(error), !(isDraining && error == .unmounting) {
            failure = "failed with \(error): \(request)"
        }
        var left = count
        for (offset, range) in request.parts {
            let isDone = left >= range.count
            left = max(0, left - range.count)
            // The page may have been dropped and be another's by now.
            guard let page = request.file.pages[offset], page.pending == range else { continue }
            request.file.pages[offset]?.pending = nil
            if isDone, let tail = page.tail, range.contains(tail) || range.upperBound == tail {
                request.file.pages[offset]?.tail = range.upperBound < 4096 ? range.upperBound : nil
            }
            if page.bytes == nil || !isDone && !page.isDirty && !page.isWriting {
                request.file.pages[offset] = nil
            } else if !isDone, !request.isCut {
                // What was stored to it meanwhile need not come back.
                request.file.pages[offset]?.isRefused = true
            }
        }
        request.file.isLocked = false
        if request.file.kind == .mem, let object = request.file.object {
            object.size = memory(of: object).size
            for (offset, _) in request.parts { keepTail(of: object, offset) }
            checkTails(of: object)
        }
    }

    /// A write has made the object larger within a page. What was stored behind the end may have come back by now; if not,
    /// it is the object's like all that is stored there from here on.
    private func keepTail(of object: Object, _ offset: UInt64) {
        guard let page = object.mem.pages[offset], let bytes = page.bytes, let tail = page.tail,
            offset + UInt64(tail) < object.size
        else { return }
        let end = min(4096, Int(object.size - offset))
        object.mem.pages[offset]?.tail = end < 4096 ? end : nil
        if page.isRefused { return }
        object.mem.pages[offset]?.isDirty = true
        forEachKnown(of: footprint(object.mem, offset, end), tail..<end) { _, position, count, place in
            remember(bytes[position..<position + count], at: place)
        }
    }

    /// Whether the model knows all that a cached write to an object leaves in the kernel's pages; for `phys`, to all
    /// objects.
    private func isSettled(_ file: File, _ offset: UInt64, _ count: Int) -> Bool {
        if let object = file.object { return object.unsettled.isEmpty }
        var known = 0
        forEachKnown(of: footprint(file, offset, count)) { _, _, count, _ in known += count }
        return known == count
    }

    /// Whether there are cached writes to an object, or to `phys`, which the model would lose sight of.
    func hasCachedWrites(_ object: Object?) -> Bool {
        cachedWrites.contains { $0.file.object == nil || $0.file.object === object }
    }

    // MARK: The daemon's part

    /// As views store what is written. What a program stored to the page after the write had left its bytes there comes
    /// later than the write.
    fileprivate func store(_ request: CachedRequest, _ access: MemoryAccess) throws(FileError) -> Int {
        var allowed = access.count
        if let tag = request.file.tag, access.mode.effect(onStore: true) == .fault,
            let mismatch = dram.firstMismatch(of: tag, in: access.footprint, count: access.count)
        {
            allowed = mismatch.position
        }
        note("\(request): \(allowed) of \(access.count) to \(access.offset)")
        if allowed == 0 { throw .tagCheckFault }
        request.isCut = allowed == access.count && access.count < access.requested
        // What is stored to a page that was not given, and of which a part is refused, does not come back.
        let isKept = access.wasHeld || allowed == access.count
        let caching = cachingPages()
        for index in access.footprint.spans.indices {
            for line in access.footprint.spans[index].lines {
                if let (file, _) = caching[line], file !== request.file {
                    failure = "\(request) writes what \(file) caches"
                }
            }
        }
        let start = Page.start(access.offset)
        let first = Int(access.offset - start)
        let page = request.file.pages[start]
        let isIgnored = writebacks.contains {
            $0.file === request.file && $0.offset == start && $0.access?.footprint.count == 0
        }
        forEachKnown(of: access.footprint, 0..<allowed) { address, position, count, place in
            let bytes = Array(repeating: request.value, count: count)
            write(bytes[...], to: address)
            var last = bytes
            if isKept, let page, let own = page.bytes, page.isDirty || page.isWriting && !isIgnored,
                !page.isRefused
            {
                for index in 0..<min(count, max(0, (page.tail ?? 4096) - first - position)) {
                    last[index] = own[first + position + index]
                }
            }
            remember(last[...], at: place)
            // A page that came back before and was ignored shows what it was ignored for.
            if let own = page?.bytes, own[first + position..<first + position + count] != last[...] {
                request.file.pages[start]?.isApart = true
            }
        }
        request.file.pages[start]?.isNew = false
        request.stored += allowed
        return allowed
    }

    /// A page that comes back brings what was written to it and not asked for yet.
    func rememberPending(_ page: CachePage, _ footprint: Footprint) {
        guard let bytes = page.bytes, let pending = page.pending else { return }
        let end = min(pending.upperBound, page.tail ?? 4096, footprint.count)
        guard pending.lowerBound < end else { return }
        forEachKnown(of: footprint, pending.lowerBound..<end) { _, position, count, place in
            remember(bytes[position..<position + count], at: place)
        }
    }

    /// Whether the directory does not know yet, or not any more, that the kernel has a page.
    func isUnknown(_ page: CachePage, _ file: File, _ offset: UInt64) -> Bool {
        if page.isRefused || page.isNew { return true }
        guard page.pending == 0..<4096 else { return false }
        return directory.look { state in
            state.lines(ofPageAt: offset, of: file.kind, file.alias.object).contains {
                state.lines[$0].holder != file.alias.holder
            }
        }
    }
}
