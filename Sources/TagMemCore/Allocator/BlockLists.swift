/// The heads of the lists of blocks that have something to give, by what and by how full they are.
///
/// ```
///   pool        free blocks, last freed first
///   untagged    untagged blocks with free pages, by used pages
///   room        tagged blocks with free Data Pages, by tagged pages
///   lent        tagged blocks without free Data Pages but with lent ones, by tagged pages
/// ```
///
/// Blocks that have nothing to give (all pages used, all Data Pages tagged) are in no list. Within a kind a block is in
/// one of 32 classes: 0 to 11 for the fuller half by the width of the number of unused pages, 31 down to 20 for the
/// other by the width of the number of used ones. So the fullest block is in the lowest class that is not empty and the
/// sparsest in the highest, give or take a factor of two, and few changes of a count change the class.
@safe
struct BlockLists: ~Copyable, @unchecked Sendable {
    enum Kind: UInt8 { case other, untagged, room, lent }

    /// A list: kind * 32 + class.
    struct ID: Equatable {
        let rawValue: UInt8

        static let none = Self(rawValue: 0)
        static let pool = Self(rawValue: 1)

        init(rawValue: UInt8) { self.rawValue = rawValue }

        /// The list of blocks with `used` of `capacity` pages used.
        @inline(__always)
        init(_ kind: Kind, used: Int, of capacity: Int) {
            let unused = capacity - used
            let level = used >= unused ? Self.width(unused) : 31 - Self.width(used)
            rawValue = kind.rawValue << 5 | UInt8(truncatingIfNeeded: level)
        }

        init(_ kind: Kind, level: Int) { rawValue = kind.rawValue << 5 | UInt8(level) }

        var kind: Kind? { Kind(rawValue: rawValue >> 5) }
        var level: Int { Int(rawValue & 31) }

        @inline(__always)
        private static func width(_ number: Int) -> Int { Int.bitWidth - number.leadingZeroBitCount }
    }

    // SAFETY: 132 words, allocated in `init` and freed in `deinit`. A list's number is below 128 (see `ID`), checked
    // where it is used; a kind is below 4. `@unchecked`: the owner is used under a lock.
    /// First blocks of the 128 lists, index + 1, 0 for an empty list; and of each kind, the classes that are not empty.
    private let words: UnsafeMutablePointer<UInt32>
    private static let count = 128

    init() {
        unsafe words = .allocate(capacity: Self.count + 4)
        unsafe words.initialize(repeating: 0, count: Self.count + 4)
    }

    deinit { unsafe words.deallocate() }

    @inline(__always)
    private func levels(_ kind: Kind) -> UInt32 { unsafe words[Self.count + Int(kind.rawValue)] }

    subscript(_ list: ID) -> UInt32 {
        @inline(__always) get {
            precondition(list.rawValue < Self.count, "no such list")
            return unsafe words[Int(list.rawValue)]
        }
        @inline(__always) nonmutating set {
            precondition(list.rawValue < Self.count, "no such list")
            unsafe words[Int(list.rawValue)] = newValue
            let bit: UInt32 = 1 << UInt32(list.rawValue & 31)
            let kind = Self.count + Int(list.rawValue >> 5)
            let others = unsafe words[kind] & ~bit
            unsafe words[kind] = newValue == 0 ? others : others | bit
        }
    }

    /// A block of the fullest class; nil if all lists of the kind are empty.
    @inline(__always)
    func fullest(_ kind: Kind) -> BlockIndex? {
        let levels = levels(kind)
        guard levels != 0 else { return nil }
        return BlockIndex(self[ID(kind, level: levels.trailingZeroBitCount)] - 1)
    }

    /// A block of the sparsest class; nil if all lists of the kind are empty.
    @inline(__always)
    func sparsest(_ kind: Kind) -> BlockIndex? {
        let levels = levels(kind)
        guard levels != 0 else { return nil }
        return BlockIndex(self[ID(kind, level: 31 - levels.leadingZeroBitCount)] - 1)
    }
}
