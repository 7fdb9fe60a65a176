public import TagMemCore
import TestSupport
import Testing

/// The log of the proposal's prototype: 900 lines of it.
public func prototypeLog() throws -> [Substring] { try fixtureLines("ops-part.txt") }

/// What is in it, as `LogReplay.counts`.
public let prototypeCounts = [
    "CFG": 15, "TS": 224, "DH": 7, "hash": 112, "DB": 24, "RAW": 7, "OP": 623, "fault": 5,
    "IRG": 276, "ADDG": 46, "SUBG": 44, "GMI": 7, "SUBP": 4, "SUBPS": 3,
    "LDG": 43, "STG": 27, "ST2G": 30, "STZG": 27, "STZ2G": 24, "STGP": 22,
    "LDGM": 20, "STGM": 12, "STZGM": 4, "DCGVA": 5, "DCGZVA": 13, "DCZVA": 8,
    "STR1": 2, "STR2": 1, "STR4": 3, "STR8": 2,
]

/// The machine that a log is of, as its CFG lines say.
public struct LogMachine {
    public let map: MemoryMap
    public let tagMultipleBlock: TagMultipleBlock
    public let zeroBlock: ZeroBlock
    /// Whether a user wrote the log, who does not see RGSR_EL1.
    let isUsers: Bool
    let window: PhysicalAddress
    let windowTags: PhysicalAddress
    let windowSize: Int
    let configurationCount: Int

    /// - Parameter lines: the log; other lines are left out.
    public init(_ lines: [Substring]) throws {
        var configuration: [String: UInt64] = [:]
        for line in lines where line.hasPrefix("CFG ") {
            let fields = line.split(separator: " ")
            if fields.count == 3 { configuration[String(fields[1])] = UInt64(fields[2], radix: 16) }
        }
        func value(_ name: String) throws -> UInt64 { try #require(configuration[name], "\(name)") }
        configurationCount = configuration.count
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
        let size = try value("ram_size")
        let tagBase = PhysicalAddress(try value("tag_base"))
        map = try MemoryMap(regions: [
            .init(start: PhysicalAddress(try value("ram_base")), size: size, kind: .data(tagBase: tagBase)),
            .init(start: tagBase, size: size / 32, kind: .tagStorage),
        ])
        tagMultipleBlock = try #require(TagMultipleBlock(rawValue: Int(value("gmid_el1"))))
        zeroBlock = try #require(ZeroBlock(rawValue: Int(value("dczid_el0"))))
        window = PhysicalAddress(try value("win_base"))
        windowTags = PhysicalAddress(try value("win_tag_base"))
        windowSize = Int(try value("win_size"))
    }

    static func number(_ text: String) throws -> UInt64 { try #require(UInt64(text, radix: 16), "\(text)") }
}

/// An OP line.
public struct LoggedInstruction {
    public let mnemonic: String
    let form: String
    public let xt, xn, xm, imm, utag, ea: UInt64
    let gcr, rgsr: UInt64
    let xtAfter, xnAfter, rgsrAfter, nzcvAfter, esr, far: UInt64

    init(_ fields: [String]) throws {
        try #require(fields.count == 19)
        mnemonic = fields[2]
        form = fields[3]
        let numbers = try fields[4...].map(LogMachine.number)
        (xt, xn, xm, imm) = (numbers[1], numbers[2], numbers[3], numbers[4])
        (utag, ea, gcr, rgsr) = (numbers[5], numbers[6], numbers[7], numbers[8])
        (xtAfter, xnAfter, rgsrAfter) = (numbers[9], numbers[10], numbers[11])
        (nzcvAfter, esr, far) = (numbers[12], numbers[13], numbers[14])
    }
}
