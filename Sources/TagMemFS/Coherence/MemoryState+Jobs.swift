import TagMemCore

/// Jobs: who waits for what, and whose turn it is.
extension MemoryState {
    mutating func start(_ job: some PageJob, then end: JobEnd) { makeReady(add(job, then: end)) }

    /// Adds a job whose first steps the calling thread does, see `advance`.
    mutating func add(_ job: some PageJob, then end: JobEnd) -> JobTask {
        let task = JobTask(job, then: end)
        jobs.all[ObjectIdentifier(task)] = task
        return task
    }

    /// Does the next step of a job that a thread does for itself. Where it waits, it is the thread of jobs' from then on.
    mutating func advance(_ task: JobTask) -> OwnStep {
        switch next(of: task) {
        case .again: return .again
        case .outside(let body): return .outside(body)
        case .blocked(let obstacle): block(task, obstacle)
        case .finished(let error): finish(task, error)
        }
        return .over
    }

    /// How a step of one's own ended.
    enum OwnStep {
        case again
        case outside(@Sendable () -> Void)
        /// It is done, or others go on with it.
        case over
    }

    private mutating func makeReady(_ task: JobTask) {
        if case .lines(let lines) = task.obstacle { unclaim(lines) }
        task.obstacle = nil
        jobs.ready.append(task)
        work.insert(.jobs)
    }

    /// Does the next step of a job. Returns what is to be done without the lock before the one after it; the job's
    /// turn comes again by itself.
    mutating func step(_ task: JobTask) -> (@Sendable () -> Void)? {
        switch next(of: task) {
        case .again:
            jobs.ready.append(task)
            return nil
        case .outside(let body):
            return body
        case .blocked(let obstacle):
            block(task, obstacle)
            return nil
        case .finished(let error):
            finish(task, error)
            return nil
        }
    }

    private mutating func next(of task: JobTask) -> JobStep {
        if isDraining { return .finished(.unmounting) }
        if let object = task.job.subject, !objects.contains(object) { return .finished(.notFound) }
        return task.job.step(&self, task)
    }

    /// What was outside is done.
    mutating func goOn(_ task: JobTask) { jobs.ready.append(task) }

    private mutating func finish(_ task: JobTask, _ error: FileError?) {
        jobs.all[ObjectIdentifier(task)] = nil
        if task.isStalled {
            counters.add(.stalls)
            counters.add(.stallMicroseconds, (monotonicNanoseconds() - task.start) / 1000)
        }
        if error == nil, !task.notices.isEmpty {
            notices.append(contentsOf: task.notices)
            notices.append(.done(task.end, nil))
            work.insert(.notices)
        } else {
            tell(task.end, error)
        }
    }

    /// A job is done, and what it had to say is said.
    mutating func tell(_ end: JobEnd, _ error: FileError?) {
        switch end {
        case .completion(let completion): ready.append(.done(completion, error))
        case .access(let ticket): pagesArrived(for: ticket, error)
        case .job(let task): if case .notices = task.obstacle { makeReady(task) }
        case .nobody: break
        }
    }

    // MARK: Waiting

    private mutating func block(_ task: JobTask, _ obstacle: JobObstacle) {
        task.obstacle = obstacle
        switch obstacle {
        case .lines(let lines):
            claim(lines)
            look(at: task)
        case .releases(let count):
            if jobs.releases != count || jobs.pendingReleases == 0 { return makeReady(task) }
            jobs.waitingForReleases.append(task)
        case .reshaping(let object):
            if objects[object].reshaper == nil { return makeReady(task) }
            objects[object].reshapersWaiting.append(task)
        case .recalls(let lane, let sequence):
            if recalls[lane].doneSequence >= sequence { return makeReady(task) }
            jobs.waitingForRecalls.append((lane, sequence, task))
        case .ticket(let ticket):
            if ticket.outstanding == 0 { return makeReady(task) }
            ticket.waiter = task
        case .modeChange(let object):
            if objects[object].modeChange == nil { return makeReady(task) }
            objects[object].modeChangesWaiting.append(task)
        case .quiet(let object):
            // It is the object's change of mode, and found by that.
            modeMayChange(of: object)
        case .notices:
            notices.append(.done(.job(task), nil))
            work.insert(.notices)
        }
    }

    /// Lets a job go on that waits for lines, or has it wait for the next of them.
    mutating func look(at task: JobTask) {
        guard case .lines(let lines) = task.obstacle else { return }
        if let line = lines.first(where: { !isPassable($0) }) {
            waits.park(task, at: line)
            self.lines[line] = self.lines[line].awaited(true)
        } else {
            makeReady(task)
        }
    }

