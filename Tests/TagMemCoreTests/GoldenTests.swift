import InstructionLog
import Testing

@Suite("The proposal's QEMU prototype") struct GoldenTests {
    @Test("every instruction, fault and byte of its log is the model's")
    func replay() throws {
        let lines = try prototypeLog()
        let machine = try LogMachine(lines)
        var replay = try LogReplay(machine, on: ModelTarget(machine))
        for line in lines { try replay.replay(line) }
        #expect(replay.counts == prototypeCounts)
    }
}
