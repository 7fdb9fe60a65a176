import Testing

@testable import tagmemd

@Suite("QEMUSize") struct QEMUSizeTests {
    @Test(
        "as QEMU's -m takes them",
        arguments: [
            ("1G", 1 << 30), ("1g", 1 << 30), ("size=1G", 1 << 30), ("1024", 1 << 30), ("size=1024", 1 << 30),
            ("128M", 128 << 20), ("128m", 128 << 20), ("1.5G", 3 << 29), ("0.5k", 512), ("1048576K", 1 << 30),
            ("4096B", 4096), ("4096b", 4096), ("2T", 2 << 40), ("1P", 1 << 50), ("1E", 1 << 60), ("0", 0),
            ("0x400", 1 << 30), ("0xff", 255), ("15.999999999999999999E", 18_446_744_073_709_551_614),
            ("1.0M", 1 << 20), ("1.M", 1 << 20),
        ] as [(String, UInt64)])
    func accepted(_ text: String, _ bytes: UInt64) { #expect(QEMUSize(argument: text)?.bytes == bytes) }

    @Test(
        "what is no size is refused",
        arguments: [
            "", "G", "size=", "1Q", "-1", "+1", " 1", "1 G", "1.5", "1.5.5G", "0x", "0xG", "0x1G", "0x-1",
            "16E", "1,5G",
            "99999999999999999999", "17592186044416", "1G,slots=2", "1G,maxmem=2G", "1.0000000000000000000G",
            "١G",
            "size=size=1G",
        ])
    func refused(_ text: String) { #expect(QEMUSize(argument: text) == nil) }
}
