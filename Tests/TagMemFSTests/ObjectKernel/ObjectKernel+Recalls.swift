import TagMemCore

@testable import TagMemFS

/// Write-backs, and the threads that recall.
extension ObjectKernel {
    /// Sends a dirty page to the daemon, which serves it at once.
    func beginWriteback(_ file: File, _ offset: UInt64) {
        guard file.pages[offset]?.bytes != nil else { return }
        note("write back \(file) 0x\(String(offset, radix: 16))")
        file.pages[offset]?.isDirty = false
        file.pages[offset]?.isWriting = true
        // The kernel writes nothing from behind the end that it knows.
        var count = 4096
        if file.kind == .mem, let object = file.object {
            count = Int(clamping: Int64(object.size) - Int64(offset))
            if count <= 0 {
                file.pages[offset]?.isWriting = false
                return
            }
            count = min(count, 4096)
        }
        send(.writeback(Writeback(file, offset, count)))
    }

    func finish(_ writeback: Writeback) {
        writebacks.removeAll { $0 === writeback }
        let file = writeback.file
        busyServers -= 1
        guard let access = writeback.access else { return }
        defer { directory.end(access) }
        guard let page = file.pages[writeback.offset], let bytes = page.bytes else { return }
        let footprint = access.footprint
        rememberPending(page, footprint)
        checkPlace(of: file, writeback.offset, 4096, footprint, cuts: writeback.cuts)
        note("written back \(file) 0x\(String(writeback.offset, radix: 16))")
        let changed =
            file.kind.isView ? [] : changedDataLines(Array(bytes.prefix(footprint.count)), footprint)
        forEachLine(of: footprint, 0..<min(bytes.count, footprint.count)) { address, position, count in
            write(bytes[position..<position + count], to: address)
        }
        directory.recallViews(of: changed)
        file.pages[writeback.offset]?.isWriting = false
        // Out of date since the write in it was refused.
        if page.isRefused, !page.isDirty { file.pages[writeback.offset] = nil }
    }

    func isIdle(_ lane: Lane) -> Bool {
        if case .asleep = lane.state { bells.recalls[lane.lane.rawValue] == 0 } else { false }
    }

    /// One step of a recall thread. False if it waits for something.
    func goOn(_ lane: Lane) -> Bool {
        switch lane.state {
        case .asleep:
            guard bells.take(lane.lane) else { return false }
            lane.state = .lookingForWork
        case .lookingForWork:
            guard let job = directory.nextRecall(lane.lane) else {
                lane.state = .asleep
                return true
            }
            note("\(lane.lane): recall \(job.object.number) \(job.kind) \(job.offset)+\(job.length)")
            lane.state = .recalling(job, offset: job.offset)
        case .recalling(let job, let offset):
            guard offset < job.end else {
                note("\(lane.lane): recalled \(job.object.number) \(job.kind) \(job.offset)")
                lane.state = .lookingForWork
                directory.finishRecall(lane.lane)
                return true
            }
            guard let file = files.first(where: { $0.alias == job.alias }) else {
                lane.state = .recalling(job, offset: job.end)
                return true
            }
            if let page = file.pages[offset] {
                if page.isLocked || page.isWriting { return false }
                if page.isDirty {
                    if file.holdsBack { return false }
                    beginWriteback(file, offset)
                    return true
                }
                file.pages[offset] = nil
            }
            lane.state = .recalling(job, offset: offset + 4096)
        }
        return true
    }
}
