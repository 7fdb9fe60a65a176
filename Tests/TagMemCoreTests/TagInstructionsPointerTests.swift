import TestSupport
import Testing

@testable import TagMemCore

/// IRG, ADDG, SUBG, GMI, SUBP, SUBPS, and the registers that they read.
@Suite("Tag instructions on pointers", .repeatable) struct TagInstructionsPointerTests {
    let dram: DRAM

    init() throws { dram = try Machine.make() }

    /// ChooseNonExcludedTag as a list: the tags above `start`, as often as needed, without the excluded ones.
    static func choose(_ start: UInt64, _ offset: UInt64, _ excluded: UInt64) -> UInt64 {
        let isLeft = { (tag: UInt64) in excluded >> tag & 1 == 0 }
        guard (0..<16).contains(where: isLeft) else { return 0 }
        let upwards = (0..<512).lazy.map { (start + $0) % 16 }
        if offset == 0 { return upwards.first(where: isLeft) ?? 0 }
        return Array(upwards.dropFirst().filter(isLeft).prefix(Int(offset))).last ?? 0
    }

    @Test("choosing a tag agrees with counting a list, for every start and offset")
    func chooseExhaustively() {
        withSeed { generator in
            let masks: [UInt16] = [0, .max, 1, 0x8000, 0xfffe, 0x7fff, 0x5555, 0xaaaa]
            for mask in masks + (0..<24).map({ _ in UInt16(generator.bits(16)) }) {
                for start in AddressTag.all {
                    for offset: UInt8 in 0..<16 {
                        let tag = TagControl.chooseNonExcludedTag(from: start, offset: offset, excluded: mask)
                        let expected = Self.choose(UInt64(start.rawValue), UInt64(offset), UInt64(mask))
                        #expect(UInt64(tag.rawValue) == expected, "\(start) + \(offset), excluded \(mask)")
                    }
                }
            }
        }
    }

    @Test("random tags are four bits of a shift register with taps 5, 3, 2, 0, first bit lowest")
    func randomTag() {
        withSeed { generator in
            for _ in 0..<500 {
                let seed = UInt16(generator.bits(16))
                var register = (0..<16).map { seed >> $0 & 1 == 1 }
                var expected: UInt8 = 0
                for position in 0..<4 {
                    let bit = [5, 3, 2, 0].count { register[$0] } % 2 == 1
                    register = register.dropFirst() + [bit]
                    if bit { expected += 1 << UInt8(position) }
                }
                var control = TagControl(seed: seed)
                #expect(control.randomTag() == expected)
                #expect((0..<16).allSatisfy { control.seed >> $0 & 1 == (register[$0] ? 1 : 0) })
            }
        }
    }

    @Test("IRG counts from the tag that it chose last, and replaces bits 59:56 alone")
    func insertRandomTag() {
        withSeed { generator in
            for _ in 0..<500 {
                let control = TagControl(gcr: generator.bits(16), rgsr: generator.bits(24))
                let (pointer, mask) = (TaggedPointer(rawValue: generator.next()), generator.next())
                var expected = control
                let offset = expected.randomTag()
                let tag = Self.choose(
                    UInt64(control.lastTag.rawValue), UInt64(offset), (mask | control.gcr) & 0xffff)
                expected.lastTag = AddressTag(truncating: tag)

                var unit = TagInstructions(dram: dram, control: control)
                let result = unit.irg(pointer, excluding: mask)
                #expect(result.rawValue == pointer.rawValue & ~(15 << 56) | tag << 56)
                #expect(unit.control == expected)
            }
        }
    }

    @Test("a seed from which the shift register has its full period gives every tag about as often")
    func distribution() {
        var unit = TagInstructions(dram: dram, control: TagControl(excluded: 1, seed: 0xace1))
        var seen = [Int](repeating: 0, count: 16)
        for _ in 0..<15_000 { seen[Int(unit.irg(TaggedPointer(rawValue: 0)).addressTag.rawValue)] += 1 }
        #expect(seen[0] == 0)
        for tag in 1..<16 { #expect((700..<1300).contains(seen[tag]), "tag \(tag): \(seen[tag])") }
    }

    @Test("with RRND, tags are of the caller's generator and RGSR_EL1 is left alone")
    func implementationRandomness() {
        withSeed { generator in
            let control = TagControl(
                excluded: 0x0ff1, usesImplementationRandomness: true, seed: 0xace1,
                lastTag: AddressTag(truncating: 3))
            var unit = TagInstructions(dram: dram, control: control)
            var seen: Set<UInt8> = []
            for _ in 0..<1000 {
                let pointer = unit.irg(TaggedPointer(rawValue: 0), excluding: 0x1000, using: &generator)
                seen.insert(pointer.addressTag.rawValue)
            }
            #expect(seen == [1, 2, 3, 13, 14, 15])
            #expect(
                unit.irg(TaggedPointer(rawValue: .max), excluding: .max, using: &generator).addressTag
                    .rawValue == 0)
            #expect(unit.control == control)
            // The same numbers give the same tags; the host's numbers are taken where none are given.
            var (first, second) = (generator, generator)
            for _ in 0..<20 {
                let pointer = TaggedPointer(rawValue: 1)
                #expect(unit.irg(pointer, using: &first) == unit.irg(pointer, using: &second))
                #expect([1, 2, 3, 12, 13, 14, 15].contains(unit.irg(pointer).addressTag.rawValue))
            }
        }
    }

