import Glibc
import Synchronization
import Testing

/// What `Scripts/guest` has made: a kernel, an initramfs with programs, and a QEMU.
enum GuestFolder {
    /// Where it is: TAGMEMD_GUEST, or `.guest` beside the sources.
    static let path: String = {
        if let path = unsafe getenv("TAGMEMD_GUEST") { return unsafe String(cString: path) }
        let sources = #filePath.split(separator: "/").dropLast(4).joined(separator: "/")
        return "/\(sources)/.guest"
    }()

    static var qemu: String { "\(path)/bin/qemu-system-aarch64" }
    static var debugger: String { "\(path)/bin/gdb-multiarch" }
}

/// A machine that runs on a device, with one program.
final class Guest {
    let command: Program

    /// - Parameters:
    ///   - directory: of the device, whose memory it has.
    ///   - program: in the guest, with its arguments.
    ///   - processors: how many it has.
    ///   - options: of QEMU.
    ///   - ownOptions: of `tagmemd qemu`.
    init(
        _ device: Device, _ directory: String, _ program: String, _ arguments: Int..., processors: Int = 1,
        options: [String] = [], command ownOptions: [String] = []
    ) throws {
        let words = ([program] + arguments.map(String.init)).joined(separator: ",")
        command = try Program(
            daemonProgram,
            ["qemu"] + ownOptions + [
                device.path(directory), GuestFolder.qemu, "-machine", "virt,mte=on", "-cpu", "max",
                "-smp", "\(processors)", "-nographic", "-nic", "none", "-no-reboot",
                "-kernel", "\(GuestFolder.path)/Image", "-initrd", "\(GuestFolder.path)/initramfs.cpio.gz",
                "-append", "console=ttyAMA0 quiet tagmem.run=\(words)",
            ] + options)
    }

    /// What the console has shown, line by line; not one that has not come to its end.
    var lines: [String] {
        let output = command.output
        guard let end = output.lastIndex(where: \.isNewline) else { return [] }
        return output[..<end].split(whereSeparator: \.isNewline).map(String.init)
    }

    /// Waits for a line of the console.
    func waitForLine(_ part: String, within seconds: Double = 60) throws -> String {
        var found: String?
        _ = eventually(within: seconds) {
            found = lines.last { $0.contains(part) }
            return found != nil || command.poll() != nil
        }
        return try #require(found, "no '\(part)' of \(lines.suffix(20)); \(command.errors)")
    }

    /// QEMU itself, once the machine runs.
    var process: pid_t? {
        let children = try? contents(of: "/proc/\(command.pid)/task/\(command.pid)/children")
        return children?.split(separator: " ").first.flatMap { pid_t($0) }
    }
}

/// What keeps pages moving under a machine: objects that come, grow, shrink and go, and compaction.
///
/// Unchecked: `thread` is set before anybody else has the value.
final class Churn: @unchecked Sendable {
    private let device: Device
    private let isDone = Atomic(false)
    private var thread = pthread_t()
    private let migrated: Int

    /// Makes the object at `directory` from `pages` pages that lie scattered, and begins.
    init(_ device: Device, _ directory: String, pages: Int) throws {
        self.device = device
        let memory = try device.make(directory, pages: 0)
        let others = try (0..<3).map { try device.make("tagged/beside\($0)", pages: 0) }
        // Pages of objects that grow in turn lie beside each other.
        for end in stride(from: 64, through: pages, by: 64) {
            try memory.truncate(end * 4096)
            for other in others { try other.truncate(end / 64 * 3 * 4096) }
        }
        try memory.truncate(pages * 4096)
        for index in 0..<2 { try device.remove("tagged/beside\(index)") }
        migrated = try device.counter("pgmigrate_success")
        let context = unsafe Unmanaged.passRetained(self).toOpaque()
        let error = unsafe pthread_create(
            &thread, nil,
            { context in
                if let context = unsafe context {
                    unsafe Unmanaged<Churn>.fromOpaque(context).takeRetainedValue().run()
                }
                return nil
            }, context)
        if error != 0 {
            unsafe Unmanaged<Churn>.fromOpaque(context).release()
            throw Errno(error)
        }
    }

    private func run() {
        var round = 0
        while !isDone.load(ordering: .acquiring) {
            round += 1
            // Fills Tag Pages, and has them taken by what is tagged.
            _ = try? device.make("untagged/filler\(round % 4)", pages: 2000 + 977 * (round % 5))
            _ = try? device.make("tagged/filler\(round % 3)", pages: 300 * (round % 7))
            if round % 2 == 0 { try? device.setKnob("compact", "1") }
            try? device.remove("untagged/filler\((round + 1) % 4)")
            try? device.remove("tagged/filler\((round + 1) % 3)")
        }
        for index in 0..<4 { try? device.remove("untagged/filler\(index)") }
        for index in 0..<3 { try? device.remove("tagged/filler\(index)") }
    }

    /// Ends it. Returns how many pages have moved.
    func end() throws -> Int {
        isDone.store(true, ordering: .releasing)
        pthread_join(thread, nil)
        return try device.counter("pgmigrate_success") - migrated
    }
}
