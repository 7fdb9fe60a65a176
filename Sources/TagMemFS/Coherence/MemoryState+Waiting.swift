import TagMemCore

/// Accesses that wait, and how they go on.
extension MemoryState {
    /// Gives an access a place in the queue, and recalls all that stands in its way.
    mutating func enqueue(_ access: MemoryAccess, _ obstacle: Obstacle) -> Waiter {
        counters.add(.requestsQueued)
        let waiter = add(access)
        stop(waiter, at: obstacle)
        return waiter
    }

    /// The same for an access that needs pages: the calling thread is to do the steps of the job that gets them.
    mutating func enqueue(
        _ access: MemoryAccess, for pages: PageDemand
    ) -> (ticket: WaitTicket, job: JobTask) {
        let waiter = add(access)
        waiter.place = .pages
        return (waiter.ticket, add(PopulateJob(pages), then: .access(waiter.ticket)))
    }

    private mutating func add(_ access: MemoryAccess) -> Waiter {
        let waiter = waits.add(access)
        objects[access.alias.object].waiting.insert(waiter.ticket)
        return waiter
    }

    /// What was decided on an access that waits, if it was: it waits no more.
    mutating func takeGrant(_ ticket: WaitTicket) -> (grant: Grant, access: MemoryAccess)? {
        guard let waiter = waits[ticket], let grant = waiter.grant else { return nil }
        waits.forget(waiter)
        return (grant, waiter.access)
    }

    /// Has pages got for a waiter, or begins its way.
    private mutating func stop(_ waiter: Waiter, at obstacle: Obstacle) {
        switch obstacle {
        case .pages(let demand):
            waiter.place = .pages
            start(PopulateJob(demand), then: .access(waiter.ticket))
        case .line, .mode:
            setOut(waiter)
        }
    }

    /// Begins the way of a waiter from its first line.
    private mutating func setOut(_ waiter: Waiter) {
        waiter.access.sortClaims()
        waiter.isRefill = waiter.access.handsOut && isHeldByItself(waiter.access)
        recallObstacles(of: waiter.access)
        goOn(waiter)
    }

    private mutating func recallObstacles(of access: MemoryAccess) {
        let holder = access.alias.holder
        for index in access.claims.indices {
            let claim = access.claims[index]
            for line in claim.lines { recallHolder(of: line, claim.intent, for: holder) }
        }
    }

    /// Somebody has ended something at a line: lets those go on who wait there, first come, first served.
    mutating func wake(_ line: Int) {
        for job in waits.takeJobs(at: line) { look(at: job) }
        for waiter in waits.takeRefills(at: line) {
            waiter.place = .none
            goOn(waiter)
        }
        while let waiter = waits.takeFirst(at: line) {
            waiter.place = .none
            goOn(waiter, wokenAt: line)
            if waiter.place == .line(line) { break }
        }
        lines[line] = lines[line].awaited(waits.isAwaited(line))
    }

    /// Brings a waiter as far as it comes: to the next line where something is in its way, or to a decision.
    private mutating func goOn(_ waiter: Waiter, wokenAt wakingLine: Int? = nil) {
        let access = waiter.access
        let holder = access.alias.holder
        // A write whose page the kernel did not keep locked may have lost it: it is as any other then.
        if waiter.isRefill, !isHeldByItself(access) {
            waiter.isRefill = false
            waiter.claim = 0
            waiter.line = 0
        }
        while waiter.claim < access.claims.count {
            let claim = access.claims[waiter.claim]
            while waiter.line < claim.count {
                let line = claim.start + waiter.line
                if claim.intent.isReservable, !waiter.isRefill, !waiter.hasNext {
                    if lines[line].isWanted { return park(waiter, at: line, first: line == wakingLine) }
                    lines[line] = lines[line].reserved(true)
                    waiter.hasNext = true
                }
                if isInTheWay(line, claim.intent, holder, hasPlace: true, waiter.isRefill) {
                    recallHolder(of: line, claim.intent, for: holder)
                    return park(waiter, at: line, first: true)
                }
                waiter.line += 1
                waiter.hasNext = false
            }
            waiter.claim += 1
            waiter.line = 0
        }
        // What was passed may be in the way again: an alias that was clean was opened for writing, a view got a page
        // before the place at its tags was taken.
        for index in access.claims.indices {
            let claim = access.claims[index]
            for line in claim.lines
            where isInTheWay(line, claim.intent, holder, hasPlace: true, waiter.isRefill) {
                recallHolder(of: line, claim.intent, for: holder)
                return park(waiter, at: line, first: true)
            }
        }
        switch grant(&waiter.access, waiter.isRefill) {
        case .decided(let grant): decide(waiter, grant)
        case .blocked:
            waiter.place = .mode
            objects[waiter.access.alias.object].waitingForMode.append(waiter.ticket)
        }
    }

