public import TagMemCore
import Testing

/// Something that executes tag instructions: the model, or a device.
public protocol ReplayTarget {
    /// Bytes of physical memory.
    func bytes(at address: PhysicalAddress, count: Int) throws -> [UInt8]
    func setBytes(_ bytes: [UInt8], at address: PhysicalAddress) throws
    /// Executes an instruction with these control registers; those that only compute SUBP's difference are not asked for.
    func execute(_ instruction: LoggedInstruction, _ control: inout TagControl) throws -> ReplayResult
}

public enum ReplayResult {
    /// x0 and the flags afterwards.
    case done(UInt64, ConditionFlags = [])
    case misaligned(TaggedPointer)
}

/// The model.
public struct ModelTarget: ReplayTarget {
    private let unit: TagInstructions

    public init(_ machine: LogMachine) throws {
        unit = TagInstructions(
            dram: try DRAM(map: machine.map), tagMultipleBlock: machine.tagMultipleBlock,
            zeroBlock: machine.zeroBlock)
    }

    public func bytes(at address: PhysicalAddress, count: Int) -> [UInt8] {
        unit.dram.bytes(at: address, count: count)
    }

    public func setBytes(_ bytes: [UInt8], at address: PhysicalAddress) {
        unit.dram.setBytes(bytes, at: address)
    }

    public func execute(_ instruction: LoggedInstruction, _ control: inout TagControl) throws -> ReplayResult
    {
        var unit = unit
        unit.control = control
        defer { control = unit.control }
        do throws(MemoryFault) {
            return .done(try Self.execute(instruction, &unit))
        } catch {
            guard case .misaligned(let pointer) = error else { throw error }
            return .misaligned(pointer)
        }
    }

    private static func execute(
        _ instruction: LoggedInstruction, _ unit: inout TagInstructions
    ) throws(MemoryFault) -> UInt64 {
        let address = TaggedPointer(rawValue: instruction.ea)
        let source = TaggedPointer(rawValue: instruction.xt)
        let pointer = TaggedPointer(rawValue: instruction.xn)
        switch instruction.mnemonic {
        case "STG": try unit.stg(source, at: address)
        case "STZG": try unit.stzg(source, at: address)
        case "ST2G": try unit.st2g(source, at: address)
        case "STZ2G": try unit.stz2g(source, at: address)
        case "STGP": try unit.stgp(instruction.xt, instruction.xm, at: address)
        case "LDG": return try unit.ldg(source, at: address).rawValue
        case "LDGM": return try unit.ldgm(at: address)
        case "STGM": try unit.stgm(instruction.xt, at: address)
        case "STZGM": try unit.stzgm(instruction.xt, at: address)
        case "DCGVA": try unit.dcGVA(address)
        case "DCGZVA": try unit.dcGZVA(address)
        case "DCZVA": try unit.dcZVA(address)
        case "IRG": return unit.irg(pointer, excluding: instruction.xm).rawValue
        case "ADDG":
            return unit.addg(pointer, offset: instruction.imm, tagOffset: UInt8(instruction.utag)).rawValue
        case "SUBG":
            return unit.subg(pointer, offset: instruction.imm, tagOffset: UInt8(instruction.utag)).rawValue
        case "GMI": return TagInstructions.gmi(pointer, mask: instruction.xm)
        default: Issue.record("unknown instruction \(instruction.mnemonic)")
        }
        return instruction.xt
    }
}
