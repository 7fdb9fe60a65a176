import CGuest
import Glibc
import TagMemFS

/// What libtagmem says of each tag check fault, on a pipe, and what of that is shown.
final class FaultReports {
    /// The descriptor that programs inherit.
    let writer: Int32
    private let reader: Int32
    private var buffer: [UInt8] = []
    private var printer = FaultPrinter()

    /// What is kept of a report that does not end.
    private static let maximumReport = 1 << 16

    init() throws {
        var ends: [Int32] = [-1, -1]
        guard unsafe pipe(&ends) == 0 else { throw Failure("no pipe: \(errorText(errno))") }
        (reader, writer) = (ends[0], ends[1])
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        // What it starts may keep the other end: nobody waits for an end of the pipe.
        _ = fcntl(reader, F_SETFL, O_NONBLOCK)
    }

    deinit {
        close(reader)
        close(writer)
    }

    /// Shows reports as they come, until the process has ended and there are no more.
    func print(until process: pid_t) {
        let watch = cguest_watch(process)
        defer { if watch >= 0 { close(watch) } }
        while true {
            var polls = [
                pollfd(fd: reader, events: Int16(POLLIN), revents: 0),
                pollfd(fd: watch, events: Int16(POLLIN), revents: 0),
            ]
            let ready = unsafe poll(&polls, 2, watch >= 0 ? -1 : 20)
            if ready < 0, errno != EINTR { return }
            let isOver = cguest_has_ended(process)
            while readSome() {}
            if isOver { return }
        }
    }

    /// False if there is nothing to read now.
    private func readSome() -> Bool {
        var part = [UInt8](repeating: 0, count: 1 << 12)
        // SAFETY: `read` writes at most the bytes of the buffer.
        let count = unsafe part.withUnsafeMutableBytes { unsafe read(reader, $0.baseAddress, $0.count) }
        if count < 0, errno == EINTR { return true }
        guard count > 0 else { return false }
        buffer += part[..<count]
        // A report ends with an empty line.
        while let end = buffer.indices.dropLast().first(where: { buffer[$0] == 10 && buffer[$0 + 1] == 10 }) {
            let text = String(decoding: buffer[..<end], as: UTF8.self)
            buffer.removeSubrange(...(end + 1))
            if let report = FaultReport(text) { printer.print(report) }
        }
        if buffer.count > Self.maximumReport { buffer = [] }
        return true
    }
}
