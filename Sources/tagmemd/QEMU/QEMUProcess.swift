import CGuest
import Glibc
import TagMemCore
import TagMemFS

/// A QEMU that runs, on an object's memory.
///
/// QEMU has an option for a machine's memory, but none for its tags: it keeps them in memory of its own. So it is
/// started with the machine stopped, says where that is, and has the object's tags mapped there before the first
/// instruction.
struct QEMUProcess {
    private let process: pid_t

    /// - Throws: `Failure` if the machine cannot run on the object. No QEMU is left then.
    init(_ arguments: QEMUArguments, _ memory: GuestMemory, _ boot: GuestBoot?) throws {
        var ends: [Int32] = [-1, -1]
        guard unsafe socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0
        else {
            throw Failure("no socket for QEMU's monitor")
        }
        let monitor = QEMUMonitor(ends[0])
        var arguments = arguments
        if boot != nil { arguments.remove(["kernel", "initrd", "append", "dtb"]) }
        let words =
            [arguments.program] + arguments.words + (boot?.words ?? []) + Self.words(memory, monitor: ends[1])
            + arguments.defaultMonitors + (arguments.isStopped ? [] : ["-S"])
        let kept = [ends[1]] + memory.kept + (boot?.files.map(\.descriptor) ?? [])
        let started = Result { try HostProgram.start(words, keeping: kept) }
        // QEMU has inherited them: those that are ours may be closed.
        withExtendedLifetime((boot, memory)) {}
        close(ends[1])
        process = try started.get()
        monitor.process = process
        do {
            try attach(memory, monitor, runs: !arguments.isStopped)
        } catch {
            // Where QEMU is ending, as by a signal, that is why, and it has said so.
            if Self.ends(process, within: 0.5) { return }
            // A script that has started QEMU may be what is killed.
            monitor.quit()
            if !Self.ends(process, within: 2) { kill(process, SIGKILL) }
            _ = cguest_wait(process)
            throw error
        }
    }

    private static func ends(_ process: pid_t, within seconds: Double) -> Bool {
        for _ in 0..<Int(seconds * 100) {
            if cguest_has_ended(process) { return true }
            usleep(10_000)
        }
        return false
    }

    /// Waits until QEMU has ended, and ends as it did.
    func endWithIt() -> Never { cguest_end_like(cguest_wait(process)) }

    private static func words(_ memory: GuestMemory, monitor: Int32) -> [String] {
        [
            "-m", "\(memory.size >> 10)K",
            "-object",
            "memory-backend-file,id=tagmemd-memory,mem-path=/dev/fd/\(memory.data),share=on,size=\(memory.size)"
                + (memory.address > 0 ? ",offset=\(memory.address)" : ""),
            "-machine", "memory-backend=tagmemd-memory",
            "-chardev", "socket,id=tagmemd-monitor,fd=\(monitor)",
            "-mon", "chardev=tagmemd-monitor,mode=control",
        ]
    }

    private func attach(_ memory: GuestMemory, _ monitor: QEMUMonitor, runs: Bool) throws {
        // Where QEMU has ended it has said why.
        guard try monitor.begin(), let blocks = try monitor.ask("info ramblock") else { return }
        guard let block = QEMUMemoryBlock("mach-virt.tag", in: blocks),
            block.size == memory.size / TagGranule.bytesPerTagByte
        else {
            throw Failure(
                "QEMU has no memory for the tags of \(memory.size) bytes of memory: nothing was run")
        }
        guard HostMappings(process).hasAnonymous(block.address..<block.address + block.size) else {
            throw Failure("the tags are in no memory of process \(process): give the QEMU program itself")
        }
        let error = cguest_map(process, block.address, memory.tagBytes, memory.tags, memory.tagOffset)
        guard error == 0 else {
            throw Failure("the tags cannot be mapped into QEMU (ptrace): \(errorText(error))")
        }
        if runs { _ = try monitor.letRun() }
    }
}

/// What is mapped in a process.
struct HostMappings {
    private let path: String

    init(_ process: pid_t) { path = "/proc/\(process)/maps" }

    /// Whether all of a range is one piece of memory that is no file's.
    func hasAnonymous(_ range: Range<UInt64>) -> Bool {
        guard let bytes = try? readFile(path, limit: 16 << 20) else { return false }
        return bytes.split(separator: UInt8(ascii: "\n")).contains { line in
            // address, permissions, offset, device, inode
            let words = line.split(separator: UInt8(ascii: " ")).map { String(decoding: $0, as: UTF8.self) }
            guard words.count >= 5, words[4] == "0" else { return false }
            let ends = words[0].split(separator: "-").compactMap { UInt64($0, radix: 16) }
            return ends.count == 2 && ends[0] <= range.lowerBound && range.upperBound <= ends[1]
        }
    }
}
