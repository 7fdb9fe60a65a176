import TagMemCore

@testable import TagMemFS

/// Changes of objects.
extension ObjectKernel {
    func randomObject(_ accepts: (Object) -> Bool = { _ in true }) -> Object? {
        objects.filter { !$0.isRemoved && accepts($0) }.randomElement(using: &generator)
    }

    /// Something that is done in steps.
    func change(_ name: String, _ job: some PageJob) {
        let answer = answer(name) { _ in }
        send(.change { [directory] in directory.start(job, then: answer) })
    }

    func answer(_ name: String, _ body: @escaping (FileError?) -> Void) -> Answer {
        final class Token {}
        let token = Token()
        note("begin \(name)")
        outstanding[ObjectIdentifier(token)] = name
        // Pages that are being released at the unmount stay, and with them what would tell of it.
        return Answer { [unowned self] error in
            note("answer \(name): \(error.map { "\($0)" } ?? "done")")
            if outstanding[ObjectIdentifier(token)] == nil { failure = "answered twice: \(name)" }
            outstanding[ObjectIdentifier(token)] = nil
            if let error, error != .noSpace, !(isDraining && error == .unmounting) {
                failure = "\(name) failed with \(error)"
            }
            body(error)
        }
    }

    func create() {
        guard objects.count < shape.objects else { return }
        let use: PageUse = generator.oneIn(2) ? .tagged : .untagged
        let number = nextNumber
        nextNumber += 1
        guard let id = directory.addObject(use, name: "object \(number)", number: number) else {
            failure = "no slot for an object"
            return
        }
        note("create object \(number) \(use)")
        let isAtomic = shape.reserve && generator.oneIn(3)
        directory.look { $0.objects[id].isAtomic = isAtomic }
        let total = (shape.blocks * 33) * UInt64(shape.blockSize) * pageSize
        let object = Object(id, capacity: Int(total + 8 * pageSize))
        objects.append(object)
        _ = directory.opened(object.mem.alias, isWritable: false)
        for file in object.files where generator.oneIn(2) {
            _ = directory.opened(file.alias, isWritable: true)
        }
    }

    private func randomSize() -> UInt64 {
        if shape.ends { return UInt64.random(in: 0...3 * pageSize, using: &generator) }
        let most = generator.oneIn(3) ? shape.blocks * 33 * UInt64(shape.blockSize) : 8
        let size = UInt64.random(in: 0...most, using: &generator) * pageSize
        return generator.oneIn(3) && size > 0
            ? size - UInt64.random(in: 1..<pageSize, using: &generator) : size
    }

    /// SETATTR: the kernel holds back write-backs of `mem` until it is answered, then drops what is behind the end.
    func resize() {
        guard
            let object = randomObject({ object in
                !object.mem.isLocked && !hasCachedWrites(object)
                    && !object.mem.pages.values.contains { $0.isWriting }
            })
        else { return }
        let size = randomSize()
        let old = object.size
        let behind = size..<UInt64.max / 2
        object.mem.isLocked = true
        object.mem.holdsBack = true
        if size < old {
            object.cuts += 1
            cut(object, at: size)
            object.unsettled.append(behind)
        }
        let answer = answer("resize of \(object.name) from \(old) to \(size)") {
            [unowned self] error in
            if error != nil, size <= old, !isDraining { failure = "a shrink failed" }
            answered.append { [self] in
                let end = error == nil ? size : old
                return finishResize(object, from: old, to: end, settled: size < old ? behind : nil)
            }
            outstanding[ObjectIdentifier(object)] = "the kernel's part of a resize"
        }
        send(.change { [directory] in directory.resize(object.id, to: size, then: answer) })
    }

    private func finishResize(
        _ object: Object, from old: UInt64, to end: UInt64, settled: Range<UInt64>?
    ) -> Progress {
        // The size is known and write-backs flow, before the pages behind it are dropped.
        object.size = end
        object.mem.holdsBack = false
        // A store between the old end and the new one is one that truncate(2) is under way for still, until all pages are
        // dropped.
        let oldEnd = Page.start(old)
        if end > old, old != oldEnd, object.mem.pages[oldEnd]?.tail == nil {
            object.mem.pages[oldEnd]?.tail = Int(old - oldEnd)
        }
        for (offset, page) in object.mem.pages where offset + 4096 > end {
            if page.isLocked || page.isWriting { return .waiting }
        }
        for offset in object.mem.pages.keys where offset + 4096 > end {
            if end >= old, offset < end { continue }
            object.mem.pages[offset]?.tail = nil
            if offset >= end {
                object.mem.pages[offset] = nil
            } else {
                let kept = Int(end - offset)
                object.mem.pages[offset]?.bytes?.replaceSubrange(
                    kept..., with: Array(repeating: 0, count: 4096 - kept))
            }
        }
        // Then all pages of the inode are dropped; those that are dirty are written back first.
        if old != end, let offset = object.mem.pages.keys.min() {
            guard let page = object.mem.pages[offset], !page.isLocked, !page.isWriting else {
                return .waiting
            }
            if page.isDirty {
                beginWriteback(object.mem, offset)
            } else {
                object.mem.pages[offset] = nil
            }
            return .goingOn
        }
        if let settled, let index = object.unsettled.firstIndex(of: settled) {
            object.unsettled.remove(at: index)
        }
        object.mem.isLocked = false
        outstanding[ObjectIdentifier(object)] = nil
        note("resized \(object.name) to \(end)")
        checkTails(of: object)
        return .done
    }

    private func cut(_ object: Object, at size: UInt64) {
        for index in Int(size)..<object.data.count { object.data[index] = 0 }
        clearTags(object, size..<UInt64(object.data.count))
    }

