import TagMemCore

/// The kinds of cached file that show memory. Raw values are what `LineState` holds.
enum AliasKind: RawRepresentable, Hashable {
    case mem
    case tags
    case tagsHex
    case view(AddressTag)

    static let count = 32
    static let all: [AliasKind] = [.mem, .tags, .tagsHex] + AddressTag.all.map { .view($0) }

    init?(rawValue: UInt16) {
        switch rawValue {
        case 1: self = .mem
        case 2: self = .tags
        case 3: self = .tagsHex
        case 16..<32: self = .view(AddressTag(truncating: UInt64(rawValue)))
        default: return nil
        }
    }

    var rawValue: UInt16 {
        switch self {
        case .mem: 1
        case .tags: 2
        case .tagsHex: 3
        case .view(let tag): 16 + UInt16(tag.rawValue)
        }
    }

    /// For sets of kinds.
    var bit: UInt32 { 1 << UInt32(rawValue) }

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
}

/// What the directory knows of one line, in sixteen bits. Transitions are pure.
///
/// ```
///   15      14…10     9        8          7          6       5         4…0
///   writer  readers   wanted   refilled   recalled   zero    object    kind (AliasKind, 0: nobody)
///                                                            └── holder ──┘
/// ```
///
/// - `holder`: the alias whose file the kernel may have this line cached in: one of `phys`, or, with the object bit, of
///   the object that the page belongs to.
/// - `recalled`: a recall from the holder is waiting or under way. Implies a holder.
/// - `refilled`: the kernel was given the line again meanwhile, so that the recall is to be repeated.
/// - `wanted`: an operation that cannot go ahead yet waits for the line; later ones queue up behind it.
/// - `readers`, `writer`: operations that copy the line at this moment, fills and write-backs of objects' pages among the
///   readers. A writer excludes readers, but write-backs of a page that is written through the page cache. A page with
///   either does not move.
struct LineState: RawRepresentable, Equatable {
    var rawValue: UInt16

    /// Nobody holds the line, and nobody copies it.
    static let free = Self(rawValue: 0)

    private static let kindMask: UInt16 = 0x1f
    private static let holderMask: UInt16 = 0x3f
    /// In a holder: the alias is the page's object's, not `phys`'s.
    static let objectBit: UInt16 = 1 << 5
    private static let recalledBit: UInt16 = 1 << 7
    private static let refilledBit: UInt16 = 1 << 8
    private static let wantedBit: UInt16 = 1 << 9
    private static let reader: UInt16 = 1 << 10
    private static let readersMask: UInt16 = 0x1f << 10
    private static let writerBit: UInt16 = 1 << 15

    /// How many operations can read a line at once.
    static let maximumReaders = 31

    var holder: UInt16 { rawValue & Self.holderMask }
    /// The kind of the holder's file; nil if nobody holds the line.
    var holderKind: AliasKind? { AliasKind(rawValue: rawValue & Self.kindMask) }
    var isHeldByView: Bool { rawValue & Self.kindMask >= 16 }
    var isHeldByObject: Bool { rawValue & Self.objectBit != 0 }
    var isHeldByPhysical: Bool { holder != 0 && !isHeldByObject }
    var isRecalled: Bool { rawValue & Self.recalledBit != 0 }
    var isRefilled: Bool { rawValue & Self.refilledBit != 0 }
    var isWanted: Bool { rawValue & Self.wantedBit != 0 }
    var hasReaders: Bool { rawValue & Self.readersMask != 0 }
    var hasWriter: Bool { rawValue & Self.writerBit != 0 }
    var isBusy: Bool { hasReaders || hasWriter }
    /// Whether another claim would leave no room for a write-back, which cannot wait.
    var hasManyReaders: Bool { rawValue & Self.readersMask >= Self.reader * UInt16(Self.maximumReaders - 1) }

    var addingReader: Self {
        assert(rawValue & Self.readersMask != Self.readersMask && !hasWriter)
        return Self(rawValue: rawValue + Self.reader)
    }
    /// A reader that nothing can hold up: a page that comes back. Through the page cache a write of the same file may be
    /// under way on it, as the kernel does not keep the page locked for that.
    var addingWriteback: Self {
        assert(rawValue & Self.readersMask != Self.readersMask)
        return Self(rawValue: rawValue + Self.reader)
    }
    var removingReader: Self {
        assert(hasReaders)
        return Self(rawValue: rawValue - Self.reader)
    }
    var addingWriter: Self {
        assert(!isBusy)
        return Self(rawValue: rawValue | Self.writerBit)
    }
    var removingWriter: Self {
        assert(hasWriter)
        return Self(rawValue: rawValue & ~Self.writerBit)
    }
    func held(by holder: UInt16) -> Self { Self(rawValue: rawValue & ~Self.holderMask | holder) }
    var recalled: Self {
        assert(holder != 0)
        return Self(rawValue: rawValue | Self.recalledBit)
    }
    var refilled: Self { Self(rawValue: rawValue | Self.refilledBit) }
    var notRefilled: Self { Self(rawValue: rawValue & ~Self.refilledBit) }
    /// The recall is done: nobody holds the line.
    var released: Self {
        Self(rawValue: rawValue & ~(Self.holderMask | Self.recalledBit | Self.refilledBit))
    }
    /// What a line that holds the contents of this one has of it after a move: holder and recall go along.
    func handedOver(to target: Self) -> Self {
        let moving = Self.holderMask | Self.recalledBit | Self.refilledBit
        return Self(rawValue: target.rawValue & ~moving | rawValue & moving)
    }
    var wanted: Self { Self(rawValue: rawValue | Self.wantedBit) }
    var notWanted: Self { Self(rawValue: rawValue & ~Self.wantedBit) }
}
