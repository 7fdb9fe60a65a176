import Glibc

/// An open file: system calls that throw what they fail with. Closed when it is dropped.
final class File: @unchecked Sendable {
    let descriptor: Int32
    private var isOpen = true

    init(_ path: String, _ flags: Int32 = O_RDONLY) throws(Errno) {
        descriptor = try check { unsafe open(path, flags | O_CLOEXEC, 0o600) }
    }

    /// Takes a descriptor over.
    init(descriptor: Int32) { self.descriptor = descriptor }

    deinit { if isOpen { Glibc.close(descriptor) } }

    /// One pread.
    func read(at offset: UInt64, count: Int) throws(Errno) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        // SAFETY: `pread` writes at most the bytes of the buffer.
        let result = try check {
            unsafe bytes.withUnsafeMutableBytes {
                unsafe pread(descriptor, $0.baseAddress, $0.count, off_t(truncatingIfNeeded: offset))
            }
        }
        return Array(bytes[..<result])
    }

    /// One pwrite. Returns the count.
    @discardableResult
    func write(_ bytes: [UInt8], at offset: UInt64) throws(Errno) -> Int {
        try check {
            unsafe bytes.withUnsafeBytes {
                unsafe pwrite(descriptor, $0.baseAddress, $0.count, off_t(truncatingIfNeeded: offset))
            }
        }
    }

    @discardableResult
    func write(_ text: String, at offset: UInt64 = 0) throws(Errno) -> Int {
        try write(Array(text.utf8), at: offset)
    }

    /// One read at the file position.
    func next(_ count: Int = 1 << 16) throws(Errno) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let result = try check(retries: false) {
            unsafe bytes.withUnsafeMutableBytes { unsafe Glibc.read(descriptor, $0.baseAddress, $0.count) }
        }
        return Array(bytes[..<result])
    }

    /// Everything from the file position on, in reads of up to `count` bytes. EAGAIN is an end too.
    ///
    /// - Throws: EFBIG if there is no end within 16 MiB.
    func rest(_ count: Int = 1 << 16) throws(Errno) -> [UInt8] {
        var all: [UInt8] = []
        while all.count < 16 << 20 {
            do throws(Errno) {
                let bytes = try next(count)
                if bytes.isEmpty { return all }
                all += bytes
            } catch {
                if error == Errno(EAGAIN) { return all }
                throw error
            }
        }
        throw Errno(EFBIG)
    }

    func seek(_ offset: UInt64, _ whence: Whence) throws(Errno) -> UInt64 {
        UInt64(try check { lseek(descriptor, off_t(truncatingIfNeeded: offset), whence.rawValue) })
    }

    enum Whence: Int32 {
        case set = 0
        case end = 2
        case data = 3
        case hole = 4
    }

    func fsync() throws(Errno) { try check { Glibc.fsync(descriptor) } }

    func truncate(_ size: Int) throws(Errno) { try check { ftruncate(descriptor, size) } }

    func close() throws(Errno) {
        isOpen = false
        try check(retries: false) { Glibc.close(descriptor) }
    }

    /// The events that poll(2) reports within `seconds`.
    func poll(_ events: Int32 = POLLIN, within seconds: Double) throws(Errno) -> Int32 {
        var request = pollfd(fd: descriptor, events: Int16(events), revents: 0)
        let count = try check { unsafe Glibc.poll(&request, 1, Int32(seconds * 1000)) }
        return count == 0 ? 0 : Int32(request.revents)
    }

    func status() throws(Errno) -> stat {
        var status = stat()
        try check { unsafe fstat(descriptor, &status) }
        return status
    }
}

/// What stat(2) says.
func status(of path: String) throws(Errno) -> stat {
    var status = stat()
    try check { unsafe lstat(path, &status) }
    return status
}

/// All of a file.
func contents(of path: String) throws(Errno) -> String {
    String(decoding: try File(path).rest(), as: UTF8.self)
}

/// The names in a directory but . and .., sorted.
func names(in path: String) throws(Errno) -> [String] {
    guard let directory = unsafe opendir(path) else { throw .current }
    defer { unsafe closedir(directory) }
    var names: [String] = []
    while let entry = unsafe readdir(directory) {
        let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
            unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
        }
        if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
}

/// A fresh directory under the system's place for temporary files.
func makeTemporaryDirectory() throws(Errno) -> String {
    let parent = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? "/tmp"
    var template = Array("\(parent)/tagmemd-test-XXXXXX".utf8CString)
    // SAFETY: the template is a NUL-terminated array of its own.
    guard unsafe mkdtemp(&template) != nil else { throw .current }
    return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

/// The directory that the programs under test are in: that of the test program.
let buildDirectory: String = {
    var buffer = [CChar](repeating: 0, count: 4096)
    // SAFETY: `readlink` writes at most the bytes of the buffer.
    let count = unsafe readlink("/proc/self/exe", &buffer, buffer.count)
    precondition(count > 0, "/proc/self/exe cannot be read")
    var path = String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        .split(separator: "/").dropLast()
    while !path.isEmpty, unsafe access("/\(path.joined(separator: "/"))/tagmemd", X_OK) != 0 {
        path.removeLast()
    }
    precondition(!path.isEmpty, "there is no tagmemd beside the test program")
    return "/" + path.joined(separator: "/")
}()

let daemonProgram = "\(buildDirectory)/tagmemd"
let clientProgram = "\(buildDirectory)/tagmem-client"
