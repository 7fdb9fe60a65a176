import ArgumentParser

/// An amount of memory as QEMU's `-m` takes it: `1G`, `1.5G`, `1024` (MiB), `0x400` (MiB), `size=1G`.
struct QEMUSize: ExpressibleByArgument, Equatable {
    let bytes: UInt64

    init(bytes: UInt64) { self.bytes = bytes }

    /// nil for what is no size; what QEMU takes beside a size (`slots`, `maxmem`) is none either.
    init?(argument: String) {
        let text = argument.hasPrefix("size=") ? argument.dropFirst(5) : argument[...]
        guard let last = text.last?.asciiValue, let size = Self.size(text) else { return nil }
        // A number without a unit is MiB, also where it is hexadecimal and ends with a decimal digit.
        let isPlain = (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(last)
        let (bytes, isTooLarge) = size.multipliedReportingOverflow(by: isPlain ? 1 << 20 : 1)
        guard !isTooLarge else { return nil }
        self.bytes = bytes
    }

    private static func size(_ text: Substring) -> UInt64? {
        if text.hasPrefix("0x") || text.hasPrefix("0X") {
            let digits = text.dropFirst(2)
            return digits.first?.isHexDigit == true ? UInt64(digits, radix: 16) : nil
        }
        var number = text
        var unit: UInt64 = 1
        if let last = text.last, let index = "BKMGTPE".firstIndex(of: Character(last.uppercased())) {
            unit = 1 << UInt64("BKMGTPE".distance(from: "BKMGTPE".startIndex, to: index) * 10)
            number = text.dropLast()
        }
        let parts = number.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard let whole = decimal(parts[0]) else { return nil }
        let (size, isTooLarge) = whole.multipliedReportingOverflow(by: unit)
        guard !isTooLarge else { return nil }
        guard parts.count == 2 else { return size }
        guard unit > 1, parts[1].utf8.count <= 18, let fraction = decimal("0" + parts[1]) else { return nil }
        let scale = (0..<parts[1].utf8.count).reduce(1 as UInt64) { scale, _ in scale * 10 }
        let more = scale.dividingFullWidth(unit.multipliedFullWidth(by: fraction)).quotient
        let (sum, overflows) = size.addingReportingOverflow(more)
        return overflows ? nil : sum
    }

    private static func decimal(_ text: some StringProtocol) -> UInt64? {
        text.utf8.allSatisfy((UInt8(ascii: "0")...UInt8(ascii: "9")).contains) ? UInt64(text) : nil
    }
}
