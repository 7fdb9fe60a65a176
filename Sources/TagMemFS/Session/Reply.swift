import CFuse
import Glibc
import TagMemCore

/// The answer that a request waits for. It is given exactly once: a reply that is dropped answers EIO and says so.
@safe
struct Reply: ~Copyable, Sendable {
    let request: RequestToken
    // SAFETY: a sink outlives its requests, each of which has an answer before the session ends.
    private unowned(unsafe) let unownedSink: any ReplySink

    init(to request: RequestToken, through sink: any ReplySink) {
        self.request = request
        unsafe unownedSink = sink
    }

    var sink: any ReplySink { unsafe unownedSink }

    deinit {
        warn("a request was dropped without an answer")
        _ = sink.answer(request, .error(EIO))
    }

    /// Parts of an answer that are sent as they are. The kernel takes 1024 (UIO_MAXIOV), and each costs it as much as
    /// copying some hundred bytes.
    static let maximumParts = 256

    /// The thread that made the request; 0 for a write-back.
    var thread: Int32 { sink.caller(of: request).thread }

    /// The user who made the request.
    var user: UInt32 { sink.caller(of: request).user }

    /// Where the request stands among all that the kernel has sent. To be asked on the thread that got the request, before
    /// it waits for anything.
    var number: UInt64 { sink.currentNumber }

    /// Returns false if the answer did not reach whoever made the request.
    @discardableResult
    private consuming func give(_ answer: Answer) -> Bool {
        let reached = sink.answer(request, answer)
        discard self
        return reached
    }

    consuming func error(_ error: FileError) { give(.error(error.errno)) }

    consuming func done() { give(.error(0)) }

    consuming func written(_ count: Int) { give(.written(count)) }

    /// Returns false if the caller was gone.
    @discardableResult
    consuming func bytes(_ bytes: [UInt8]) -> Bool {
        var reply: Reply? = consume self
        return unsafe bytes.withUnsafeBytes { bytes in
            guard let reply = reply.take() else { return false }
            return unsafe reply.give(.bytes(bytes))
        }
    }

    consuming func endOfFile() { unsafe give(.bytes(UnsafeRawBufferPointer(start: nil, count: 0))) }

    /// Answers with bytes straight from where they are.
    consuming func memory(_ bytes: UnsafeRawBufferPointer) { unsafe give(.bytes(bytes)) }

    /// Answers with the bytes of the parts, one behind the other: straight from where they are, or if there are many, from
    /// a copy.
    consuming func memory(_ parts: UnsafeBufferPointer<iovec>) {
        if parts.count <= Self.maximumParts {
            unsafe give(.parts(parts))
            return
        }
        let count = unsafe parts.reduce(0) { unsafe $0 + $1.iov_len }
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 16)
        defer { unsafe copy.deallocate() }
        var position = 0
        for index in parts.indices {
            let bytes = unsafe UnsafeRawBufferPointer(
                start: parts[index].iov_base, count: parts[index].iov_len)
            unsafe UnsafeMutableRawBufferPointer(rebasing: copy[position...]).copyMemory(from: bytes)
            position += bytes.count
        }
        unsafe give(.bytes(UnsafeRawBufferPointer(copy)))
    }

    consuming func entry(_ entry: fuse_entry_param) { give(.entry(entry)) }

    /// Where a link leads.
    consuming func link(_ target: String) { give(.link(target)) }

    consuming func attributes(_ attributes: stat, timeout: Double) {
        give(.attributes(attributes, timeout: timeout))
    }

    /// `handle` names the open file in later requests. Returns false if the caller was gone: then no release will
    /// follow.
    consuming func opened(_ handle: UInt64, _ options: OpenFile.Options) -> Bool {
        give(.opened(handle, options))
    }

    consuming func statistics(_ statistics: statvfs) { give(.statistics(statistics)) }

    consuming func offset(_ offset: UInt64) { give(.offset(offset)) }

    /// The result of an ioctl, and what it gives back.
    consuming func result(_ result: Int, _ bytes: [UInt8] = []) {
        var reply: Reply? = consume self
        unsafe bytes.withUnsafeBytes { bytes in
            guard let reply = reply.take() else { return }
            unsafe reply.give(.result(result, bytes))
        }
    }

    consuming func events(_ events: UInt32) { give(.events(events)) }

    /// Names of a directory, as many as `size` bytes hold.
    consuming func entries(_ entries: [DirectoryEntry], size: Int) { give(.entries(entries, size: size)) }
}
