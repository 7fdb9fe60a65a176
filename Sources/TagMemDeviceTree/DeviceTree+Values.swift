/// Values of properties. Devicetree Specification 0.4, table 2.3.
extension DeviceTree.Property {
    /// A property that says something by being there: `reusable`.
    public static func flag(_ name: String) -> Self { Self(name, []) }

    /// A string with its NUL.
    public static func string(_ name: String, _ text: String) -> Self { Self(name, Array(text.utf8) + [0]) }

    /// 32-bit numbers.
    public static func cells(_ name: String, _ cells: UInt32...) -> Self {
        Self(name, cells.flatMap { bigEndian(UInt64($0), cells: 1) })
    }

    /// Addresses and sizes, two cells each.
    public static func numbers(_ name: String, _ numbers: UInt64...) -> Self {
        Self(name, numbers.flatMap { bigEndian($0, cells: 2) })
    }

    private static func bigEndian(_ number: UInt64, cells: Int) -> [UInt8] {
        (0..<cells * 4).reversed().map { UInt8(truncatingIfNeeded: number >> UInt64($0 * 8)) }
    }
}

extension DeviceTree.Node {
    /// Whether the node describes something that is there: `status` is `okay`, or there is none.
    var isAvailable: Bool {
        guard let status = self["status"] else { return true }
        return ["okay", "ok"].contains(Self.strings(status).first)
    }

    /// Whether `compatible` lists this name.
    func isCompatible(with name: String) -> Bool {
        self["compatible"].map { Self.strings($0).contains(name) } ?? false
    }

    /// The strings of a list, without their NULs.
    static func strings(_ value: [UInt8]) -> [String] {
        value.split(separator: 0, omittingEmptySubsequences: false).map {
            String(decoding: $0, as: UTF8.self)
        }
    }
}