    @Test("the registers have their fields in the architecture's places")
    func registers() {
        let control = TagControl(gcr: 0xffff_ffff_fffe_8001, rgsr: 0xffff_ffff_ffac_e1f7)
        #expect(control.excluded == 0x8001)
        #expect(!control.usesImplementationRandomness)
        #expect(control.seed == 0xace1)
        #expect(control.lastTag.rawValue == 7)
        #expect(control.gcr == 0x8001)
        #expect(control.rgsr == 0xac_e107)
        #expect(TagControl(gcr: 0x1_0000, rgsr: 0).usesImplementationRandomness)
        #expect(TagControl(gcr: 0x1_0002, rgsr: 0).gcr == 0x1_0002)
        #expect(TagControl() == TagControl(gcr: 0, rgsr: 0))
    }

    @Test("ADDG and SUBG move the pointer and count its tag upwards")
    func addAndSubtract() {
        withSeed { generator in
            for _ in 0..<1000 {
                let control = TagControl(excluded: UInt16(generator.bits(16)))
                let unit = TagInstructions(dram: dram, control: control)
                let (offset, tagOffset) = (generator.bits(6) * 16, generator.bits(4))
                // Near the ends as well, where the addition carries into the tag or wraps.
                let pointer =
                    [generator.next(), .max - generator.bits(9), generator.bits(9), 0x0100_0000_0000_0000]
                    .randomElement(using: &generator).map(TaggedPointer.init(rawValue:))
                    ?? TaggedPointer(rawValue: 0)
                let tag = Self.choose(pointer.rawValue >> 56 & 15, tagOffset, control.gcr) << 56
                let added = unit.addg(pointer, offset: offset, tagOffset: UInt8(tagOffset))
                #expect(added.rawValue == (pointer.rawValue &+ offset) & ~(15 << 56) | tag)
                let subtracted = unit.subg(pointer, offset: offset, tagOffset: UInt8(tagOffset))
                #expect(subtracted.rawValue == (pointer.rawValue &- offset) & ~(15 << 56) | tag)
            }
        }
    }

    @Test("offsets that the instructions cannot encode trap")
    func unencodable() async {
        await #expect(processExitsWith: .failure) {
            _ = TagInstructions(dram: try Machine.make()).addg(
                TaggedPointer(rawValue: 0), offset: 8, tagOffset: 0)
        }
        await #expect(processExitsWith: .failure) {
            _ = TagInstructions(dram: try Machine.make()).subg(
                TaggedPointer(rawValue: 0), offset: 1024, tagOffset: 0)
        }
        await #expect(processExitsWith: .failure) {
            _ = TagInstructions(dram: try Machine.make()).addg(
                TaggedPointer(rawValue: 0), offset: 0, tagOffset: 16)
        }
        await #expect(processExitsWith: .success) {
            _ = TagInstructions(dram: try Machine.make()).addg(
                TaggedPointer(rawValue: 0), offset: 1008, tagOffset: 15)
        }
    }

    @Test("GMI adds the pointer's tag to the mask")
    func maskInsert() {
        for tag in AddressTag.all {
            let pointer = TaggedPointer(rawValue: 0xf0ff_ffff_ffff_ffff).withAddressTag(tag)
            let bit: UInt64 = 1 << UInt64(tag.rawValue)
            let others: UInt64 = 0xabcd_0000_0000_0000
            #expect(TagInstructions.gmi(pointer, mask: 0) == bit)
            #expect(TagInstructions.gmi(pointer, mask: others) == others | bit)
            #expect(TagInstructions.gmi(pointer, mask: .max) == .max)
        }
    }

    @Test("SUBP and SUBPS ignore the top byte, and extend bit 55")
    func subtract() {
        let high: UInt64 = 0x0080_0000_0000_0000
        let cases: [(UInt64, UInt64, UInt64, ConditionFlags)] = [
            (0x5a00_0000_0000_0010, 0xa500_0000_0000_0010, 0, [.zero, .carry]),
            (0x20, 0x10, 0x10, [.carry]),
            (0x10, 0x20, 0xffff_ffff_ffff_fff0, [.negative]),
            // The lower half is positive, the upper negative: unsigned, the upper is the larger.
            (0, high, 0x0080_0000_0000_0000, []),
            (high, 0, 0xff80_0000_0000_0000, [.negative, .carry]),
            (high - 1, high, 0x00ff_ffff_ffff_ffff, []),
            (high, high - 1, 0xff00_0000_0000_0001, [.negative, .carry]),
        ]
        for (left, right, difference, flags) in cases {
            let (left, right) = (TaggedPointer(rawValue: left), TaggedPointer(rawValue: right))
            #expect(TagInstructions.subp(left, right) == difference)
            let result = TagInstructions.subps(left, right)
            #expect(result.difference == difference && result.flags == flags, "\(left) - \(right)")
        }
        withSeed { generator in
            for _ in 0..<1000 {
                let (left, right) = (
                    TaggedPointer(rawValue: generator.next()), TaggedPointer(rawValue: generator.next())
                )
                let signed = [left, right].map { Int64($0.address) - ($0.address & high == 0 ? 0 : 1 << 56) }
                #expect(Int64(bitPattern: TagInstructions.subp(left, right)) == signed[0] - signed[1])
                let flags = TagInstructions.subps(left, right).flags
                #expect(flags.contains(.negative) == (signed[0] < signed[1]))
                #expect(!flags.contains(.overflow))
            }
        }
    }
}
