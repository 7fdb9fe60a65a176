/// What the directory knows of one line, in 32 bits. Transitions are pure.
///
/// ```
///   31      30…16    10       9        8         7         6         5       4…0
///   writer  readers  awaited  claimed  reserved  refilled  recalled  object  kind (AliasKind, 0: nobody)
///                                                                    └── holder ──┘
/// ```
///
/// - `holder`: the alias whose file the kernel may have this line cached in: one of `phys`, or, with the object bit, of
///   the object that the page belongs to.
/// - `recalled`: a recall from the holder is waiting or under way. Implies a holder.
/// - `refilled`: the kernel was given the line again meanwhile, so that the recall is to be repeated.
/// - `reserved`: an operation that waits has its place here; later ones queue up behind it.
/// - `claimed`: a job waits for the line; operations leave it to the job.
/// - `awaited`: somebody is to be woken when something ends here.
/// - `readers`, `writer`: operations that copy the line at this moment, fills and write-backs of objects' pages among the
///   readers. A writer excludes readers, but write-backs of a page that is written through the page cache. A page with
///   either does not move.
struct LineState: RawRepresentable, Equatable {
    var rawValue: UInt32

    /// Nobody holds the line, and nobody copies it.
    static let free = Self(rawValue: 0)

    private static let kindMask: UInt32 = 0x1f
    private static let holderMask: UInt32 = 0x3f
    /// In a holder: the alias is the page's object's, not `phys`'s.
    static let objectBit: UInt32 = 1 << 5
    private static let recalledBit: UInt32 = 1 << 6
    private static let refilledBit: UInt32 = 1 << 7
    private static let reservedBit: UInt32 = 1 << 8
    private static let claimedBit: UInt32 = 1 << 9
    private static let awaitedBit: UInt32 = 1 << 10
    private static let reader: UInt32 = 1 << 16
    private static let readersMask: UInt32 = 0x7fff << 16
    private static let writerBit: UInt32 = 1 << 31

    /// Bits without a meaning.
    static let unusedMask: UInt32 = 0x1f << 11

    /// How many operations can read a line at once.
    static let maximumReaders = 0x7fff
    /// Room that is left for write-backs, which nothing can hold up: one a thread that serves requests.
    static let writebackRoom = 0x1000

    var holder: UInt32 { rawValue & Self.holderMask }
    /// The kind of the holder's file; nil if nobody holds the line.
    var holderKind: AliasKind? { AliasKind(rawValue: rawValue & Self.kindMask) }
    var isHeldByView: Bool { rawValue & Self.kindMask >= 16 }
    var isHeldByObject: Bool { rawValue & Self.objectBit != 0 }
    var isHeldByPhysical: Bool { holder != 0 && !isHeldByObject }
    var isRecalled: Bool { rawValue & Self.recalledBit != 0 }
    var isRefilled: Bool { rawValue & Self.refilledBit != 0 }
    var isReserved: Bool { rawValue & Self.reservedBit != 0 }
    var isClaimed: Bool { rawValue & Self.claimedBit != 0 }
    var isAwaited: Bool { rawValue & Self.awaitedBit != 0 }
    /// Whether somebody came before a new operation.
    var isWanted: Bool { rawValue & (Self.reservedBit | Self.claimedBit) != 0 }
    var hasReaders: Bool { rawValue & Self.readersMask != 0 }
    var hasWriter: Bool { rawValue & Self.writerBit != 0 }
    var isBusy: Bool { hasReaders || hasWriter }
    /// Whether another claim would leave no room for write-backs.
    var hasManyReaders: Bool {
        rawValue & Self.readersMask >= Self.reader * UInt32(Self.maximumReaders - Self.writebackRoom)
    }

    var addingReader: Self {
        assert(!hasWriter)
        return addingWriteback
    }
    /// A reader that nothing can hold up: a page that comes back. Through the page cache a write of the same file may be
    /// under way on it, as the kernel does not keep the page locked for that.
    var addingWriteback: Self {
        precondition(rawValue & Self.readersMask != Self.readersMask, "more write-backs than threads")
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
    func held(by holder: UInt32) -> Self { Self(rawValue: rawValue & ~Self.holderMask | holder) }
    /// Handed out to `holder`, again if a recall from it is under way.
    func handedOut(to holder: UInt32) -> Self {
        let line = held(by: holder)
        return line.isRecalled ? Self(rawValue: line.rawValue | Self.refilledBit) : line
    }
    var recalled: Self {
        assert(holder != 0)
        return Self(rawValue: rawValue | Self.recalledBit)
    }
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
    func reserved(_ isReserved: Bool) -> Self { with(Self.reservedBit, isReserved) }
    func claimed(_ isClaimed: Bool) -> Self { with(Self.claimedBit, isClaimed) }
    func awaited(_ isAwaited: Bool) -> Self { with(Self.awaitedBit, isAwaited) }

    private func with(_ bit: UInt32, _ isSet: Bool) -> Self {
        Self(rawValue: isSet ? rawValue | bit : rawValue & ~bit)
    }
}
