import CGuest
import Glibc

/// QEMU's machine protocol (QMP), as far as a machine is asked about its memory and let run. One thread.
final class QEMUMonitor {
    private let descriptor: Int32
    /// QEMU's. A program that it has started may keep the socket open when it has ended.
    var process: pid_t = 0
    private var received: [UInt8] = []

    /// How long QEMU may take for an answer.
    private var patience = Duration.seconds(60)
    private static let longestLine = 1 << 20

    /// - Parameter descriptor: a socket whose other end is QEMU's. It is closed with the monitor.
    init(_ descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    /// Greets QEMU. False if it has ended.
    func begin() throws -> Bool {
        guard try line(where: { $0.contains("\"QMP\"") }) != nil else { return false }
        return try execute("{\"execute\": \"qmp_capabilities\"}") != nil
    }

    /// What a command of the human monitor says; nil if QEMU has ended.
    func ask(_ command: String) throws -> String? {
        try execute(
            """
            {"execute": "human-monitor-command", "arguments": {"command-line": "\(command)"}}
            """)
    }

    /// Lets the machine run. False if QEMU has ended.
    func letRun() throws -> Bool { try execute("{\"execute\": \"cont\"}") != nil }

    /// Ends QEMU, if it can be asked for that.
    func quit() {
        patience = .seconds(2)
        _ = try? execute("{\"execute\": \"quit\"}")
    }

    private func execute(_ command: String) throws -> String? {
        let bytes = Array("\(command)\n".utf8)
        // SAFETY: `send` reads the bytes of the buffer. A few bytes fit into the socket's buffer.
        let sent = unsafe bytes.withUnsafeBytes {
            unsafe send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
        if sent < 0, errno == EPIPE || errno == ECONNRESET { return nil }
        guard sent == bytes.count else { throw Failure("cannot speak to QEMU") }
        guard let answer = try line(where: { $0.hasPrefix("{\"return\"") || $0.hasPrefix("{\"error\"") })
        else { return nil }
        guard answer.hasPrefix("{\"return\"") else { throw Failure("QEMU says: \(answer)") }
        return answer
    }

    /// The next line that is meant; nil when there is no more to come.
    private func line(where isMeant: (String) -> Bool) throws -> String? {
        let end = ContinuousClock.now + patience
        while true {
            while let end = received.firstIndex(of: UInt8(ascii: "\n")) {
                let line = String(decoding: received[..<end].drop { $0 <= 0x20 }, as: UTF8.self)
                received.removeSubrange(...end)
                if isMeant(line) { return line }
            }
            guard received.count < Self.longestLine else { throw Failure("QEMU says too much at once") }
            var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let ready = unsafe Glibc.poll(&poll, 1, 100)
            if ready < 0, errno == EINTR { continue }
            if ready <= 0 {
                if cguest_has_ended(process) { return nil }
                guard .now < end else { throw Failure("QEMU does not answer its monitor") }
                continue
            }
            var part = [UInt8](repeating: 0, count: 1 << 16)
            // SAFETY: `read` writes at most the bytes of the buffer.
            let count = unsafe part.withUnsafeMutableBytes {
                unsafe read(descriptor, $0.baseAddress, $0.count)
            }
            if count < 0, errno == EINTR { continue }
            if count <= 0 { return nil }
            received += part[..<count]
        }
    }
}

/// A block of memory that QEMU has made for its machine.
struct QEMUMemoryBlock: Equatable {
    /// In QEMU's address space.
    let address: UInt64
    /// In bytes.
    let size: UInt64

    /// - Parameters:
    ///   - name: `mach-virt.tag`.
    ///   - listing: what `info ramblock` says, with its line ends written as JSON writes them. From QEMU 8.0 on it has
    ///     the address.
    init?(_ name: String, in listing: String) {
        for line in listing.replacing("\\r\\n", with: "\n").split(separator: "\n") {
            // name, page size (2), offset, used, total, address
            let words = line.split(separator: " ")
            guard words.count >= 7, words[0] == name, let size = Self.number(words[5]),
                let address = Self.number(words[6]), !address.addingReportingOverflow(size).overflow
            else { continue }
            (self.address, self.size) = (address, size)
            return
        }
        return nil
    }

    private static func number(_ word: Substring) -> UInt64? {
        word.hasPrefix("0x") ? UInt64(word.dropFirst(2), radix: 16) : nil
    }
}
