/// What the daemon says to the kernel of its own accord. Every call may block: none is made on a thread that serves
/// requests.
protocol KernelNotifier: AnyObject, Sendable {
    /// FUSE_NOTIFY_INVAL_INODE: takes pages out of the page cache and of every mapping; returns when what was dirty is
    /// written back. An inode that the kernel does not know has no pages.
    func invalidate(_ node: NodeID, at offset: UInt64, length: UInt64)

    /// FUSE_NOTIFY_INVAL_INODE without pages: the kernel asks anew for attributes. An inode that is being given up is
    /// waited for, and so are its pages that come back.
    func invalidateAttributes(of node: NodeID)

    /// Tells the kernel that a file has become larger.
    func announceSize(_ size: UInt64, of node: NodeID)

    /// FUSE_NOTIFY_RETRIEVE: `then` gets what the kernel has cached of a page from `offset` on, once, on any thread;
    /// nil if it has none of it, cannot say, or the session ends first.
    func retrieve(
        _ node: NodeID, at offset: UInt64, length: Int, then: @escaping @Sendable ([UInt8]?) -> Void)
}
