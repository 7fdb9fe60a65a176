import ArgumentParser
import TagMemCore
import Testing

@testable import tagmemd

@Suite("VirtMachine") struct VirtMachineTests {
    @Test("QEMU's spellings")
    func spellings() throws {
        var machine = VirtMachine()
        #expect(try VirtMachine("virt") == machine)
        #expect(try VirtMachine("type=virt") == machine)
        machine.hasMTE = true
        for on in ["on", "yes", "true", "y"] { #expect(try VirtMachine("virt,mte=\(on)") == machine) }
        #expect(try VirtMachine("mte=on,type=virt") == machine)
        machine.sharesTagStorage = true
        let full = "virt,virtualization=on,mte=on,mte-shared-alloc=on"
        #expect(try VirtMachine(full) == machine)
        #expect(try VirtMachine(full + ",secure=off,gic-version=3,acpi=auto,iommu=smmuv3,its=no") == machine)
        machine.usesHighMemory = false
        for off in ["off", "no", "false", "n"] {
            #expect(try VirtMachine("\(full),highmem=\(off)") == machine)
        }
        // The last one counts.
        #expect(
            try VirtMachine("virt,mte=on,mte-shared-alloc=on,mte-shared-alloc=off,mte=off") == VirtMachine())
    }

    @Test(
        "what is unknown or wrong is said",
        arguments: [
            ("", "'' is unknown"), ("raspi3b", "'raspi3b' is unknown; there is 'virt'"),
            ("type=pc", "'pc' is unknown"),
            ("mte=on", "no type of machine"), ("virt,", "'' needs a value"),
            ("virt,mte", "'mte' needs a value"),
            ("virt,mte=", "mte is 'on' or 'off', not ''"), ("virt,mte=1", "not '1'"),
            ("virt,mte=ON", "not 'ON'"),
            ("virt,virtualization=maybe", "virtualization is 'on' or 'off'"),
            ("virt,foo=on", "no option 'foo'"),
            ("virt,MTE=on", "no option 'MTE'"), ("virt,=on", "no option ''"),
            ("virt,iommu=x", "one of none, smmuv3"),
            ("virt,mte-shared-alloc=on", "mte-shared-alloc=on needs mte=on"),
            ("virt,mte=off,mte-shared-alloc=on", "mte-shared-alloc=on needs mte=on"),
        ])
    func refused(_ options: String, _ text: String) {
        let error = #expect(throws: ValidationError.self) { try VirtMachine(options) }
        #expect(error?.message.hasPrefix("--machine: ") == true && error?.message.contains(text) == true)
    }

    private static let gib: UInt64 = 1 << 30

    /// Where the tags are: what the prototype's `highest_gpa + 1` is.
    @Test(
        "tags lie above everything else",
        arguments: [
            ("on", 128 << 20, 1 << 40), ("on", 1 << 30, 1 << 40), ("on", 64 << 30, 1 << 40),
            ("on", 255 << 30, 1 << 40),
            // The I/O regions move up with the memory, and the PCI window to the next 512 GiB.
            ("on", 256 << 30, 1 << 40), ("on", 510 << 30, 1 << 40), ("on", 511 << 30, 3 << 39),
            ("on", 1 << 40, 2 << 40),
            // What does not fit is left out: the window; all.
            ("on", (1 << 52) - (2 << 30), (1 << 52) - (1 << 30) + (512 << 20)),
            ("off", 128 << 20, 2 << 30), ("off", 1 << 30, 2 << 30), ("off", (1 << 30) + (1 << 20), 3 << 30),
            ("off", 3 << 30, 4 << 30),
        ] as [(String, UInt64, UInt64)])
    func tagStorage(_ highmem: String, _ size: UInt64, _ tagBase: UInt64) throws {
        let machine = try VirtMachine("virt,mte=on,mte-shared-alloc=on,highmem=\(highmem)")
        let tags = PhysicalAddress(tagBase)
        guard tagBase + size / 32 <= PhysicalAddress.limit else {
            #expect(throws: MemoryMapError.outOfRange(tags, size: size / 32)) { try machine.map(ram: size) }
            return
        }
        let expected = try MemoryMap(regions: [
            .init(start: PhysicalAddress(Self.gib), size: size, kind: .data(tagBase: tags)),
            .init(start: tags, size: size / 32, kind: .tagStorage),
        ])
        #expect(try machine.map(ram: size) == expected)
    }

    @Test("without shared storage tags are hidden, without MTE there are none") func otherKinds() throws {
        for (options, kind) in [
            ("virt", .ordinary), ("virt,mte=off", .ordinary), ("virt,mte=on", .dataWithHiddenTags),
            ("virt,mte=on,mte-shared-alloc=off,highmem=off", .dataWithHiddenTags),
        ] as [(String, MemoryMap.Region.Kind)] {
            let map = try VirtMachine(options).map(ram: 2 * Self.gib)
            #expect(map.regions == [.init(start: PhysicalAddress(Self.gib), size: 2 * Self.gib, kind: kind)])
        }
    }

    @Test("more memory than addresses is refused") func tooMuch() throws {
        for (highmem, size, bits) in [
            ("on", PhysicalAddress.limit, 52), ("off", 4 * Self.gib, 32), ("off", .max, 32),
        ] {
            let machine = try VirtMachine("virt,mte=on,highmem=\(highmem)")
            let error = #expect(throws: Failure.self) { try machine.map(ram: size) }
            #expect(error?.description.contains("past \(bits) address bits") == true)
        }
    }
}
