import TagMemCore

@testable import TagMemFS

/// The requests that the kernel has sent, and the few threads of the daemon that serve them: each is busy until it has
/// decided, and where that can be done at once, has copied and answered. Write-backs wait for such a thread like all
/// else: a daemon that let one wait for a page of the kernel would end in a deadlock here.
extension ObjectKernel {
    enum Message {
        case access(Request)
        case writeback(Writeback)
        case cachedWrite(CachedRequest)
        case change(() -> Void)
    }

    func send(_ message: Message) {
        sent += 1
        switch message {
        case .access(let request): request.number = sent
        case .cachedWrite(let request): request.number = sent
        case .writeback, .change: break
        }
        queue.append(message)
    }

    /// A thread takes the first request. False if there is none, or no thread.
    func serve() -> Bool {
        guard !queue.isEmpty, busyServers < servers else { return false }
        busyServers += 1
        taken.append(queue.removeFirst())
        return true
    }

    /// A thread that has taken a request, and that may have been held up since, goes on with it.
    func begin(_ message: Message) {
        busyServers -= 1
        switch message {
        case .access(let request): begin(request)
        case .change(let body): body()
        case .cachedWrite(let request): begin(request)
        case .writeback(let writeback):
            busyServers += 1
            // The page may be gone by now; its bytes are on their way all the same.
            var bytes = writeback.file.pages[writeback.offset]?.bytes ?? []
            bytes += Array(repeating: 0, count: max(0, writeback.count - bytes.count))
            bytes.removeLast(bytes.count - writeback.count)
            writeback.access = unsafe bytes.withUnsafeBytes {
                unsafe directory.beginWriteback(writeback.file.alias, at: writeback.offset, $0)
            }
            writeback.cuts = writeback.file.object?.cuts ?? 0
            writebacks.append(writeback)
        }
    }

    private func begin(_ request: Request) {
        var access = MemoryAccess(
            request.purpose, request.alias, at: request.offset, count: request.count, tag: request.tag)
        access.number = request.number
        switch directory.begin(access) as Begun {
        case .decided(let grant):
            if case .granted = grant {
                request.isServed = true
                busyServers += 1
            }
            decided(request, grant)
        case .queued(let ticket):
            if request.isFill, request.count > 4096 { failure = "a fill of several pages waits: \(request)" }
            directory.wait(ticket, request)
        }
    }

    // MARK: What a grant has to be

    /// Pages that are handed out show memory, each at least in part; and an answer has few parts.
    func check(_ request: Request, granted access: MemoryAccess) {
        if request.isFill, access.count <= request.count - 4096 {
            failure = "a page of zeros behind the end: \(request)"
        }
        let pieces = access.footprint.pieces
        if pieces.count > Self.maximumParts { failure = "\(pieces.count) parts: \(request)" }
        for index in pieces.indices.dropFirst() {
            switch (pieces[index - 1], pieces[index]) {
            case (.zeros, .zeros): failure = "neighbours that are not one: \(request)"
            case (.memory(let address, let count), .memory(let next, _)):
                if address + UInt64(count) == next, bank(address) == bank(next) {
                    failure = "neighbours that are not one: \(request)"
                }
            default: break
            }
        }
    }

    /// What `writev` takes, with a header.
    private static let maximumParts = 1023

    private func bank(_ address: PhysicalAddress) -> Int? { dram.bankRun(at: address, limit: 1)?.region }
}
