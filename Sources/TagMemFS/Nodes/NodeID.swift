import CFuse
import TagMemCore

/// What a file of the tree is. Raw values are the low byte of node numbers.
enum Role: RawRepresentable, Hashable {
    // The root and its own files.
    case root, meminfo, vmstat, faults, faultsPipe, blocks, metrics, map
    case controlDirectory
    case knob(Knob)
    /// `firmware`, `firmware/fdt`, and the nodes and properties of the device tree.
    case firmware, flattenedTree, deviceNode, deviceProperty, deviceTreeLink
    /// `tagged` and `untagged`: their directories are made by users.
    case objects(PageUse)
    // A memory object's directory and files.
    case object, mem, checked, viewsDirectory, tags, tagsHex, mode, tfsr, pages, core
    case view(AddressTag)

    private static let knobs: UInt8 = 0x10
    private static let views: UInt8 = 0x40

    init?(rawValue: UInt8) {
        switch rawValue {
        case 0x01: self = .root
        case 0x02: self = .meminfo
        case 0x03: self = .vmstat
        case 0x04: self = .faults
        case 0x05: self = .faultsPipe
        case 0x06: self = .blocks
        case 0x07: self = .metrics
        case 0x08: self = .map
        case 0x09: self = .controlDirectory
        case 0x0a: self = .objects(.untagged)
        case 0x0b: self = .objects(.tagged)
        case 0x0c: self = .firmware
        case 0x0d: self = .flattenedTree
        case 0x30: self = .deviceNode
        case 0x31: self = .deviceProperty
        case 0x32: self = .deviceTreeLink
        case 0x20: self = .object
        case 0x21: self = .mem
        case 0x22: self = .checked
        case 0x23: self = .viewsDirectory
        case 0x24: self = .tags
        case 0x25: self = .tagsHex
        case 0x26: self = .mode
        case 0x27: self = .tfsr
        case 0x28: self = .pages
        case 0x29: self = .core
        case Self.knobs..<0x20:
            guard let knob = Knob(rawValue: rawValue - Self.knobs) else { return nil }
            self = .knob(knob)
        case Self.views..<0x50: self = .view(AddressTag(truncating: UInt64(rawValue)))
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
        case .blocks: 0x06
        case .metrics: 0x07
        case .map: 0x08
        case .controlDirectory: 0x09
        case .objects(.untagged): 0x0a
        case .objects(.tagged): 0x0b
        case .firmware: 0x0c
        case .flattenedTree: 0x0d
        case .deviceNode: 0x30
        case .deviceProperty: 0x31
        case .deviceTreeLink: 0x32
        case .object: 0x20
        case .mem: 0x21
        case .checked: 0x22
        case .viewsDirectory: 0x23
        case .tags: 0x24
        case .tagsHex: 0x25
        case .mode: 0x26
        case .tfsr: 0x27
        case .pages: 0x28
        case .core: 0x29
        case .knob(let knob): Self.knobs + knob.rawValue
        case .view(let tag): Self.views + tag.rawValue
        }
    }

    var isDirectory: Bool {
        switch self {
        case .root, .controlDirectory, .objects, .object, .viewsDirectory, .firmware, .deviceNode: true
        default: false
        }
    }

    /// Whether it is a file that shows an object's memory or tags.
    var showsObject: Bool {
        switch self {
        case .mem, .checked, .view, .tags, .tagsHex: true
        default: false
        }
    }

    /// S_IFDIR and so on.
    var type: UInt32 {
        if isDirectory { return cfuse_S_IFDIR }
        return self == .deviceTreeLink ? cfuse_S_IFLNK : cfuse_S_IFREG
    }

    /// The mode bits a node has until someone changes them: the operating system's side is its owner's alone.
    ///
    /// Who may name memory by physical addresses has the memory of all objects, whatever their modes: there, checked
    /// access is the owner's too.
    func defaultPermissions(isPhysical: Bool) -> UInt32 {
        switch self {
        case .root, .object, .objects, .viewsDirectory, .controlDirectory, .firmware, .deviceNode: 0o755
        case .meminfo, .vmstat, .faults, .blocks, .metrics, .map, .pages, .deviceProperty: 0o444
        case .flattenedTree, .core: 0o400
        case .deviceTreeLink: 0o777
        case .mem, .tags, .tagsHex: 0o600
        case .faultsPipe: 0o400
        case .checked, .view: isPhysical ? 0o600 : 0o666
        case .mode, .tfsr: 0o644
        case .knob(let knob): knob.isReadable ? 0o600 : 0o200
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
