import Glibc
import TagMemCore

/// The memory objects that users have made: their names, numbers and owners.
///
/// Thread-safe. The kernel serializes changes of a directory; nothing here relies on that.
final class ObjectTree: Sendable {
    struct Entry {
        let id: ObjectID
        /// The directory that it is in.
        var use: PageUse
        var name: String
        let user: uid_t
        let group: gid_t
        let permissions: UInt32
        let created: timespec
        /// When it got its name.
        var changed: timespec
        /// Whether the object has its name no more.
        var isRemoved = false
        /// Whether a rename is under way.
        var isMoving = false

        /// As in paths, in the fault log and in the files of `control/`.
        static func path(_ use: PageUse, _ name: String) -> String { "\(use)/\(name)" }
    }

    struct State {
        var entries: [UInt64: Entry] = [:]
        var names: [PageUse: [ObjectName: UInt64]] = [.tagged: [:], .untagged: [:]]
        /// The numbers in a directory, in order; made anew after a change when somebody lists it.
        var sorted: [PageUse: [UInt64]] = [:]
        /// Never used twice. 0 is the root's, 1 that of `phys`.
        var nextNumber: UInt64 = 2
        /// The open file for which all memory is kept.
        var claimant: ObjectIdentifier?
        /// When names in a directory came or went.
        var changed: [PageUse: ContentChange] = [.tagged: ContentChange(), .untagged: ContentChange()]

        mutating func takeNumber() -> UInt64 {
            // Some are the device tree's.
            if nextNumber == FirmwareTree.objects.lowerBound { nextNumber = FirmwareTree.objects.upperBound }
            defer { nextNumber += 1 }
            return nextNumber
        }
    }

    private let state = Guarded(State())

    /// Makes an object; `make` gets its number. The name is taken while that runs, but nobody finds an object by it.
    ///
    /// - Throws: `.invalid`, `.exists`, `.busy` while all memory is claimed, `.noSpace` if `make` returns nil.
    func add(
        _ name: String, _ use: PageUse, user: uid_t, group: gid_t, permissions: UInt32,
        make: (UInt64) -> ObjectID?
    ) throws(FileError) -> UInt64 {
        guard ObjectName.isUsable(name) else { throw .invalid }
        let key = ObjectName(name)
        let number = try state.withLock { state throws(FileError) in
            if state.names[use]?[key] != nil { throw .exists }
            if state.claimant != nil { throw .busy }
            let number = state.takeNumber()
            state.names[use]?[key] = number
            return number
        }
        guard let id = make(number) else {
            state.withLock { $0.names[use]?[key] = nil }
            throw .noSpace
        }
        let now = currentTime()
        state.withLock { state in
            state.entries[number] = Entry(
                id: id, use: use, name: name, user: user, group: group, permissions: permissions,
                created: now, changed: now)
            state.sorted[use] = nil
            state.changed[use]?.note(now)
        }
        return number
    }

    /// Takes the name away from an object; its number stays known until `forget`.
    func remove(_ name: String, _ use: PageUse) throws(FileError) -> ObjectID {
        let now = currentTime()
        return try state.withLock { state throws(FileError) in
            guard let number = state.names[use]?[ObjectName(name)], let entry = state.entries[number] else {
                throw .notFound
            }
            if entry.isMoving { throw .busy }
            state.names[use]?[ObjectName(name)] = nil
            state.entries[number]?.isRemoved = true
            state.entries[number]?.changed = now
            state.sorted[use] = nil
            state.changed[use]?.note(now)
            return entry.id
        }
    }

    /// Nobody has the object open any more.
    func forget(_ object: ObjectID) { state.withLock { $0.entries[object.number] = nil } }

