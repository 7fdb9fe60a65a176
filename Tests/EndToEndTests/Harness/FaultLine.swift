/// A line of the fault log, taken apart.
struct FaultLine: CustomStringConvertible {
    let description: String
    let keys: [String]
    private let values: [String: String]

    /// nil if the line is not logfmt.
    init?(_ line: Substring) {
        description = String(line)
        var keys: [String] = []
        var values: [String: String] = [:]
        var rest = line[...]
        while !rest.isEmpty {
            guard let equals = rest.firstIndex(of: "=") else { return nil }
            let key = String(rest[..<equals])
            rest = rest[rest.index(after: equals)...]
            if rest.first == "\"" {
                rest = rest.dropFirst()
                guard let quote = rest.firstIndex(of: "\"") else { return nil }
                values[key] = String(rest[..<quote])
                rest = rest[rest.index(after: quote)...]
            } else {
                let end = rest.firstIndex(of: " ") ?? rest.endIndex
                values[key] = String(rest[..<end])
                rest = rest[end...]
            }
            keys.append(key)
            if rest.first == " " { rest = rest.dropFirst() }
        }
        self.keys = keys
        self.values = values
    }

    subscript(key: String) -> String { values[key] ?? "" }

    var sequence: Int { Int(self["seq"]) ?? -1 }
    var offset: UInt64 { number("offset") }
    var address: UInt64 { number("fault_address") }
    var pid: Int32 { Int32(self["pid"]) ?? -1 }

    private func number(_ key: String) -> UInt64 { UInt64(self[key].dropFirst(2), radix: 16) ?? .max }

    /// All lines of a text; one that is not logfmt is nil.
    static func parse(_ text: String) -> [FaultLine?] { text.split(separator: "\n").map { FaultLine($0) } }
}
