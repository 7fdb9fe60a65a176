import TagMemCore

@testable import TagMemFS

/// Memory, the page caches and the model of what was last written.
extension SimulatedKernel {
    /// Calls `body` with address, position in the footprint and length of the memory in a part of a footprint.
    func forEachPiece(
        of footprint: Footprint, _ part: Range<Int>, _ body: (PhysicalAddress, Int, Int) -> Void
    ) {
        var position = 0
        for index in footprint.pieces.indices {
            let count = footprint.pieces[index].count
            let common = (position..<position + count).clamped(to: part)
            if case .memory(let address, _) = footprint.pieces[index], !common.isEmpty {
                body(address + UInt64(common.lowerBound - position), common.lowerBound, common.count)
            }
            position += count
        }
    }

    func write(_ bytes: [UInt8], to footprint: Footprint, from start: Int) {
        forEachPiece(of: footprint, start..<start + bytes.count) { address, position, count in
            unsafe bytes[position - start..<position - start + count].withUnsafeBytes {
                unsafe dram.write($0, to: address)
            }
        }
    }

    /// What memory holds.
    func content(_ footprint: Footprint) -> [UInt8] {
        var result = [UInt8](repeating: 0, count: footprint.count)
        forEachPiece(of: footprint, 0..<footprint.count) { address, position, count in
            unsafe result[position..<position + count].withUnsafeMutableBytes {
                unsafe dram.read($0, from: address)
            }
        }
        return result
    }

    /// What was last written.
    func modelContent(_ footprint: Footprint) -> [UInt8] {
        var result = [UInt8](repeating: 0, count: footprint.count)
        forEachPiece(of: footprint, 0..<footprint.count) { address, position, count in
            let (region, offset) = place(of: address)
            result.replaceSubrange(position..<position + count, with: model[region][offset..<offset + count])
        }
        return result
    }

    /// Notes that these bytes were written.
    func remember(_ bytes: [UInt8], in footprint: Footprint, from start: Int) {
        forEachPiece(of: footprint, start..<start + bytes.count) { address, position, count in
            let (region, offset) = place(of: address)
            let part = Array(bytes[position - start..<position - start + count])
            model[region].replaceSubrange(offset..<offset + count, with: part)
            history.append(.init(region: region, offset: offset, bytes: part))
        }
    }

    func place(of address: PhysicalAddress) -> (region: Int, offset: Int) {
        let region = dram.map.banks.firstIndex { $0.contains(address) } ?? 0
        return (region, Int(address - dram.map.banks[region].start))
    }

    // MARK: Checks

    /// The first byte of a claim that its tag refuses.
    func naiveMismatch(_ claim: MemoryAccess) -> PhysicalAddress? {
        guard let tag = claim.tag else { return nil }
        var mismatch: PhysicalAddress?
        forEachPiece(of: claim.footprint, 0..<claim.footprint.count) { address, _, count in
            mismatch = mismatch ?? dram.firstMismatch(of: tag, at: address, count: count)
        }
        return mismatch
    }

    func checkGrant(_ request: Request) {
        guard let claim = request.claim else { return }
        for other in granted {
            if request.conflicts(with: other) { failure = "\(request) was granted during \(other)" }
            checkTagsAreStable(request, under: other)
            checkTagsAreStable(other, under: request)
        }
        switch claim.purpose {
        case .write:
            checkUncached(request, claim)
        case .fill:
            // Tags that came back since it was decided, for which nobody waits, take the page away again.
            let isRecalled = claim.footprint.spans.indices.contains { index in
                claim.footprint.spans[index].lines.contains { directory.line($0).isRecalled }
            }
            if claim.tag != nil, request.mode.refusesMismatchingPages, naiveMismatch(claim) != nil,
                !isRecalled
            {
                failure = "granted against the tags: \(request)"
            }
        case .read, .cachedWrite, .writeback, .instruction:
            break
        }
    }

