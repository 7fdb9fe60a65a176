@testable import TagMemFS

/// The daemon's threads that serve no requests, as `MemoryThreads` runs them: each sleeps until its bell rings, then does
/// one thing after the other until there is nothing left.
extension ObjectKernel {
    var areThreadsIdle: Bool {
        threads.allSatisfy { work, isAwake in !isAwake && bells.threads[work] == 0 }
    }

    /// One step of a thread. False if it sleeps, or waits for something.
    func goOn(_ work: ThreadWork) -> Bool {
        if threads[work] == false {
            guard bells.take(work) else { return false }
            threads[work] = true
            return true
        }
        let didSomething =
            switch work {
            case .jobs: directory.stepJob()
            case .ready: runReady()
            case .notices: sayNotice()
            }
        if !didSomething { threads[work] = false }
        return true
    }

    private func runReady() -> Bool {
        guard directory.look({ !$0.ready.isEmpty }) else { return false }
        directory.runReady(atMost: 1)
        return true
    }

    private func sayNotice() -> Bool {
        guard let notice = directory.nextNotice() else { return false }
        switch notice {
        case .size(let size, let node): note("\(node) is \(size) long")
        case .drop(let node, let offset, _): note("drop \(node) \(offset)")
        case .retrieve(_, _, let body): body(nil)
        case .done(let end, let error): directory.tell(end, error)
        }
        return true
    }
}
