import ArgumentParser
import CFuse
import Glibc
import TagMemCore
import TagMemFS

struct MountCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tagmemd",
        abstract: "Emulates an MTE-capable physical memory device as a file system.",
        usage: """
            tagmemd [SOURCE] MOUNTPOINT [--size SIZE] [--base ADDRESS] [-o OPTIONS] [-f] [-d]
            tagmemd [SOURCE] MOUNTPOINT --machine OPTIONS [-m SIZE] [-o OPTIONS] [-f] [-d]
            tagmemd [SOURCE] MOUNTPOINT --dtb FILE [-o OPTIONS] [-f] [-d]
            tagmemd run … | tagmemd qemu … | tagmemd dtb … | tagmemd simulate … (see tagmemd run --help and so on)
            """,
        discussion: """
            The device has SIZE bytes of data memory at physical address ADDRESS, and right behind it the tag storage: \
            1/32 of SIZE. Memory is taken from the host as it is written. The command returns when the mount answers, \
            and the device lives until it is unmounted: fusermount3 -u MOUNTPOINT.

            SOURCE is what /proc/mounts shows (default: tagmem), so that mount(8) can be used, and fstab:
              mount -t fuse.tagmemd tagmem /mnt/tagmem -o size=1G
              tagmem  /mnt/tagmem  fuse.tagmemd  size=1G,allow_other  0  0

            SIGINT, SIGTERM and SIGHUP unmount. A mount that a crash has left behind at MOUNTPOINT is replaced.
            """,
        version: "0.1.0")

    @Argument(
        help: ArgumentHelp(
            "What /proc/mounts shows, if it is given; and an existing directory.", valueName: "place"))
    var places: [String] = []

    @OptionGroup var machine: MachineOptions

    @Option(
        name: .customShort("o"),
        help: ArgumentHelp(
            """
            Mount options, separated by commas: size=, base=; page_cache (check mapped files page by page, as on a \
            kernel before 6.6); allow_other, allow_root, auto_unmount, ro and others of mount.fuse3(8).
            """, valueName: "options"))
    var options: [String] = []

    @Flag(name: .customShort("f"), help: "Stay in the foreground.")
    var foreground = false

    @Flag(name: .customShort("d"), help: "Trace every request on stderr; stays in the foreground.")
    var debug = false

    func validate() throws {
        if places.isEmpty { throw ValidationError("no mount point is given; see --help") }
        if places.count > 2 { throw ValidationError("'\(places[2])' is one argument too many; see --help") }
        // What mount.fuse3 hands on: a mount that the daemon could not end in an orderly way.
        if places[places.count - 1].hasPrefix("/dev/fd/") {
            throw ValidationError("mount option 'drop_privileges': not supported")
        }
        if places.count == 2, places[0].isEmpty { throw ValidationError("the source is empty; see --help") }
        let mountOptions = try MountOptions(options)
        try machine.requireOneMachine(
            size: machine.size ?? mountOptions.size, base: machine.base ?? mountOptions.base)
    }

    func run() throws {
        let mountOptions = try MountOptions(options)
        let map = try machine.makeMap(size: mountOptions.size, base: mountOptions.base)
        let layout = try machine.makeLayout(of: map)
        let deviceTree = try machine.makeDeviceTree(of: map)
        let mountpoint = try Mountpoint(places[places.count - 1])
        var configuration = Session.Configuration(mountpoint: mountpoint.path)
        if places.count == 2 { configuration.source = places[0] }
        configuration.mountOptions = mountOptions.passedOn
        configuration.usesPageCache = mountOptions.usesPageCache
        configuration.isDebugging = debug

        var background: Int32?
        if !foreground, !debug {
            let descriptor = unsafe cfuse_background(mountpoint.path)
            guard descriptor >= 0 else {
                throw Failure("cannot go to the background: \(errorText(errno))")
            }
            background = descriptor
        }
        let session = try Session(map: map, layout: layout, deviceTree: deviceTree, configuration)
        try session.run { [background] in
            guard let background else { return }
            cfuse_background_serving(background)
            logToSystemLog()
            cfuse_background_detach(background)
        }
    }
}

/// A failure that one line explains.
struct Failure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
