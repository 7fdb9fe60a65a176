import CTagMemABI
import Glibc
import InstructionLog
import TagMemCore
import Testing

/// A device as a machine that executes tag instructions: by ioctls of `phys/mem`.
private struct DeviceTarget: ReplayTarget {
    let mem: File

    func bytes(at address: PhysicalAddress, count: Int) throws -> [UInt8] {
        try mem.read(at: address.rawValue, count: count)
    }

    func setBytes(_ bytes: [UInt8], at address: PhysicalAddress) throws {
        try #require(try mem.write(bytes, at: address.rawValue) == bytes.count)
    }

    func execute(_ instruction: LoggedInstruction, _ control: inout TagControl) throws -> ReplayResult {
        let registers = control
        try mem.setProcessor {
            $0.gcr_exclude = registers.excluded
            $0.gcr_rrnd = registers.usesImplementationRandomness ? 1 : 0
            $0.rgsr_seed = registers.seed
            $0.rgsr_tag = registers.lastTag.rawValue
        }
        defer {
            if let processor = try? mem.processor() {
                control.seed = processor.rgsr_seed
                control.lastTag = AddressTag(truncating: UInt64(processor.rgsr_tag))
            }
        }
        let ea = instruction.ea
        if instruction.mnemonic == "DCZVA" {
            let block = TaggedPointer(rawValue: ea).address & ~63
            try setBytes([UInt8](repeating: 0, count: 64), at: PhysicalAddress(block))
            return .done(instruction.xt)
        }
        let operation = try #require(Self.operations[instruction.mnemonic], "\(instruction.mnemonic)")
        let accessesMemory = operation.rawValue >= TAGMEM_LDG.rawValue
        let hasOffset = operation == TAGMEM_ADDG || operation == TAGMEM_SUBG
        do throws(Errno) {
            let xt = try mem.execute(
                operation, xt: instruction.xt, xn: accessesMemory ? ea : instruction.xn, xm: instruction.xm,
                offset: hasOffset ? instruction.imm : 0, tagOffset: hasOffset ? instruction.utag : 0)
            return .done(xt)
        } catch {
            guard error == Errno(EINVAL), ea % 16 != 0 else { throw error }
            return .misaligned(TaggedPointer(rawValue: ea))
        }
    }

    private static let operations = [
        "IRG": TAGMEM_IRG, "ADDG": TAGMEM_ADDG, "SUBG": TAGMEM_SUBG, "GMI": TAGMEM_GMI, "LDG": TAGMEM_LDG,
        "STG": TAGMEM_STG, "ST2G": TAGMEM_ST2G, "STZG": TAGMEM_STZG, "STZ2G": TAGMEM_STZ2G,
        "STGP": TAGMEM_STGP, "LDGM": TAGMEM_LDGM, "STGM": TAGMEM_STGM, "STZGM": TAGMEM_STZGM,
        "DCGVA": TAGMEM_DC_GVA, "DCGZVA": TAGMEM_DC_GZVA,
    ]
}

@Suite("The prototype's instructions on a device", .timeLimit(.minutes(2))) struct IoctlReplayTests {
    @Test("every instruction, fault and byte of its log, by ioctls")
    func replay() throws {
        var options = Device.Options()
        options.machine = ["--machine", "virt,mte=on,mte-shared-alloc=on", "-m", "128M"]
        try withDevice(options) { device in
            let lines = try prototypeLog()
            let target = DeviceTarget(mem: try device.open("phys/mem"))
            var replay = try LogReplay(LogMachine(lines), on: target)
            for line in lines { try replay.replay(line) }
            #expect(replay.counts == prototypeCounts)
        }
    }
}
