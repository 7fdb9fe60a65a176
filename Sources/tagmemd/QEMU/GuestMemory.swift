import CGuest
import Glibc
import TagMemCore
import TagMemFS

/// A memory object that is to be a machine's memory, and its tags the machine's: nobody else's meanwhile.
final class GuestMemory {
    let directory: String
    /// Of the data, in bytes.
    let size: UInt64
    /// The open file of the tags, which is locked for the machine.
    let tags: Int32

    var dataPath: String { "\(directory)/mem" }

    /// - Parameter wanted: the size that the object is to have; it is made, if it is not there, and sized, if it is empty.
    init(_ directory: String, size wanted: UInt64?) throws {
        self.directory = directory
        if let wanted { try Self.make(directory, wanted) }
        let data = try Self.open("\(directory)/mem")
        defer { close(data) }
        guard cguest_is_in_fuse(data) else {
            throw Failure("'\(directory)' is no object of a device")
        }
        var status = stat()
        guard unsafe fstat(data, &status) == 0 else { throw Self.failure(directory) }
        size = UInt64(status.st_size)
        guard size > 0 else { throw Failure("'\(directory)' is empty: give --size, or truncate its mem") }
        // So that the tags are whole pages of the host.
        let unit = UInt64(sysconf(Int32(_SC_PAGESIZE))) * TagGranule.bytesPerTagByte
        guard size % unit == 0 else {
            throw Failure("'\(directory)' is \(size) bytes long: a machine has a multiple of \(unit >> 10)K")
        }
        tags = try Self.open("\(directory)/tags")
        do {
            try lock()
            try tryMapping()
        } catch {
            close(tags)
            throw error
        }
    }

    deinit { close(tags) }

    /// Makes an object, or gives one that is empty its size.
    private static func make(_ directory: String, _ size: UInt64) throws {
        if unsafe mkdir(directory, 0o755) != 0, errno != EEXIST { throw failure(directory) }
        let path = "\(directory)/mem"
        let data = try open(path)
        defer { close(data) }
        var status = stat()
        guard unsafe fstat(data, &status) == 0 else { throw failure(path) }
        if status.st_size == Int64(size) { return }
        guard status.st_size == 0 else {
            throw Failure("'\(directory)' has \(status.st_size) bytes, not \(size): leave --size out")
        }
        guard let end = off_t(exactly: size), ftruncate(data, end) == 0 else { throw failure(path) }
    }

    private func lock() throws {
        if flock(tags, LOCK_EX | LOCK_NB) == 0 { return }
        guard errno == EWOULDBLOCK else { throw Self.failure("\(directory)/tags") }
        throw Failure("'\(directory)' is in use by another machine")
    }

    /// In page cache mode tags cannot be mapped.
    private func tryMapping() throws {
        let page = Int(Page.size)
        let address = unsafe mmap(nil, page, PROT_READ | PROT_WRITE, MAP_SHARED, tags, 0)
        guard unsafe address != MAP_FAILED else {
            guard errno == ENODEV else { throw Self.failure("\(directory)/tags") }
            throw Failure("this device's tags cannot be mapped: it needs Linux 6.6, and no page_cache")
        }
        unsafe munmap(address, page)
    }

    private static func open(_ path: String) throws -> Int32 {
        let descriptor = unsafe Glibc.open(path, O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure(path) }
        return descriptor
    }

    private static func failure(_ path: String) -> Failure {
        Failure("\(path): \(errorText(errno))")
    }
}
