import TagMemCore

@testable import TagMemFS

/// What lies behind the end of an object, in a page that it ends in and in pages that were there a moment ago.
extension ObjectKernel {
    /// A program stores behind the end, in the page of a mapping that shows it: nothing of that is ever to be seen. It
    /// faults first where the page is not there.
    func storeBehindEnd() {
        let found = objects.filter { !$0.isRemoved && !$0.mem.isLocked && $0.size % 4096 != 0 }
            .flatMap { object in
                object.files.filter { !$0.kind.showsTags && isOpenForWriting($0) }.map { (object, $0) }
            }
        guard let (object, file) = found.randomElement(using: &generator) else { return }
        let offset = Page.start(object.size)
        guard let page = file.pages[offset] else {
            if outstanding.count >= maximumRequests { return }
            file.pages[offset] = CachePage(isLocked: true)
            return submit(Request(self, file, .fill(pages: 1), offset, 4096))
        }
        if page.bytes == nil || page.isLocked || page.isWriting || isUnknown(page, file, offset) { return }
        let end = Int(object.size - offset)
        note("store behind the end \(file) 0x\(String(offset, radix: 16)) \(end)...")
        file.pages[offset]?.bytes?.replaceSubrange(end..., with: Array(repeating: 0xee, count: 4096 - end))
        file.pages[offset]?.isDirty = true
        let tail = min(end, file.pages[offset]?.tail ?? end)
        file.pages[offset]?.tail = tail
    }

    /// An object has grown, and whoever wanted that knows: no page shows what was stored behind the old end. After a
    /// write through the page cache one may until it is recalled.
    func checkTails(of object: Object) {
        if isDraining { return }
        for file in object.files {
            for (offset, page) in file.pages {
                guard page.bytes != nil, let tail = page.tail, offset + UInt64(tail) < object.size else {
                    continue
                }
                let lines = directory.look { $0.lines(ofPageAt: offset, of: file.kind, object.id) }
                if shape.pageCache, lines.allSatisfy({ state(of: $0).isRecalled }) { continue }
                failure = "what was stored behind the end shows: \(file) \(offset) from \(tail)"
            }
        }
    }

    /// A program faults or reads where the file ended a moment later: the kernel looks at the size, is interrupted, and
    /// only then locks a page and asks.
    func planFill() {
        guard let object = randomObject({ $0.size > 0 }), plannedFills.count < 4 else { return }
        let offset = Page.start(UInt64.random(in: 0..<object.size, using: &generator))
        plannedFills.append((object.mem, offset))
    }

    /// False if the page cannot be locked.
    func beginPlannedFill() -> Bool {
        guard let (file, offset) = plannedFills.first else { return false }
        guard let object = file.object else {
            plannedFills.removeFirst()
            return true
        }
        if !object.isRemoved, let page = file.pages[offset] {
            if page.isLocked { return false }
        } else if !object.isRemoved {
            file.pages[offset] = CachePage(isLocked: true)
            submit(Request(self, file, .fill(pages: 1), offset, 4096))
        }
        plannedFills.removeFirst()
        return true
    }

    /// fallocate(2): room for a range, behind the end too.
    func allocate() {
        guard let object = randomObject({ !$0.mem.isLocked }) else { return }
        let start = UInt64.random(in: 0...object.size + pageSize, using: &generator)
        let end = start + UInt64.random(in: 1...2 * pageSize, using: &generator)
        guard end < UInt64(object.data.count) else { return }
        let keepsSize = generator.oneIn(4)
        object.mem.isLocked = true
        let answer = answer("room for \(object.name) \(start..<end), \(keepsSize ? "within" : "grows")") {
            [unowned self] error in
            if error == nil, !keepsSize { object.size = max(object.size, end) }
            object.mem.isLocked = false
            checkTails(of: object)
        }
        send(
            .change { [directory] in
                directory.populate(object.id, start..<end, keepsSize: keepsSize, then: answer)
            })
    }
}
