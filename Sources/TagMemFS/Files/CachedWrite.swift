import TagMemCore

/// A file that is written through the kernel's page cache.
protocol CachedWriteFile: AnyObject, Sendable {
    var directory: CoherenceDirectory { get }
    var node: NodeID { get }

    func access(
        _ purpose: MemoryAccess.Purpose, at offset: UInt64, count: Int, user: UInt32
    ) throws(FileError) -> MemoryAccess

    /// Copies bytes to the memory of a granted access. Returns how many were taken.
    func store(
        _ bytes: UnsafeRawBufferPointer, _ access: MemoryAccess, thread: Int32
    ) throws(FileError) -> Int
}

/// A write that comes through the kernel's page cache (page cache mode), page by page: it covers one, or parts of two.
///
/// Where the kernel has a page already, it copies the bytes into it, unlocks it, and then asks. By then the page may
/// have been recalled, which dropped it with them, and filled anew without them. So the kernel is asked for what it has:
/// where that is the same, or nothing, the bytes go to memory; where it is different, the page is recalled first, as for
/// a direct write. A page that the kernel keeps locked for the write is never different.
/// What the kernel was given after it had sent the write it may not have put up yet, and has nothing to show: that is
/// different, too; and what it was given before that, and shows only after the write, comes back without the bytes.
final class CachedWrite: DeferredOperation, Completion {
    private let file: any CachedWriteFile
    private let offset: UInt64
    private let bytes: [UInt8]
    private let user: UInt32
    private let thread: Int32
    private let number: UInt64
    /// Gets the bytes that were written, or why none was. Called once.
    private let answer: @Sendable (Int, FileError?) -> Void
    private let state: Guarded<State>

    private struct State {
        /// Bytes that are written.
        var done = 0
        /// The access to the page that is written now, if it is granted.
        var access: MemoryAccess?
        /// What the kernel has of that page.
        var page: [UInt8]?
    }

    private var directory: CoherenceDirectory { file.directory }

    init(
        _ file: any CachedWriteFile, at offset: UInt64, _ bytes: [UInt8], user: UInt32, thread: Int32,
        number: UInt64, answer: @escaping @Sendable (Int, FileError?) -> Void
    ) {
        self.file = file
        self.offset = offset
        self.bytes = bytes
        self.user = user
        self.thread = thread
        self.number = number
        self.answer = answer
        state = Guarded(State())
    }

    /// Begins with the next page.
    func begin(_ purpose: MemoryAccess.Purpose = .cachedWrite) {
        let done = state.withLock { $0.done }
        let start = offset + UInt64(done)
        let count = min(bytes.count - done, Int(Page.start(start) + Page.size - start))
        do throws(FileError) {
            var access = try file.access(purpose, at: start, count: count, user: user)
            access.number = number
            switch directory.begin(&access) {
            case .decided(let grant): run(grant, access)
            case .queued(let ticket): directory.wait(ticket, self)
            }
        } catch {
            fail(error)
        }
    }

    /// The part of the bytes that an access is about.
    private func part(of access: MemoryAccess, count: Int) -> Range<Int> {
        let first = Int(access.offset - offset)
        return first..<first + count
    }

    func run(_ grant: Grant, _ access: MemoryAccess) {
        switch grant {
        case .granted:
            state.withLock { $0.access = access }
            if access.wasHeld { askKernel(access) } else { store(access) }
        case .failed(let error):
            finish(access, error)
        case .mismatch, .endOfFile:
            preconditionFailure("writes are checked while they copy, and end nowhere")
        }
    }

    private func askKernel(_ access: MemoryAccess) {
        let take: @Sendable ([UInt8]?) -> Void = { [self] page in
            state.withLock { $0.page = page }
            directory.makeReady(self)
        }
        directory.say(.retrieve(file.node, offset: Page.start(access.offset), then: take))
    }

    /// The kernel has said what it has.
    func run(_ error: FileError?) {
        let (known, page) = state.withLock { ($0.access, $0.page) }
        guard let access = known else { return }
        let own = bytes[part(of: access, count: access.count)]
        let first = Int(access.offset % Page.size)
        let isOther =
            if let page, page.count >= first + own.count {
                page[first..<first + own.count] != own
            } else {
                directory.wasFilled(after: access)
            }
        if isOther {
            directory.end(access)
            begin(.write)
        } else {
            if page == nil { directory.noteUnseen(access) }
            store(access)
        }
    }

    private func store(_ access: MemoryAccess) {
        var refusal: FileError?
        var count = 0
        unsafe bytes.withUnsafeBytes { bytes in
            let own = unsafe UnsafeRawBufferPointer(
                rebasing: bytes[part(of: access, count: access.count)])
            do throws(FileError) {
                count = try unsafe file.store(own, access, thread: thread)
            } catch {
                refusal = error
            }
        }
        if let refusal { return finish(access, refusal, isGranted: true) }
        directory.end(access, isWhole: count == access.count)
        go(on: count, of: access)
    }

    /// The access is refused; or it is done all the same, as its page came back with its bytes.
    private func finish(_ access: MemoryAccess, _ error: FileError, isGranted: Bool = false) {
        let isDone = unsafe bytes.withUnsafeBytes { bytes in
            let own = unsafe UnsafeRawBufferPointer(
                rebasing: bytes[part(of: access, count: access.requested)])
            return unsafe directory.hasComeBack(access, own)
        }
        if isGranted { directory.endRefused(access) }
        if isDone { go(on: access.requested, of: access) } else { fail(error) }
    }

    private func go(on count: Int, of access: MemoryAccess) {
        let done = state.withLock { state in
            state.done += count
            return state.done
        }
        if count == access.requested, done < bytes.count { return begin() }
        answer(done, nil)
    }

    private func fail(_ error: FileError) {
        let done = state.withLock { $0.done }
        answer(done, done > 0 ? nil : error)
    }
}
