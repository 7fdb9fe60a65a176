import CGuest
import Glibc
import TagMemCore
import TagMemDeviceTree
import TagMemFS

/// The memory of a device that is to be a machine's, and its tags the machine's: nobody else's meanwhile.
final class GuestMemory {
    /// Where the machine's memory begins in `mem`, which is where it begins in the machine if that is `phys`.
    let address: UInt64
    /// Of the machine's memory, in bytes.
    let size: UInt64
    /// How much of it has tags, from its beginning on; in `phys` tag storage follows.
    let taggedSize: UInt64
    /// What memory the machine has; nil if that is an object.
    let map: MemoryMap?
    /// The open files that keep it the machine's as long as they are open anywhere: data, tags, the claim.
    let kept: [Int32]

    var data: Int32 { kept[0] }
    var tags: Int32 { kept[1] }
    var tagOffset: UInt64 { address / TagGranule.bytesPerTagByte }
    var tagBytes: UInt64 { taggedSize / TagGranule.bytesPerTagByte }

    /// What sizes are multiples of, so that the tags are whole pages of the host.
    static var unit: UInt64 { UInt64(sysconf(Int32(_SC_PAGESIZE))) * TagGranule.bytesPerTagByte }

    /// Where QEMU's `virt` has its memory.
    private static let base = VirtMachine.ramBase

    /// - Parameters:
    ///   - directory: an object in `tagged/`, or `phys`.
    ///   - wanted: the size that an object is to have; it is made, if it is not there, and sized, if it is empty.
    init(_ directory: String, size wanted: UInt64?) throws {
        let isPhysical =
            unsafe access("\(directory)/pages", F_OK) != 0 && access("\(directory)/mem", F_OK) == 0
        if let wanted {
            if isPhysical { throw Failure("'\(directory)' has the size that it has: leave --size out") }
            try Self.make(directory, wanted)
        }
        var kept = [try Self.open("\(directory)/mem")]
        do {
            guard cguest_is_in_fuse(kept[0]) else { throw Failure("'\(directory)' is no object of a device") }
            if isPhysical {
                let map = try Self.map(of: directory)
                (size, taggedSize) = try Self.sizes(map)
                (self.map, address) = (map, Self.base)
            } else {
                size = try Self.objectSize(kept[0], directory)
                (map, address, taggedSize) = (nil, 0, size)
            }
            if unsafe access("\(directory)/tags", F_OK) != 0, errno == ENOENT {
                throw Failure("'\(directory)' has no tags: a machine's memory is in tagged/")
            }
            kept.append(try Self.open("\(directory)/tags"))
            try Self.lock(kept[1], directory)
            try Self.tryMapping(kept[1], directory)
            if isPhysical { kept.append(try Self.claim(directory)) }
        } catch {
            for descriptor in kept { close(descriptor) }
            throw error
        }
        self.kept = kept
    }

    deinit { for descriptor in kept { close(descriptor) } }

    // MARK: Objects

    /// The size of an object that can be a machine's memory.
    private static func objectSize(_ data: Int32, _ directory: String) throws -> UInt64 {
        let size = try size(data, directory)
        guard size > 0 else { throw Failure("'\(directory)' is empty: give --size, or truncate its mem") }
        guard size % unit == 0 else {
            throw Failure("'\(directory)' is \(size) bytes long: a machine has a multiple of \(unit >> 10)K")
        }
        return size
    }

    private static func size(_ descriptor: Int32, _ directory: String) throws -> UInt64 {
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { throw failure(directory) }
        return UInt64(status.st_size)
    }

    /// Makes an object, or gives one that is empty its size.
    private static func make(_ directory: String, _ size: UInt64) throws {
        let isNew = unsafe mkdir(directory, 0o755) == 0
        if !isNew, errno != EEXIST { throw failure(directory) }
        do {
            let path = "\(directory)/mem"
            let data = try open(path)
            defer { close(data) }
            let present = try self.size(data, directory)
            if present == size { return }
            guard present == 0 else {
                throw Failure("'\(directory)' has \(present) bytes, not \(size): leave --size out")
            }
            guard let end = off_t(exactly: size) else { throw Failure("\(path): \(errorText(EFBIG))") }
            guard ftruncate(data, end) == 0 else { throw failure(path) }
        } catch {
            if isNew { unsafe rmdir(directory) }
            throw error
        }
    }

    // MARK: All of the device

    private static func map(of directory: String) throws -> MemoryMap {
        let blob = try readFile("\(directory)/../firmware/fdt", limit: DeviceTree.maximumSize)
        do throws(DeviceTreeError) {
            return try MachineDescription(blob: blob).map
        } catch {
            throw Failure("the device's tree: \(error)")
        }
    }

    /// All of the memory, and what of it has tags.
    private static func sizes(_ map: MemoryMap) throws -> (all: UInt64, tagged: UInt64) {
        var end = base
        var tagged: UInt64 = 0
        for region in map.regions.sorted(by: { $0.start < $1.start }) {
            switch region.kind {
            case .data where tagged == end - base: tagged += region.size
            case .tagStorage: break
            default: throw Failure("QEMU has memory with tags, and behind it their storage, and no other")
            }
            guard region.start.rawValue == end else {
                throw Failure(
                    "QEMU's memory begins at 0x\(String(base, radix: 16)) and has no gaps: "
                        + "mount the device without --base and --machine")
            }
            end += region.size
        }
        // QEMU rounds the memory of a machine.
        guard (end - base) % 8192 == 0 else {
            throw Failure("a machine has a multiple of 256K of data memory")
        }
        return (end - base, tagged)
    }

    /// Keeps everybody from making objects.
    private static func claim(_ directory: String) throws -> Int32 {
        let path = "\(directory)/../control/claim"
        let descriptor = try open(path)
        guard unsafe write(descriptor, "1", 1) == 1 else {
            defer { close(descriptor) }
            guard errno == EBUSY else { throw failure(path) }
            throw Failure("there are objects, or pages in reserve: all memory is the machine's or none")
        }
        return descriptor
    }

    // MARK: Both

    private static func lock(_ tags: Int32, _ directory: String) throws {
        // A machine that has been killed just now lets go in a moment.
        for _ in 0..<20 {
            if flock(tags, LOCK_EX | LOCK_NB) == 0 { return }
            guard errno == EWOULDBLOCK else { throw failure("\(directory)/tags") }
            usleep(50_000)
        }
        throw Failure("'\(directory)' is in use by another machine")
    }

    /// In page cache mode tags cannot be mapped.
    private static func tryMapping(_ tags: Int32, _ directory: String) throws {
        let page = Int(Page.size)
        let address = unsafe mmap(nil, page, PROT_READ | PROT_WRITE, MAP_SHARED, tags, 0)
        guard unsafe address != MAP_FAILED else {
            guard errno == ENODEV else { throw failure("\(directory)/tags") }
            throw Failure("this device's tags cannot be mapped: it needs Linux 6.6, and no page_cache")
        }
        unsafe munmap(address, page)
    }

    private static func open(_ path: String) throws -> Int32 {
        let descriptor = unsafe Glibc.open(path, O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure(path) }
        return descriptor
    }

    private static func failure(_ path: String) -> Failure { Failure("\(path): \(errorText(errno))") }
}
