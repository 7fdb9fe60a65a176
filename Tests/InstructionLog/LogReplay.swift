import TagMemCore
import Testing

/// Replays a log of tag instructions, and compares everything that it shows with the model.
///
/// Two programs write such logs. One ran on the bare prototype of the dynamic carveout proposal (QEMU 7.0.50 with the
/// proposal's patches, `-machine virt,mte=on,mte-shared-alloc=on -cpu max -m 128M`); the other, `mte-log`, runs as a user
/// in a guest, where RGSR_EL1 cannot be read (`rgsr_known` is 0) and memory is only the window. They print operands,
/// results and memory. Lines of the log, numbers in hexadecimal:
///
/// ```
///   CFG name value                        the machine: where RAM, its tags and the 64 KiB window are
///   TS  seq offset bytes                  64 bytes of the window's tag storage
///   DH  seq h0 … h15                      FNV-1a-64 of each 4 KiB of the window's data
///   DB  seq offset bytes                  64 bytes of the window's data
///   RAW seq R|W size pa value             tag storage accessed as data
///   OP  seq mnemonic form insn xt xn xm imm utag ea gcr rgsr xt' xn' rgsr' nzcv' esr far
/// ```
///
/// `seq` counts OP and RAW lines; in the others it is the next one's. x0 = xt, x1 = xn, x2 = xm; a prime means after.
public struct LogReplay {
    private var unit: TagInstructions
    /// Lines by kind, instructions by mnemonic, "fault", "hash".
    public private(set) var counts: [String: Int] = [:]
    private let window: PhysicalAddress
    private let windowTags: PhysicalAddress
    private let isUsers: Bool
    private var sequence: UInt64 = 0