    private mutating func park(_ waiter: Waiter, at line: Int, first: Bool) {
        waits.park(waiter, at: line, first: first)
        lines[line] = lines[line].awaited(true)
    }

    /// The waiter's turn has come, or never will.
    private mutating func decide(_ waiter: Waiter, _ grant: Grant) {
        leavePlaces(of: waiter)
        objects[waiter.access.alias.object].waiting.remove(waiter.ticket)
        waiter.grant = grant
        if waiter.operation != nil { ready.append(.access(waiter)) }
        waits.leave(waiter)
    }

    /// Takes the operation of an access that waits; returns what was decided if its turn has come already.
    mutating func wait(
        _ ticket: WaitTicket, _ operation: any DeferredOperation
    ) -> (grant: Grant, access: MemoryAccess)? {
        guard let waiter = waits[ticket] else { preconditionFailure("nobody waits with this ticket") }
        waiter.operation = operation
        return takeGrant(ticket)
    }

    private mutating func leavePlaces(of waiter: Waiter) {
        // Whoever is parked behind it is first now; and if nobody is, the line is not awaited.
        if let line = waits.unpark(waiter) { set(line, lines[line]) }
        defer {
            waiter.claim = 0
            waiter.line = 0
            waiter.hasNext = false
        }
        if waiter.isRefill { return }
        for index in waiter.access.claims.indices where index <= waiter.claim {
            let claim = waiter.access.claims[index]
            guard claim.intent.isReservable else { continue }
            let count = index < waiter.claim ? claim.count : waiter.line + (waiter.hasNext ? 1 : 0)
            for line in claim.start..<claim.start + count { set(line, lines[line].reserved(false)) }
        }
    }

    // MARK: Pages that moved, came or went

    /// Resolves those anew that wait for something at these addresses of an object.
    mutating func restartWaiters(of object: ObjectID, _ addresses: Range<UInt64>) {
        guard objects.contains(object) else { return }
        for ticket in objects[object].waiting.sorted() {
            guard let waiter = waits[ticket], waiter.place != .pages,
                waiter.access.addresses.overlaps(addresses)
            else { continue }
            restart(waiter)
        }
    }

    private mutating func restart(_ waiter: Waiter) {
        if waiter.place == .mode {
            objects[waiter.access.alias.object].waitingForMode.removeAll { $0 == waiter.ticket }
        }
        leavePlaces(of: waiter)
        switch prepare(&waiter.access) {
        case .decided(let grant): decide(waiter, grant)
        case .blocked(let obstacle): stop(waiter, at: obstacle)
        case nil: setOut(waiter)
        }
    }

    /// The pages that an access waited for are there, or not to be had.
    mutating func pagesArrived(for ticket: WaitTicket, _ error: FileError?) {
        guard let waiter = waits[ticket], waiter.grant == nil else { return }
        waiter.place = .none
        if let error { decide(waiter, .failed(error)) } else { restart(waiter) }
    }

    // MARK: Modes

    /// The mode has changed: those who waited for that go on.
    mutating func modeHasChanged(of object: ObjectID) {
        let tickets = objects[object].waitingForMode
        objects[object].waitingForMode = []
        for ticket in tickets {
            guard let waiter = waits[ticket], waiter.place == .mode else { continue }
            waiter.place = .none
            goOn(waiter)
        }
    }

    // MARK: The end

    /// Refuses everything that waits.
    mutating func refuseWaiters() {
        for ticket in waits.tickets {
            guard let waiter = waits[ticket], waiter.grant == nil else { continue }
            decide(waiter, .failed(.unmounting))
        }
    }
}
