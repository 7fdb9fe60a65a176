import CFuse
import Glibc
import TagMemCore

/// The operations that libfuse calls: they decode, call, and answer once.
///
/// Everything that is not here is answered ENOSYS by libfuse, which the kernel remembers and turns into what fits:
/// extended attributes EOPNOTSUPP, locks and access checks its own. Built in a function, because
/// closures of a `main` would be bound to the main actor.
func makeOperations() -> fuse_lowlevel_ops {
    var operations = fuse_lowlevel_ops()
    unsafe operations.`init` = { data, connection in
        guard let data = unsafe data, let connection = unsafe connection else { return }
        unsafe LibfuseTransport.from(data).negotiate(connection)
    }
    unsafe operations.retrieve_reply = { request, cookie, _, _, bytes in
        guard let request = unsafe request, let bytes = unsafe bytes else { return }
        // SAFETY: without splicing there is one buffer, in memory.
        let buffer = unsafe bytes.pointee.buf
        let page = unsafe Array(UnsafeRawBufferPointer(start: buffer.mem, count: buffer.size))
        let transport = unsafe LibfuseTransport.from(fuse_req_userdata(request))
        unsafe fuse_reply_none(request)
        transport.hasRetrieved(page, cookie: UInt64(UInt(bitPattern: cookie)))
    }
    addTreeOperations(&operations)
    addObjectOperations(&operations)
    addFileOperations(&operations)
    addRefusals(&operations)
    return operations
}

extension Reply {
    /// The answer to one of libfuse's requests.
    fileprivate init(_ request: fuse_req_t) {
        self.init(
            to: RequestToken(rawValue: UInt(bitPattern: request)),
            through: unsafe LibfuseTransport.from(fuse_req_userdata(request)))
    }
}

/// The file system that a request is for.
private func fileSystem(_ request: fuse_req_t) -> FileSystem {
    let fileSystem = unsafe LibfuseTransport.from(fuse_req_userdata(request)).fileSystem
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
            let answer = try entry(node, fileSystem)
            reply.entry(answer)
        } catch {
            reply.error(error)
        }
    }
    unsafe operations.getattr = { request, node, _ in
        guard let request = unsafe request else { return }
        let fileSystem = unsafe fileSystem(request)
        let reply = unsafe Reply(request)
        do throws(FileError) {
            let (attributes, timeout) = try fileSystem.attributesToKeep(of: NodeID(rawValue: node))
            reply.attributes(attributes, timeout: timeout)
        } catch {
            reply.error(error)
        }
    }
    unsafe operations.setattr = { request, node, new, which, _ in
        guard let request = unsafe request, let new = unsafe new else { return }
        let fileSystem = unsafe fileSystem(request)
        let node = NodeID(rawValue: node)
        do throws(FileError) {
            try unsafe fileSystem.change(node, to: new.pointee, which)
        } catch {
            return unsafe Reply(request).error(error)
        }
        let reply = unsafe Reply(request)
        guard which & FUSE_SET_ATTR_SIZE != 0, let object = fileSystem.resizable(node) else {
            return replyAttributes(reply, fileSystem, node)
        }
        guard let size = unsafe UInt64(exactly: new.pointee.st_size) else { return reply.error(.invalid) }
        fileSystem.directory.resize(
            object, to: size,
            then: DeferredReply(reply) {
                fileSystem.directory.noteContent(of: object)
                fileSystem.directory.whenTold($0) { replyAttributes($0, fileSystem, node) }
            })
    }
    unsafe operations.readdir = { request, node, size, offset, _ in
        guard let request = unsafe request else { return }
        let fileSystem = unsafe fileSystem(request)
        let reply = unsafe Reply(request)
        let node = NodeID(rawValue: node)
        guard let cookie = UInt64(exactly: offset) else { return reply.error(.invalid) }
        do throws(FileError) {
            // A name takes 24 bytes at least.
            let entries = try fileSystem.entries(of: node, after: cookie, limit: size / 24)
            reply.entries(entries, size: size)
        } catch {
            reply.error(error)
        }
    }
    unsafe operations.readlink = { request, _ in
        guard let request = unsafe request else { return }
        _ = unsafe fileSystem(request)
        // There is one link: the device tree's root, to itself.
        unsafe Reply(request).link(".")
    }
    unsafe operations.statfs = { request, node in
        guard let request = unsafe request else { return }
        let statistics = unsafe fileSystem(request).statistics(at: NodeID(rawValue: node))
        unsafe Reply(request).statistics(statistics)
    }
}