    /// - Parameter lines: the log, of which other lines than the log's are left out. What it says of the machine is read
    ///   from it; the rest is for `replay`.
    public init(_ lines: [Substring]) throws {
        var configuration: [String: UInt64] = [:]
        for line in lines where line.hasPrefix("CFG ") {
            let fields = line.split(separator: " ")
            if fields.count == 3 { configuration[String(fields[1])] = UInt64(fields[2], radix: 16) }
        }
        func value(_ name: String) throws -> UInt64 { try #require(configuration[name], "\(name)") }
        counts["CFG"] = configuration.count
        isUsers = configuration["rgsr_known"] == 0
        if isUsers {
            // What a user does not see is as it may be.
            configuration["ram_base"] = try value("win_base")
            configuration["ram_size"] = 2 * (try value("win_size"))
            configuration["tag_base"] = try value("win_base") + 2 * value("win_size")
            configuration["win_tag_base"] = configuration["tag_base"]
            configuration["gmid_el1"] = 6
            configuration["dczid_el0"] = 4
        }
        let base = PhysicalAddress(try value("ram_base"))
        let size = try value("ram_size")
        let tagBase = PhysicalAddress(try value("tag_base"))
        let dram = try DRAM(
            map: MemoryMap(regions: [
                .init(start: base, size: size, kind: .data(tagBase: tagBase)),
                .init(start: tagBase, size: size / 32, kind: .tagStorage),
            ]))
        unit = TagInstructions(
            dram: dram,
            tagMultipleBlock: try #require(TagMultipleBlock(rawValue: Int(value("gmid_el1")))),
            zeroBlock: try #require(ZeroBlock(rawValue: Int(value("dczid_el0")))))
        window = PhysicalAddress(try value("win_base"))
        windowTags = PhysicalAddress(try value("win_tag_base"))
        let windowSize = Int(try value("win_size"))
        dram.setBytes(
            (0..<windowSize).map { UInt8(truncatingIfNeeded: ($0 ^ $0 >> 8) * 0x9d + 0x35) }, at: window)
        dram.setBytes(
            (0..<windowSize / 32).map { UInt8(truncatingIfNeeded: $0 * 0x3b + 0x17) }, at: windowTags)
    }

    /// Replays a line; one that is none of the log's is left out.
    public mutating func replay(_ line: Substring) throws {
        let fields = line.split(separator: " ").map(String.init)
        guard let kind = fields.first, ["TS", "DH", "DB", "RAW", "OP"].contains(kind), fields.count > 1 else {
            return
        }
        counts[fields[0], default: 0] += 1
        let comment: Comment = "\(line)"
        #expect(try Self.number(fields[1]) == sequence, comment)
        switch fields[0] {
        case "TS":
            let address = windowTags + (try Self.number(fields[2]))
            #expect(Self.hexadecimal(unit.dram.bytes(at: address, count: 64)) == fields[3], comment)
        case "DB":
            let address = window + (try Self.number(fields[2]))
            #expect(Self.hexadecimal(unit.dram.bytes(at: address, count: 64)) == fields[3], comment)
        case "DH":
            try #require(fields.count == 18)
            for (page, hash) in fields[2...].enumerated() {
                counts["hash", default: 0] += 1
                let bytes = unit.dram.bytes(at: window + UInt64(page) * 4096, count: 4096)
                #expect(try Self.fnv1a(bytes) == Self.number(hash), "page \(page) of \(line)")
            }
        case "RAW":
            try replayRaw(fields, comment)
            sequence += 1
        case "OP":
            try replayInstruction(Instruction(fields), comment)
            sequence += 1
        default: break
        }
    }

    private func replayRaw(_ fields: [String], _ comment: Comment) throws {
        let count = Int(try Self.number(fields[3]))
        let address = PhysicalAddress(try Self.number(fields[4]))
        let bytes = Self.littleEndian(try Self.number(fields[5]), count: count)
        if fields[2] == "W" {
            unit.dram.setBytes(bytes, at: address)
        } else {
            #expect(unit.dram.bytes(at: address, count: count) == bytes, comment)
        }
    }

    /// An OP line.
    private struct Instruction {
        let mnemonic: String
        let form: String
        let xt, xn, xm, imm, utag, ea, gcr, rgsr: UInt64
        let xtAfter, xnAfter, rgsrAfter, nzcvAfter, esr, far: UInt64

        init(_ fields: [String]) throws {
            try #require(fields.count == 19)
            mnemonic = fields[2]
            form = fields[3]
            let numbers = try fields[4...].map(LogReplay.number)
            (xt, xn, xm, imm) = (numbers[1], numbers[2], numbers[3], numbers[4])
            (utag, ea, gcr, rgsr) = (numbers[5], numbers[6], numbers[7], numbers[8])
            (xtAfter, xnAfter, rgsrAfter) = (numbers[9], numbers[10], numbers[11])
            (nzcvAfter, esr, far) = (numbers[12], numbers[13], numbers[14])
        }
    }

    private mutating func replayInstruction(_ instruction: Instruction, _ comment: Comment) throws {
        counts[instruction.mnemonic, default: 0] += 1
        let moved = instruction.xn &+ instruction.imm
        let hasOffset = instruction.form == "off" || instruction.form == "pre"
        #expect(instruction.ea == (hasOffset ? moved : instruction.xn), comment)
        unit.control = TagControl(gcr: instruction.gcr, rgsr: instruction.rgsr)
        #expect(unit.control.gcr == instruction.gcr, comment)
        // The program also writes bits that are RES0, between TAG and SEED; QEMU shows them until the next IRG.
        #expect(unit.control.rgsr == instruction.rgsr & ~0xf0, comment)

        var (xt, flags) = (instruction.xt, ConditionFlags())
        do throws(MemoryFault) {
            (xt, flags) = try execute(instruction)
            let writesBack = instruction.form == "pre" || instruction.form == "post"
            #expect((writesBack ? moved : instruction.xn) == instruction.xnAfter, comment)
            #expect(instruction.esr == 0 && instruction.far == 0, comment)
        } catch {
            counts["fault", default: 0] += 1
            // A data abort from a user or the same exception level, an alignment fault, on a write.
            #expect(instruction.esr == (isUsers ? 0x9200_0061 : 0x9600_0061), comment)
            #expect(error == .misaligned(TaggedPointer(rawValue: instruction.far)), comment)
            #expect(instruction.xn == instruction.xnAfter, comment)
        }
        #expect(xt == instruction.xtAfter, comment)
        #expect(UInt64(flags.rawValue) == instruction.nzcvAfter, comment)
        if !isUsers { #expect(unit.control.rgsr == instruction.rgsrAfter & ~0xf0, comment) }
    }

    /// - Returns: x0 and the flags afterwards.
    private mutating func execute(
        _ instruction: Instruction
    ) throws(MemoryFault) -> (UInt64, ConditionFlags) {
        let address = TaggedPointer(rawValue: instruction.ea)
        let source = TaggedPointer(rawValue: instruction.xt)
        let pointer = TaggedPointer(rawValue: instruction.xn)
        let second = TaggedPointer(rawValue: instruction.xm)
        switch instruction.mnemonic {
        case "STG": try unit.stg(source, at: address)
        case "STZG": try unit.stzg(source, at: address)
        case "ST2G": try unit.st2g(source, at: address)
        case "STZ2G": try unit.stz2g(source, at: address)
        case "STGP": try unit.stgp(instruction.xt, instruction.xm, at: address)
        case "LDG": return (try unit.ldg(source, at: address).rawValue, [])
        case "LDGM": return (try unit.ldgm(at: address), [])
        case "STGM": try unit.stgm(instruction.xt, at: address)
        case "STZGM": try unit.stzgm(instruction.xt, at: address)
        case "DCGVA": try unit.dcGVA(address)
        case "DCGZVA": try unit.dcGZVA(address)
        case "DCZVA": try unit.dcZVA(address)
        case "STR1", "STR2", "STR4", "STR8":
            let count = instruction.mnemonic.last?.wholeNumberValue ?? 0
            unit.dram.setBytes(
                Self.littleEndian(instruction.xt, count: count), at: PhysicalAddress(address.address))
        case "IRG":
            if isUsers { return (Self.irg(instruction, unit.control), []) }
            return (unit.irg(pointer, excluding: instruction.xm).rawValue, [])
        case "ADDG":
            let result = unit.addg(pointer, offset: instruction.imm, tagOffset: UInt8(instruction.utag))
            return (result.rawValue, [])
        case "SUBG":
            let result = unit.subg(pointer, offset: instruction.imm, tagOffset: UInt8(instruction.utag))
            return (result.rawValue, [])
        case "GMI": return (TagInstructions.gmi(pointer, mask: instruction.xm), [])
        case "SUBP": return (TagInstructions.subp(pointer, second), [])
        case "SUBPS": return TagInstructions.subps(pointer, second)
        default: Issue.record("unknown instruction \(instruction.mnemonic)")
        }
        return (instruction.xt, [])
    }

    /// What IRG gave, if it may have: any tag that is not excluded, or 0.
    private static func irg(_ instruction: Instruction, _ control: TagControl) -> UInt64 {
        let excluded = UInt16(truncatingIfNeeded: instruction.xm) | control.excluded
        let given = TaggedPointer(rawValue: instruction.xtAfter).addressTag
        let isAllowed = excluded == 0xffff ? given.rawValue == 0 : excluded >> UInt16(given.rawValue) & 1 == 0
        let pointer = TaggedPointer(rawValue: instruction.xn)
        return
            (isAllowed
            ? pointer.withAddressTag(given)
            : pointer.withAddressTag(AddressTag(truncating: ~UInt64(given.rawValue)))).rawValue
    }

    static func number(_ text: String) throws -> UInt64 { try #require(UInt64(text, radix: 16), "\(text)") }

    private static func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    private static func littleEndian(_ value: UInt64, count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
    }

    private static func fnv1a(_ bytes: [UInt8]) -> UInt64 {
        bytes.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }
}
