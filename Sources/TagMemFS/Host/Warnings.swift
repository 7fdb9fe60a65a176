import Glibc
import Synchronization

/// Where the daemon's own messages go: stderr in the foreground, the system log in the background.
enum MessageTarget: UInt8 {
    case standardError, systemLog
}

private let target = Atomic(MessageTarget.standardError.rawValue)

/// Sends the daemon's messages to the system log from now on: there is no stderr in the background.
public func logToSystemLog() { target.store(MessageTarget.systemLog.rawValue, ordering: .relaxed) }

/// Says one line about something that the user should know and that stops nothing.
public func warn(_ message: String) {
    if target.load(ordering: .relaxed) == MessageTarget.systemLog.rawValue {
        unsafe withVaList([]) { arguments in
            // A message is never a format.
            unsafe vsyslog(LOG_DAEMON | LOG_WARNING, message.replacingPercents, arguments)
        }
        return
    }
    let line = Array("tagmemd: \(message)\n".utf8)
    _ = unsafe line.withUnsafeBytes { unsafe write(STDERR_FILENO, $0.baseAddress, $0.count) }
}

extension String {
    fileprivate var replacingPercents: String {
        split(separator: "%", omittingEmptySubsequences: false).joined(separator: "%%")
    }
}
