import TagMemCore
import Testing

@testable import tagmemd

@Suite("ByteCount") struct ByteCountTests {
    @Test(
        "numbers and units",
        arguments: [
            ("0", 0), ("1", 1), ("4096", 4096), ("0x40000000", 0x4000_0000), ("0XfF", 255), ("1K", 1 << 10),
            ("1k", 1 << 10), ("3M", 3 << 20), ("2g", 2 << 30), ("1T", 1 << 40), ("0x10M", 16 << 20),
            ("18446744073709551615", .max), ("0xffffffffffffffff", .max), ("16777215T", 16_777_215 << 40),
        ] as [(String, UInt64)])
    func accepted(_ text: String, _ value: UInt64) {
        #expect(ByteCount(argument: text)?.value == value)
    }

    @Test(
        "what is no number is refused",
        arguments: [
            "", "K", "0x", "0xK", "-1", "+1", "0x-1", "0x+1", "1KB", "1 K", " 1", "1.5G", "G1", "12z", "0b11",
            "18446744073709551616", "16777216T", "0x10000000000000000", "1__0", "١",
        ])
    func refused(_ text: String) { #expect(ByteCount(argument: text) == nil) }

    @Test("shown in hexadecimal") func description() {
        #expect(ByteCount(0x4000_0000).defaultValueDescription == "0x40000000")
    }
}
