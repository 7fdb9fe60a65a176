import CFuse
import Glibc

extension LibfuseTransport {
    /// What was asked of the kernel and has not come.
    struct Retrievals {
        fileprivate var waiting: [UInt64: @Sendable ([UInt8]?) -> Void] = [:]
        fileprivate var lastCookie: UInt64 = 0
        fileprivate var hasEnded = false
    }

    func invalidate(_ node: NodeID, at offset: UInt64, length: UInt64) {
        unsafe fuse_lowlevel_notify_inval_inode(session, node.rawValue, off_t(offset), off_t(length))
    }

    func invalidateAttributes(of node: NodeID) {
        unsafe fuse_lowlevel_notify_inval_inode(session, node.rawValue, -1, 0)
    }

    func announceSize(_ size: UInt64, of node: NodeID) {
        unsafe cfuse_notify_size(session, node.rawValue, size)
    }

    func retrieve(
        _ node: NodeID, at offset: UInt64, length: Int, then: @escaping @Sendable ([UInt8]?) -> Void
    ) {
        let cookie: UInt64? = retrievals.withLock { retrievals in
            if retrievals.hasEnded { return nil }
            retrievals.lastCookie += 1
            retrievals.waiting[retrievals.lastCookie] = then
            return retrievals.lastCookie
        }
        guard let cookie else { return then(nil) }
        let result = unsafe cfuse_notify_retrieve(session, node.rawValue, offset, length, cookie)
        // The kernel does not know the file, or cannot be asked.
        if result != 0 { finishRetrieval(cookie, nil) }
    }

    /// What was asked for has come.
    func hasRetrieved(_ bytes: [UInt8], cookie: UInt64) {
        finishRetrieval(cookie, bytes.isEmpty ? nil : bytes)
    }

    private func finishRetrieval(_ cookie: UInt64, _ bytes: [UInt8]?) {
        let then = retrievals.withLock { $0.waiting.removeValue(forKey: cookie) }
        then?(bytes)
    }

    func failRetrievals() {
        let waiting = retrievals.withLock { retrievals in
            retrievals.hasEnded = true
            defer { retrievals.waiting = [:] }
            return retrievals.waiting.values
        }
        for then in waiting { then(nil) }
    }
}
