import Glibc
import Testing

@testable import tagmemd

@Suite("Kernels") struct KernelImageTests {
    /// An arm64 kernel's header, and some bytes.
    private let image: [UInt8] = {
        var bytes = [UInt8](repeating: 0, count: 4096)
        bytes[10] = 8  // text_offset 0x80000
        bytes[18] = 0x20  // image_size 0x200000
        bytes.replaceSubrange(56..<60, with: Array("ARMd".utf8))
        return bytes
    }()

    private func load(_ bytes: [UInt8]) throws -> KernelImage {
        try KernelImage("/proc/self/fd/\(MemoryFileKeeper.keep(bytes))")
    }

    /// Files that a path leads to as long as the process lives.
    private enum MemoryFileKeeper {
        static func keep(_ bytes: [UInt8]) throws -> Int32 {
            let file = try NamelessFile(bytes, "test")
            return dup(file.descriptor)
        }
    }

    private func packed(_ bytes: [UInt8]) throws -> [UInt8] {
        try HostProgram.output(of: ["gzip", "-c"], input: MemoryFileKeeper.keep(bytes), limit: 1 << 20)
    }

    @Test("an Image, packed or not, and one that unpacks itself")
    func kinds() throws {
        let plain = try load(image)
        #expect(plain.bytes == image && plain.textOffset == 0x80000 && plain.size == 0x200000)
        let packed = try packed(image)
        #expect(try load(packed).bytes == image)
        func word(_ value: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) } }
        var zboot = Array("MZ\0\0zimg".utf8) + word(64) + word(packed.count)
        zboot += [UInt8](repeating: 0, count: 64 - zboot.count) + packed + [1, 2, 3]
        #expect(try load(zboot).bytes == image)
        for end in [12, 63, zboot.count - 10] {
            #expect(throws: Failure.self, "\(end)") { try load(Array(zboot[..<end])) }
        }
    }

    @Test("what is no kernel is said")
    func refused() throws {
        var huge = image
        huge[23] = 0xff
        var far = image
        far[12] = 1
        for bytes in [
            [], Array("#!/bin/sh\n".utf8), Array(image[..<50]), Array(repeating: 0x1f, count: 99), huge, far,
        ] {
            #expect(throws: Failure.self) { try load(bytes) }
        }
        #expect(throws: Failure.self) { try KernelImage("/nonexistent") }
    }

    @Test("the code that starts it")
    func stub() {
        let stub = GuestBoot.stub(tree: 0x1122_3344_5566_7788, kernel: 0x4048_0000)
        #expect(stub.count == 40)
        #expect(Array(stub[24..<32]) == [0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11])
        #expect(Array(stub[32...]) == [0, 0, 0x48, 0x40, 0, 0, 0, 0])
    }

    @Test("versions of QEMU whose tags are wrong, or that cannot be asked for them")
    func versions() throws {
        for (text, numbers) in [
            ("QEMU emulator version 10.0.13 (Debian 1:10.0.13+ds-0+deb13u1)\nCopyright", [10, 0, 13]),
            ("QEMU emulator version 7.2.22 (Debian 1:7.2)", [7, 2, 22]),
            ("QEMU emulator version 8.2", [8, 2]),
        ] { #expect(QEMUVersion(text)?.numbers == numbers) }
        #expect(QEMUVersion("GNU bash, version 5.2") == nil && QEMUVersion("QEMU emulator version x") == nil)
        for version in [QEMUVersion(7, 2), QEMUVersion(7, 2, 22), QEMUVersion(7, 1, 0), QEMUVersion(5, 1)] {
            #expect(version.flaw(needsOffset: false) != nil)
        }
        #expect(QEMUVersion(7, 2, 22).flaw(needsOffset: false)?.contains("one tag for all") == true)
        for version in [QEMUVersion(8, 0, 0), QEMUVersion(8, 1, 5)] {
            #expect(version.flaw(needsOffset: false) == nil && version.flaw(needsOffset: true) != nil)
        }
        for version in [QEMUVersion(8, 2, 0), QEMUVersion(10, 0, 13)] {
            #expect(version.flaw(needsOffset: true) == nil)
        }
    }

    @Test("programs that are run for what they write", .timeLimit(.minutes(1)))
    func programs() throws {
        #expect(try HostProgram.output(of: ["printf", "abc"], limit: 3) == Array("abc".utf8))
        #expect(try HostProgram.output(of: ["cat"], limit: 3).isEmpty)
        for words in [["printf", "abcd"], ["false"], ["/nonexistent/program"]] {
            #expect(throws: Failure.self, "\(words)") { try HostProgram.output(of: words, limit: 3) }
        }
        let slow = #expect(throws: Failure.self) {
            try HostProgram.output(of: ["sleep", "50"], limit: 3, seconds: 1)
        }
        #expect(slow?.description == "sleep is not done in 1 s")
    }
}