private func replyAttributes(_ reply: consuming Reply, _ fileSystem: FileSystem, _ node: NodeID) {
    do throws(FileError) {
        let attributes = try fileSystem.attributes(of: node)
        reply.attributes(attributes, timeout: fileSystem.attributeTimeout(of: node))
    } catch {
        reply.error(error)
    }
}

private func entry(_ node: NodeID, _ fileSystem: FileSystem) throws(FileError) -> fuse_entry_param {
    var entry = fuse_entry_param()
    entry.ino = node.rawValue
    entry.attr = try fileSystem.attributes(of: node)
    entry.attr_timeout = fileSystem.attributeTimeout(of: node)
    entry.entry_timeout = FileSystem.forever
    return entry
}

/// Making, removing and renaming memory objects.
private func addObjectOperations(_ operations: inout fuse_lowlevel_ops) {
    unsafe operations.mkdir = { request, parent, name, mode in
        guard let request = unsafe request, let name = unsafe name else { return }
        let fileSystem = unsafe fileSystem(request)
        let (user, group) = unsafe (fuse_req_ctx(request).pointee.uid, fuse_req_ctx(request).pointee.gid)
        let reply = unsafe Reply(request)
        do throws(FileError) {
            let node = try unsafe fileSystem.makeDirectory(
                String(cString: name), in: NodeID(rawValue: parent), permissions: mode & 0o7777, user: user,
                group: group)
            let answer = try entry(node, fileSystem)
            reply.entry(answer)
        } catch {
            reply.error(error)
        }
    }
    unsafe operations.rmdir = { request, parent, name in
        guard let request = unsafe request, let name = unsafe name else { return }
        unsafe fileSystem(request).removeDirectory(
            String(cString: name), in: NodeID(rawValue: parent), Reply(request))
    }
    unsafe operations.rename = { request, parent, name, newParent, newName, flags in
        guard let request = unsafe request, let name = unsafe name, let newName = unsafe newName else {
            return
        }
        unsafe fileSystem(request).rename(
            String(cString: name), in: NodeID(rawValue: parent), to: String(cString: newName),
            in: NodeID(rawValue: newParent), flags: flags, Reply(request))
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
            let handle = unsafe Unmanaged.passRetained(file)
            if unsafe !reply.opened(UInt64(UInt(bitPattern: handle.toOpaque())), file.options) {
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
        let watcher = unsafe handle.map { unsafe LibfusePollWatcher($0) }
        unsafe file(info).poll(Reply(request), watcher)
    }
    unsafe operations.ioctl = { request, _, command, _, info, flags, bytes, size, room in
        guard let request = unsafe request, let info = unsafe info else { return }
        _ = unsafe fileSystem(request)
        let argument = unsafe UnsafeRawBufferPointer(start: bytes, count: size)
        unsafe file(info).control(Reply(request), command, argument)
    }
    unsafe operations.fallocate = { request, _, mode, offset, length, info in
        guard let request = unsafe request, let info = unsafe info else { return }
        _ = unsafe fileSystem(request)
        let reply = unsafe Reply(request)
        guard let start = UInt64(exactly: offset), let count = UInt64(exactly: length), count > 0 else {
            return reply.error(.invalid)
        }
        let keepsSize = mode & cfuse_FALLOC_FL_KEEP_SIZE != 0
        let isHole = mode & cfuse_FALLOC_FL_PUNCH_HOLE != 0
        // Whatever else there is moves or changes bytes.
        let known = mode & ~(cfuse_FALLOC_FL_KEEP_SIZE | cfuse_FALLOC_FL_PUNCH_HOLE) == 0
        guard known, keepsSize || !isHole else { return reply.error(.notSupported) }
        unsafe file(info).allocate(reply, start..<start + count, keepsSize: keepsSize, isHole: isHole)
    }
}

/// What nobody may do: the files are the device's.
private func addRefusals(_ operations: inout fuse_lowlevel_ops) {
    unsafe operations.mknod = { request, _, _, _, _ in unsafe refuse(request) }
    unsafe operations.create = { request, _, _, _, _ in unsafe refuse(request) }
    unsafe operations.symlink = { request, _, _, _ in unsafe refuse(request) }
    unsafe operations.link = { request, _, _, _ in unsafe refuse(request) }
    unsafe operations.unlink = { request, _, _ in unsafe refuse(request) }
}

private func refuse(_ request: fuse_req_t?) {
    guard let request = unsafe request else { return }
    _ = unsafe fileSystem(request)
    unsafe Reply(request).error(.notPermitted)
}
