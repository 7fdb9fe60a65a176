import TagMemCore

/// Objects and their open files.
extension CoherenceDirectory {
    /// Makes an object without pages; nil if there are too many.
    func addObject(_ use: PageUse, name: String, number: UInt64) -> ObjectID? {
        look { state in
            state.objects.add(
                MemoryObject(use, name: name, dram: dram, layout: layout), number: number)
        }
    }

    /// Counts an open file of an object; false if the object was removed.
    func opened(_ alias: Alias, isWritable: Bool) -> Bool {
        look { state in
            guard state.objects.contains(alias.object), !state.objects[alias.object].isRemoved else {
                return false
            }
            state.objects[alias.object].openFiles[Int(alias.kind?.rawValue ?? 0)] += 1
            if isWritable, let kind = alias.kind {
                state.objects[alias.object].openWriters[Int(kind.rawValue)] += 1
            }
            return true
        }
    }

    /// The file is closed. Returns whether it was the last one of a removed object.
    func closed(_ alias: Alias, isWritable: Bool) -> Bool {
        look { state in
            state.objects[alias.object].openFiles[Int(alias.kind?.rawValue ?? 0)] -= 1
            if isWritable, let kind = alias.kind {
                state.objects[alias.object].openWriters[Int(kind.rawValue)] -= 1
            }
            return state.objects[alias.object].isRemoved && !state.objects[alias.object].hasOpenFiles
        }
    }

    /// The object has no name any more. Returns whether no file of it is open.
    func removed(_ object: ObjectID) -> Bool {
        update { state in
            state.objects[object].isRemoved = true
            state.noteAttributes(of: object)
            return !state.objects[object].hasOpenFiles
        }
    }

    /// Calls `body` with the pages, under the lock.
    func withPages<Result>(_ body: (inout PageStore) -> Result) -> Result { look { body(&$0.pages) } }

    /// Calls `body` with what is known of an object, under the lock; nil if it is gone.
    func withObject<Result>(_ object: ObjectID, _ body: (inout ObjectRecord) -> Result) -> Result? {
        look { state in state.objects.contains(object) ? body(&state.objects[object]) : nil }
    }

    /// Pages of the object came or went, so its bytes are not what they were.
    func noteContent(of object: ObjectID) { update { $0.noteContent(of: object) } }

    /// The object's files have other sizes.
    func noteAttributes(of object: ObjectID) {
        update { if $0.objects.contains(object) { $0.noteAttributes(of: object) } }
    }

    // MARK: Sizes

    /// The size of an alias's file, for the kernel to know: from now on it is told when the file grows.
    func shownSize(of kind: AliasKind, _ object: ObjectID) -> UInt64 {
        look { state in
            guard state.objects.contains(object) else { return 0 }
            state.objects[object].shownSizes |= kind.bit
            return state.size(of: kind, object)
        }
    }

    /// The size of an alias's file.
    func size(of kind: AliasKind?, _ object: ObjectID) -> UInt64 {
        look { $0.objects.contains(object) ? $0.size(of: kind, object) : 0 }
    }

    /// Bytes of memory that an object has.
    func allocatedSize(of object: ObjectID) -> UInt64 {
        if object.isPhysical { return dram.map.regions.reduce(0) { $0 + $1.size } }
        return withObject(object) { UInt64($0.memory.pages.present) * layout.pageSize } ?? 0
    }

    /// See `MemoryObject.next`. The lock is let go now and then.
    func next(from address: UInt64, memory: Bool, _ object: ObjectID) -> UInt64? {
        var position = address
        while true {
            let found = withObject(object) {
                $0.memory.next(from: position, memory: memory, budget: Self.chunksAtOnce)
            }
            switch found {
            case .found(let address): return address
            case .goOn(let next): position = next
            case .some(.none), nil: return nil
            }
            giveWay()
        }
    }

    /// Chunks of a page table that are looked through under one hold of the lock.
    private static let chunksAtOnce = 256

    // MARK: Modes and faults

    func mode(of object: ObjectID) -> TagCheckMode { withObject(object) { $0.memory.mode } ?? .sync }

    func name(of object: ObjectID) -> String { withObject(object) { $0.memory.name } ?? "" }

    /// An asynchronous fault through a checked file, which stands for the bit.
    func noteAsynchronousFault(_ object: ObjectID, file bit: UInt32) {
        _ = withObject(object) {
            $0.memory.hasAsynchronousFault = true
            $0.deferredFaults |= bit
        }
    }

    /// Whether the file has an asynchronous fault to report; it is reported by that.
    func takeDeferredFault(_ object: ObjectID, file bit: UInt32) -> Bool {
        withObject(object) { record in
            defer { record.deferredFaults &= ~bit }
            return record.deferredFaults & bit != 0
        } ?? false
    }
}
