import CFuse
import Glibc

extension LibfuseTransport {
    func answer(_ token: RequestToken, _ answer: Answer) -> Bool {
        let result = unsafe send(answer, request(token))
        // The request is free now, whatever the result. -ENOENT: nobody waits; see `cfuse_write_message`.
        if result != 0, result != -ENOENT { warn("the kernel takes no answer: \(errorText(-result))") }
        return result == 0
    }

    private func request(_ token: RequestToken) -> fuse_req_t {
        // SAFETY: a token is made of a request, and valid until that is answered.
        guard let request = unsafe fuse_req_t(bitPattern: token.rawValue) else {
            preconditionFailure("a request is somewhere")
        }
        return unsafe request
    }

    private func send(_ answer: Answer, _ request: fuse_req_t) -> Int32 {
        switch answer {
        case .error(let error): return unsafe fuse_reply_err(request, error)
        case .written(let count): return unsafe fuse_reply_write(request, count)
        case .bytes(let bytes):
            return unsafe fuse_reply_buf(
                request, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count)
        case .parts(let parts):
            return unsafe fuse_reply_iov(request, parts.baseAddress, Int32(parts.count))
        case .entry(var entry): return unsafe fuse_reply_entry(request, &entry)
        case .link(let target): return unsafe fuse_reply_readlink(request, target)
        case .attributes(var attributes, let timeout):
            return unsafe fuse_reply_attr(request, &attributes, timeout)
        case .opened(let handle, let options):
            return unsafe cfuse_reply_open(request, handle, options.flags)
        case .statistics(var statistics): return unsafe fuse_reply_statfs(request, &statistics)
        case .offset(let offset): return unsafe fuse_reply_lseek(request, off_t(offset))
        case .result(let result, let bytes):
            return unsafe fuse_reply_ioctl(request, Int32(result), bytes.baseAddress, bytes.count)
        case .events(let events): return unsafe fuse_reply_poll(request, events)
        case .entries(let entries, let size): return unsafe send(entries, size: size, request)
        }
    }

    private func send(_ entries: [DirectoryEntry], size: Int, _ request: fuse_req_t) -> Int32 {
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
        return unsafe fuse_reply_buf(request, buffer, used)
    }

    // MARK: What is known of a request

    func caller(of token: RequestToken) -> (thread: Int32, user: UInt32) {
        let caller = unsafe fuse_req_ctx(request(token)).pointee
        return (caller.pid, caller.uid)
    }

    var currentNumber: UInt64 { cfuse_current_unique() }

    func onInterruption(of token: RequestToken, tell handler: FaultLog) {
        // SAFETY: the handler outlives the request.
        unsafe fuse_req_interrupt_func(
            request(token),
            { request, data in
                guard let data = unsafe data else { return }
                unsafe Unmanaged<FaultLog>.fromOpaque(data).takeUnretainedValue()
                    .interrupt(RequestToken(rawValue: UInt(bitPattern: request)))
            }, unsafe Unmanaged.passUnretained(handler).toOpaque())
    }

    func isInterrupted(_ token: RequestToken) -> Bool {
        unsafe fuse_req_interrupted(request(token)) != 0
    }
}

extension OpenFile.Options {
    /// As cfuse_OPEN_* flags. What the kernel keeps of a file stays: recalls take away what has become old.
    var flags: UInt32 {
        var flags = cfuse_OPEN_KEEP_CACHE
        if isDirect { flags |= cfuse_OPEN_DIRECT_IO }
        if isStream { flags |= cfuse_OPEN_NONSEEKABLE }
        if !reportsClose { flags |= cfuse_OPEN_NOFLUSH }
        if writesInParallel { flags |= cfuse_OPEN_PARALLEL_DIRECT_WRITES }
        return flags
    }
}

/// The kernel's handle of somebody who polls a file.
///
/// Unchecked because of its pointers: who upholds what is said at each (SAFETY).
@safe
final class LibfusePollWatcher: PollWatcher, @unchecked Sendable {
    // SAFETY: owned by this object, given up in `deinit`; libfuse lets any thread notify.
    private let handle: OpaquePointer

    init(_ handle: OpaquePointer) { unsafe self.handle = unsafe handle }

    deinit { unsafe fuse_pollhandle_destroy(handle) }

    func notify() { unsafe fuse_lowlevel_notify_poll(handle) }
}