    /// Begins a rename: both names are the object's until it is finished. nil if both are the same.
    ///
    /// - Throws: `.notFound`, `.notEmpty` if the new name is another object's, `.invalid`.
    func beginRename(
        _ name: String, _ use: PageUse, to newName: String, _ newUse: PageUse
    ) throws(FileError) -> ObjectID? {
        guard ObjectName.isUsable(newName) else { throw .invalid }
        return try state.withLock { state throws(FileError) in
            guard let number = state.names[use]?[ObjectName(name)], let entry = state.entries[number] else {
                throw .notFound
            }
            if entry.isMoving { throw .busy }
            if use == newUse, ObjectName(name) == ObjectName(newName) { return nil }
            if state.names[newUse]?[ObjectName(newName)] != nil { throw .notEmpty }
            state.names[newUse]?[ObjectName(newName)] = number
            state.entries[number]?.isMoving = true
            return entry.id
        }
    }

    /// Ends a rename: the object has its new name, or if the rename failed, the old one.
    func finishRename(
        _ object: ObjectID, _ name: String, _ use: PageUse, to newName: String, _ newUse: PageUse,
        isDone: Bool
    ) {
        let now = currentTime()
        state.withLock { state in
            state.entries[object.number]?.isMoving = false
            state.sorted[use] = nil
            state.sorted[newUse] = nil
            if isDone {
                state.names[use]?[ObjectName(name)] = nil
                state.entries[object.number]?.name = newName
                state.entries[object.number]?.use = newUse
                state.entries[object.number]?.changed = now
                state.changed[use]?.note(now)
                state.changed[newUse]?.note(now)
            } else {
                state.names[newUse]?[ObjectName(newName)] = nil
            }
        }
    }

    // MARK: All memory

    /// Whether somebody has all memory for himself.
    var isClaimed: Bool { state.withLock { $0.claimant != nil } }

    /// Keeps all memory for an open file: no object is made until it is given back.
    ///
    /// - Throws: `.busy` if there are objects, also such as have no name any more, or another file has it.
    func claim(for file: ObjectIdentifier) throws(FileError) {
        try state.withLock { state throws(FileError) in
            if state.claimant == file { return }
            let isUsed = state.names.values.contains { !$0.isEmpty } || !state.entries.isEmpty
            if isUsed || state.claimant != nil { throw .busy }
            state.claimant = file
        }
    }

    func endClaim(of file: ObjectIdentifier) {
        state.withLock { if $0.claimant == file { $0.claimant = nil } }
    }

    func entry(_ number: UInt64) -> Entry? { state.withLock { $0.entries[number] } }

    /// The object at a path such as `tagged/heap`.
    func object(at path: some StringProtocol) -> ObjectID? {
        // By bytes: a slash can be a part of a larger `Character`.
        let bytes = Array(path.utf8)
        for use in PageUse.allCases {
            let prefix = Array("\(use)/".utf8)
            guard bytes.starts(with: prefix) else { continue }
            let name = String(decoding: bytes[prefix.count...], as: UTF8.self)
            return number(of: name, in: use).flatMap { entry($0)?.id }
        }
        return nil
    }

    func number(of name: String, in use: PageUse) -> UInt64? {
        state.withLock { $0.names[use]?[ObjectName(name)] }
    }

    func count(in use: PageUse) -> Int { state.withLock { $0.names[use]?.count ?? 0 } }

    /// When names in a directory came or went last.
    func changes(in use: PageUse) -> ContentChange? { state.withLock { $0.changed[use] } }

    /// All objects that have a name, in the order in which they were made.
    func all() -> [Entry] {
        state.withLock { state in
            state.entries.values.filter { !$0.isRemoved }.sorted { $0.id.number < $1.id.number }
        }
    }

    /// Names in a directory with their numbers, above `number`, in order, `limit` at most.
    func names(in use: PageUse, after number: UInt64, limit: Int) -> [(name: String, number: UInt64)] {
        state.withLock { state in
            if state.sorted[use] == nil {
                state.sorted[use] = state.names[use]?.values.filter { state.entries[$0]?.use == use }.sorted()
            }
            guard let sorted = state.sorted[use] else { return [] }
            var low = 0
            var high = sorted.count
            while low < high {
                let middle = (low + high) / 2
                if sorted[middle] <= number { low = middle + 1 } else { high = middle }
            }
            return sorted[low...].prefix(limit).compactMap { number in
                state.entries[number].map { ($0.name, number) }
            }
        }
    }
}
