/// A tag check fault, as a program's libtagmem says it:
///
/// ```
/// fault access=store size=8 address=0x5f0500000010 offset=0x10 address_tag=5 allocation_tag=2 mode=sync pid=12 comm=a.out
/// tags 0x0 2222222222222222------
/// frame 0x1149 /path/of/program
/// ```
///
/// `tags` are digits of granules from an offset on, `-` for what is no memory. A frame is an offset in a file as it is
/// linked, the innermost first: of the access itself, then of the calls.
struct FaultReport {
    let isStore: Bool
    let size: Int
    let address: UInt64
    let offset: UInt64
    let addressTag: String
    let allocationTag: String
    let mode: String
    let pid: String
    let command: String
    let firstTag: UInt64
    let tags: String
    let frames: [(module: String, offset: UInt64)]

    /// nil if it is none.
    init?(_ text: String) {
        let lines = text.split(separator: "\n")
        guard let first = lines.first, first.hasPrefix("fault ") else { return nil }
        // The command is last, and may have anything in it.
        guard let comm = first.firstRange(of: " comm=") else { return nil }
        command = String(first[comm.upperBound...])
        var values: [Substring: Substring] = [:]
        for word in first[..<comm.lowerBound].split(separator: " ").dropFirst() {
            guard let equals = word.firstIndex(of: "=") else { return nil }
            values[word[..<equals]] = word[word.index(after: equals)...]
        }
        guard let access = values["access"], let size = values["size"].flatMap({ Int($0) }),
            let address = values["address"].flatMap(Self.number),
            let offset = values["offset"].flatMap(Self.number), let addressTag = values["address_tag"],
            let allocationTag = values["allocation_tag"], let mode = values["mode"], let pid = values["pid"]
        else { return nil }
        isStore = access == "store"
        self.size = size
        self.address = address
        self.offset = offset
        self.addressTag = String(addressTag)
        self.allocationTag = String(allocationTag)
        self.mode = String(mode)
        self.pid = String(pid)
        let tagWords = lines.first { $0.hasPrefix("tags ") }?.split(separator: " ") ?? []
        firstTag = tagWords.count == 3 ? Self.number(tagWords[1]) ?? 0 : 0
        tags = tagWords.count == 3 ? String(tagWords[2]) : ""
        frames = lines.filter { $0.hasPrefix("frame ") }.compactMap { line in
            let words = line.split(separator: " ", maxSplits: 2)
            guard words.count == 3, let offset = Self.number(words[1]) else { return nil }
            return (String(words[2]), offset)
        }
    }

    private static func number(_ text: Substring) -> UInt64? {
        text.hasPrefix("0x") ? UInt64(text.dropFirst(2), radix: 16) : nil
    }
}
