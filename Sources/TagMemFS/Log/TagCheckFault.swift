import Glibc
import TagMemCore

/// A tag check fault as the log shows it.
struct TagCheckFault {
    enum Access: String {
        case load, store
        /// Touching a page of a mapping, which the kernel does not tell more about.
        case map
    }

    let mode: TagCheckMode
    let access: Access
    /// The object's name: `phys`, `tagged/NAME`.
    let object: String
    /// The file: a view's digit, or `checked`.
    let view: String
    /// The fault address with the address tag taken off, as an offset in a view; for a mapping, the page.
    let offset: UInt64
    /// Bytes that the access asked for.
    let size: Int
    let addressTag: AddressTag
    let allocationTag: AllocationTag
    let client: Client

    /// The fault address: the address tag in bits 59:56.
    var address: TaggedPointer { TaggedPointer(address: offset, tag: addressTag) }

    /// One line of logfmt, with its newline.
    func line(sequence: UInt64, time: timespec) -> String {
        "seq=\(sequence) time=\(timestamp(time)) mode=\(mode.name) access=\(access.rawValue) object=\(quoted(object))"
            + " view=\(view) offset=0x\(String(offset, radix: 16)) size=\(size)"
            + " address_tag=\(addressTag) allocation_tag=\(allocationTag)"
            + " pid=\(client.pid) comm=\(quoted(client.command)) fault_address=\(address)\n"
    }
}

/// The process that made a request.
struct Client {
    /// 0 where the kernel does not say: a page that is written back.
    let pid: Int32
    let command: String

    static let unknown = Client(pid: 0, command: "")

    /// Looks up the process of a thread. One small read under /proc; nothing is known of a thread that has ended.
    init(thread: Int32) {
        guard thread > 0, let status = readSmallFile("/proc/\(thread)/status") else {
            self.init(pid: thread, command: "")
            return
        }
        var command = ""
        var pid = thread
        for line in status.split(separator: "\n") {
            if line.hasPrefix("Name:\t") {
                command = String(line.dropFirst(6))
            } else if line.hasPrefix("Tgid:\t") {
                pid = Int32(line.dropFirst(6)) ?? thread
                break
            }
        }
        self.init(pid: pid, command: command)
    }

    init(pid: Int32, command: String) {
        self.pid = pid
        self.command = command
    }
}

/// The first 4 KiB of a file, or nil if it cannot be read.
private func readSmallFile(_ path: String) -> String? {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    let text = unsafe String(unsafeUninitializedCapacity: 4096) { buffer in
        unsafe max(0, read(descriptor, buffer.baseAddress, buffer.count))
    }
    return text.isEmpty ? nil : text
}

/// UTC in RFC 3339, with microseconds.
private func timestamp(_ time: timespec) -> String {
    var seconds = time.tv_sec
    var parts = unsafe tm()
    unsafe gmtime_r(&seconds, &parts)
    func padded(_ value: some BinaryInteger, _ width: Int) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
    let date = unsafe [
        padded(parts.tm_year + 1900, 4), padded(parts.tm_mon + 1, 2), padded(parts.tm_mday, 2),
    ]
    let clock = unsafe [padded(parts.tm_hour, 2), padded(parts.tm_min, 2), padded(parts.tm_sec, 2)]
    return date.joined(separator: "-") + "T" + clock.joined(separator: ":") + "."
        + padded(time.tv_nsec / 1000, 6) + "Z"
}

/// A logfmt value: quoted where it has to be. Control characters do not reach the log.
private func quoted(_ text: String) -> String {
    let isPlain = !text.isEmpty && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != 0x22 && $0 != 0x3d }
    if isPlain { return text }
    var result = "\""
    for byte in text.utf8 {
        switch byte {
        case 0x22, 0x5c: result += "\\" + String(UnicodeScalar(byte))
        case 0x20..<0x7f: result += String(UnicodeScalar(byte))
        default: result += "?"
        }
    }
    return result + "\""
}
