import CFuse
import Glibc
import TagMemCore

/// The directories, and what users change of them.
extension FileSystem {
    /// In bytes.
    static let maximumNameLength = 255

    private static let rootFiles: [(name: String, role: Role)] = [
        ("blocks", .blocks), ("control", .controlDirectory), ("faults", .faults),
        ("faults_pipe", .faultsPipe),
        ("firmware", .firmware),
        ("map.svg", .map), ("meminfo", .meminfo), ("metrics", .metrics), ("phys", .object),
        ("tagged", .objects(.tagged)), ("untagged", .objects(.untagged)), ("vmstat", .vmstat),
    ]
    /// Every memory object has the same files with the same meaning: these, as far as it has tags and pages.
    private static let taggedFiles: [(name: String, role: Role)] = [
        ("checked", .checked), ("mem", .mem), ("mode", .mode), ("tags", .tags), ("tags.hex", .tagsHex),
        ("tfsr", .tfsr), ("views", .viewsDirectory),
    ]

    /// A directory's names that are always there.
    private func fixedChildren(of node: NodeID) throws(FileError) -> [(name: String, node: NodeID)] {
        switch node.role {
        case .root:
            return Self.rootFiles.map { name, role in
                (name, NodeID(object: role == .object ? ObjectID.physical.number : 0, role: role))
            }
        case .controlDirectory:
            return Knob.allCases.map { ($0.name, NodeID(object: 0, role: .knob($0))) }
                .sorted { $0.name < $1.name }
        case .objects:
            return []
        case .firmware:
            return [("devicetree", firmware.root), ("fdt", NodeID(object: 0, role: .flattenedTree))]
        case .deviceNode:
            guard firmware.entry(node) != nil else { throw .notFound }
            return firmware.children(of: node)
        case .object:
            guard let use = use(of: node) else { throw .notFound }
            var files = use == .untagged ? [("mem", .mem)] : Self.taggedFiles
            if node.object != ObjectID.physical.number {
                if use == .tagged { files.append(("core", .core)) }
                files.append(("pages", .pages))
            }
            return files.map { ($0.name, NodeID(object: node.object, role: $0.role)) }
        case .viewsDirectory:
            guard use(of: node) == .tagged else { throw .notFound }
            return AddressTag.all.map { ($0.digit, NodeID(object: node.object, role: .view($0))) }
        default:
            throw .notDirectory
        }
    }

    /// Which files an object has; nil if there is no such object.
    private func use(of node: NodeID) -> PageUse? {
        node.object == ObjectID.physical.number ? .tagged : tree.entry(node.object)?.use
    }

    /// Whether a node that the kernel knows is still there: an object that turns untagged loses files.
    func hasFile(_ node: NodeID) -> Bool {
        guard let role = node.role else { return false }
        guard node.object != 0 else { return true }
        switch role {
        case .deviceNode, .deviceProperty: return firmware.entry(node) != nil
        case .object, .mem: return use(of: node) != nil
        case .pages: return node.object != ObjectID.physical.number && use(of: node) != nil
        case .core: return node.object != ObjectID.physical.number && use(of: node) == .tagged
        default: return use(of: node) == .tagged
        }
    }

    /// The names in a directory behind `cookie`, with the cookies that name them; `limit` at most.
    func entries(
        of node: NodeID, after cookie: UInt64, limit: Int
    ) throws(FileError) -> [(name: String, node: NodeID, cookie: UInt64)] {
        let own: [(name: String, node: NodeID)] = [(".", node), ("..", parent(of: node))]
        let fixed = own + (try fixedChildren(of: node))
        var entries: [(name: String, node: NodeID, cookie: UInt64)] = []
        for (index, entry) in fixed.enumerated() where index >= cookie {
            entries.append((entry.name, entry.node, UInt64(index + 1)))
        }
        guard case .objects(let use) = node.role else { return entries }
        // Objects follow, by their numbers.
        let first = UInt64(fixed.count)
        for (name, number) in tree.names(in: use, after: cookie > first ? cookie - first : 0, limit: limit) {
            entries.append((name, NodeID(object: number, role: .object), first + number))
        }
        return entries
    }

