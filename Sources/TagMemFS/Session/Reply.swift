import CFuse
import Glibc
import TagMemCore

/// The answer that a request waits for. It is given exactly once: a reply that is dropped answers EIO and says so.
@safe
struct Reply: ~Copyable, @unchecked Sendable {
    // SAFETY: `request` is valid from the operation's call until it is answered; every answering method consumes
    // `self`, so there is no second answer. libfuse lets any thread answer.
    private let request: fuse_req_t

    init(_ request: fuse_req_t) { unsafe self.request = unsafe request }

    deinit {
        warn("a request was dropped without an answer")
        unsafe fuse_reply_err(request, EIO)
    }

    /// The thread that made the request; 0 for a write-back.
    var thread: Int32 { unsafe fuse_req_ctx(request).pointee.pid }

    /// The user who made the request.
    var user: UInt32 { unsafe fuse_req_ctx(request).pointee.uid }

    /// The request itself, for a wait that its interruption ends; see `PipeReadRequest`.
    var handle: fuse_req_t { unsafe request }

    consuming func error(_ error: FileError) {
        unsafe fuse_reply_err(request, error.errno)
        discard self
    }

    consuming func done() {
        unsafe fuse_reply_err(request, 0)
        discard self
    }

    consuming func written(_ count: Int) {
        unsafe fuse_reply_write(request, count)
        discard self
    }

    /// Returns false if the caller was gone.
    @discardableResult
    consuming func bytes(_ bytes: [UInt8]) -> Bool {
        let result = unsafe bytes.withUnsafeBytes {
            unsafe fuse_reply_buf(request, $0.baseAddress?.assumingMemoryBound(to: CChar.self), $0.count)
        }
        discard self
        return result == 0
    }

    consuming func endOfFile() {
        unsafe fuse_reply_buf(request, nil, 0)
        discard self
    }

    /// Answers with `count` bytes straight from where they are.
    consuming func memory(_ bytes: UnsafeRawBufferPointer) {
        unsafe fuse_reply_buf(request, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count)
        discard self
    }

    consuming func memory(_ parts: UnsafeBufferPointer<iovec>) {
        unsafe fuse_reply_iov(request, parts.baseAddress, Int32(parts.count))
        discard self
    }

    consuming func entry(_ entry: fuse_entry_param) {
        var entry = entry
        unsafe fuse_reply_entry(request, &entry)
        discard self
    }

    /// Where a link leads.
    consuming func link(_ target: String) {
        unsafe fuse_reply_readlink(request, target)
        discard self
    }

    consuming func attributes(_ attributes: stat, timeout: Double) {
        var attributes = attributes
        unsafe fuse_reply_attr(request, &attributes, timeout)
        discard self
    }

    /// Returns false if the caller was gone: then no release will follow.
    consuming func opened(_ info: fuse_file_info) -> Bool {
        var info = info
        let result = unsafe fuse_reply_open(request, &info)
        discard self
        return result == 0
    }

    consuming func statistics(_ statistics: statvfs) {
        var statistics = statistics
        unsafe fuse_reply_statfs(request, &statistics)
        discard self
    }

    consuming func offset(_ offset: UInt64) {
        unsafe fuse_reply_lseek(request, off_t(offset))
        discard self
    }

    consuming func events(_ events: UInt32) {
        unsafe fuse_reply_poll(request, events)
        discard self
    }

    /// Names of a directory, as many as `size` bytes hold.
    consuming func entries(_ entries: [(name: String, node: NodeID, cookie: UInt64)], size: Int) {
        var buffer = [CChar](repeating: 0, count: min(size, 1 << 16))
        var used = 0
        for (name, node, cookie) in entries {
            var attributes = stat()
            attributes.st_ino = ino_t(node.rawValue)
            attributes.st_mode = node.role?.type ?? cfuse_S_IFREG
            let room = buffer.count - used
            let needed = unsafe buffer.withUnsafeMutableBufferPointer {
                unsafe fuse_add_direntry(
                    request, $0.baseAddress.map { unsafe $0 + used }, room, name, &attributes, off_t(cookie))
            }
            if needed > room { break }
            used += needed
        }
        unsafe fuse_reply_buf(request, buffer, used)
        discard self
    }
}
