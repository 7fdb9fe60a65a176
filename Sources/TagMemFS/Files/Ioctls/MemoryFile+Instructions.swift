import CTagMemABI
import TagMemCore

/// Tags of a footprint of data, whole granules of it: where memory has none they are 0, and stores do nothing.
extension MemoryFile {
    /// A byte for each granule.
    func loadTags(_ footprint: Footprint) -> [UInt8] {
        var tags: [UInt8] = []
        tags.reserveCapacity(footprint.count / Int(TagGranule.size))
        forEachGranule(of: footprint) { address in
            tags.append(address.map { dram.allocationTag(at: $0).rawValue } ?? 0)
        }
        return tags
    }

    func storeTags(_ tags: [UInt8], _ footprint: Footprint) {
        var index = 0
        forEachGranule(of: footprint) { address in
            if let address {
                dram.setAllocationTag(AllocationTag(truncating: UInt64(tags[index])), at: address)
            }
            index += 1
        }
    }

    /// Calls `body` with the granules in order: nil for those that have no tag.
    private func forEachGranule(of footprint: Footprint, _ body: (PhysicalAddress?) -> Void) {
        for index in footprint.pieces.indices {
            let piece = footprint.pieces[index]
            var start: PhysicalAddress?
            // All of a piece is in one region.
            if case .memory(let address, _) = piece, dram.run(at: address, limit: 1)?.tagAddress != nil {
                start = address
            }
            for part in stride(from: 0, to: UInt64(piece.count), by: Int(TagGranule.size)) {
                body(start.map { $0 + part })
            }
        }
    }

    /// One tag for all granules.
    func fill(_ footprint: Footprint, _ tag: AllocationTag, zeroing: Bool) {
        forEachPart(of: footprint) { (address, count) throws(MemoryFault) in
            try TagInstructions(dram: dram).storeTags(tag, at: address, count: count, zeroing: zeroing)
        }
    }

    /// Does an instruction on each part of its memory; pages of an object may be anywhere.
    func execute(_ instruction: TagInstruction, _ footprint: Footprint) -> UInt64 {
        let unit = TagInstructions(dram: dram)
        // What an object has no page for yet has tag 0.
        var xt = instruction.loaded(0)
        forEachPart(of: footprint) { (address, count) throws(MemoryFault) in
            xt = try instruction.execute(at: address, count: count, unit)
        }
        return xt
    }

    private func forEachPart(
        of footprint: Footprint, _ body: (PhysicalAddress, Int) throws(MemoryFault) -> Void
    ) {
        for index in footprint.pieces.indices {
            guard case .memory(let address, let count) = footprint.pieces[index] else { continue }
            do throws(MemoryFault) {
                try body(address, count)
            } catch {
                preconditionFailure("granted memory is there: \(error)")
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
