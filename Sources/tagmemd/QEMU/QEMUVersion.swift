/// Which QEMU it is.
struct QEMUVersion: Equatable, Comparable, CustomStringConvertible {
    let numbers: [Int]

    init(_ numbers: Int...) { self.numbers = numbers }

    /// - Parameter text: `QEMU emulator version 10.0.2 (…)`
    init?(_ text: String) {
        guard let range = text.firstRange(of: "QEMU emulator version ") else { return nil }
        let word = text[range.upperBound...].prefix { $0.isNumber || $0 == "." }
        numbers = word.split(separator: ".").compactMap { Int($0) }
        if numbers.count < 2 { return nil }
    }

    /// - Throws: `Failure` if the program is no QEMU.
    init(ofProgram program: String) throws {
        let output = try HostProgram.output(of: [program, "--version"], limit: 1 << 16)
        guard let version = Self(String(decoding: output, as: UTF8.self)) else {
            throw Failure("'\(program)' is no QEMU")
        }
        self = version
    }

    static func < (one: Self, other: Self) -> Bool { one.numbers.lexicographicallyPrecedes(other.numbers) }

    var description: String { numbers.map { "\($0)" }.joined(separator: ".") }

    /// Why it cannot have its memory on a device; nil if it can.
    ///
    /// In system mode 7.2 loses the offset in the page on the way from an address to its tag; "target/arm: Fix physical
    /// address resolution for MTE", in 8.0, mends it. Before 8.0 QEMU does not say where its memory is. A part of a file
    /// can be its memory since 8.2.
    func flaw(needsOffset: Bool) -> String? {
        if self >= Self(7, 2), self < Self(8, 0) {
            return "QEMU \(self) has one tag for all of a page: use 8.0 or newer"
        }
        if self < Self(8, 0) { return "QEMU \(self) is too old: use 8.0 or newer" }
        if needsOffset, self < Self(8, 2) {
            return "QEMU \(self) cannot have a part of a file as its memory: use 8.2 or newer, or an object"
        }
        return nil
    }
}
