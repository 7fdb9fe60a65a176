import TagMemCore

/// What a file of the tree is. Raw values are the low byte of node numbers.
enum Role: RawRepresentable, Hashable {
    // The root and its own files.
    case root, meminfo, vmstat, faults, faultsPipe
    // A memory object's directory and files.
    case object, mem, checked, viewsDirectory, tags, tagsHex, mode, tfsr
    case view(AddressTag)

    init?(rawValue: UInt8) {
        switch rawValue {
        case 0x01: self = .root
        case 0x02: self = .meminfo
        case 0x03: self = .vmstat
        case 0x04: self = .faults
        case 0x05: self = .faultsPipe
        case 0x20: self = .object
        case 0x21: self = .mem
        case 0x22: self = .checked
        case 0x23: self = .viewsDirectory
        case 0x24: self = .tags
        case 0x25: self = .tagsHex
        case 0x26: self = .mode
        case 0x27: self = .tfsr
        case 0x40..<0x50: self = .view(AddressTag(truncating: UInt64(rawValue)))
        default: return nil
        }
    }

    var rawValue: UInt8 {
        switch self {
        case .root: 0x01
        case .meminfo: 0x02
        case .vmstat: 0x03
        case .faults: 0x04
        case .faultsPipe: 0x05
        case .object: 0x20
        case .mem: 0x21
        case .checked: 0x22
        case .viewsDirectory: 0x23
        case .tags: 0x24
        case .tagsHex: 0x25
        case .mode: 0x26
        case .tfsr: 0x27
        case .view(let tag): 0x40 + tag.rawValue
        }
    }

    var isDirectory: Bool {
        switch self {
        case .root, .object, .viewsDirectory: true
        default: false
        }
    }

    /// The mode bits a node has until someone changes them: the operating system's side is its owner's alone.
    var defaultPermissions: UInt32 {
        switch self {
        case .root, .object, .viewsDirectory: 0o755
        case .meminfo, .vmstat, .faults: 0o444
        case .mem, .tags, .tagsHex: 0o600
        case .faultsPipe: 0o400
        case .checked, .view: 0o666
        case .mode, .tfsr: 0o644
        }
    }
}

/// An inode number: a memory object's number and the role of one of its files. Never used for anything else again.
struct NodeID: RawRepresentable, Hashable {
    let rawValue: UInt64

    /// FUSE_ROOT_ID.
    static let root = NodeID(object: 0, role: .root)

    init(rawValue: UInt64) { self.rawValue = rawValue }

    init(object: UInt64, role: Role) { rawValue = object << 8 | UInt64(role.rawValue) }

    /// 0 for the root's own files.
    var object: UInt64 { rawValue >> 8 }
    var role: Role? { Role(rawValue: UInt8(truncatingIfNeeded: rawValue)) }
}
