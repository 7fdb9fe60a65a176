import ArgumentParser
import Glibc
import TagMemCore
import TagMemDeviceTree

/// `tagmemd dtb`: the device tree of a machine, without a mount.
struct DeviceTreeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dtb",
        abstract: "Writes the flattened device tree of a machine.",
        usage:
            """
            tagmemd dtb [--size SIZE] [--base ADDRESS | --machine OPTIONS -m SIZE | --dtb FILE] [-o FILE]
            tagmemd dtb … --merge TREE [--append TEXT] [--initrd ADDRESS,SIZE] [-o FILE]
            """,
        discussion: """
            The same as firmware/fdt of a device that is mounted with these options. dtc(1) makes text of it:
              tagmemd dtb --machine virt,mte=on,mte-shared-alloc=on -m 1G | dtc -I dtb

            With --merge it is the tree of another machine, with the memory of this one instead of its own:
              qemu-system-aarch64 -machine virt,mte=on,dumpdtb=virt.dtb -cpu max -m 1056M
              tagmemd dtb --size 1G --merge virt.dtb --append console=ttyAMA0 -o guest.dtb
            """)

    @OptionGroup var machine: MachineOptions

    @Option(
        name: .customShort("o"), help: ArgumentHelp("Where to write it (default: stdout).", valueName: "file")
    )
    var output: String?

    @Option(
        help: ArgumentHelp(
            "A machine's device tree that gets this memory instead of its own.", valueName: "tree"))
    var merge: String?

    @Option(help: ArgumentHelp("With --merge: the kernel's command line.", valueName: "text"))
    var append: String?

    @Option(
        help: ArgumentHelp(
            "With --merge: where the initramfs is in memory, and its size.", valueName: "address,size"))
    var initrd: AddressAndSize?

    func validate() throws {
        if output == nil, isatty(STDOUT_FILENO) == 1 {
            throw ValidationError(
                "a blob is nothing for a terminal: name a file with -o, or pipe it into dtc")
        }
        if merge == nil, append != nil || initrd != nil {
            throw ValidationError("--append and --initrd are for the tree of a --merge")
        }
    }

    func run() throws {
        let memory = try machine.makeDeviceTree(of: machine.makeMap())
        guard let merge else { return try writeFile(output, memory.flattened()) }
        let blob = try readFile(merge, limit: DeviceTree.maximumSize)
        let tree: DeviceTree
        do throws(DeviceTreeError) {
            tree = try DeviceTree(blob: blob).merging(
                memoryOf: memory, .init(commandLine: append, initramfs: initrd?.range))
        } catch {
            throw Failure("\(merge): \(error)")
        }
        try writeFile(output, tree.flattened())
    }
}

/// A range of memory, as `0x48000000,2M`.
struct AddressAndSize: ExpressibleByArgument {
    let range: Range<UInt64>

    init?(argument: String) {
        let parts = argument.split(separator: ",", omittingEmptySubsequences: false).map {
            ByteCount(String($0))
        }
        guard parts.count == 2, let address = parts[0]?.value, let size = parts[1]?.value, size > 0,
            size <= PhysicalAddress.limit, address <= PhysicalAddress.limit - size
        else { return nil }
        range = address..<address + size
    }
}
