import ArgumentParser
import TagMemCore

/// What comes after `-o`: the device's own options, and those that are for the kernel or libfuse.
struct MountOptions: Equatable {
    var size: ByteCount?
    var base: ByteCount?
    var usesPageCache = false
    /// Passed on as they are.
    var passedOn: [String] = []

    /// Options that mount(8), mount.fuse(8) and libfuse know, and that mean something here.
    private static let known: Set<String> = [
        "allow_other", "allow_root", "auto_unmount", "rw", "ro", "suid", "nosuid", "dev", "nodev", "exec",
        "noexec",
        "sync", "async", "dirsync", "atime", "noatime", "relatime", "norelatime", "strictatime", "context",
        "fscontext", "defcontext", "rootcontext", "max_read",
    ]
    /// Options of an fstab line that are for others; and those that are always in force.
    private static let ignored: Set<String> = [
        "defaults", "auto", "noauto", "user", "nouser", "users", "nousers", "group", "owner", "nofail",
        "_netdev",
        "default_permissions", "diratime", "nodiratime",
    ]

    init() {}

    /// - Throws: `ValidationError` for an option that nobody knows, or a value that makes no sense.
    init(_ lists: [String]) throws {
        for option in lists.flatMap({ $0.split(separator: ",") }) {
            let parts = option.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(parts[0])
            let value = parts.count == 2 ? String(parts[1]) : nil
            switch name {
            case "size": size = try Self.number(name, value)
            case "base": base = try Self.number(name, value)
            case "page_cache" where value == nil: usesPageCache = true
            default:
                if Self.ignored.contains(name) || name.hasPrefix("x-") { continue }
                guard Self.known.contains(name) else {
                    throw ValidationError("unknown mount option '\(option)'; see --help")
                }
                passedOn.append(String(option))
            }
        }
    }

    private static func number(_ name: String, _ value: String?) throws -> ByteCount {
        guard let value, let number = ByteCount(argument: value) else {
            throw ValidationError(
                "mount option '\(name)' takes a number such as 1G or 0x40000000, not '\(value ?? "")'")
        }
        return number
    }
}
