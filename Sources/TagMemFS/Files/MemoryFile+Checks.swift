import Glibc
import TagMemCore

/// Accesses that are checked against a tag: those of the views and of `checked`.
extension MemoryFile {
    private typealias Mismatch = MemoryState.Mismatch

    /// Answers a read up to the first mismatching granule.
    func answerChecked(_ reply: consuming Reply, _ access: MemoryAccess) {
        // Pages for the page cache were checked when they were granted.
        guard !access.handsOut, access.mode != .none, let mismatch = firstMismatch(access) else {
            return replyMemory(reply, access.footprint, count: access.count)
        }
        record(mismatch, access, .load, thread: reply.thread)
        guard access.mode.effect(onStore: false) == .fault else {
            return replyMemory(reply, access.footprint, count: access.count)
        }
        if mismatch.position == 0 { return reply.error(.tagCheckFault) }
        replyMemory(reply, access.footprint, count: mismatch.position)
    }

    /// Stores bytes up to the first mismatching granule. Returns how many.
    func storeChecked(
        _ bytes: UnsafeRawBufferPointer, _ access: MemoryAccess, thread: Int32
    ) throws(FileError) -> Int {
        var count = bytes.count
        if access.mode != .none, let mismatch = firstMismatch(access) {
            record(mismatch, access, .store, thread: thread)
            if access.mode.effect(onStore: true) == .fault { count = mismatch.position }
            if count == 0 { throw .tagCheckFault }
        }
        unsafe copy(UnsafeRawBufferPointer(rebasing: bytes[..<count]), to: access.footprint)
        return count
    }

    /// What was stored is kept, whatever the tags say; in asynchronous mode each granule that changed and mismatches
    /// is a fault.
    func storeViewWriteback(_ bytes: UnsafeRawBufferPointer, _ access: MemoryAccess) {
        if access.mode == .async, case .tag(let tag) = check {
            unsafe recordChangedGranules(bytes, access, tag)
        }
        unsafe copy(bytes, to: access.footprint)
    }

    /// A page of a mapping was refused. Returns when to answer, in nanoseconds from now.
    func refuse(_ access: MemoryAccess, at physical: PhysicalAddress?, thread: Int32) -> Int {
        fileSystem.refusedFaults.pageWasRefused(thread: thread, node: node, offset: access.offset) {
            fault(
                access, .map, at: access.offset, size: access.count, physical, access.tag, thread: thread)
        }
    }

    // MARK: The deferred report

    /// Whether `close` is to report an asynchronous fault. The kernel wants to know when a file is opened, and a close
    /// that asks costs a round trip: so it is asked for only while faults can be asynchronous. A descriptor that was
    /// open before reports with `fsync`; what it leaves is reported by the view's next one.
    var closeCanReport: Bool {
        let mode = directory.mode(of: object)
        return check != .none && (mode == .async || mode == .asymm)
    }

    func reportDeferredFault(_ reply: consuming Reply) {
        if directory.takeDeferredFault(object, file: check.deferredFaultBit) {
            reply.error(.deferredFault)
        } else {
            reply.done()
        }
    }

    // MARK: Faults

    private func firstMismatch(_ access: MemoryAccess) -> Mismatch? {
        access.tag.flatMap { dram.firstMismatch(of: $0, in: access.footprint, count: access.count) }
    }

    private func record(
        _ mismatch: Mismatch, _ access: MemoryAccess, _ kind: TagCheckFault.Access, thread: Int32
    ) {
        recordEffect(
            fault(
                access, kind, at: access.offset + UInt64(mismatch.position), size: access.requested,
                mismatch.address, access.tag, thread: thread))
    }

    private func recordChangedGranules(
        _ bytes: UnsafeRawBufferPointer, _ access: MemoryAccess, _ tag: AddressTag
    ) {
        let granule = Int(TagGranule.size)
        var position = 0
        for index in access.footprint.pieces.indices where position < bytes.count {
            let piece = access.footprint.pieces[index]
            let count = min(piece.count, bytes.count - position)
            defer { position += count }
            guard case .memory(let start, _) = piece else { continue }
            if dram.firstMismatch(of: tag, at: start, count: count) == nil { continue }
            for part in stride(from: 0, to: count, by: granule) {
                let physical = start + UInt64(part)
                let length = min(granule, count - part)
                let new = unsafe UnsafeRawBufferPointer(rebasing: bytes[(position + part)...].prefix(length))
                if unsafe dram.allocationTag(at: physical) == tag.matchingAllocationTag
                    || dram.equals(new, at: physical)
                {
                    continue
                }
                recordEffect(
                    fault(
                        access, .store, at: access.offset + UInt64(position + part), size: length, physical,
                        tag, thread: 0))
            }
        }
    }

    private func recordEffect(_ fault: TagCheckFault) {
        if fault.mode.effect(onStore: fault.access == .store) == .deferredFault {
            directory.noteAsynchronousFault(object, file: check.deferredFaultBit)
        }
        fileSystem.faultLog.record(fault)
    }

    private func fault(
        _ access: MemoryAccess, _ kind: TagCheckFault.Access, at address: UInt64, size: Int,
        _ physical: PhysicalAddress?, _ tag: AddressTag?, thread: Int32
    ) -> TagCheckFault {
        TagCheckFault(
            mode: access.mode, access: kind, object: directory.name(of: object), view: check.name,
            offset: address, size: size, addressTag: tag ?? AddressTag(truncating: 0),
            allocationTag: physical.map { dram.allocationTag(at: $0) } ?? AllocationTag(truncating: 0),
            client: thread == 0 ? .unknown : Client(thread: thread))
    }
}
