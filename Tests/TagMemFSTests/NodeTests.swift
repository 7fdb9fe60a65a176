import CFuse
import Glibc
import TagMemCore
import TagMemDeviceTree
import Testing

@testable import TagMemFS

@Suite("Nodes and errors") struct NodeTests {
    @Test("roles are their raw values, and only those")
    func roles() {
        var roles: [Role] = []
        for rawValue in UInt8.min...UInt8.max {
            guard let role = Role(rawValue: rawValue) else { continue }
            #expect(role.rawValue == rawValue)
            roles.append(role)
        }
        #expect(roles.count == 16 + 10 + 16 + Knob.allCases.count)
        #expect(Set(roles).count == roles.count)
        #expect(
            roles.filter(\.isDirectory) == [
                .root, .controlDirectory, .objects(.untagged), .objects(.tagged), .firmware, .object,
                .viewsDirectory,
                .deviceNode,
            ])
        // What others may write: checked memory, but nothing of the physical address space. (A link has no modes.)
        #expect(roles.filter { $0.defaultPermissions(isPhysical: false) & 0o022 != 0 }.count == 2 + 16)
        #expect(roles.filter { $0.defaultPermissions(isPhysical: true) & 0o022 != 0 } == [.deviceTreeLink])
    }

    @Test(
        "a node number is an object's number and a role",
        arguments: [0, 1, 2, 255, 256, 1 << 40, (1 << 56) - 1])
    func nodes(_ object: UInt64) {
        for rawValue in UInt8.min...UInt8.max {
            let node = NodeID(rawValue: object << 8 | UInt64(rawValue))
            #expect(node.object == object)
            #expect(node.role == Role(rawValue: rawValue))
            if let role = node.role { #expect(NodeID(object: object, role: role) == node) }
        }
        #expect(NodeID.root.rawValue == 1)
    }

    @Test("aliases name the files that are their nodes")
    func aliasNodes() {
        func node(_ kind: AliasKind?) -> NodeID? { Alias(object: .physical, kind: kind).node }
        #expect(node(.mem)?.role == .mem)
        #expect(node(.tags)?.role == .tags)
        #expect(node(.tagsHex)?.role == .tagsHex)
        for tag in AddressTag.all { #expect(node(.view(tag))?.role == .view(tag)) }
        #expect(node(nil) == nil)
    }

    @Test(
        "each error has the errno that the documentation gives it",
        arguments: [
            (FileError.hole, ENXIO), (.pastEnd, ENXIO), (.notTaggable, EOPNOTSUPP), (.tagCheckFault, EFAULT),
            (.deferredFault, EIO), (.noSpace, ENOSPC), (.exists, EEXIST), (.notEmpty, ENOTEMPTY),
            (.busy, EBUSY),
            (.invalid, EINVAL), (.notFound, ENOENT), (.notPermitted, EPERM),
            (.accessDenied, EACCES), (.notDirectory, ENOTDIR), (.isDirectory, EISDIR), (.wouldBlock, EAGAIN),
            (.nameTooLong, ENAMETOOLONG), (.interrupted, EINTR), (.readaheadRefused, EAGAIN),
            (.notSupported, EOPNOTSUPP),
            (.overloaded, ENOMEM), (.unmounting, ENOTCONN),
        ])
    func errors(_ error: FileError, _ errno: Int32) { #expect(error.errno == errno) }

    @Test("counters have names of their own, and count apart")
    func counters() {
        #expect(Set(Counter.allCases.map(\.name)).count == Counter.allCases.count)
        for counter in Counter.allCases {
            #expect(counter.name.utf8.allSatisfy { (0x61...0x7a).contains($0) || $0 == 0x5f })
            let counters = Counters()
            counters.add(counter)
            counters.add(counter, 41)
            for other in Counter.allCases { #expect(counters[other] == (other == counter ? 42 : 0)) }
        }
    }

    @Test("hexadecimal digits and values", arguments: UInt8.min...UInt8.max)
    func hexDigits(_ byte: UInt8) {
        let expected = UInt8(String(UnicodeScalar(byte)), radix: 16)
        #expect(HexDigit.value(of: byte) == expected)
        if byte < 16 { #expect(HexDigit.digit(of: byte) == String(byte, radix: 16).utf8.first) }
    }

    @Test("host files are read up to the limit")
    func hostFiles() throws {
        let text = try #require(readHostFile("/proc/self/status", limit: 1 << 16))
        #expect(text.hasPrefix("Name:\t"))
        #expect(readHostFile("/proc/self/status", limit: 5) == "Name:")
        #expect(readHostFile("/does/not/exist", limit: 10) == nil)
        #expect(readHostFile("/dev/null", limit: 10) == nil)
        #expect(!writeHostFile("/does/not/exist", "1"))
        #expect(writeHostFile("/dev/null", "1"))
    }

    @Test("a mount point is an existing directory without a mount")
    func mountpoints() {
        #expect(throws: MountpointError.unusable("/does/not/exist", ENOENT)) {
            try Mountpoint("/does/not/exist")
        }
        #expect(throws: MountpointError.unusable("/dev/null", ENOTDIR)) { try Mountpoint("/dev/null") }
        #expect(throws: MountpointError.foreign("/proc", type: "proc")) { try Mountpoint("/proc") }
        #expect(MountedFileSystem(at: "/proc")?.type == "proc")
        #expect(MountedFileSystem(at: "/does/not/exist") == nil)
    }
}

/// The tree without a mount.
@Suite("FileSystem") struct FileSystemTests {
    let fileSystem: FileSystem

    init() throws {
        let map = try MemoryMap(regions: TestMaps.standard)
        fileSystem = try FileSystem(
            map: map, layout: BlockLayout(map: map), deviceTree: DeviceTree(describing: map, in: .proposal))
    }

    private func node(_ path: String) throws -> NodeID {
        try path.split(separator: "/").reduce(.root) { try fileSystem.lookUp(String($1), in: $0) }
    }

    @Test("every name that is listed is found, and is where it says")
    func tree() throws {
        var paths: [String] = []
        var nodes = Set<NodeID>()
        func visit(_ node: NodeID, _ path: String) throws {
            #expect(nodes.insert(node).inserted)
            guard node.role?.isDirectory == true else { return }
            let entries = try fileSystem.entries(of: node, after: 0, limit: 100)
            #expect(entries.prefix(2).map(\.name) == [".", ".."])
            #expect(entries[0].node == node && entries[1].node == fileSystem.parent(of: node))
            let children = entries.dropFirst(2)
            // The device tree keeps the order of the blob.
            if node.role != .deviceNode { #expect(children.map(\.name) == children.map(\.name).sorted()) }
            for (name, child, _) in children {
                #expect(try fileSystem.lookUp(name, in: node) == child)
                if child.role?.isDirectory == true { #expect(fileSystem.parent(of: child) == node) }
                paths.append("\(path)/\(name)")
                try visit(child, "\(path)/\(name)")
            }
        }
        try visit(.root, "")
        let inDeviceTree = paths.count { $0.hasPrefix("/firmware/devicetree/") }
        #expect(inDeviceTree > 10 && paths.count - inDeviceTree == 12 + 2 + 8 + 7 + 16)
        #expect(try fileSystem.lookUp("base", in: fileSystem.firmware.root).role == .deviceTreeLink)
        #expect(throws: FileError.notFound) { try fileSystem.lookUp("base", in: .root) }
        #expect(paths.contains("/phys/views/f") && paths.contains("/phys/tags.hex"))
        #expect(fileSystem.parent(of: .root) == .root)
    }

    @Test("what is not there is not found")
    func missing() throws {
        #expect(throws: FileError.notFound) { try fileSystem.lookUp("nothing", in: .root) }
        #expect(throws: FileError.notFound) { try fileSystem.lookUp("", in: .root) }
        #expect(throws: FileError.notDirectory) { try node("vmstat/x") }
        #expect(throws: FileError.notFound) { try fileSystem.attributes(of: NodeID(rawValue: 0xff)) }
        #expect(throws: FileError.notFound) { try fileSystem.attributes(of: NodeID(object: 9, role: .mem)) }
        #expect(throws: FileError.isDirectory) { try fileSystem.open(.root, flags: O_RDONLY) }
        #expect(throws: FileError.accessDenied) { try fileSystem.open(try node("meminfo"), flags: O_RDWR) }
    }

    @Test(
        "sizes follow from the memory map",
        arguments: [
            ("phys/mem", 0x41000), ("phys/views/0", 0x41000), ("phys/tags", 0x41000 / 32),
            ("phys/tags.hex", 0x41000 / 16), ("phys/checked", 0), ("phys/mode", 0),
            ("vmstat", 0), ("faults", 0),
        ])
    func sizes(_ path: String, _ size: Int) throws {
        #expect(try fileSystem.attributes(of: node(path)).st_size == size)
    }

    @Test("types, links, owner and permissions")
    func attributes() throws {
        for (path, mode, links) in [
            ("", S_IFDIR | 0o755, 7), ("phys", S_IFDIR | 0o755, 3), ("phys/views", S_IFDIR | 0o755, 2),
            ("phys/mem", S_IFREG | 0o600, 1), ("phys/views/7", S_IFREG | 0o600, 1),
            ("phys/checked", S_IFREG | 0o600, 1),
            ("faults_pipe", S_IFREG | 0o400, 1), ("phys/tfsr", S_IFREG | 0o644, 1),
        ] as [(String, mode_t, nlink_t)] {
            let attributes = try fileSystem.attributes(of: node(path))
            #expect(attributes.st_mode == mode, "\(path)")
            #expect(attributes.st_nlink == links, "\(path)")
            #expect(attributes.st_uid == getuid() && attributes.st_gid == getgid())
            #expect(try attributes.st_ino == node(path).rawValue)
        }
    }

    /// Makes an object; its directory.
    @discardableResult
    private func make(_ name: String, in directory: String = "tagged") throws -> NodeID {
        try fileSystem.makeDirectory(name, in: node(directory), permissions: 0o755, user: 1, group: 1)
    }

    @Test("memory is counted once, as far as anybody has used it") func blocks() throws {
        func blocks(_ path: String) throws -> Int { Int(try fileSystem.attributes(of: node(path)).st_blocks) }
        #expect(try blocks("phys/mem") == 0)
        fileSystem.dram.zero(TestMaps.standard[0].start, count: 1)
        // The host may take more at once.
        #expect(try blocks("phys/mem") >= 8)
        for name in ["views/0", "views/f", "checked", "tags", "tags.hex"] {
            #expect(try blocks("phys/\(name)") == 0)
        }
    }

    @Test("names that cannot be shown are refused", arguments: unusableNames) func names(_ name: String)
        throws
    {
        #expect(throws: FileError.invalid) { try make(name) }
        #expect(fileSystem.tree.all().isEmpty)
        try make("a")
        #expect(throws: FileError.invalid) {
            try fileSystem.tree.beginRename("a", .tagged, to: name, .tagged)
        }
    }

    private static let unusableNames =
        [0x01, 0x1f, 0x7f, 0x80, 0x85, 0x9b, 0x9f, 0x61c, 0x200e, 0x200f, 0x2028, 0x2029, 0xfffd]
        .map { name(with: $0) } + (0x202a...0x202e).map { name(with: $0) }
        + (0x2066...0x2069).map { name(with: $0) }

    private static func name(with scalar: Int) -> String {
        "x" + (UnicodeScalar(UInt32(scalar)).map { String($0) } ?? "") + "y"
    }

    @Test(
        "names that can be shown are taken, and found by their paths",
        arguments: ["é", "e\u{301}", " a ", "\u{301}x", "ب", "\u{a0}", "\u{200d}", "\u{600}", "日本"])
    func usableNames(_ name: String) throws {
        let object = try make(name).object
        #expect(fileSystem.tree.object(at: "tagged/\(name)")?.number == object)
        #expect(fileSystem.tree.object(at: "untagged/\(name)") == nil)
        #expect(fileSystem.tree.object(at: "tagged/\(name) ") == nil)
        #expect(throws: FileError.exists) { try make(name) }
    }

    @Test("a name that could not be given is free again") func failedObject() throws {
        let tree = fileSystem.tree
        func add(_ make: @escaping (UInt64) -> ObjectID?) throws {
            _ = try tree.add("a", .tagged, user: 0, group: 0, permissions: 0, make: make)
        }
        #expect(throws: FileError.noSpace) {
            // The tree can be used meanwhile: no lock is held.
            try add { _ in
                #expect(
                    tree.object(at: "tagged/a") == nil && tree.names(in: .tagged, after: 0, limit: 9).isEmpty)
                return nil
            }
        }
        try make("a")
    }

    @Test("numbers of files have 32 bits and are unique, those of the device tree too") func numbers() throws
    {
        for index in 0..<100 { try make("\(index)") }
        var numbers = Set<UInt64>()
        func visit(_ node: NodeID) throws {
            #expect(node.rawValue < 1 << 32)
            #expect(numbers.insert(node.rawValue).inserted)
            guard node.role?.isDirectory == true else { return }
            for entry in try fileSystem.entries(of: node, after: 0, limit: 1000).dropFirst(2) {
                try visit(entry.node)
            }
        }
        try visit(.root)
        #expect(numbers.count > 100 * (2 + 7 + 16))
        // Objects leave the numbers of the device tree out.
        var state = ObjectTree.State()
        state.nextNumber = FirmwareTree.objects.lowerBound - 1
        #expect(state.takeNumber() == FirmwareTree.objects.lowerBound - 1)
        #expect(state.takeNumber() == FirmwareTree.objects.upperBound)
    }

    @Test("times go with what is changed") func times() throws {
        let object = try make("a")
        let id = try #require(fileSystem.object(of: object))
        func times(_ path: String) throws -> (modified: timespec, changed: timespec) {
            let attributes = try fileSystem.attributes(of: node(path))
            return (attributes.st_mtim, attributes.st_ctim)
        }
        let before = try times("tagged/a/mem")
        var old = stat()
        old.st_mtim.tv_sec = 77
        for name in ["mem", "views/3", "checked", "tags", "tags.hex"] {
            try fileSystem.change(node("tagged/a/\(name)"), to: old, FUSE_SET_ATTR_MTIME)
            #expect(try times("tagged/a/\(name)").modified.tv_sec == 77)
            #expect(try before.changed < times("tagged/a/\(name)").changed)
        }
        usleep(10_000)
        fileSystem.directory.look { $0.objects[id].changes.noteMemory(coarseTime()) }
        for name in ["mem", "views/3", "checked"] {
            #expect(try before.modified < times("tagged/a/\(name)").modified)
        }
        #expect(try times("tagged/a/tags").modified.tv_sec == 77)
        // The time that is set last counts, however soon.
        try fileSystem.change(node("tagged/a/mem"), to: old, FUSE_SET_ATTR_MTIME)
        #expect(try times("tagged/a/mem").modified.tv_sec == 77)
        fileSystem.directory.look { $0.objects[id].changes.noteAll(coarseTime()) }
        for name in ["mem", "tags", "tags.hex"] {
            #expect(try before.modified < times("tagged/a/\(name)").modified)
        }
        // Directories: what comes and goes in them, and the object's new name.
        let directory = try times("tagged").modified
        usleep(1000)
        try make("b")
        let later = try times("tagged").modified
        #expect(directory < later)
        usleep(1000)
        let changed = try times("tagged/a").changed
        let moved = try #require(try fileSystem.tree.beginRename("a", .tagged, to: "c", .tagged))
        fileSystem.tree.finishRename(moved, "a", .tagged, to: "c", .tagged, isDone: true)
        #expect(try later < times("tagged").modified && changed < times("tagged/c").changed)
    }

    @Test("a write of another user takes the set-ID bits away") func setID() throws {
        let mem = try node("phys/mem")
        func permissions(after user: UInt32, _ mode: UInt32) throws -> UInt32 {
            var new = stat()
            new.st_mode = mode
            try fileSystem.change(mem, to: new, FUSE_SET_ATTR_MODE)
            fileSystem.willWrite(mem, user: user)
            return try fileSystem.attributes(of: mem).st_mode & 0o7777
        }
        #expect(try permissions(after: 65534, 0o6777) == 0o777)
        #expect(try permissions(after: 65534, 0o6767) == 0o2767)
        #expect(try permissions(after: 65534, 0o1666) == 0o1666)
        #expect(try permissions(after: 0, 0o6777) == 0o6777)
    }

    @Test("changes of attributes are kept, each by itself; sizes are ignored")
    func changes() throws {
        let mem = try node("phys/mem")
        let before = try fileSystem.attributes(of: mem)
        var new = stat()
        new.st_mode = S_IFREG | 0o4640
        new.st_uid = 1234
        new.st_gid = 99
        new.st_size = 5
        new.st_mtim.tv_sec = 77
        try fileSystem.change(mem, to: new, FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_GID | FUSE_SET_ATTR_SIZE)
        var after = try fileSystem.attributes(of: mem)
        #expect(after.st_mode == S_IFREG | 0o4640)
        #expect(after.st_gid == 99 && after.st_uid == before.st_uid)
        #expect(after.st_size == before.st_size && after.st_mtim.tv_sec == before.st_mtim.tv_sec)
        try fileSystem.change(mem, to: new, FUSE_SET_ATTR_UID | FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_ATIME_NOW)
        after = try fileSystem.attributes(of: mem)
        #expect(after.st_uid == 1234 && after.st_gid == 99 && after.st_mtim.tv_sec == 77)
        #expect(after.st_mode == S_IFREG | 0o4640)
        #expect(try fileSystem.attributes(of: node("phys/tags")).st_uid == before.st_uid)
        #expect(throws: FileError.notFound) { try fileSystem.change(NodeID(rawValue: 0), to: new, 0) }
    }

    @Test("df shows all memory, tag storage included")
    func statistics() {
        let statistics = fileSystem.statistics(at: .root)
        #expect(statistics.f_blocks == 33 && statistics.f_bavail == 33)
        #expect(statistics.f_frsize == 4096 && statistics.f_namemax == 255)
        #expect(statistics.f_files == 1 << 20 && statistics.f_ffree == 1 << 20)
    }

    @Test("df -i counts objects") func inodes() throws {
        try make("a")
        try make("b")
        let statistics = fileSystem.statistics(at: .root)
        #expect(statistics.f_files == 1 << 20 && statistics.f_ffree == (1 << 20) - 2)
        #expect(statistics.f_favail == statistics.f_ffree)
    }

    @Test("files that are open for writing are counted")
    func writers() throws {
        let files = try [O_RDONLY, O_WRONLY, O_RDWR].map {
            try fileSystem.open(node("phys/views/3"), flags: $0)
        }
        let kind = Int(AliasKind.view(AddressTag(truncating: 3)).rawValue)
        #expect(fileSystem.directory.withObject(.physical) { $0.openWriters[kind] } == 2)
        for file in files { file.released() }
        #expect(fileSystem.directory.withObject(.physical) { !$0.openWriters.contains { $0 != 0 } } == true)
    }
}
