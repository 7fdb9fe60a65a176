import ArgumentParser

/// A QEMU and its command line, as its user gives it.
struct QEMUArguments: Equatable {
    let program: String
    /// What follows the program.
    private(set) var words: [String]

    /// - Throws: `ValidationError` if the machine that they describe cannot have its memory on a device.
    init(_ program: String, _ words: [String]) throws {
        self.program = program
        self.words = words
        guard !has("daemonize") else {
            throw ValidationError("-daemonize: the command is there as long as its machine")
        }
        let machine = Machine(values(of: ["machine", "M"]))
        guard machine.type == "virt" || machine.type?.hasPrefix("virt-") == true else {
            throw ValidationError(
                "\(machine.type.map { "machine '\($0)'" } ?? "a machine of no type") has no memory with tags: "
                    + "give -machine virt,mte=on")
        }
        guard machine.hasMTE else {
            throw ValidationError("the machine has no tags: give -machine \(machine.type ?? "virt"),mte=on")
        }
        guard machine.memoryBackend == nil else {
            throw ValidationError("memory-backend=: the memory of the machine is the object's")
        }
        if let other = accelerators(machine).first(where: { $0 != "tcg" }) {
            throw ValidationError(
                "accelerator '\(other)' has no memory for tags that could be an object's: leave it out, or give tcg"
            )
        }
    }

    /// What `-m` says; nil without one, or if it is no size.
    var memory: QEMUSize? {
        let items = values(of: ["m"]).last?.split(separator: ",") ?? []
        let size = items.first { $0.hasPrefix("size=") } ?? items.first
        return size.flatMap { QEMUSize(argument: String($0)) }
    }

    /// What of a kernel is said as a property of the machine.
    var bootsByMachine: String? { Machine(values(of: ["machine", "M"])).boot }

    var hasMemory: Bool { has("m") }

    /// Whether the machine waits for somebody to let it run.
    var isStopped: Bool { has("S") }

    /// The monitors and consoles that QEMU makes by itself, but not beside another monitor: said in words.
    var defaultMonitors: [String] {
        let hasNoDefaults = has("nodefaults")
        let hasMonitor = hasNoDefaults || has("monitor") || has("mon") || has("qmp") || has("qmp-pretty")
        if hasMonitor { return [] }
        guard has("nographic") else { return ["-monitor", "vc:80Cx24C"] }
        return has("serial") ? ["-monitor", "stdio"] : ["-serial", "mon:stdio"]
    }

    // MARK: Words

    /// Options whose value may look like an option.
    private static let valued: Set<String> = [
        "machine", "M", "accel", "m", "append", "kernel", "initrd", "dtb", "cpu", "smp", "object", "serial",
        "monitor", "mon", "qmp", "qmp-pretty", "chardev", "device", "drive", "netdev", "nic", "net", "name",
        "display", "bios", "fw_cfg", "global", "gdb", "d", "D", "trace", "plugin", "icount", "rtc", "seed",
        "loadvm", "incoming", "numa", "L", "uuid", "blockdev", "pidfile", "audio", "vnc", "spice",
        "semihosting-config",
    ]

    /// Where options are, and what they are called: QEMU takes one dash or two.
    private var options: [(index: Int, name: String)] {
        var result: [(Int, String)] = []
        var index = 0
        while index < words.count {
            if words[index].hasPrefix("-"), words[index].count > 1 {
                let name = String(words[index].dropFirst(words[index].hasPrefix("--") ? 2 : 1))
                result.append((index, name))
                if Self.valued.contains(name) { index += 1 }
            }
            index += 1
        }
        return result
    }

    func has(_ name: String) -> Bool { options.contains { $0.name == name } }

    /// The values of options, in their order.
    func values(of names: Set<String>) -> [String] {
        options.compactMap { index, name in
            names.contains(name) && index + 1 < words.count ? words[index + 1] : nil
        }
    }

    /// Options with their values, in their order.
    func pairs(of names: Set<String>) -> [String] {
        options.flatMap { index, name in
            names.contains(name) && index + 1 < words.count ? [words[index], words[index + 1]] : []
        }
    }

    /// Takes options with their values out.
    mutating func remove(_ names: Set<String>) {
        for (index, name) in options.reversed() where names.contains(name) {
            words.removeSubrange(index..<min(index + 2, words.count))
        }
    }

    private func accelerators(_ machine: Machine) -> [String] {
        var names = values(of: ["accel"]).map { String($0.prefix { $0 != "," }) }
        for name in ["kvm", "hvf", "xen", "whpx", "nvmm"] where has("enable-\(name)") { names.append(name) }
        if let list = machine.accelerator { names += list.split(separator: ":").map(String.init) }
        return names
    }
}

extension QEMUArguments {
    /// What `-machine` says, all of them together: the last word on each thing counts.
    struct Machine: Equatable {
        var type: String?
        var hasMTE = false
        var memoryBackend: String?
        var accelerator: String?
        /// `kernel`, `initrd`, `append` or `dtb`, if one is a property.
        var boot: String?

        init(_ values: [String]) {
            for value in values {
                for (index, item) in value.split(separator: ",").enumerated() {
                    let parts = item.split(separator: "=", maxSplits: 1).map(String.init)
                    guard parts.count == 2 else {
                        if index == 0 { type = parts.first }
                        continue
                    }
                    switch parts[0] {
                    case "type": type = parts[1]
                    case "mte": hasMTE = ["on", "yes", "true", "y"].contains(parts[1])
                    case "memory-backend": memoryBackend = parts[1]
                    case "accel": accelerator = parts[1]
                    case "kernel", "initrd", "append", "dtb": boot = parts[0]
                    default: break
                    }
                }
            }
        }
    }
}
