/// The files in `control/`, one value each.
enum Knob: UInt8, CaseIterable {
    /// 1 compacts to the end; reads as whether there is nothing to compact.
    case compact
    /// Whether compaction goes on in the background.
    case compaction
    /// `OBJECT OFFSET LENGTH`: the object's pages there do not move. Lists the ranges that are pinned.
    case pin
    /// `OBJECT OFFSET LENGTH`: they may again.
    case unpin
    /// `OBJECT 0|1`: whether the object's pages are to be had at once or not at all. Lists those objects.
    case atomic
    /// Pages set aside for atomic allocations of tagged and of untagged pages.
    case reserveTagged
    case reserveUntagged
    /// 1 keeps all memory for whoever writes it, as long as the file is open: no object can be made.
    case claim

    var name: String {
        switch self {
        case .compact: "compact"
        case .compaction: "compaction"
        case .pin: "pin"
        case .unpin: "unpin"
        case .atomic: "atomic"
        case .reserveTagged: "reserve_tagged"
        case .reserveUntagged: "reserve_untagged"
        case .claim: "claim"
        }
    }

    var isReadable: Bool { self != .unpin }
}
