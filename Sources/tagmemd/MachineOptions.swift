public import ArgumentParser
import TagMemCore
public import TagMemDeviceTree

/// Which machine is meant: a size, QEMU's options, or a device tree.
struct MachineOptions: ParsableArguments {
    @Option(help: "Bytes of data memory (default: 1G). Rounded up to whole Tag Blocks of 128K.")
    var size: ByteCount?

    @Option(help: "Physical address of the data memory, a multiple of 128K (default: 0x40000000).")
    var base: ByteCount?

    @Option(
        name: .customLong("dtb"),
        help: ArgumentHelp(
            "The memory that a flattened device tree describes: the proposal's, or RFC v1 to v3 of Arm's series.",
            valueName: "file"))
    var deviceTreeFile: String?

    @Option(
        help: ArgumentHelp(
            """
            The memory of QEMU's machine, as its prototype of the proposal has it: \
            virt,mte=on,mte-shared-alloc=on. With mte-shared-alloc=off tags have no address; with mte=off there are \
            none; highmem=off keeps them below 4G where they fit.
            """, valueName: "type,options"))
    var machine: String?

    @Option(
        name: .customShort("m"),
        help: ArgumentHelp(
            "Memory of that machine, as QEMU takes it: 1G, or MiB (default: 128M).", valueName: "size"))
    var memory: QEMUSize?

    @Option(
        name: .customLong("dt-dialect"),
        help: ArgumentHelp(
            "How the device tree of the device is written: proposal (default), rfc-v2 or rfc-v3.",
            valueName: "dialect"))
    var dialect: DeviceTreeDialect?

    @Option(
        name: .customLong("page-size"),
        help: ArgumentHelp("The emulated page: 4K (default), 16K or 64K.", valueName: "size"))
    var pageSize: ByteCount?

    @Option(
        name: .customLong("block-size"),
        help: ArgumentHelp(
            "Tag Pages that are reserved together, with 32 times as many Data Pages (default: 1).",
            valueName: "pages"))
    var blockSize: Int?

    static let defaultSize = ByteCount(1 << 30)
    static let defaultBase = ByteCount(0x4000_0000)

    func validate() throws { try requireOneMachine(size: size, base: base) }

    /// - Throws: `ValidationError` where more than one machine is described, or none.
    func requireOneMachine(size: ByteCount?, base: ByteCount?) throws {
        let isPlain = size != nil || base != nil
        if deviceTreeFile != nil, machine != nil || memory != nil {
            throw ValidationError("--dtb describes the machine: --machine and -m cannot, too")
        }
        if deviceTreeFile != nil, isPlain {
            throw ValidationError("--dtb describes the machine: a size or base cannot be given, too")
        }
        if machine != nil, isPlain {
            throw ValidationError(
                "--machine has its memory where QEMU has it: give its size with -m, and no base")
        }
        if machine == nil, memory != nil {
            throw ValidationError("-m is the memory of a --machine; without one it is --size")
        }
        if size?.value == 0 || memory?.bytes == 0 {
            throw ValidationError("a device of size 0 makes no sense")
        }
        if deviceTreeFile != nil, blockSize != nil {
            throw ValidationError("--dtb describes the machine: --block-size cannot be given, too")
        }
        if let machine { _ = try VirtMachine(machine) }
        if let pageSize, ![4096, 16384, 65536].contains(pageSize.value) {
            throw ValidationError("a page of \(pageSize.value) bytes is none of 4K, 16K and 64K")
        }
        if let blockSize, !(1...64).contains(blockSize) {
            throw ValidationError("a block size of \(blockSize) pages is not between 1 and 64")
        }
    }
}

extension DeviceTreeDialect: ExpressibleByArgument {}
