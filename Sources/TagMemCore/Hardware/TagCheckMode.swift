/// Which mismatches of tags are faults, and what a fault does: a kind of fault, and options.
///
/// Written `sync`, or with options `sync,store-only,canonical`. Source: Arm ARM, SCTLR_ELx.TCF and TCSO, TCR_ELx.MTX;
/// Linux, `PR_MTE_TCF_*` and `PR_MTE_STORE_ONLY`.
public struct TagCheckMode: Hashable, Sendable {
    /// SCTLR_ELx.TCF.
    public enum Faults: UInt8, CaseIterable, Sendable {
        /// Mismatches have no effect.
        case none
        /// Mismatching accesses fault and are not done.
        case sync
        /// Mismatching accesses are done, and TFSR records the fault.
        case async
        /// Loads as in `sync`, stores as in `async`.
        case asymm
    }

    public struct Options: OptionSet, Hashable, Sendable {
        public let rawValue: UInt8

        public init(rawValue: UInt8) { self.rawValue = rawValue }

        /// FEAT_MTE_STORE_ONLY: loads are not checked.
        public static let storeOnly = Options(rawValue: 1)
        /// FEAT_MTE_CANONICAL_TAGS: memory without allocation tags is checked, too. Only pointers with the canonical tag
        /// (`TaggedPointer.canonicalTag`) match there.
        public static let canonical = Options(rawValue: 2)

        public static let all: Options = [.storeOnly, .canonical]
    }

    public var faults: Faults
    public var options: Options

    public init(_ faults: Faults, _ options: Options = []) {
        self.faults = faults
        self.options = options
    }

    public static let none = Self(.none)
    public static let sync = Self(.sync)
    public static let async = Self(.async)
    public static let asymm = Self(.asymm)

    /// What a mismatch of a load (`isStore` false) or a store does.
    public func effect(onStore isStore: Bool) -> Effect {
        if !isStore, options.contains(.storeOnly) { return .ignored }
        return switch faults {
        case .none: .ignored
        case .sync: .fault
        case .async: .deferredFault
        case .asymm: isStore ? .deferredFault : .fault
        }
    }

    public enum Effect: Sendable {
        /// The access is done, and nothing else happens.
        case ignored
        /// The access is not done from the mismatching granule on.
        case fault
        /// The access is done, and the fault recorded.
        case deferredFault
    }

    /// Whether a page can be mapped only if all its tags match, which holds where loads fault or stores do: who maps it
    /// may do both.
    public var refusesMismatchingPages: Bool {
        effect(onStore: false) == .fault || effect(onStore: true) == .fault
    }

    /// Whether there are faults that are reported later.
    public var defersFaults: Bool {
        effect(onStore: false) == .deferredFault || effect(onStore: true) == .deferredFault
    }
}

extension TagCheckMode: CaseIterable {
    /// Those without options first.
    public static let allCases: [Self] = (0...Options.all.rawValue).flatMap { options in
        Faults.allCases.map { Self($0, Options(rawValue: options)) }
    }
}

extension TagCheckMode {
    private static let words: [(name: String, option: Options)] = [
        ("store-only", .storeOnly), ("canonical", .canonical),
    ]

    /// The kind of fault, and options in any order, between commas; nil for anything else.
    public init?(name: some StringProtocol) {
        let words = name.split(separator: ",", omittingEmptySubsequences: false)
        guard let first = words.first, let faults = Faults.allCases.first(where: { $0.name == first }) else {
            return nil
        }
        self.init(faults)
        for word in words.dropFirst() {
            guard let (_, option) = Self.words.first(where: { $0.name == word }) else { return nil }
            guard options.insert(option).inserted else { return nil }
        }
    }

    public var name: String {
        ([faults.name] + Self.words.filter { options.contains($0.option) }.map(\.name)).joined(separator: ",")
    }
}

extension TagCheckMode.Faults {
    public var name: String {
        switch self {
        case .none: "none"
        case .sync: "sync"
        case .async: "async"
        case .asymm: "asymm"
        }
    }
}
