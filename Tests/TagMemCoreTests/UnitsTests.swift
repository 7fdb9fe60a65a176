import TagMemCore
import TestSupport
import Testing

@Suite("Units", .repeatable) struct UnitsTests {
    @Test("tags take four bits and no more")
    func tagBounds() {
        for value in UInt8.min ... .max {
            #expect(AllocationTag(rawValue: value)?.rawValue == (value < 16 ? value : nil))
            #expect(AddressTag(rawValue: value)?.rawValue == (value < 16 ? value : nil))
            #expect(AllocationTag(truncating: UInt64(value) | 0xabc0_0000).rawValue == value & 0xf)
            #expect(AddressTag(truncating: UInt64(value) | 0xabc0_0000).rawValue == value & 0xf)
        }
    }

    @Test("an address tag matches the allocation tag of its value; its digit is hexadecimal")
    func addressTags() {
        #expect(AddressTag.all.map(\.rawValue) == Array(0..<16))
        #expect(AddressTag.all.map(\.digit).joined() == "0123456789abcdef")
        for tag in AddressTag.all {
            #expect(tag.matchingAllocationTag.rawValue == tag.rawValue)
            #expect(tag.description == tag.matchingAllocationTag.description)
        }
        #expect(AllocationTag(truncating: 0xb).packedPair == 0xbb)
    }

    @Test("a pointer is bits 55:0, the tag in 59:56, and what lies above")
    func pointerFields() {
        let pointer = TaggedPointer(rawValue: 0xa5ff_1234_5678_9abc)
        #expect(pointer.addressTag.rawValue == 5)
        #expect(pointer.address == 0x00ff_1234_5678_9abc)
        #expect(pointer.hasBitsAboveTag)
        #expect(pointer.withAddressTag(AddressTag(truncating: 0xc)).rawValue == 0xacff_1234_5678_9abc)
        #expect(!TaggedPointer(rawValue: 0x0fff_ffff_ffff_ffff).hasBitsAboveTag)
        #expect(pointer.description == "0xa5ff123456789abc")
    }

    @Test("pointers and their parts convert both ways")
    func pointerConversions() {
        withSeed { generator in
            for _ in 0..<1000 {
                let pointer = TaggedPointer(rawValue: generator.next())
                let rebuilt = TaggedPointer(address: pointer.address, tag: pointer.addressTag)
                #expect(rebuilt.rawValue == pointer.rawValue & 0x0fff_ffff_ffff_ffff)
                let tag = AddressTag(truncating: generator.next())
                #expect(pointer.withAddressTag(tag).addressTag == tag)
                #expect(pointer.withAddressTag(tag).withAddressTag(pointer.addressTag) == pointer)
                // The tag does not come from the address's own bits.
                #expect(TaggedPointer(address: generator.next(), tag: tag).addressTag == tag)
            }
        }
    }

    @Test("physical addresses compare, add and align")
    func physicalAddresses() {
        let address = PhysicalAddress(0x4000_123f)
        #expect(address.granuleStart == PhysicalAddress(0x4000_1230))
        #expect(address.granuleStart.isAligned(to: TagGranule.size))
        #expect(!address.isAligned(to: 2))
        #expect(address + 0xdc1 == PhysicalAddress(0x4000_2000))
        #expect(address + 0xdc1 - address == 0xdc1)
        #expect(address < address + 1)
        #expect(address.description == "0x4000123f")
        #expect(Page.start(0x1fff) == 0x1000)
        #expect(Page.start(0x2000) == 0x2000)
        #expect(Page.tagBytes == 128)
    }

    @Test("a physical address does not wrap")
    func physicalAddressOverflow() async {
        await #expect(processExitsWith: .failure) {
            _ = PhysicalAddress(.max) + 1
        }
        await #expect(processExitsWith: .failure) {
            _ = PhysicalAddress(1) - PhysicalAddress(2)
        }
    }
}
