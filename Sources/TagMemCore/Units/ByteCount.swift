/// A number of bytes, or an address: decimal or 0x…, with K, M, G or T for powers of 1024.
public struct ByteCount: Equatable, Sendable {
    public let value: UInt64

    public init(_ value: UInt64) { self.value = value }

    /// nil for anything but such a number, and for one that 64 bits do not hold.
    public init?(_ text: some StringProtocol) {
        var digits = text[...]
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
}
