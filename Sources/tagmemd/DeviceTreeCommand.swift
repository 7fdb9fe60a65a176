import ArgumentParser
import Glibc
import TagMemDeviceTree

/// `tagmemd dtb`: the device tree of a machine, without a mount.
struct DeviceTreeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dtb",
        abstract: "Writes the flattened device tree of a machine.",
        usage:
            "tagmemd dtb [--size SIZE] [--base ADDRESS | --machine OPTIONS -m SIZE | --dtb FILE] [-o FILE]",
        discussion: """
            The same as firmware/fdt of a device that is mounted with these options. dtc(1) makes text of it:
              tagmemd dtb --machine virt,mte=on,mte-shared-alloc=on -m 1G | dtc -I dtb
            """)

    @OptionGroup var machine: MachineOptions

    @Option(
        name: .customShort("o"), help: ArgumentHelp("Where to write it (default: stdout).", valueName: "file")
    )
    var output: String?

    func validate() throws {
        if output == nil, isatty(STDOUT_FILENO) == 1 {
            throw ValidationError(
                "a blob is nothing for a terminal: name a file with -o, or pipe it into dtc")
        }
    }

    func run() throws {
        let blob = try machine.makeDeviceTree(of: machine.makeMap()).flattened()
        try writeFile(output, blob)
    }
}
