import ArgumentParser
import CGuest
import Glibc
import TagMemCore
import TagMemDeviceTree
import TagMemFS

/// `tagmemd qemu`: a QEMU whose machine has its memory, and its tags, on a device.
struct QEMUCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "qemu",
        abstract: "Runs a virtual machine whose memory and allocation tags are files of a device.",
        usage:
            "tagmemd qemu [--size SIZE] [--dt-dialect DIALECT] DIRECTORY [--] qemu-system-aarch64 ARGUMENTS…",
        discussion: """
            DIRECTORY is an object in tagged/; its size is the machine's memory. Or it is phys: then the machine has all \
            of the device, its tags are the bytes of its own tag storage, and the kernel gets a device tree that says \
            where that is. QEMU gets the memory by itself; all other options are its user's, -machine virt,mte=on among \
            them:
              tagmemd qemu --size 1G /mnt/tagmem/tagged/vm qemu-system-aarch64 -machine virt,mte=on -cpu max \
            -nographic -kernel Image -initrd initramfs.cpio.gz -append console=ttyAMA0
            While it runs, tags.hex shows the guest's tags, and what is written there is what the guest has. The \
            command ends when and as QEMU does.

            QEMU 8.0 or newer is needed, for phys 8.2: in system mode 7.2 has one tag for all of a page.
            """)

    @Option(help: "Bytes of memory: the object is made if it is not there.")
    var size: ByteCount?

    @Option(
        name: .customLong("dt-dialect"),
        help: ArgumentHelp(
            "How the guest is told of tag storage in phys: proposal (default), rfc-v2 or rfc-v3.",
            valueName: "dialect"))
    var dialect: DeviceTreeDialect?

    @Argument(
        parsing: .captureForPassthrough,
        help: ArgumentHelp("The object, and QEMU with its arguments.", valueName: "directory and command"))
    var words: [String] = []

    func validate() throws {
        if size?.value == 0 { throw ValidationError("a machine without memory makes no sense") }
        if let size, size.value % GuestMemory.unit != 0 {
            throw ValidationError("--size: a machine has a multiple of \(GuestMemory.unit >> 10)K")
        }
        _ = try parsed()
    }

    private func parsed() throws -> (directory: String, QEMUArguments) {
        var rest = words[...]
        if rest.first == "--" { rest.removeFirst() }
        guard let directory = rest.popFirst() else {
            throw ValidationError("no object and no QEMU is given; see --help")
        }
        if directory == "--help" || directory == "-h" { throw CleanExit.helpRequest(Self.self) }
        if directory.hasPrefix("-") { throw ValidationError("unknown option '\(directory)'; see --help") }
        if rest.first == "--" { rest.removeFirst() }
        guard let program = rest.popFirst() else { throw ValidationError("no QEMU is given; see --help") }
        if program.hasPrefix("-") {
            throw ValidationError("'\(program)' is no QEMU: options come before the directory; see --help")
        }
        return (directory, try QEMUArguments(program, Array(rest)))
    }

    func run() throws {
        let (directory, arguments) = try parsed()
        let version = try QEMUVersion(ofProgram: arguments.program)
        if let flaw = version.flaw(needsOffset: false) { throw Failure(flaw) }
        let memory = try GuestMemory(directory, size: size?.value)
        if arguments.hasMemory, arguments.memory?.bytes != memory.size {
            throw ValidationError("-m is not what '\(directory)' has, \(memory.size) bytes: leave it out")
        }
        if let flaw = version.flaw(needsOffset: memory.address > 0) { throw Failure(flaw) }
        if memory.map != nil, let option = arguments.bootsByMachine {
            throw ValidationError("-machine \(option)=: on phys give -kernel, -initrd, -append and -dtb")
        }
        let boot = try memory.map.flatMap {
            try GuestBoot(arguments, memory, $0, dialect ?? .proposal)
        }
        let machine = try QEMUProcess(arguments, memory, boot)
        machine.endWithIt()
    }
}
