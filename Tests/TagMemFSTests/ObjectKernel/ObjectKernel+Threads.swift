@testable import TagMemFS

/// The daemon's threads that serve no requests, as `MemoryThreads` runs them: each sleeps until its bell rings, then does
/// one thing after the other until there is nothing left.
extension ObjectKernel {
    var areThreadsIdle: Bool {
        notice == nil && stray == nil
            && threads.allSatisfy { work, isAwake in !isAwake && bells.threads[work] == 0 }
    }

    /// One step of a thread. False if it sleeps, or waits for something.
    func goOn(_ work: ThreadWork) -> Bool {
        if threads[work] == false {
            guard bells.take(work) else { return false }
            threads[work] = true
            return true
        }
        switch work {
        case .jobs:
            if !directory.stepJob() { threads[work] = false }
        case .ready:
            if !runReady() { threads[work] = false }
        case .notices:
            if notice == nil { notice = directory.nextNotice() }
            guard let next = notice else {
                threads[work] = false
                return true
            }
            guard say(next) else { return false }
            notice = nil
        case .strays:
            if stray == nil { stray = directory.nextStray() }
            guard let next = stray else {
                threads[work] = false
                return true
            }
            guard drop(next.node, next.offset) else { return false }
            stray = nil
        }
        return true
    }

    private func runReady() -> Bool {
        guard directory.look({ !$0.ready.isEmpty }) else { return false }
        directory.runReady(atMost: 1)
        return true
    }

    /// Says something to the kernel, which takes locks of pages for it. False if one is held.
    private func say(_ notice: Notice) -> Bool {
        switch notice {
        case .size(let size, let node):
            // A byte of the page behind the new end is stored, in a page that stays out of date.
            let offset = (size + 4095) / 4096 * 4096
            if file(node)?.pages[offset]?.isLocked == true { return false }
            note("\(node) is \(size) long")
        case .drop(let node, let offset, _):
            return drop(node, offset)
        case .retrieve(let node, let offset, let body):
            // Takes no lock.
            body(file(node)?.pages[offset].flatMap { $0.bytes ?? $0.partial })
        case .done(let end, let error):
            directory.tell(end, error)
        case .attributes:
            directory.attributesAreTold()
        case .call:
            failure = "something is said that is about no memory"
        }
        return true
    }

    /// FUSE_NOTIFY_INVAL_INODE. False while it waits.
    private func drop(_ node: NodeID, _ offset: UInt64) -> Bool {
        guard let file = file(node), let page = file.pages[offset] else { return true }
        if page.isLocked || page.isWriting { return false }
        if page.isDirty {
            if !file.holdsBack { beginWriteback(file, offset) }
            return false
        }
        note("drop \(file) \(offset)")
        file.pages[offset] = nil
        return true
    }

    private func file(_ node: NodeID) -> File? { files.first { $0.alias.node == node } }
}
