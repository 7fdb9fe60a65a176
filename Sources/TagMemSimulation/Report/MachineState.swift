/// What is measured after each event, or the sum of it over several.
struct MachineState: Equatable {
    /// Tag Pages that are reserved for tags.
    var reserved: Int
    /// Tag Pages that the tagged pages need at least: ceil(t / 32).
    var needed: Int
    /// *u* and *t*: pages in use.
    var untagged: Int
    var tagged: Int

    static let zero = Self(reserved: 0, needed: 0, untagged: 0, tagged: 0)

    static func += (left: inout Self, right: Self) {
        left.reserved += right.reserved
        left.needed += right.needed
        left.untagged += right.untagged
        left.tagged += right.tagged
    }
}
