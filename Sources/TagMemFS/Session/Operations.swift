import CFuse
import Glibc
import TagMemCore

/// The operations that libfuse calls: they decode, call, and answer once.
///
/// Everything that is not here is answered ENOSYS by libfuse, which the kernel remembers and turns into what fits:
/// extended attributes EOPNOTSUPP, ioctl ENOTTY, locks and access checks its own. Built in a function, because
/// closures of a `main` would be bound to the main actor.
func makeOperations() -> fuse_lowlevel_ops {
    var operations = fuse_lowlevel_ops()
    unsafe operations.`init` = { data, connection in
        guard let data = unsafe data, let connection = unsafe connection else { return }
        unsafe Session.from(data).negotiate(connection)
    }
    addTreeOperations(&operations)
    addFileOperations(&operations)
    addRefusals(&operations)
    return operations
}

/// The file system that a request is for.
private func fileSystem(_ request: fuse_req_t) -> FileSystem {
    let fileSystem = unsafe Session.from(fuse_req_userdata(request)).fileSystem
    fileSystem.counters.add(.requests)
    return fileSystem
}

private func addTreeOperations(_ operations: inout fuse_lowlevel_ops) {
    unsafe operations.lookup = { request, parent, name in
        guard let request = unsafe request, let name = unsafe name else { return }
        let fileSystem = unsafe fileSystem(request)
        let reply = unsafe Reply(request)
        do throws(FileError) {
            let node = try unsafe fileSystem.lookUp(String(cString: name), in: NodeID(rawValue: parent))
            var entry = fuse_entry_param()
            entry.ino = node.rawValue
            entry.attr = try fileSystem.attributes(of: node)
            entry.attr_timeout = fileSystem.attributeTimeout(of: node)
            entry.entry_timeout = FileSystem.forever
            reply.entry(entry)
        } catch {
            reply.error(error)
        }
    }
    unsafe operations.getattr = { request, node, _ in
        guard let request = unsafe request else { return }
        unsafe replyAttributes(request, NodeID(rawValue: node))
    }
    unsafe operations.setattr = { request, node, new, which, _ in
        guard let request = unsafe request, let new = unsafe new else { return }
        do throws(FileError) {
            try unsafe fileSystem(request).change(NodeID(rawValue: node), to: new.pointee, which)
        } catch {
            return unsafe Reply(request).error(error)
        }
        unsafe replyAttributes(request, NodeID(rawValue: node))
    }
    unsafe operations.readdir = { request, node, size, offset, _ in
        guard let request = unsafe request else { return }
        let fileSystem = unsafe fileSystem(request)
        let reply = unsafe Reply(request)
        let node = NodeID(rawValue: node)
        do throws(FileError) {
            let names =
                [(".", node), ("..", fileSystem.parent(of: node))] + (try fileSystem.children(of: node))
            reply.names(names, from: Int(offset), size: size)
        } catch {
            reply.error(error)
        }
    }
    unsafe operations.statfs = { request, _ in
        guard let request = unsafe request else { return }
        let statistics = unsafe fileSystem(request).statistics()
        unsafe Reply(request).statistics(statistics)
    }
}

private func replyAttributes(_ request: fuse_req_t, _ node: NodeID) {
    let fileSystem = unsafe fileSystem(request)
    let reply = unsafe Reply(request)
    do throws(FileError) {
        let attributes = try fileSystem.attributes(of: node)
        reply.attributes(attributes, timeout: fileSystem.attributeTimeout(of: node))
    } catch {
        reply.error(error)
    }
}

/// The open file that a request names.
private func file(_ info: UnsafeMutablePointer<fuse_file_info>) -> OpenFile {
    // SAFETY: `fh` is what `open` retained, and the kernel names it only until `release`.
    guard let handle = unsafe UnsafeRawPointer(bitPattern: UInt(info.pointee.fh)) else {
        preconditionFailure("a request without its open file")
    }
    return unsafe Unmanaged<OpenFile>.fromOpaque(handle).takeUnretainedValue()
}

