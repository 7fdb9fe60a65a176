import TagMemCore

/// The kinds of cached file that show memory. Raw values are what `LineState` holds.
enum AliasKind: RawRepresentable, Hashable {
    case mem
    case tags
    case tagsHex
    case view(AddressTag)

    static let count = 32
    static let all: [AliasKind] = [.mem, .tags, .tagsHex] + AddressTag.all.map { .view($0) }

    init?(rawValue: UInt32) {
        switch rawValue {
        case 1: self = .mem
        case 2: self = .tags
        case 3: self = .tagsHex
        case 16..<32: self = .view(AddressTag(truncating: UInt64(rawValue)))
        default: return nil
        }
    }

    /// What a file of an object shows; nil for what is not cached.
    init?(_ role: Role) {
        switch role {
        case .mem: self = .mem
        case .tags: self = .tags
        case .tagsHex: self = .tagsHex
        case .view(let tag): self = .view(tag)
        default: return nil
        }
    }

    var rawValue: UInt32 {
        switch self {
        case .mem: 1
        case .tags: 2
        case .tagsHex: 3
        case .view(let tag): 16 + UInt32(tag.rawValue)
        }
    }

    /// For sets of kinds.
    var bit: UInt32 { 1 << rawValue }

    /// Bytes of an object that a byte of the file stands for.
    var scale: UInt64 {
        switch self {
        case .mem, .view: 1
        case .tags: TagGranule.bytesPerTagByte
        case .tagsHex: TagGranule.size
        }
    }

    /// Whether the file shows tags, not data.
    var showsTags: Bool { self == .tags || self == .tagsHex }

    /// Whether accesses through this kind of file are tag-checked.
    var isView: Bool { rawValue >= 16 }

    /// The role of the file among those of its object.
    var role: Role {
        switch self {
        case .mem: .mem
        case .tags: .tags
        case .tagsHex: .tagsHex
        case .view(let tag): .view(tag)
        }
    }

    /// The page of the file that shows an address of the object, as a file offset.
    func pageOffset(of address: UInt64) -> UInt64 { Page.start(address / scale) }
}

/// One file of an object, seen as a way to its memory.
struct Alias: Hashable {
    let object: ObjectID
    /// nil for `checked`, which nothing is cached through.
    let kind: AliasKind?
    /// Whether requests come through another file, which shows the same bytes and which nothing is cached through: what
    /// the kernel has of the file itself stands in their way as what it has of any other.
    var isBorrowed = false

    var scale: UInt64 { kind?.scale ?? 1 }
    var showsTags: Bool { kind?.showsTags ?? false }
    /// Whether accesses through it are tag-checked.
    var isChecked: Bool { kind?.isView ?? true }

    /// The alias as `LineState` holds it; 0 for what nothing is cached through.
    var holder: UInt32 {
        guard let kind, !isBorrowed else { return 0 }
        return object.isPhysical ? kind.rawValue : kind.rawValue | LineState.objectBit
    }

    /// The node whose pages the kernel caches for the alias; nil for `checked`.
    var node: NodeID? { kind.map { NodeID(object: object.number, role: $0.role) } }
}

/// A memory object's identity: its place in the table of objects, and the number that its inodes have, which is never
/// another object's.
struct ObjectID: Hashable, Sendable {
    /// As the owner of pages (`PageOwner.object`).
    let slot: UInt32
    let number: UInt64

    /// The physical address space, whose aliases name lines by their physical address.
    static let physical = ObjectID(slot: 0, number: 1)

    var isPhysical: Bool { slot == 0 }
}
