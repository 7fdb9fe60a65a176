import TagMemCore

extension Statistics {
    /// `meminfo`: amounts of memory, in the layout of /proc/meminfo.
    func meminfo() -> String {
        amounts().map { amount in
            let label = amount.name + ":"
            let number = String(amount.bytes >> 10)
            return label + String(repeating: " ", count: max(1, 36 - label.count - number.count)) + number
                + " kB\n"
        }.joined()
    }

    /// `vmstat`: event counts, one a line.
    func vmstat() -> String { events().map { "\($0.name) \($0.count)\n" }.joined() }

    /// `metrics`: both, in the text format of OpenMetrics 1.0.
    func openMetrics() -> String {
        var text = ""
        for amount in amounts() {
            let name = "tagmemd_\(Self.snakeCase(amount.name))_bytes"
            text += "# TYPE \(name) gauge\n# UNIT \(name) bytes\n# HELP \(name) \(amount.help).\n"
            text += "\(name) \(amount.bytes)\n"
        }
        text +=
            "# TYPE tagmemd_objects gauge\n# HELP tagmemd_objects Memory objects, by the use of their pages.\n"
        for use in PageUse.allCases { text += "tagmemd_objects{use=\"\(use)\"} \(objectCount(use))\n" }
        for event in events() {
            let name = "tagmemd_\(event.name)"
            text += "# TYPE \(name) counter\n\(name)_total \(event.count)\n"
        }
        return text + "# EOF\n"
    }

    /// `TagStorageReserved` as `tag_storage_reserved`.
    private static func snakeCase(_ name: String) -> String {
        var result = ""
        for character in name {
            if character.isUppercase, !result.isEmpty { result += "_" }
            result += character.lowercased()
        }
        return result
    }
}