private func addFileOperations(_ operations: inout fuse_lowlevel_ops) {
    unsafe operations.open = { request, node, info in
        guard let request = unsafe request, let info = unsafe info else { return }
        let fileSystem = unsafe fileSystem(request)
        let reply = unsafe Reply(request)
        do throws(FileError) {
            let file = try unsafe fileSystem.open(NodeID(rawValue: node), flags: info.pointee.flags)
            let options = file.options
            var answer = unsafe info.pointee
            let handle = unsafe Unmanaged.passRetained(file)
            answer.fh = unsafe UInt64(UInt(bitPattern: handle.toOpaque()))
            answer.direct_io = options.isDirect ? 1 : 0
            answer.keep_cache = 1
            answer.nonseekable = options.isStream ? 1 : 0
            answer.noflush = options.reportsClose ? 0 : 1
            if !reply.opened(answer) {
                file.released()
                unsafe handle.release()
            }
        } catch {
            reply.error(error)
        }
    }
    unsafe operations.release = { request, _, info in
        guard let request = unsafe request, let info = unsafe info else { return }
        _ = unsafe fileSystem(request)
        let file = unsafe file(info)
        file.released()
        unsafe Unmanaged.passUnretained(file).release()
        unsafe Reply(request).done()
    }
    unsafe operations.read = { request, _, size, offset, info in
        guard let request = unsafe request, let info = unsafe info else { return }
        _ = unsafe fileSystem(request)
        guard offset >= 0 else { return unsafe Reply(request).error(.invalid) }
        // Only a direct read says whose it is; one that fills the page cache does not.
        let isFill = unsafe info.pointee.lock_owner == 0
        unsafe file(info).read(
            Reply(request), at: UInt64(offset), size: size, isFill: isFill,
            isNonblocking: info.pointee.flags & O_NONBLOCK != 0)
    }
    unsafe operations.write = { request, _, bytes, size, offset, info in
        guard let request = unsafe request, let info = unsafe info else { return }
        _ = unsafe fileSystem(request)
        guard offset >= 0 else { return unsafe Reply(request).error(.invalid) }
        unsafe file(info).write(
            Reply(request), at: UInt64(offset), UnsafeRawBufferPointer(start: bytes, count: size),
            isWriteback: info.pointee.writepage != 0)
    }
    unsafe operations.flush = { request, _, info in
        guard let request = unsafe request, let info = unsafe info else { return }
        _ = unsafe fileSystem(request)
        unsafe file(info).flush(Reply(request))
    }
    unsafe operations.fsync = { request, _, _, info in
        guard let request = unsafe request, let info = unsafe info else { return }
        _ = unsafe fileSystem(request)
        unsafe file(info).fsync(Reply(request))
    }
    unsafe operations.lseek = { request, _, offset, whence, info in
        guard let request = unsafe request, let info = unsafe info else { return }
        _ = unsafe fileSystem(request)
        guard offset >= 0 else { return unsafe Reply(request).error(.pastEnd) }
        unsafe file(info).seek(Reply(request), from: UInt64(offset), toData: whence == cfuse_SEEK_DATA)
    }
    unsafe operations.poll = { request, _, info, handle in
        guard let request = unsafe request, let info = unsafe info else { return }
        _ = unsafe fileSystem(request)
        unsafe file(info).poll(Reply(request), handle)
    }
    unsafe operations.fallocate = { request, _, mode, _, _, _ in
        guard let request = unsafe request else { return }
        _ = unsafe fileSystem(request)
        // A size change is accepted and ignored; making holes or moving bytes would not be harmless.
        let changesSizeOnly = mode & ~cfuse_FALLOC_FL_KEEP_SIZE == 0
        if changesSizeOnly {
            unsafe Reply(request).done()
        } else {
            unsafe Reply(request).error(.notSupported)
        }
    }
}

/// What nobody may do: the tree is the device's.
private func addRefusals(_ operations: inout fuse_lowlevel_ops) {
    unsafe operations.mknod = { request, _, _, _, _ in unsafe refuse(request) }
    unsafe operations.create = { request, _, _, _, _ in unsafe refuse(request) }
    unsafe operations.mkdir = { request, _, _, _ in unsafe refuse(request) }
    unsafe operations.symlink = { request, _, _, _ in unsafe refuse(request) }
    unsafe operations.link = { request, _, _, _ in unsafe refuse(request) }
    unsafe operations.unlink = { request, _, _ in unsafe refuse(request) }
    unsafe operations.rmdir = { request, _, _ in unsafe refuse(request) }
    unsafe operations.rename = { request, _, _, _, _, _ in unsafe refuse(request) }
}

private func refuse(_ request: fuse_req_t?) {
    guard let request = unsafe request else { return }
    _ = unsafe fileSystem(request)
    unsafe Reply(request).error(.notPermitted)
}
