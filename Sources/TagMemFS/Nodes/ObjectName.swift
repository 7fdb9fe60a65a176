/// The name of a memory object: equal if its bytes are. (Strings are equal if they look the same, however their letters
/// are composed.)
struct ObjectName: Hashable, Sendable {
    private let bytes: [UInt8]

    init(_ name: String) { bytes = Array(name.utf8) }

    /// Whether an object can be given the name: names are what paths, logs, terminals and `control/` can show.
    static func isUsable(_ name: String) -> Bool {
        !name.isEmpty && name.unicodeScalars.allSatisfy(isShowable)
    }

    private static func isShowable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        // Control characters, C0 and C1: terminals obey them.
        case 0..<0x20, 0x7f...0x9f: false
        // Marks that turn the direction of the text around them: what is shown is not what is there.
        case 0x061c, 0x200e, 0x200f, 0x202a...0x202e, 0x2066...0x2069: false
        // Separators of lines and of paragraphs.
        case 0x2028, 0x2029: false
        // What stands for bytes that are no UTF-8.
        case 0xfffd: false
        default: true
        }
    }
}
