import ArgumentParser
import TagMemCore

/// What comes after `-o`: the device's own options, and those that are for the kernel or libfuse.
struct MountOptions: Equatable {
    var size: ByteCount?
    var base: ByteCount?
    var usesPageCache = false
    /// Passed on as they are.
    var passedOn: [String] = []

    /// What is done with an option that is not the device's own.
    private enum Handling {
        /// The kernel or libfuse does it.
        case passedOn
        /// It is for others, or always in force.
        case ignored
        /// It cannot be done, and why.
        case refused(String)
    }

    /// - Throws: `ValidationError` for an option that nobody knows or that cannot be had, or a value that makes no sense.
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
                switch Self.handling(of: name, value) {
                case .passedOn: passedOn.append(name)
                case .ignored: break
                case .refused(let reason): throw ValidationError("mount option '\(name)': \(reason)")
                case nil: throw ValidationError("unknown mount option '\(option)'; see --help")
                }
            }
        }
        if passedOn.contains("allow_root"), passedOn.contains("allow_other") {
            throw ValidationError("mount option 'allow_root': not together with 'allow_other'")
        }
    }

    init() {}

    /// nil for an option that is unknown, or that is for the kernel and has a value.
    private static func handling(of name: String, _ value: String?) -> Handling? {
        if let reason = refused[name] { return .refused(reason) }
        if ignored.contains(name) || name.hasPrefix("x-") { return .ignored }
        return known.contains(name) && value == nil ? .passedOn : nil
    }

    private static let known: Set<String> = [
        "allow_other", "allow_root", "auto_unmount", "rw", "ro", "suid", "nosuid", "dev", "nodev", "exec",
        "noexec",
        "sync", "async", "dirsync", "atime", "noatime",
    ]

    /// Options of an fstab line that are for others; and those that are always in force, or mean nothing without access
    /// times.
    private static let ignored: Set<String> = [
        "defaults", "auto", "noauto", "user", "nouser", "users", "nousers", "group", "owner", "nofail",
        "_netdev",
        "default_permissions", "diratime", "nodiratime", "relatime", "norelatime", "strictatime",
    ]

    /// The other options of mount.fuse3(8), and of mount(8) where they would be misunderstood.
    private static let refused: [String: String] = {
        let reasons: [(String, [String])] = [
            ("a mounted device cannot be changed: unmount it, and mount it as it is to be", ["remount"]),
            ("the daemon says it itself", ["fd", "rootmode", "user_id", "group_id", "max_read", "subtype"]),
            ("it is the argument before the mount point", ["fsname"]),
            ("there is no block device", ["blkdev", "blksize"]),
            ("it is for mount.fuse3, with mount(8)", ["setuid"]),
            ("not supported", ["drop_privileges"]),
            ("it is called -d", ["debug"]),
            ("security contexts are not supported", ["context", "fscontext", "defcontext", "rootcontext"]),
            (
                "owners and modes are the files' own, and chown and chmod change them",
                ["uid", "gid", "umask"]
            ),
            (
                "what the kernel may keep is the daemon's to say",
                [
                    "kernel_cache", "auto_cache", "direct_io", "entry_timeout", "negative_timeout",
                    "attr_timeout",
                    "ac_attr_timeout", "noforget", "remember",
                ]
            ),
            (
                "there are no modules",
                ["modules", "from_code", "to_code", "subdir", "rellinks", "norellinks"]
            ),
        ]
        return Dictionary(
            uniqueKeysWithValues: reasons.flatMap { reason, names in names.map { ($0, reason) } })
    }()

    private static func number(_ name: String, _ value: String?) throws -> ByteCount {
        guard let value, let number = ByteCount(argument: value) else {
            throw ValidationError(
                "mount option '\(name)' takes a number such as 1G or 0x40000000, not '\(value ?? "")'")
        }
        return number
    }
}
