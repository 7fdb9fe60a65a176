import TagMemCore

@testable import TagMemFS

/// Changes of objects.
extension ObjectKernel {
    func randomObject(_ accepts: (Object) -> Bool = { _ in true }) -> Object? {
        objects.filter { !$0.isRemoved && accepts($0) }.randomElement(using: &generator)
    }

    /// Something that is done in steps.
    func change(_ name: String, _ make: (Answer) -> PageJob) {
        let (token, answer) = answer(name) { _ in }
        _ = token
        memory.worker.run(make(answer))
    }

    private func answer(
        _ name: String, _ body: @escaping (FileError?) -> Void
    ) -> (token: ObjectIdentifier, answer: Answer) {
        final class Token {}
        let token = Token()
        let identifier = ObjectIdentifier(token)
        note("begin \(name)")
        outstanding[identifier] = name
        let answer = Answer { [self] error in
            note("answer \(name): \(error.map { "\($0)" } ?? "done")")
            if outstanding[ObjectIdentifier(token)] == nil { failure = "answered twice: \(name)" }
            outstanding[ObjectIdentifier(token)] = nil
            if let error, error != .noSpace { failure = "\(name) failed with \(error)" }
            body(error)
        }
        return (identifier, answer)
    }

    func create() {
        guard objects.count < shape.objects else { return }
        let use: PageUse = generator.oneIn(2) ? .tagged : .untagged
        let number = nextNumber
        nextNumber += 1
        let aliases = directory.withPages { pages in
            pages.addOwner { slot in
                ObjectAliases(
                    object: MemoryObject(use, name: "object \(number)", dram: dram, layout: layout),
                    number: number, slot: slot)
            }
        }
        guard let aliases else { return }
        note("create object \(number) \(use)")
        aliases.isAtomic = shape.reserve && generator.oneIn(3)
        let total = (shape.blocks * 33) * UInt64(shape.blockSize) * pageSize
        let object = Object(aliases, capacity: Int(total + 8 * pageSize))
        objects.append(object)
        _ = directory.opened(.mem, aliases, isWritable: false)
        for kind in Self.kinds where generator.oneIn(2) {
            directory.countWriter(of: kind, aliases, change: 1)
        }
    }

    private func randomSize() -> UInt64 {
        let most = generator.oneIn(3) ? shape.blocks * 33 * UInt64(shape.blockSize) : 8
        let size = UInt64.random(in: 0...most, using: &generator) * pageSize
        return generator.oneIn(3) && size > 0
            ? size - UInt64.random(in: 1..<pageSize, using: &generator) : size
    }

    /// SETATTR: the kernel holds back write-backs of `mem` until it is answered, then drops what is behind the end.
    func resize() {
        guard
            let object = randomObject({ object in
                !object.mem.isLocked && !object.mem.pages.values.contains { $0.isWriting }
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
        let (_, answer) = answer("resize of \(object.aliases.object.name) from \(old) to \(size)") {
            [self] error in
            if error != nil, size <= old { failure = "a shrink failed" }
            answered.append { [self] in
                let end = error == nil ? size : old
                return finishResize(object, to: end, settled: size < old ? behind : nil)
            }
            outstanding[ObjectIdentifier(object)] = "the kernel's part of a resize"
        }
        memory.resize(object.aliases, to: size, then: answer)
    }

    private func finishResize(_ object: Object, to end: UInt64, settled: Range<UInt64>?) -> Bool {
        // The size is known and write-backs flow, before the pages behind it are dropped.
        object.size = end
        object.mem.holdsBack = false
        for (offset, page) in object.mem.pages where offset + 4096 > end {
            if page.isLocked || page.isWriting { return false }
        }
        for offset in object.mem.pages.keys where offset + 4096 > end {
            if offset >= end {
                object.mem.pages[offset] = nil
            } else {
                let kept = Int(end - offset)
                object.mem.pages[offset]?.bytes?.replaceSubrange(
                    kept..., with: Array(repeating: 0, count: 4096 - kept))
            }
        }
        if let settled, let index = object.unsettled.firstIndex(of: settled) {
            object.unsettled.remove(at: index)
        }
        object.mem.isLocked = false
        outstanding[ObjectIdentifier(object)] = nil
        note("resized \(object.aliases.object.name) to \(end)")
        return true
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
        guard let object = randomObject({ !$0.mem.isLocked && $0.size > 0 }) else { return }
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
        let (_, answer) = answer("punch of \(object.aliases.object.name) \(range)") { [self] error in
            if error != nil { failure = "a punch failed" }
            outstanding[ObjectIdentifier(object)] = "the kernel's part of a punch"
            answered.append { [self] in finishPunch(object, range) }
        }
        memory.punch(object.aliases, range, then: answer)
    }

    private func finishPunch(_ object: Object, _ range: Range<UInt64>) -> Bool {
        let touched = object.mem.pages.filter {
            $0.key < range.upperBound && $0.key + 4096 > range.lowerBound
        }
        if touched.values.contains(where: { $0.isLocked || $0.isWriting }) { return false }
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
        return true
    }

    func convert() {
        guard let object = randomObject({ !$0.isConverting }) else { return }
        let use: PageUse = object.aliases.object.kind == .tagged ? .untagged : .tagged
        object.isConverting = true
        clearTags(object, 0..<UInt64(object.data.count))
        let (_, answer) = answer("\(object.aliases.object.name) turns \(use)") { error in
            object.isConverting = false
        }
        memory.setUse(use, of: object.aliases, then: answer)
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
            !outstanding.values.contains(where: { $0.contains("\(object.aliases.object.name) ") })
        else { return }
        object.isRemoved = true
        let name = "removal of \(object.aliases.object.name) "
        note(name)
        outstanding[ObjectIdentifier(object)] = name
        _ = directory.removed(object.aliases)
        guard directory.closed(.mem, object.aliases, isWritable: false) else {
            failure = "not the last file"
            return
        }
        memory.release(object.aliases) { [self] in
            note("removed \(object.aliases.object.name)")
            outstanding[ObjectIdentifier(object)] = nil
            if object.files.contains(where: { !$0.pages.isEmpty }) {
                failure = "\(object.aliases.object.name) is gone, and the kernel has pages of it"
            }
            objects.removeAll { $0 === object }
        }
    }

    func changeMode() {
        guard let file = randomFile() else { return }
        let mode = TagCheckMode.allCases[Int(generator.bits(2))]
        let (_, answer) = answer("mode \(mode) of \(file.aliases.object.name) ") { _ in }
        directory.changeMode(of: file.aliases, to: mode, then: answer)
    }

    func pin() {
        guard shape.pins, let object = randomObject() else { return }
        directory.withPages { pages in
            let table = object.aliases.object.pages
            guard table.count > 0 else { return }
            let index = Int.random(in: 0..<table.count, using: &generator)
            guard let frame = table[index] else { return }
            pages.setPinned(!generator.oneIn(3), frame)
        }
    }
}
