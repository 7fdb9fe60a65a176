import Glibc
import Testing

/// A program for a virtual machine without a kernel: it counts up at an address until the next word is not zero, copies
/// that to the one after it, and turns the machine off.
struct BareProgram {
    /// Where its words of eight bytes are, a multiple of 64 KiB below 4 GiB.
    let address: UInt64

    private var instructions: [UInt32] {
        [
            0xd2a0_0000 | UInt32(address >> 16) << 5,  // movz x0, #address >> 16, lsl #16
            0xf940_0001,  // 1: ldr x1, [x0]
            0x9100_0421,  // add x1, x1, #1
            0xf900_0001,  // str x1, [x0]
            0xf940_0402,  // ldr x2, [x0, #8]
            0xb4ff_ff82,  // cbz x2, 1b
            0xf900_0802,  // str x2, [x0, #16]
            0x5280_0100,  // movz w0, #0x0008
            0x72b0_8000,  // movk w0, #0x8400, lsl #16    PSCI SYSTEM_OFF
            0xd400_0002,  // hvc #0
            0x1400_0000,  // b .
        ]
    }

    /// Calls `body` with the options of QEMU that load and start it.
    func withOptions(_ body: ([String]) throws -> Void) throws {
        let directory = try makeTemporaryDirectory()
        defer { _ = try? run("rm", ["-r", directory]) }
        try File("\(directory)/program", O_RDWR | O_CREAT).write(
            instructions.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) } },
            at: 0)
        try body(["-device", "loader,file=\(directory)/program,addr=0x40200000,cpu-num=0"])
    }
}
