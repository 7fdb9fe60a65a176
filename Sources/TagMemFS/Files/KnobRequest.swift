/// What is written into a file of `control/` about an object: `OBJECT NUMBER…`.
///
/// Names may have blanks in them, also at their ends. So the numbers are taken from the right, with exactly one blank
/// before each, and all that is before them is the object's path.
struct KnobRequest: Equatable {
    let object: String
    let numbers: [String]

    /// nil if there are not that many numbers, or no path before them.
    init?(_ text: some StringProtocol, numbers count: Int) {
        // By bytes: a blank can be a part of a larger `Character`.
        var rest = Array(text.utf8)[...]
        var numbers: [String] = []
        for _ in 0..<count {
            guard let blank = rest.lastIndex(of: UInt8(ascii: " ")), blank + 1 < rest.endIndex else {
                return nil
            }
            numbers.append(String(decoding: rest[(blank + 1)...], as: UTF8.self))
            rest = rest[..<blank]
        }
        if rest.isEmpty { return nil }
        object = String(decoding: rest, as: UTF8.self)
        self.numbers = numbers.reversed()
    }
}
