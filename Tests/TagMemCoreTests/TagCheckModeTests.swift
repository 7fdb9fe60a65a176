import TagMemCore
import Testing

@Suite("Tag check modes") struct TagCheckModeTests {
    @Test(
        "what a mismatch does",
        arguments: [
            ("none", "ignored", "ignored"), ("sync", "fault", "fault"),
            ("async", "deferredFault", "deferredFault"), ("asymm", "fault", "deferredFault"),
            ("none,store-only", "ignored", "ignored"), ("sync,store-only", "ignored", "fault"),
            ("async,store-only", "ignored", "deferredFault"),
            ("asymm,store-only", "ignored", "deferredFault"),
            ("sync,canonical", "fault", "fault"), ("asymm,store-only,canonical", "ignored", "deferredFault"),
        ])
    func effects(name: String, load: String, store: String) throws {
        let mode = try #require(TagCheckMode(name: name))
        #expect("\(mode.effect(onStore: false))" == load)
        #expect("\(mode.effect(onStore: true))" == store)
        #expect(mode.refusesMismatchingPages == (load == "fault" || store == "fault"))
        #expect(mode.defersFaults == (load == "deferredFault" || store == "deferredFault"))
        #expect(mode.name == name)
    }

    @Test("options are taken in any order, once each") func names() {
        #expect(TagCheckMode(name: "sync,canonical,store-only")?.name == "sync,store-only,canonical")
        for junk in [
            "", ",", "sync,", ",sync", "store-only", "sync,sync", "sync,store-only,store-only",
            "sync, canonical",
            "SYNC", "sync\n", "sync,store_only",
        ] {
            #expect(TagCheckMode(name: junk) == nil, "\(junk)")
        }
        #expect(TagCheckMode.allCases.count == 16 && Set(TagCheckMode.allCases.map(\.name)).count == 16)
        #expect(TagCheckMode.allCases.allSatisfy { TagCheckMode(name: $0.name) == $0 })
    }

    @Test("memory without tags matches canonical pointers alone") func canonical() throws {
        let base = PhysicalAddress(0x10_0000)
        let map = try MemoryMap(regions: [
            .init(start: base, size: 1 << 17, kind: .data(tagBase: base + (1 << 17))),
            .init(start: base + (1 << 17), size: 1 << 12, kind: .tagStorage),
            .init(start: base + (1 << 17) + (1 << 12), size: 1 << 16, kind: .ordinary),
        ])
        let dram = try DRAM(map: map)
        let end = base + (1 << 17)
        let last = base + ((1 << 17) - 32)
        dram.fillTags(AllocationTag(truncating: 5), at: last, count: 32)
        func mismatch(_ pointer: UInt64, _ address: PhysicalAddress, _ count: Int) -> PhysicalAddress? {
            dram.firstMismatch(ofTagIn: TaggedPointer(rawValue: pointer), at: address, count: count)
        }
        #expect(mismatch(5 << 56, last, 32) == nil)
        #expect(mismatch(5 << 56, last, 33) == end)
        #expect(mismatch(0, last, 64) == last)
        #expect(mismatch(0, end, 8192) == nil)
        #expect(mismatch(3 << 56, end + 4100, 1) == end + 4100)
        // In the upper half of the address space the canonical tag is 15.
        #expect(mismatch(15 << 56 | 1 << 55, end, 16) == nil)
        #expect(mismatch(1 << 55, end, 16) == end)
        #expect(dram.tagToMatch(at: last).rawValue == 5 && dram.tagToMatch(at: end).rawValue == 0)
    }

    @Test("a processor checks all pointers but those that TCO and TCMA0 leave out") func processors() {
        var state = ProcessorState()
        let zero = TaggedPointer(rawValue: 0x1000)
        let five = TaggedPointer(rawValue: 5 << 56 | 0x1000)
        let upper = TaggedPointer(rawValue: 1 << 55)
        #expect(state.control.usesImplementationRandomness && state.control.excluded == 0)
        #expect(state.checks(zero) && state.checks(five))
        state.trustsTagZero = true
        #expect(!state.checks(zero) && state.checks(five) && state.checks(upper))
        state.control = TagControl(excluded: 0x8001, seed: 0xabcd, lastTag: AddressTag(truncating: 9))
        #expect(state.trustsTagZero && !state.overridesChecks)
        #expect(
            state.control.excluded == 0x8001 && state.control.seed == 0xabcd
                && state.control.lastTag.rawValue == 9)
        state.overridesChecks = true
        #expect(!state.checks(five))
        #expect(state.control.rgsr == 0xabcd09 && state.control.gcr == 0x8001)
    }
}
