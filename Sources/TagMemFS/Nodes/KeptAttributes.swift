import TagMemCore

/// Attributes that the kernel keeps.
///
/// It keeps those of a file of memory that it was given for a request of their own (FUSE_GETATTR), until the first change
/// after that: then it is told that they are not right any more, once, and asks again when somebody wants to know. Who made
/// the change is answered when that is said (`CoherenceDirectory.whenTold`), so whoever looks then sees it. Pages that come
/// back wait for nothing, so of those it is true of fsync alone.
extension MemoryState {
    /// The kernel is about to be given attributes of a file: whatever changes from here on is told.
    mutating func keepAttributes(of alias: Alias) {
        guard objects.contains(alias.object) else { return }
        objects[alias.object].keptAttributes |= alias.attributesBit
    }

    /// Has the kernel told that attributes of some kinds of an object's files (`Alias.attributesBit`) have changed.
    mutating func dropAttributes(of kinds: UInt32, _ object: ObjectID) {
        let kept = objects[object].keptAttributes & kinds
        if kept == 0 { return }
        objects[object].keptAttributes &= ~kept
        for role in Alias.roles(ofAttributes: kept) {
            notices.append(.attributes(of: NodeID(object: object.number, role: role)))
            untoldAttributes += 1
        }
        work.insert(.notices)
    }
}

extension CoherenceDirectory {
    /// See `MemoryState.keepAttributes`. To be called before the attributes are looked at.
    func keepAttributes(of alias: Alias) { look { $0.keepAttributes(of: alias) } }

    /// The kernel was told of the attributes of one file.
    func attributesAreTold() { look { $0.untoldAttributes -= 1 } }

    /// Answers when the kernel was told of all attributes that have changed so far: at once, if it was.
    func whenTold(_ reply: consuming Reply, _ answer: @escaping @Sendable (consuming Reply) -> Void) {
        if look({ $0.untoldAttributes == 0 }) { return answer(reply) }
        let reply = ReplySlot(reply)
        say(.call { if let reply = reply.take() { answer(reply) } })
    }
}

extension Alias {
    /// For sets of files of an object.
    var attributesBit: UInt32 { kind?.bit ?? Self.checkedBit }

    /// What shows an object's memory, and what shows its tags.
    static let memoryAttributes = ~tagAttributes
    static let tagAttributes = AliasKind.tags.bit | AliasKind.tagsHex.bit
    static let allAttributes = UInt32.max

    /// No kind of file that is cached has this bit.
    private static let checkedBit: UInt32 = 1

    fileprivate static func roles(ofAttributes bits: UInt32) -> [Role] {
        (bits & checkedBit == 0 ? [] : [.checked])
            + AliasKind.all.filter { bits & $0.bit != 0 }.map(\.role)
    }
}
