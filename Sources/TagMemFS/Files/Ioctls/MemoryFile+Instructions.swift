import CTagMemABI
import TagMemCore

/// Tags of a footprint of data, whole granules of it: where memory has none they are 0, and stores do nothing.
extension MemoryFile {
    private static var granule: Int { Int(TagGranule.size) }

    /// A byte for each granule.
    func loadTags(_ footprint: Footprint) -> [UInt8] {
        var tags: [UInt8] = []
        forEachGranule(of: footprint) { address in
            tags.append(address.map { dram.tagToMatch(at: $0).rawValue } ?? 0)
        }
        return tags
    }

    func storeTags(_ tags: [UInt8], _ footprint: Footprint) {
        var index = 0
        forEachGranule(of: footprint) { address in
            if let address, dram.run(at: address, limit: 1)?.tagAddress != nil {
                dram.setAllocationTag(AllocationTag(truncating: UInt64(tags[index])), at: address)
            }
            index += 1
        }
    }

    func fill(_ footprint: Footprint, _ tag: AllocationTag, zeroing: Bool) {
        for index in footprint.pieces.indices {
            guard case .memory(let address, let count) = footprint.pieces[index] else { continue }
            if zeroing { dram.zero(address, count: count) }
            if dram.run(at: address, limit: 1)?.tagAddress != nil {
                dram.fillTags(tag, at: address, count: count)
            }
        }
    }

    /// Does an instruction on each part of its memory; pages of an object may be anywhere.
    func execute(_ instruction: TagInstruction, _ footprint: Footprint) -> UInt64 {
        let unit = TagInstructions(dram: dram)
        // What an object has no page for yet has tag 0.
        var xt = instruction.loaded(0)
        for index in footprint.pieces.indices {
            guard case .memory(let address, let count) = footprint.pieces[index] else { continue }
            do throws(MemoryFault) {
                xt = try instruction.execute(at: address, count: count, unit)
            } catch {
                preconditionFailure("granted memory is there: \(error)")
            }
        }
        return xt
    }

    /// The bytes of a footprint.
    func bytes(_ footprint: Footprint) -> [UInt8] { packedTags(footprint) }

    private func forEachGranule(of footprint: Footprint, _ body: (PhysicalAddress?) -> Void) {
        for index in footprint.pieces.indices {
            switch footprint.pieces[index] {
            case .memory(let address, let count):
                for part in stride(from: 0, to: count, by: Self.granule) { body(address + UInt64(part)) }
            case .zeros(let count):
                for _ in stride(from: 0, to: count, by: Self.granule) { body(nil) }
            }
        }
    }
}

extension TagInstruction {
    /// The answer: the request with its result.
    func answer(_ xt: UInt64) -> tagmem_instruction {
        var answer = tagmem_instruction()
        answer.operation = operation
        answer.offset = UInt16(offset)
        answer.tag_offset = tagOffset
        (answer.xt, answer.xn, answer.xm) = (xt, xn, xm)
        return answer
    }

    /// `xt` of an instruction whose granules all have this tag.
    func loaded(_ tag: UInt8) -> UInt64 {
        switch mnemonic {
        case .ldg: TaggedPointer(rawValue: xt).withAddressTag(AddressTag(truncating: UInt64(tag))).rawValue
        case .ldgm: UInt64(tag) * 0x1111_1111_1111_1111
        default: xt
        }
    }
}

extension tagmem_tags {
    init(at address: TaggedPointer, count: Int, _ values: [UInt8]) {
        self.init()
        self.address = address.rawValue
        self.count = UInt32(count)
        unsafe withUnsafeMutableBytes(of: &tags) { unsafe $0.copyBytes(from: values) }
    }
}

extension TagCheckFault {
    /// As an ioctl's answer has it.
    var ioctl: tagmem_fault {
        var fault = tagmem_fault()
        let isFault = mode.effect(onStore: access == .store) == .fault
        fault.address = address.rawValue
        fault.effect = UInt8(isFault ? TAGMEM_FAULT.rawValue : TAGMEM_DEFERRED.rawValue)
        fault.address_tag = addressTag.rawValue
        fault.allocation_tag = allocationTag.rawValue
        return fault
    }
}
