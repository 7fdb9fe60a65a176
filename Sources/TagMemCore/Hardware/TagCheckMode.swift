/// What a tag check fault does. Source: Arm ARM, SCTLR_ELx.TCF; Linux, `PR_MTE_TCF_*`.
public enum TagCheckMode: UInt8, CaseIterable, Sendable {
    /// Mismatches have no effect.
    case none
    /// Mismatching accesses fault and are not done.
    case sync
    /// Mismatching accesses are done, and TFSR records the fault.
    case async
    /// Loads as in `sync`, stores as in `async`.
    case asymm

    public init?(name: some StringProtocol) {
        guard let mode = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = mode
    }

    public var name: String {
        switch self {
        case .none: "none"
        case .sync: "sync"
        case .async: "async"
        case .asymm: "asymm"
        }
    }

    /// What a mismatch of a load (`isStore` false) or a store does.
    public func effect(onStore isStore: Bool) -> Effect {
        switch self {
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

    /// Whether a page can be mapped only if all its tags match, which holds where loads fault.
    public var refusesMismatchingPages: Bool { effect(onStore: false) == .fault }
}