    /// A recall of an object's `mem` may wait for a size change, which may be what the job is to answer: a job that
    /// needs such a line to be back waits for its lane.
    private func isPassable(_ line: Int) -> Bool {
        let state = lines[line]
        return !state.isBusy && !(state.isRecalled && !(state.isHeldByObject && state.holderKind == .mem))
    }

    private mutating func claim(_ claimed: [Int]) {
        for line in claimed where waits.claim(line, 1) == 1 { lines[line] = lines[line].claimed(true) }
    }

    private mutating func unclaim(_ claimed: [Int]) {
        for line in claimed where waits.claim(line, -1) == 0 { set(line, lines[line].claimed(false)) }
    }

    // MARK: What ends a wait

    /// Pages were released.
    mutating func pagesWereReleased() {
        jobs.releases += 1
        wakeReleaseWaiters()
    }

    /// A job that releases pages has begun (1) or ended (-1).
    mutating func countPendingRelease(_ change: Int) {
        jobs.pendingReleases += change
        if jobs.pendingReleases == 0 { wakeReleaseWaiters() }
    }

    private mutating func wakeReleaseWaiters() {
        let tasks = jobs.waitingForReleases
        jobs.waitingForReleases = []
        for task in tasks { makeReady(task) }
    }

    /// Recalls of a lane are done.
    mutating func recallsAreDone(_ lane: RecallLane) {
        let done = recalls[lane].doneSequence
        let tasks = jobs.waitingForRecalls.filter { $0.lane == lane && $0.sequence <= done }
        if !tasks.isEmpty {
            jobs.waitingForRecalls.removeAll { $0.lane == lane && $0.sequence <= done }
            for (_, _, task) in tasks { makeReady(task) }
        }
        guard lane == .free else { return }
        while let first = jobs.afterRecalls.first, first.sequence <= done {
            jobs.afterRecalls.removeFirst()
            ready.append(.done(first.completion, nil))
        }
    }

    mutating func ticketIsBack(_ ticket: ReleaseTicket) {
        guard let task = ticket.waiter else { return }
        ticket.waiter = nil
        makeReady(task)
    }

    /// A checked access has ended, or a page of a view has come back.
    mutating func modeMayChange(of object: ObjectID) {
        guard let task = objects[object].modeChange, case .quiet = task.obstacle,
            objects[object].recalledViewLines == 0, objects[object].checkedAccesses == 0
        else { return }
        makeReady(task)
    }

    /// Nothing that they wait for will come: their next steps end them.
    mutating func refuseJobs() {
        for task in jobs.all.values where task.obstacle != nil { makeReady(task) }
        jobs.waitingForReleases = []
        jobs.waitingForRecalls = []
        for (_, completion) in jobs.afterRecalls { ready.append(.done(completion, .unmounting)) }
        jobs.afterRecalls = []
    }

    // MARK: For steps

    /// Makes a job the one that changes the object; nil if it is, otherwise what to wait for.
    mutating func reshape(_ object: ObjectID, _ task: JobTask) -> JobStep? {
        if let other = objects[object].reshaper, other !== task { return .blocked(.reshaping(object)) }
        objects[object].reshaper = task
        return nil
    }

    /// The job does not change the object any more: the next one's turn.
    mutating func endReshaping(_ object: ObjectID) {
        objects[object].reshaper = nil
        guard !objects[object].reshapersWaiting.isEmpty else { return }
        let next = objects[object].reshapersWaiting.removeFirst()
        objects[object].reshaper = next
        makeReady(next)
    }

    mutating func finishReshaping(_ object: ObjectID, _ error: FileError? = nil) -> JobStep {
        endReshaping(object)
        return .finished(error)
    }

    /// Makes a job the one that changes the mode, likewise.
    mutating func beginModeChange(_ object: ObjectID, _ task: JobTask) -> JobStep? {
        if let other = objects[object].modeChange, other !== task { return .blocked(.modeChange(object)) }
        objects[object].modeChange = task
        return nil
    }

    mutating func endModeChange(_ object: ObjectID) {
        objects[object].modeChange = nil
        if !objects[object].modeChangesWaiting.isEmpty {
            let next = objects[object].modeChangesWaiting.removeFirst()
            objects[object].modeChange = next
            makeReady(next)
        } else {
            modeHasChanged(of: object)
        }
    }

    /// Waits for lines, and recalls those of them that `phys` has cached.
    mutating func wait(for obstacles: [Int]) -> JobStep {
        for line in obstacles where lines[line].isHeldByPhysical { recall(line) }
        return .blocked(.lines(obstacles))
    }

    /// Says, once, that there was no page to be had.
    func reportNoSpace() {
        if counters.add(.outOfMemory) == 1 {
            warn("out of memory: an allocation found no page (this is said once; vmstat counts them)")
        }
    }
}
