import TagMemCore

/// What is known of objects and their open files, and guarded by the directory's lock.
extension CoherenceDirectory {
    /// Says, once, that there was no page to be had.
    func reportNoSpace() {
        if counters.add(.outOfMemory) == 1 {
            warn("out of memory: an allocation found no page (this is said once; vmstat counts them)")
        }
    }

    /// Counts a file of an alias that was opened for writing (`change` 1) or released (-1).
    func countWriter(of kind: AliasKind, _ aliases: ObjectAliases, change: Int) {
        state.withLock { _ in aliases.openWriters[Int(kind.rawValue)] += change }
    }

    /// Counts an open file of an object; false if the object was removed.
    func opened(_ kind: AliasKind?, _ aliases: ObjectAliases, isWritable: Bool) -> Bool {
        state.withLock { _ in
            if aliases.isRemoved { return false }
            aliases.openFiles[Int(kind?.rawValue ?? 0)] += 1
            if isWritable, let kind { aliases.openWriters[Int(kind.rawValue)] += 1 }
            return true
        }
    }

    /// The file is closed. Returns whether it was the last one of a removed object.
    func closed(_ kind: AliasKind?, _ aliases: ObjectAliases, isWritable: Bool) -> Bool {
        state.withLock { _ in
            aliases.openFiles[Int(kind?.rawValue ?? 0)] -= 1
            if isWritable, let kind { aliases.openWriters[Int(kind.rawValue)] -= 1 }
            return aliases.isRemoved && !aliases.openFiles.contains { $0 > 0 }
        }
    }

    /// The object has no name any more. Returns whether no file of it is open.
    func removed(_ aliases: ObjectAliases) -> Bool {
        state.withLock { _ in
            aliases.isRemoved = true
            return !aliases.openFiles.contains { $0 > 0 }
        }
    }

    // MARK: Objects

    /// Calls `body` with the pages, under the lock.
    func withPages<Result>(_ body: (PageStore) -> Result) -> Result { state.withLock { _ in body(pages) } }

    /// The size of an alias's file, for the kernel to know: from now on it is told when the file grows.
    func shownSize(of kind: AliasKind, _ aliases: ObjectAliases) -> UInt64 {
        state.withLock { _ in aliases.shownSizes |= kind.bit }
        return size(of: kind, aliases)
    }

    /// The size of an alias's file.
    func size(of kind: AliasKind?, _ aliases: ObjectAliases) -> UInt64 {
        state.withLock { _ in
            switch kind {
            case .tags: aliases.object.tagBytes
            case .tagsHex: aliases.object.tagBytes * 2
            case .mem, .view, nil: aliases.object.end
            }
        }
    }

    /// Bytes of memory that an object has.
    func allocatedSize(of aliases: ObjectAliases) -> UInt64 {
        state.withLock { _ in
            let object = aliases.object
            return object.layout.map { UInt64(object.pages.present) * $0.pageSize }
                ?? dram.map.regions.reduce(0) { $0 + $1.size }
        }
    }

    /// See `MemoryObject.next`.
    func next(from address: UInt64, memory: Bool, _ aliases: ObjectAliases) -> UInt64? {
        var from = address
        while true {
            switch state.withLock({ _ in aliases.object.next(from: from, memory: memory, budget: 512) }) {
            case .found(let address): return address
            case .goOn(let address): from = address
            case .none: return nil
            }
        }
    }
}
