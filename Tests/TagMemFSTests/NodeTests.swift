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
        #expect(roles.count == 16 + 9 + 16 + Knob.allCases.count)
        #expect(Set(roles).count == roles.count)
        #expect(
            roles.filter(\.isDirectory) == [
                .root, .controlDirectory, .objects(.untagged), .objects(.tagged), .firmware, .object,
                .viewsDirectory,
                .deviceNode,
            ])
        #expect(roles.filter { $0.defaultPermissions & 0o022 != 0 }.count == 2 + 16)
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
        #expect(inDeviceTree > 10 && paths.count - inDeviceTree == 12 + 2 + 7 + 7 + 16)
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
            ("phys/tags.hex", 0x41000 / 16), ("phys/checked", 0xf00_0000_0004_1000), ("phys/mode", 0),
            ("vmstat", 0), ("faults", 0),
        ])
    func sizes(_ path: String, _ size: Int) throws {
        #expect(try fileSystem.attributes(of: node(path)).st_size == size)
    }

    @Test("types, links, owner and permissions")
    func attributes() throws {
        for (path, mode, links) in [
            ("", S_IFDIR | 0o755, 7), ("phys", S_IFDIR | 0o755, 3), ("phys/views", S_IFDIR | 0o755, 2),
            ("phys/mem", S_IFREG | 0o600, 1), ("phys/views/7", S_IFREG | 0o666, 1),
            ("faults_pipe", S_IFREG | 0o400, 1), ("phys/tfsr", S_IFREG | 0o644, 1),
        ] as [(String, mode_t, nlink_t)] {
            let attributes = try fileSystem.attributes(of: node(path))
            #expect(attributes.st_mode == mode, "\(path)")
            #expect(attributes.st_nlink == links, "\(path)")
            #expect(attributes.st_uid == getuid() && attributes.st_gid == getgid())
            #expect(try attributes.st_ino == node(path).rawValue)
        }
        #expect(try fileSystem.attributes(of: node("phys/mem")).st_blocks == 0x21000 / 512)
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