    func parent(of node: NodeID) -> NodeID {
        switch node.role {
        case .viewsDirectory: return NodeID(object: node.object, role: .object)
        case .object where node.object != ObjectID.physical.number:
            return use(of: node).map { NodeID(object: 0, role: .objects($0)) } ?? .root
        case .deviceNode: return firmware.parent(of: node)
        default: return .root
        }
    }

    func lookUp(_ name: String, in parent: NodeID) throws(FileError) -> NodeID {
        if name.utf8.count > Self.maximumNameLength { throw .nameTooLong }
        if case .objects(let use) = parent.role {
            guard let number = tree.number(of: name, in: use) else { throw .notFound }
            return NodeID(object: number, role: .object)
        }
        if let link = firmware.link(name, in: parent) { return link }
        guard let child = try fixedChildren(of: parent).first(where: { $0.name == name }) else {
            throw .notFound
        }
        return child.node
    }

    // MARK: Changes

    func makeDirectory(
        _ name: String, in parent: NodeID, permissions: UInt32, user: uid_t, group: gid_t
    ) throws(FileError) -> NodeID {
        if name.utf8.count > Self.maximumNameLength { throw .nameTooLong }
        guard case .objects(let use) = parent.role else { throw .notPermitted }
        let number = try tree.add(name, use, user: user, group: group, permissions: permissions) { number in
            directory.addObject(use, name: ObjectTree.Entry.path(use, name), number: number)
        }
        return NodeID(object: number, role: .object)
    }

    /// Removes an object, and answers when its pages are free; or at once, if files of it are open.
    func removeDirectory(_ name: String, in parent: NodeID, _ reply: consuming Reply) {
        let object: ObjectID
        do throws(FileError) {
            guard case .objects(let use) = parent.role else { throw .notPermitted }
            object = try tree.remove(name, use)
        } catch {
            return reply.error(error)
        }
        guard directory.removed(object) else { return directory.whenTold(reply) { $0.done() } }
        release(object, then: DeferredReply(reply) { [directory] in directory.whenTold($0) { $0.done() } })
    }

    /// The object has neither name nor open file.
    func release(_ object: ObjectID, then completion: any Completion = Nothing()) {
        directory.release(
            object, then: completion,
            whenReleased: Released { [self] in
                tree.forget(object)
                changedAttributes.forget(object)
            })
    }

    /// Renames an object, and turns its pages to the use of the directory that it comes to.
    func rename(
        _ name: String, in parent: NodeID, to newName: String, in newParent: NodeID, flags: UInt32,
        _ reply: consuming Reply
    ) {
        do throws(FileError) {
            guard case .objects(let use) = parent.role, case .objects(let newUse) = newParent.role else {
                throw .notPermitted
            }
            if newName.utf8.count > Self.maximumNameLength { throw .nameTooLong }
            if flags & ~UInt32(cfuse_RENAME_NOREPLACE) != 0 { throw .invalid }
            guard let object = try tree.beginRename(name, use, to: newName, newUse) else {
                return reply.done()
            }
            let finish: @Sendable (Bool) -> Void = { [self] isDone in
                if isDone {
                    let path = ObjectTree.Entry.path(newUse, newName)
                    _ = directory.withObject(object) { $0.memory.name = path }
                }
                tree.finishRename(object, name, use, to: newName, newUse, isDone: isDone)
            }
            if use == newUse {
                finish(true)
                return reply.done()
            }
            directory.setUse(
                newUse, of: object,
                then: DeferredReply(reply, onFailure: { finish(false) }) {
                    finish(true)
                    self.directory.noteAttributes(of: object)
                    self.directory.whenTold($0) { $0.done() }
                })
        } catch {
            reply.error(error)
        }
    }
}

/// Nobody waits for it.
final class Nothing: Completion {
    func run(_ error: FileError?) {}
}

/// What is done when an object's pages are gone.
private final class Released: Completion {
    private let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    func run(_ error: FileError?) { body() }
}
