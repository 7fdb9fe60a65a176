import TagMemCore

/// The threads that do what those that serve requests leave to others. See "Threads" in Documentation/DESIGN.md.
///
/// | thread | does | waits for |
/// | --- | --- | --- |
/// | `recall-free`, `recall-sized` | recalls, and what they make ready | write-backs |
/// | `ready` | accesses whose turn has come, answers of changes | nothing |
/// | `jobs` | steps of jobs, compaction while the device is idle | nothing |
/// | `answers` (`DelayedAnswers`) | answers that are given later: refusals that the kernel repeats | its clock |
/// | `strays` | pages to drop that the kernel has from writes that were refused, in page cache mode | locks of pages, of writes too: nobody waits for this thread |
/// | `notices` | sizes, attributes, clean pages to drop, wake-ups of who polls, what the kernel has of a page | locks of pages whose reads are answered at once, or within 20 ms |
final class MemoryThreads: Sendable {
    private let directory: CoherenceDirectory
    let background: BackgroundWork
    private let bells: Bells
    private let isEnding = Flag()
    private let threads = Guarded<[DaemonThread]>([])

    /// What the threads are woken with.
    final class Bells: Sendable {
        let recalls = RecallLane.allCases.map { _ in Semaphore() }
        let ready = Semaphore()
        let jobs = Semaphore()
        let notices = Semaphore()
        let strays = Semaphore()

        func ring(_ work: Work) {
            for lane in RecallLane.allCases where work.contains(.recall(lane)) {
                recalls[lane.rawValue].post()
            }
            if work.contains(.ready) { ready.post() }
            if work.contains(.jobs) { jobs.post() }
            if work.contains(.notices) { notices.post() }
            if work.contains(.strays) { strays.post() }
        }
    }

    init(_ directory: CoherenceDirectory, _ bells: Bells) {
        self.directory = directory
        self.bells = bells
        background = BackgroundWork(directory) { bells.jobs.post() }
    }

    /// Starts the threads. Once, before requests are served.
    func start(_ notifier: any KernelNotifier) {
        for lane in RecallLane.allCases {
            run("recall-\(lane)", bells.recalls[lane.rawValue]) { [directory] in
                while let job = directory.nextRecall(lane) {
                    notifier.invalidate(job.node, at: job.offset, length: job.length)
                    directory.finishRecall(lane)
                }
            }
        }
        run("ready", bells.ready) { [directory] in directory.runReady() }
        run("notices", bells.notices) { [directory] in
            while let notice = directory.nextNotice() {
                switch notice {
                case .size(let size, let node): notifier.announceSize(size, of: node)
                case .drop(let node, let offset, let length):
                    notifier.invalidate(node, at: offset, length: length)
                case .attributes(let node):
                    notifier.invalidateAttributes(of: node)
                    directory.attributesAreTold()
                case .retrieve(let node, let offset, let body):
                    notifier.retrieve(node, at: offset, length: Int(Page.size), then: body)
                case .call(let body): body()
                case .done(let end, let error): directory.tell(end, error)
                }
            }
        }
        run("strays", bells.strays) { [directory] in
            while let stray = directory.nextStray() {
                notifier.invalidate(stray.node, at: stray.offset, length: Page.size)
            }
        }
        let thread = DaemonThread("jobs") { [background, bells, isEnding] in
            while true {
                background.waitForWork(bells.jobs)
                if isEnding.isSet { return }
                background.work()
            }
        }
        threads.withLock { $0.append(thread) }
    }

    /// Starts a thread that does its work whenever its bell rings.
    private func run(_ name: String, _ bell: Semaphore, _ work: @escaping @Sendable () -> Void) {
        let thread = DaemonThread(name) { [isEnding] in
            while true {
                bell.wait()
                work()
                if isEnding.isSet { return }
            }
        }
        threads.withLock { $0.append(thread) }
    }

    /// Ends the threads when the directory is drained: everything that waited is answered, and nothing is said to the
    /// kernel any more. Recalls that are in the kernel must be able to end.
    func stop() {
        // Jobs end at their next steps, and what they made ready is answered.
        while directory.stepJob() {}
        isEnding.set()
        for bell in bells.recalls + [bells.ready, bells.jobs, bells.notices, bells.strays] { bell.post() }
        let threads = threads.withLock { threads in
            defer { threads = [] }
            return threads
        }
        for thread in threads { thread.join() }
        finishRest()
    }

    /// Does what is left for threads that are not there any more.
    private func finishRest() {
        repeat {
            while directory.stepJob() {}
            directory.runReady()
            guard let notice = directory.nextNotice() else { return }
            switch notice {
            case .retrieve(_, _, let body): body(nil)
            case .done(let end, _): directory.tell(end, .unmounting)
            case .call(let body): body()
            case .attributes: directory.attributesAreTold()
            case .size, .drop: break
            }
        } while true
    }
}