    /// Nobody changes the tags that a request checks.
    private func checkTagsAreStable(_ request: Request, under writer: Request) {
        guard let claim = writer.claim, claim.isWrite else { return }
        for lines in request.checkedLines {
            for index in claim.footprint.spans.indices
            where claim.footprint.spans[index].lines.overlaps(lines) {
                failure = "\(writer) changes the tags that \(request) checks"
            }
        }
    }

    func checkUncached(_ request: Request, _ claim: MemoryAccess) {
        for index in claim.footprint.spans.indices {
            let span = claim.footprint.spans[index]
            for line in span.lines where cachingPage[line] >= 0 {
                failure = "\(request) writes line \(line), which \(pages[cachingPage[line]].kind) caches"
            }
            guard span.isTagStorage else { continue }
            for line in span.companions where cachingPage[line] >= 0 && pages[cachingPage[line]].kind.isView {
                failure =
                    "\(request) changes tags of line \(line), which \(pages[cachingPage[line]].kind) caches"
            }
        }
    }

    /// A read may see what memory held at any time while it was under way, and nothing else.
    func checkRead(_ request: Request, _ claim: MemoryAccess) {
        let bytes = content(claim.footprint)
        if bytes == modelContent(claim.footprint) || bytes == request.contentBefore { return }
        forEachPiece(of: claim.footprint, 0..<bytes.count) { address, position, count in
            let (region, offset) = place(of: address)
            for index in 0..<count {
                let byte = bytes[position + index]
                if byte == model[region][offset + index] || byte == request.contentBefore[position + index]
                    || history.mayHave(
                        byte, region: region, offset: offset + index, since: request.historyPosition)
                {
                    continue
                }
                failure =
                    "\(request) read \(byte) at \(address + UInt64(index)), last \(model[region][offset + index])"
                return
            }
        }
    }

    func checkModeChange(_ request: Request, _ mode: TagCheckMode) {
        // Changes that were decided together are answered one after the other; then the last one is in force.
        let laterModes = waiting.compactMap { later in
            if case .modeChange(let mode) = later.kind, later.number > request.number { mode } else { nil }
        }
        if directory.mode(of: .physical) != mode, !laterModes.contains(directory.mode(of: .physical)) {
            failure = "\(request) was answered and is not in force"
        }
    }

    func checkSync(_ request: Request, _ recalled: [(page: Int, instance: Int)]) {
        for (index, instance) in recalled where pages[index].instance == instance && pages[index].bytes != nil
        {
            failure = "\(request) was answered before \(pages[index].kind) gave its page back"
        }
    }

    /// What holds at every step: what is cached is held, and views show what the tags allow, or are about to lose it.
    func checkSteady() throws {
        let refuses = directory.mode(of: .physical).refusesMismatchingPages
        for page in pages where page.bytes != nil {
            for line in page.lines where directory.line(line).holder != page.kind.rawValue {
                throw fail("\(page.kind) caches line \(line), which the directory does not know")
            }
            guard refuses, let tag = checkedTag(page.kind) else { continue }
            if !directory.line(page.lines[0]).isRecalled,
                dram.firstMismatch(of: tag, at: at(page.offset), count: Int(Page.size)) != nil
            {
                throw fail("\(page.kind) shows page 0x\(String(page.offset, radix: 16)) against its tags")
            }
        }
    }

    func checkAllMemory() throws {
        for page in pages {
            let content = content(page.footprint)
            guard let bytes = page.bytes else {
                guard page.lines.allSatisfy({ cachingPage[$0] < 0 }) else { continue }
                if content != modelContent(page.footprint) {
                    throw fail("lost at \(page.kind) 0x\(String(page.offset, radix: 16)), in memory")
                }
                continue
            }
            if bytes != modelContent(page.footprint) {
                throw fail("lost at \(page.kind) 0x\(String(page.offset, radix: 16)), in the page cache")
            }
            if !page.isDirty, bytes != content {
                throw fail(
                    "a clean page of \(page.kind) at 0x\(String(page.offset, radix: 16)) is out of date")
            }
        }
    }
}
