import TagMemCore

@testable import TagMemFS

/// What must hold between steps, and at rest.
extension ObjectKernel {
    /// Which page of which file the kernel has a line cached in. Fails where there are two.
    func cachingPages() -> [Int: (file: File, offset: UInt64)] {
        var result: [Int: (file: File, offset: UInt64)] = [:]
        for file in files {
            for (offset, page) in file.pages where page.bytes != nil {
                // What is behind the end is the file's no more.
                if let object = file.object, offset * file.kind.scale >= memory(of: object).size {
                    continue
                }
                if isUnknown(page, file, offset) { continue }
                for line in directory.look({ $0.lines(ofPageAt: offset, of: file.kind, file.alias.object) })
                where isShown(line, file) {
                    if let other = result[line] {
                        failure = "line \(line) is cached through \(other.file) and \(file)"
                    }
                    result[line] = (file, offset)
                    if state(of: line).holder != file.alias.holder {
                        failure = "\(file) caches line \(line), which the directory does not know"
                    }
                }
            }
        }
        return result
    }

    /// Whether a line of one of a file's pages is memory before the object's end.
    private func isShown(_ line: Int, _ file: File) -> Bool {
        guard let object = file.object else { return true }
        let (data, tagged) = directory.map.location(of: line)
        let owner = directory.look { $0.owner(at: file.kind.showsTags ? tagged ?? data : data) }
        return owner.map { $0.address < memory(of: object).size } ?? false
    }

    func state(of line: Int) -> LineState { directory.look { $0.lines[line] } }

    /// Everything that was written is in memory or in the one page that has it.
    func checkMemory() throws {
        let caching = cachingPages()
        if let failure { throw fail(failure) }
        for file in files {
            for (offset, page) in file.pages {
                guard let bytes = page.bytes, !isUnknown(page, file, offset), !page.isApart else { continue }
                let footprint = footprint(file, offset, 4096)
                forEachKnown(of: footprint) { address, position, count, place in
                    let count = min(count, (page.tail ?? .max) - position)
                    guard count > 0, page.pending?.overlaps(position..<position + count) != true else {
                        return
                    }
                    let part = bytes[position..<position + count]
                    let name = "\(file) 0x\(String(offset, radix: 16)) at \(position)"
                    if part != model(place, count) { failure = "lost in the page cache: \(name)" }
                    if !page.isDirty, !page.isWriting, !isInMemory(part, address) {
                        failure = "a clean page is out of date: \(name)"
                    }
                }
                // A page that is written as a whole is about to be judged.
                if page.pending != 0..<4096 { checkTags(of: file, offset, footprint) }
            }
        }
        for object in objects where !object.isRemoved {
            let pages = memory(of: object).pages
            for index in 0..<pages.count {
                guard let frame = pages[index] else { continue }
                let span = directory.look { $0.span(of: frame) }
                let tagged = memory(of: object).kind == .tagged
                for line in [span.lines, tagged ? span.companions : 0..<0].joined() {
                    if let (file, offset) = caching[line], let page = file.pages[offset],
                        page.isDirty || page.isWriting
                    {
                        continue
                    }
                    checkLine(line, object, index)
                }
            }
        }
        if let failure { throw fail(failure) }
    }

    private func checkLine(_ line: Int, _ object: Object, _ index: Int) {
        let address = directory.map.location(of: line).address
        guard let (place, count) = place(of: address, count: Int(directory.map.size(of: line))) else {
            return
        }
        if !isInMemory(model(place, count), address) {
            failure =
                "lost in memory: \(object.name), \(place.isTags ? "tags of" : "") page \(index)"
        }
    }

    /// Views show what the tags allow, or are about to lose it.
    private func checkTags(of file: File, _ offset: UInt64, _ footprint: Footprint) {
        let mode = directory.mode(of: file.alias.object)
        guard let tag = file.tag, mode.refusesMismatchingPages, footprint.spans.count > 0,
            !state(of: footprint.spans[0].start).isRecalled
        else { return }
        forEachLine(of: footprint, 0..<footprint.count) { address, _, count in
            if dram.firstMismatch(of: tag, at: address, count: count) != nil {
                failure = "\(file) shows page 0x\(String(offset, radix: 16)) against its tags"
            }
        }
    }

    /// What is copied is where the file shows it: it does not move while it is.
    func checkPlace(of file: File, _ offset: UInt64, _ count: Int, _ copied: Footprint, cuts: Int) {
        guard file.object?.cuts ?? 0 == cuts else { return }
        var now: [Int: PhysicalAddress] = [:]
        let shown = footprint(file, offset, count)
        forEachLine(of: shown, 0..<shown.count) { address, position, _ in now[position] = address }
        forEachLine(of: copied, 0..<copied.count) { address, position, _ in
            if let other = now[position], other != address {
                failure = "\(file) is copied at \(address), and shown at \(other)"
            }
        }
    }

    /// When nothing is under way, no page is anybody's but the objects'.
    func checkRest() throws {
        let owned = objects.filter { !$0.isRemoved }.reduce(0) { $0 + memory(of: $1).pages.present }
        let (used, reserved, pending, left) = directory.look { state in
            (
                state.pages.allocator.untaggedPages + state.pages.allocator.taggedPages,
                state.pages.allocator.reservedPages(.tagged) + state.pages.allocator.reservedPages(.untagged),
                state.jobs.pendingReleases,
                state.waits.count + state.jobs.all.count + state.notices.count + state.ready.count
            )
        }
        if used != owned + reserved { throw fail("\(used) pages are in use, \(owned) + \(reserved) known") }
        if pending != 0 { throw fail("\(pending) releases are pending at rest") }
        for file in files where file.pages.values.contains(where: \.isApart) {
            throw fail("\(file) still shows what went nowhere")
        }
        if left != 0 { throw fail("\(left) things are left to be done at rest") }
        for object in objects where directory.look({ $0.objects[object.id].reshaper != nil }) {
            throw fail("a reshaper is left")
        }
        for line in 0..<directory.map.lineCount {
            let state = state(of: line)
            if state.isBusy || state.isWanted || state.isRecalled || state.isAwaited {
                throw fail("line \(line): \(state)")
            }
        }
    }
}
