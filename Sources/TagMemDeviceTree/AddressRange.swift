import TagMemCore

/// Physical addresses, of memory as a property describes it.
typealias AddressRange = Range<UInt64>

extension AddressRange {
    var start: PhysicalAddress { PhysicalAddress(lowerBound) }
    var size: UInt64 { upperBound - lowerBound }

    func isAligned(to unit: UInt64) -> Bool { lowerBound % unit == 0 && upperBound % unit == 0 }

    func intersection(_ other: AddressRange) -> AddressRange? {
        let both = clamped(to: other)
        return both.isEmpty ? nil : both
    }

    /// What is left without the others, lowest first.
    func subtracting(_ others: [AddressRange]) -> [AddressRange] {
        var left: [AddressRange] = []
        var position = lowerBound
        for other in others.sorted(by: { $0.lowerBound < $1.lowerBound }) where other.overlaps(self) {
            if position < other.lowerBound { left.append(position..<other.lowerBound) }
            position = Swift.max(position, other.upperBound)
        }
        if position < upperBound { left.append(position..<upperBound) }
        return left
    }
}
