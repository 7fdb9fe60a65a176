import ArgumentParser

/// A number of bytes, or an address: decimal or 0x…, with K, M, G or T for powers of 1024.
struct ByteCount: ExpressibleByArgument, Equatable {
    let value: UInt64

    init(_ value: UInt64) { self.value = value }

    init?(argument: String) {
        var digits = argument[...]
        var shift: UInt64 = 0
        if let last = digits.last, let unit = "KMGT".firstIndex(of: Character(last.uppercased())) {
            shift = UInt64("KMGT".distance(from: "KMGT".startIndex, to: unit) + 1) * 10
            digits = digits.dropLast()
        }
        let isHexadecimal = digits.hasPrefix("0x") || digits.hasPrefix("0X")
        if isHexadecimal { digits = digits.dropFirst(2) }
        guard let first = digits.first, first != "+", first != "-",
            let number = UInt64(digits, radix: isHexadecimal ? 16 : 10), number <= UInt64.max >> shift
        else { return nil }
        value = number << shift
    }

    var defaultValueDescription: String { "0x" + String(value, radix: 16) }
}
