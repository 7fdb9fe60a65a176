import InstructionLog
import TestSupport
import Testing

@Suite("The proposal's QEMU prototype") struct GoldenTests {
    @Test("every instruction, fault and byte of its log is the model's")
    func replay() throws {
        let lines = try fixtureLines("ops-part.txt")
        var replay = try LogReplay(lines)
        for line in lines { try replay.replay(line) }

        #expect(
            replay.counts == [
                "CFG": 15, "TS": 224, "DH": 7, "hash": 112, "DB": 24, "RAW": 7, "OP": 623, "fault": 5,
                "IRG": 276, "ADDG": 46, "SUBG": 44, "GMI": 7, "SUBP": 4, "SUBPS": 3,
                "LDG": 43, "STG": 27, "ST2G": 30, "STZG": 27, "STZ2G": 24, "STGP": 22,
                "LDGM": 20, "STGM": 12, "STZGM": 4, "DCGVA": 5, "DCGZVA": 13, "DCZVA": 8,
                "STR1": 2, "STR2": 1, "STR4": 3, "STR8": 2,
            ])
    }
}
