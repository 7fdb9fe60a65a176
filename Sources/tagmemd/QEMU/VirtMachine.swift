import ArgumentParser
import TagMemCore

/// QEMU's virt machine with the proposal's prototype of dynamic tag storage, as far as its memory goes: what
/// `-machine virt,virtualization=on,mte=on,mte-shared-alloc=on` says.
struct VirtMachine: Equatable {
    /// Addresses above 32 bits are used.
    var usesHighMemory = true
    /// Whether memory has tags.
    var hasMTE = false
    /// Whether the storage of tags is memory that the machine can address.
    var sharesTagStorage = false

    init() {}

    /// - Parameter options: what follows QEMU's `-machine`. Options that change nothing of the memory are looked at and
    ///   forgotten.
    /// - Throws: `ValidationError` for what QEMU would not take either.
    init(_ options: String) throws {
        var type: String?
        for (index, option) in options.split(separator: ",", omittingEmptySubsequences: false).enumerated() {
            let parts = option.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(
                String.init)
            let name = parts[0]
            guard parts.count == 2 else {
                guard index == 0 else {
                    throw ValidationError("--machine: '\(option)' needs a value, as in mte=on")
                }
                type = name
                continue
            }
            switch name {
            case "type": type = parts[1]
            case "highmem": usesHighMemory = try Self.isOn(name, parts[1])
            case "mte": hasMTE = try Self.isOn(name, parts[1])
            case "mte-shared-alloc": sharesTagStorage = try Self.isOn(name, parts[1])
            default: try Self.checkOther(name, parts[1])
            }
        }
        guard let type else {
            throw ValidationError("--machine: no type of machine is given; there is 'virt'")
        }
        guard type == "virt" else {
            throw ValidationError("--machine: '\(type)' is unknown; there is 'virt'")
        }
        guard hasMTE || !sharesTagStorage else {
            throw ValidationError(
                "--machine: mte-shared-alloc=on needs mte=on: without MTE there are no tags")
        }
    }

    private static func isOn(_ name: String, _ value: String) throws -> Bool {
        switch value {
        case "on", "yes", "true", "y": true
        case "off", "no", "false", "n": false
        default: throw ValidationError("--machine: \(name) is 'on' or 'off', not '\(value)'")
        }
    }

    /// Options of the machine that change nothing of its memory, and their values where they are not on or off.
    private static let others: [String: [String]] = [
        "virtualization": [], "secure": [], "ras": [], "its": [], "dtb-kaslr-seed": [],
        "default-bus-bypass-iommu": [], "acpi": ["on", "off", "auto"],
        "gic-version": ["2", "3", "4", "host", "max"],
        "iommu": ["none", "smmuv3"],
    ]

    private static func checkOther(_ name: String, _ value: String) throws {
        guard let values = others[name] else {
            throw ValidationError("--machine: 'virt' has no option '\(name)'")
        }
        if values.isEmpty {
            _ = try isOn(name, value)
        } else if !values.contains(value) {
            throw ValidationError(
                "--machine: \(name) is one of \(values.joined(separator: ", ")), not '\(value)'")
        }
    }
}
