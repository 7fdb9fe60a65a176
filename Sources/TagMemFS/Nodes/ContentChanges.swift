import Glibc

/// When something was changed last, and how often it was: what a time that a user sets stands against.
struct ContentChange: Sendable {
    private(set) var count = 0
    /// nil if it never was.
    private(set) var time: timespec?

    mutating func note(_ time: timespec) {
        count += 1
        self.time = time
    }

    /// The changes of two things together.
    func and(_ other: ContentChange) -> ContentChange {
        var all = self
        all.count += other.count
        all.time = [time, other.time].compactMap { $0 }.max { $0 < $1 }
        return all
    }
}

/// The changes of an object's bytes: those of its memory, which `mem`, the views and `checked` show, and those of its
/// tags.
struct ContentChanges: Sendable {
    private(set) var memory = ContentChange()
    private(set) var tags = ContentChange()

    /// Of both, for what shows both.
    var all: ContentChange { memory.and(tags) }

    mutating func noteMemory(_ time: timespec) { memory.note(time) }
    mutating func noteTags(_ time: timespec) { tags.note(time) }

    mutating func noteAll(_ time: timespec) {
        memory.note(time)
        tags.note(time)
    }
}

extension MemoryState {
    /// The bytes that an access is about were changed. The physical address space shows those of all objects, and the
    /// bytes of tag storage are tags: it has one time for everything.
    mutating func noteContent(of access: MemoryAccess) {
        guard access.isWrite || access.purpose == .writeback, objects.contains(access.alias.object) else {
            return
        }
        let object = access.alias.object
        // After a write the kernel asks again for those of the file that it went through by itself.
        let own = access.isWrite && !access.isInstruction ? access.alias.attributesBit : 0
        let now = coarseTime()
        objects[.physical].changes.noteAll(now)
        dropAttributes(of: Alias.allAttributes & ~(object.isPhysical ? own : 0), .physical)
        if object.isPhysical { return }
        if access.alias.showsTags || access.changesTags {
            objects[object].changes.noteTags(now)
            dropAttributes(of: Alias.tagAttributes & ~own, object)
        }
        if !access.alias.showsTags, access.changesData || access.purpose == .writeback {
            objects[object].changes.noteMemory(now)
            dropAttributes(of: Alias.memoryAttributes & ~own, object)
        }
    }

    /// Pages of an object came or went.
    mutating func noteContent(of object: ObjectID) {
        guard objects.contains(object) else { return }
        let now = coarseTime()
        objects[.physical].changes.noteAll(now)
        if !object.isPhysical { objects[object].changes.noteAll(now) }
        noteAttributes(of: object)
    }

    /// Sizes, amounts or links of an object's files are not what they were.
    mutating func noteAttributes(of object: ObjectID) {
        dropAttributes(of: Alias.allAttributes, .physical)
        if !object.isPhysical { dropAttributes(of: Alias.allAttributes, object) }
    }
}

extension timespec {
    static func < (left: timespec, right: timespec) -> Bool {
        (left.tv_sec, left.tv_nsec) < (right.tv_sec, right.tv_nsec)
    }
}
