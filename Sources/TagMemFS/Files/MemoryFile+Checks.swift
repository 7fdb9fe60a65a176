import Glibc
import TagMemCore

/// Accesses that are checked against a tag: those of the views and of `checked`.
extension MemoryFile {
    typealias Mismatch = MemoryState.Mismatch

    /// Answers a read up to the first mismatching granule.
    func answerChecked(_ reply: consuming Reply, _ access: MemoryAccess) {
        // Pages for the page cache were checked when they were granted.
        guard !access.handsOut, access.mode.effect(onStore: false) != .ignored,
            let mismatch = firstMismatch(access)
        else {
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
        if access.mode.effect(onStore: true) != .ignored, let mismatch = firstMismatch(access) {
            record(mismatch, access, .store, thread: thread)
            if access.mode.effect(onStore: true) == .fault { count = mismatch.position }
            if count == 0 { throw .tagCheckFault }
        }
        unsafe copy(UnsafeRawBufferPointer(rebasing: bytes[..<count]), to: access.footprint)
        return count
    }

    /// What was stored is kept, whatever the tags say; where faults of stores are asynchronous each granule that changed
    /// and mismatches is one.
    func storeViewWriteback(_ bytes: UnsafeRawBufferPointer, _ access: MemoryAccess) {
        let mode = access.mode
        if !mode.refusesMismatchingPages, mode.effect(onStore: true) == .deferredFault,
            case .tag(let tag) = check
        {
            unsafe recordChangedGranules(bytes, access, tag)
        }
        unsafe storeTagWriteback(bytes, access.footprint)
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
        check != .none && directory.mode(of: object).defersFaults
    }

    func reportDeferredFault(_ reply: consuming Reply) {
        if directory.takeDeferredFault(object, file: check.deferredFaultBit) {
            reply.error(.deferredFault)
        } else {
            reply.done()
        }
    }

    // MARK: Faults

    func firstMismatch(_ access: MemoryAccess) -> Mismatch? {
        access.tag.flatMap { dram.firstMismatch(of: $0, in: access.footprint, count: access.count) }
    }

    @discardableResult
    func record(
        _ mismatch: Mismatch, _ access: MemoryAccess, _ kind: TagCheckFault.Access, thread: Int32
    ) -> TagCheckFault {
        let fault = fault(
            access, kind, at: access.offset + UInt64(mismatch.position), size: access.requested,
            mismatch.address, access.tag, thread: thread)
        recordEffect(fault)
        return fault
    }

    /// A fault that the program has found itself, which has done with it what is to be done.
    func record(_ report: CheckedAccess.Report, thread: Int32) {
        recordEffect(
            TagCheckFault(
                mode: report.mode, access: report.isStore ? .store : .load,
                object: directory.name(of: object),
                view: nameOfCheck, offset: report.pointer.address, size: report.size,
                addressTag: report.pointer.addressTag, allocationTag: report.allocationTag,
                client: Client(thread: thread)))
    }

    /// As whose access a fault is logged: what is checked through `mem` and the files of tags is by pointer.
    private var nameOfCheck: String { check == .none ? AccessCheck.pointer.name : check.name }

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
            let pointer = TaggedPointer(address: 0, tag: tag)
            if dram.firstMismatch(ofTagIn: pointer, at: start, count: count) == nil { continue }
            for part in stride(from: 0, to: count, by: granule) {
                let physical = start + UInt64(part)
                let length = min(granule, count - part)
                let new = unsafe UnsafeRawBufferPointer(rebasing: bytes[(position + part)...].prefix(length))
                if unsafe dram.tagToMatch(at: physical) == tag.matchingAllocationTag
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
            mode: access.mode, access: kind, object: directory.name(of: object), view: nameOfCheck,
            offset: address, size: size, addressTag: tag ?? AddressTag(truncating: 0),
            allocationTag: physical.map { dram.tagToMatch(at: $0) } ?? AllocationTag(truncating: 0),
            client: thread == 0 ? .unknown : Client(thread: thread))
    }
}
