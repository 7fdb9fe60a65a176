/// The data cache maintenance instructions that take an address.
///
/// Each works on one cache line, and on its data, its allocation tags or both. (Those that take a set and way are not
/// usable for a Tag Storage Clean, and are left out.) Source: Arm ARM, C5.3.
public enum CacheMaintenance: String, CaseIterable, Sendable {
    case ivac, igvac, igdvac
    case cvac, cgvac, cgdvac
    case cvau
    case cvap, cgvap, cgdvap
    case cvadp, cgvadp, cgdvadp
    case civac, cigvac, cigdvac

    /// What of a line an operation works on.
    public struct Coverage: OptionSet, Hashable, Sendable {
        public let rawValue: UInt8
        public init(rawValue: UInt8) { self.rawValue = rawValue }

        public static let data = Self(rawValue: 1)
        public static let tags = Self(rawValue: 2)
    }

    /// How far a clean carries what was written.
    public enum Point: Sendable {
        case coherency, unification, persistence, deepPersistence
    }

    /// The G in the mnemonic is for tags, GD for both, neither for data.
    public var coverage: Coverage {
        switch self {
        case .ivac, .cvac, .cvau, .cvap, .cvadp, .civac: .data
        case .igvac, .cgvac, .cgvap, .cgvadp, .cigvac: .tags
        case .igdvac, .cgdvac, .cgdvap, .cgdvadp, .cigdvac: [.data, .tags]
        }
    }

    /// Whether what the cache holds is written back.
    public var cleans: Bool {
        switch self {
        case .ivac, .igvac, .igdvac: false
        default: true
        }
    }

    /// Whether the cache forgets the line.
    public var invalidates: Bool {
        switch self {
        case .ivac, .igvac, .igdvac, .civac, .cigvac, .cigdvac: true
        default: false
        }
    }

    public var point: Point {
        switch self {
        case .cvau: .unification
        case .cvap, .cgvap, .cgdvap: .persistence
        case .cvadp, .cgvadp, .cgdvadp: .deepPersistence
        default: .coherency
        }
    }

    /// As an assembler writes it: `DC CIGDVAC`.
    public var mnemonic: String { "DC " + rawValue.uppercased() }
}

extension DRAM {
    /// Performs `operation` on the line of `address`, on a machine whose caches are coherent: there is nothing to do.
    ///
    /// Any alignment; the top byte is ignored. Arm ARM: `AArch64.DC`.
    ///
    /// - Throws: `MemoryFault.noMemory` in a hole.
    public func perform(_ operation: CacheMaintenance, at address: TaggedPointer) throws(MemoryFault) {
        try requireMemory(at: address.physicalAddress, count: 1)
    }
}
