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
public struct LogReplay<Target: ReplayTarget> {
    private let target: Target
    private let machine: LogMachine
    private var control = TagControl()
    /// Lines by kind, instructions by mnemonic, "fault", "hash".
    public private(set) var counts: [String: Int] = [:]
    private var sequence: UInt64 = 0

    /// - Parameter target: the machine of the log, as it was before; its window is given what it then had.
    public init(_ machine: LogMachine, on target: Target) throws {
        self.machine = machine
        self.target = target
        counts["CFG"] = machine.configurationCount
        let size = machine.windowSize
        try target.setBytes(
            (0..<size).map { UInt8(truncatingIfNeeded: ($0 ^ $0 >> 8) * 0x9d + 0x35) }, at: machine.window)
        try target.setBytes(
            (0..<size / 32).map { UInt8(truncatingIfNeeded: $0 * 0x3b + 0x17) }, at: machine.windowTags)
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
            let address = machine.windowTags + (try Self.number(fields[2]))
            #expect(try Self.hexadecimal(target.bytes(at: address, count: 64)) == fields[3], comment)
        case "DB":
            let address = machine.window + (try Self.number(fields[2]))
            #expect(try Self.hexadecimal(target.bytes(at: address, count: 64)) == fields[3], comment)
        case "DH":
            try #require(fields.count == 18)
            for (page, hash) in fields[2...].enumerated() {
                counts["hash", default: 0] += 1
                let bytes = try target.bytes(at: machine.window + UInt64(page) * 4096, count: 4096)
                #expect(try Self.fnv1a(bytes) == Self.number(hash), "page \(page) of \(line)")
            }
        case "RAW":
            try replayRaw(fields, comment)
            sequence += 1
        case "OP":
            try replayInstruction(LoggedInstruction(fields), comment)
            sequence += 1
        default: break
        }
    }

    private func replayRaw(_ fields: [String], _ comment: Comment) throws {
        let count = Int(try Self.number(fields[3]))
        let address = PhysicalAddress(try Self.number(fields[4]))
        let bytes = Self.littleEndian(try Self.number(fields[5]), count: count)
        if fields[2] == "W" {
            try target.setBytes(bytes, at: address)
        } else {
            #expect(try target.bytes(at: address, count: count) == bytes, comment)
        }
    }

    private mutating func replayInstruction(_ instruction: LoggedInstruction, _ comment: Comment) throws {
        counts[instruction.mnemonic, default: 0] += 1
        let moved = instruction.xn &+ instruction.imm
        let hasOffset = instruction.form == "off" || instruction.form == "pre"
        #expect(instruction.ea == (hasOffset ? moved : instruction.xn), comment)
        control = TagControl(gcr: instruction.gcr, rgsr: instruction.rgsr)
        #expect(control.gcr == instruction.gcr, comment)
        // The program also writes bits that are RES0, between TAG and SEED; QEMU shows them until the next IRG.
        #expect(control.rgsr == instruction.rgsr & ~0xf0, comment)

        var (xt, flags) = (instruction.xt, ConditionFlags())
        switch try execute(instruction) {
        case .done(let result, let resultingFlags):
            (xt, flags) = (result, resultingFlags)
            let writesBack = instruction.form == "pre" || instruction.form == "post"
            #expect((writesBack ? moved : instruction.xn) == instruction.xnAfter, comment)
            #expect(instruction.esr == 0 && instruction.far == 0, comment)
        case .misaligned(let address):
            counts["fault", default: 0] += 1
            // A data abort from a user or the same exception level, an alignment fault, on a write.
            #expect(instruction.esr == (machine.isUsers ? 0x9200_0061 : 0x9600_0061), comment)
            #expect(address.rawValue == instruction.far, comment)
            #expect(instruction.xn == instruction.xnAfter, comment)
        }
        #expect(xt == instruction.xtAfter, comment)
        #expect(UInt64(flags.rawValue) == instruction.nzcvAfter, comment)
        if !machine.isUsers { #expect(control.rgsr == instruction.rgsrAfter & ~0xf0, comment) }
    }

    private mutating func execute(_ instruction: LoggedInstruction) throws -> ReplayResult {
        let pointer = TaggedPointer(rawValue: instruction.xn)
        let second = TaggedPointer(rawValue: instruction.xm)
        switch instruction.mnemonic {
        case "IRG" where machine.isUsers: return .done(Self.irg(instruction, control))
        case "STR1", "STR2", "STR4", "STR8":
            let count = instruction.mnemonic.last?.wholeNumberValue ?? 0
            let address = PhysicalAddress(TaggedPointer(rawValue: instruction.ea).address)
            try target.setBytes(Self.littleEndian(instruction.xt, count: count), at: address)
            return .done(instruction.xt)
        case "SUBP": return .done(TagInstructions.subp(pointer, second))
        case "SUBPS":
            let (difference, flags) = TagInstructions.subps(pointer, second)
            return .done(difference, flags)
        default: return try target.execute(instruction, &control)
        }
    }

    /// What IRG gave, if it may have: any tag that is not excluded, or 0.
    private static func irg(_ instruction: LoggedInstruction, _ control: TagControl) -> UInt64 {
        let excluded = UInt16(truncatingIfNeeded: instruction.xm) | control.excluded
        let given = TaggedPointer(rawValue: instruction.xtAfter).addressTag
        let isAllowed = excluded == 0xffff ? given.rawValue == 0 : excluded >> UInt16(given.rawValue) & 1 == 0
        let pointer = TaggedPointer(rawValue: instruction.xn)
        return
            (isAllowed
            ? pointer.withAddressTag(given)
            : pointer.withAddressTag(AddressTag(truncating: ~UInt64(given.rawValue)))).rawValue
    }

    private static func number(_ text: String) throws -> UInt64 { try LogMachine.number(text) }

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