    /// Sets the tags of granules that begin in a range to 0.
    private func clearTags(_ object: Object, _ range: Range<UInt64>) {
        let first = (range.lowerBound + 15) / 16
        let end = (range.upperBound + 15) / 16
        for granule in stride(from: first, to: end, by: 1) where granule / 2 < object.tags.count {
            object.tags[Int(granule / 2)] &= granule % 2 == 0 ? 0xf0 : 0x0f
        }
    }

    /// FALLOC_FL_PUNCH_HOLE, after which the kernel drops its pages of the range.
    func punch() {
        guard let object = randomObject({ !$0.mem.isLocked && $0.size > 0 && !hasCachedWrites($0) }) else {
            return
        }
        let start = UInt64.random(in: 0..<object.size, using: &generator)
        let lower = generator.oneIn(2) ? start / pageSize * pageSize : start
        let upper = lower + UInt64.random(in: 1...3 * pageSize, using: &generator)
        let range = lower..<(generator.oneIn(2) ? (upper + pageSize - 1) / pageSize * pageSize : upper)
        object.mem.isLocked = true
        for index in Int(lower)..<min(Int(range.upperBound), object.data.count) { object.data[index] = 0 }
        let whole =
            (lower + pageSize - 1) / pageSize
            * pageSize..<max(
                range.upperBound / pageSize * pageSize, (lower + pageSize - 1) / pageSize * pageSize)
        clearTags(object, whole)
        object.unsettled.append(range)
        let answer = answer("punch of \(object.name) \(range)") { [unowned self] error in
            if error != nil, !isDraining { failure = "a punch failed" }
            outstanding[ObjectIdentifier(object)] = "the kernel's part of a punch"
            answered.append { [self] in finishPunch(object, range) }
        }
        send(.change { [directory] in directory.start(PunchJob(object.id, range), then: answer) })
    }

    private func finishPunch(_ object: Object, _ range: Range<UInt64>) -> Progress {
        let touched = object.mem.pages.filter {
            $0.key < range.upperBound && $0.key + 4096 > range.lowerBound
        }
        if touched.values.contains(where: { $0.isLocked || $0.isWriting }) { return .waiting }
        for offset in touched.keys {
            if range.lowerBound <= offset, offset + 4096 <= range.upperBound {
                object.mem.pages[offset] = nil
            } else {
                let part =
                    Int(
                        max(range.lowerBound, offset) - offset)..<Int(
                        min(range.upperBound, offset + 4096) - offset)
                object.mem.pages[offset]?.bytes?.replaceSubrange(
                    part, with: Array(repeating: 0, count: part.count))
            }
        }
        if let index = object.unsettled.firstIndex(of: range) { object.unsettled.remove(at: index) }
        object.mem.isLocked = false
        outstanding[ObjectIdentifier(object)] = nil
        return .done
    }

    func convert() {
        guard let object = randomObject({ !$0.isConverting && !hasCachedWrites(nil) }) else { return }
        let use: PageUse = memory(of: object).kind == .tagged ? .untagged : .tagged
        object.isConverting = true
        clearTags(object, 0..<UInt64(object.data.count))
        let answer = answer("\(object.name) turns \(use)") { _ in object.isConverting = false }
        send(.change { [directory] in directory.setUse(use, of: object.id, then: answer) })
    }

    /// The last file is closed and the object has no name: nothing of it is dirty or under way.
    func remove() {
        guard
            let object = randomObject({ object in
                !object.isConverting && object.unsettled.isEmpty
                    && object.files.allSatisfy { file in
                        !file.isLocked
                            && !file.pages.values.contains { $0.isDirty || $0.isLocked || $0.isWriting }
                    }
            }), !granted.contains(where: { $0.file.object === object }),
            !outstanding.values.contains(where: { $0.contains("\(object.name) ") })
        else { return }
        object.isRemoved = true
        let name = "removal of \(object.name) "
        note(name)
        outstanding[ObjectIdentifier(object)] = name
        _ = directory.removed(object.id)
        // Pages of zeros behind the end go with the inode.
        for offset in object.mem.pages.keys where offset >= object.size { object.mem.pages[offset] = nil }
        for file in object.files where isOpenForWriting(file) {
            if directory.closed(file.alias, isWritable: true) { failure = "mem is open" }
        }
        guard directory.closed(object.mem.alias, isWritable: false) else {
            failure = "not the last file"
            return
        }
        let released = Answer { [unowned self] error in
            note("removed \(object.name)")
            if error != nil && !isDraining || object.isReleased { failure = "removed twice, or not" }
            object.isReleased = true
            outstanding[ObjectIdentifier(object)] = nil
            if !isDraining, object.files.contains(where: { !$0.pages.isEmpty }) {
                failure = "\(object.name) is gone, and the kernel has pages of it"
            }
            objects.removeAll { $0 === object }
        }
        directory.release(object.id, then: answer("close of \(object.name)") { _ in }, whenReleased: released)
    }

    func changeMode() {
        guard let file = randomFile() else { return }
        let mode = TagCheckMode.allCases[Int(generator.bits(2))]
        let answer = answer("mode \(mode) of \(file.object?.name ?? "phys") ") { _ in }
        send(
            .change { [directory] in
                directory.changeMode(of: file.alias.object, to: mode, then: answer)
            })
    }

    func pin() {
        guard shape.pins, let object = randomObject() else { return }
        let table = memory(of: object).pages
        guard table.count > 0, let frame = table[Int.random(in: 0..<table.count, using: &generator)] else {
            return
        }
        let isPinned = !generator.oneIn(3)
        directory.withPages { pages in
            pages.setPinned(isPinned, frame)
        }
    }
}
