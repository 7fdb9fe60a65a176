import Glibc
import Testing

@testable import TagMemFS

/// A reply gives one answer, whatever happens to it.
@Suite struct ReplyTests {
    /// Keeps the answers, and says of each that it reached somebody, or not.
    final class Sink: ReplySink {
        struct Given: Equatable {
            var request: UInt
            var error: Int32?
            var bytes: [UInt8]?
            var parts: Int?
        }

        let given = Guarded<[Given]>([])
        let reaches: Bool

        init(reaches: Bool = true) { self.reaches = reaches }

        func answer(_ request: RequestToken, _ answer: Answer) -> Bool {
            var given = Given(request: request.rawValue)
            switch answer {
            case .error(let error): given.error = error
            case .bytes(let bytes): given.bytes = unsafe Array(bytes)
            case .parts(let parts):
                given.parts = parts.count
                given.bytes = []
                for index in parts.indices {
                    unsafe given.bytes?.append(
                        contentsOf: UnsafeRawBufferPointer(
                            start: parts[index].iov_base, count: parts[index].iov_len))
                }
            default: break
            }
            self.given.withLock { $0.append(given) }
            return reaches
        }

        func caller(of request: RequestToken) -> (thread: Int32, user: UInt32) {
            (Int32(request.rawValue), 7)
        }
        var currentNumber: UInt64 { 0 }
        func onInterruption(of request: RequestToken, tell handler: FaultLog) {}
        func isInterrupted(_ request: RequestToken) -> Bool { false }

        func reply(_ number: UInt = 1) -> Reply { Reply(to: RequestToken(rawValue: number), through: self) }
        var answers: [Given] { given.withLock { $0 } }
    }

    @Test("a reply that is dropped answers EIO") func dropped() {
        let sink = Sink()
        do { _ = sink.reply(3) }
        #expect(sink.answers == [.init(request: 3, error: EIO)])
    }

    @Test("an answer is given once, to its request") func once() {
        let sink = Sink()
        sink.reply(1).done()
        sink.reply(2).error(.noSpace)
        sink.reply(3).endOfFile()
        #expect(
            sink.answers == [
                .init(request: 1, error: 0), .init(request: 2, error: ENOSPC), .init(request: 3, bytes: []),
            ])
        let reply = sink.reply(9)
        #expect(reply.thread == 9 && reply.user == 7)
        reply.done()
    }

    @Test(
        "whoever gives bytes or opens a file learns whether that reached somebody", arguments: [true, false])
    func reaching(reaches: Bool) {
        let sink = Sink(reaches: reaches)
        #expect(sink.reply().bytes([1, 2]) == reaches)
        #expect(sink.reply().opened(5, OpenFile.Options()) == reaches)
        #expect(sink.answers.count == 2)
    }

    @Test("few parts go as they are, many as one copy", arguments: [1, 255, 256, 257, 1025])
    func parts(count: Int) {
        let sink = Sink()
        // Every third part is of zeros, as for what is not populated.
        var memory = [UInt8](repeating: 0, count: count * 3)
        for index in memory.indices where index / 3 % 3 != 0 {
            memory[index] = UInt8(truncatingIfNeeded: index + 1)
        }
        unsafe memory.withUnsafeMutableBytes { bytes in
            let parts = unsafe (0..<count).map { index in
                unsafe iovec(
                    iov_base: index % 3 == 0 ? Zeros.bytes : bytes.baseAddress.map { unsafe $0 + index * 3 },
                    iov_len: 3)
            }
            unsafe parts.withUnsafeBufferPointer { unsafe sink.reply().memory($0) }
        }
        #expect(sink.answers.count == 1)
        #expect(sink.answers.first?.bytes == memory)
        #expect(sink.answers.first?.parts == (count <= Reply.maximumParts ? count : nil))
    }

    @Test("what the kernel is told of an open file, in FOPEN_* of its ABI") func openFlags() {
        #expect(OpenFile.Options().flags == 0b10_0011)
        #expect(OpenFile.Options(isDirect: false, reportsClose: true).flags == 0b10)
        #expect(OpenFile.Options(isStream: true).flags == 0b10_0111)
        #expect(OpenFile.Options(writesInParallel: true).flags == 0b110_0011)
    }
}
