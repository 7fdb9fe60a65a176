import Glibc
import TagMemCore
import TagMemDeviceTree
import TagMemFS

/// A kernel, its initramfs and a device tree in the memory of a machine whose tree says what the memory is.
///
/// QEMU writes the memory nodes of every tree that it loads itself. What it is given as plain bytes it leaves as it is:
///
/// ```
///   RAM      + 2 MiB   + 4 MiB
///   │ QEMU's │ start   │ kernel │ device tree │ initramfs │ …
/// ```
struct GuestBoot {
    /// What QEMU is given instead of `-kernel`, `-initrd`, `-append` and `-dtb`.
    let words: [String]
    /// The files among them.
    let files: [NamelessFile]

    private static let unit: UInt64 = 2 << 20

    /// - Returns: nil if the user boots something that is no kernel of Linux.
    init?(_ arguments: QEMUArguments, _ memory: GuestMemory, _ map: MemoryMap, _ dialect: DeviceTreeDialect)
        throws
    {
        guard let path = arguments.values(of: ["kernel"]).last else { return nil }
        let kernel = try KernelImage(path)
        let initramfs = arguments.values(of: ["initrd"]).last
        let start = memory.address + Self.unit
        let kernelStart = start + Self.unit + kernel.textOffset
        let treeStart = Self.roundedUp(kernelStart + kernel.size)
        let initramfsStart = treeStart + Self.unit
        let initramfsSize = try initramfs.map { try Self.size(of: $0) } ?? 0
        guard initramfsStart + initramfsSize <= memory.address + memory.taggedSize else {
            throw Failure("the kernel and its initramfs do not fit into \(memory.taggedSize) bytes of memory")
        }
        let tree = try Self.baseTree(arguments, memory).merging(
            memoryOf: DeviceTree(describing: map, in: dialect),
            .init(
                commandLine: arguments.values(of: ["append"]).last ?? "",
                initramfs: initramfs.map { _ in initramfsStart..<initramfsStart + initramfsSize }))
        let blob = tree.flattened()
        guard blob.count <= DeviceTree.maximumSize else { throw Failure("the device tree is too large") }
        files = [
            try NamelessFile(Self.stub(tree: treeStart, kernel: kernelStart), "boot code"),
            try NamelessFile(kernel.bytes, "kernel"), try NamelessFile(blob, "device tree"),
        ]
        var words = zip(files, [start, kernelStart, treeStart]).flatMap { Self.load($0.path, at: $1) }
        if let initramfs { words += Self.load(initramfs, at: initramfsStart) }
        self.words = words + ["-device", "loader,addr=\(start),cpu-num=0"]
    }

    private static func load(_ path: String, at address: UInt64) -> [String] {
        ["-device", "loader,file=\(path.replacing(",", with: ",,")),addr=\(address),force-raw=on"]
    }

    private static func roundedUp(_ address: UInt64) -> UInt64 { (address + unit - 1) / unit * unit }

    private static func size(of path: String) throws -> UInt64 {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { throw Failure("\(path): \(errorText(errno))") }
        return UInt64(status.st_size)
    }

    /// What a boot loader does: the tree's address in x0, nothing in x1 to x3, and on to the kernel.
    static func stub(tree: UInt64, kernel: UInt64) -> [UInt8] {
        let instructions: [UInt32] = [
            0x5800_00c0,  // ldr x0, 1f
            0xaa1f_03e1,  // mov x1, xzr
            0xaa1f_03e2,  // mov x2, xzr
            0xaa1f_03e3,  // mov x3, xzr
            0x5800_0084,  // ldr x4, 2f
            0xd61f_0080,  // br x4
        ]
        let words = instructions.map(UInt64.init).map { ($0, 4) } + [(tree, 8), (kernel, 8)]  // 1: and 2:
        return words.flatMap { word, count in
            (0..<count).map { UInt8(truncatingIfNeeded: word >> UInt64(8 * $0)) }
        }
    }

    // MARK: The machine's own tree

    /// Options that a machine's tree depends on.
    private static let shaping: Set<String> = ["machine", "M", "cpu", "smp", "accel", "numa", "global"]

    private static func baseTree(
        _ arguments: QEMUArguments, _ memory: GuestMemory
    ) throws -> DeviceTree {
        let blob =
            if let own = arguments.values(of: ["dtb"]).last {
                try readFile(own, limit: DeviceTree.maximumSize)
            } else {
                try HostProgram.uninterrupted { try dump(arguments, memory) }
            }
        do throws(DeviceTreeError) {
            return try DeviceTree(blob: blob)
        } catch {
            throw Failure("the machine's tree: \(error)")
        }
    }

    /// QEMU writes a tree to a file that it makes, and ends.
    private static func dump(_ arguments: QEMUArguments, _ memory: GuestMemory) throws -> [UInt8] {
        var template = Array("/tmp/tagmemd.XXXXXX".utf8CString)
        // SAFETY: the template is the array's, with its NUL.
        let made = unsafe template.withUnsafeMutableBufferPointer {
            unsafe mkdtemp($0.baseAddress.unsafelyUnwrapped) != nil
        }
        guard made else { throw Failure("no directory in /tmp: \(errorText(errno))") }
        let directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let path = "\(directory)/fdt"
        defer {
            unsafe unlink(path)
            unsafe rmdir(directory)
        }
        let words =
            [arguments.program] + arguments.pairs(of: shaping)
            + [
                "-m", "\(memory.size >> 10)K", "-machine", "dumpdtb=\(path)", "-nodefaults", "-display",
                "none",
            ]
        _ = try HostProgram.output(of: words, limit: 1 << 16)
        return try readFile(path, limit: DeviceTree.maximumSize)
    }
}
