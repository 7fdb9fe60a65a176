import TagMemCore

/// What the tags of the granules that an access through a file touches are checked against.
enum AccessCheck: Equatable {
    /// Nothing: it is the operating system's side.
    case none
    /// A view's tag, which all pointers have that go through it.
    case tag(AddressTag)
    /// That of the pointer that the file's offset is.
    case pointer

    /// The file's name in the fault log.
    var name: String {
        switch self {
        case .none: ""
        case .tag(let tag): tag.digit
        case .pointer: "checked"
        }
    }

    /// The bit of `ObjectRecord.deferredFaults` that stands for the file.
    var deferredFaultBit: UInt32 {
        switch self {
        case .none: 0
        case .tag(let tag): 1 << UInt32(tag.rawValue)
        case .pointer: 1 << 16
        }
    }
}
