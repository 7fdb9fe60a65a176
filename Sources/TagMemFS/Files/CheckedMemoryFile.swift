import Glibc
import TagMemCore

/// Tag-checked access to an object's memory: what the views and `checked` have in common.
class CheckedMemoryFile: MemoryFile, @unchecked Sendable {
    /// The name in the fault log.
    var name: String { "checked" }
    /// The bit of `ObjectAliases.deferredFaults` that stands for this file.
    var deferredFaultBit: UInt32 { 1 << 16 }
    /// The object's address of a file offset.
    func address(of offset: UInt64) -> UInt64 { offset }

    override var options: Options {
        Options(isDirect: fileSystem.mapsDirectFiles, reportsClose: closeCanReport)
    }

    /// Whether `close` is to report an asynchronous fault. The kernel wants to know when a file is opened, and a close
    /// that asks costs a round trip: so it is asked for only while faults can be asynchronous. A descriptor that was
    /// open before reports with `fsync`; what it leaves is reported by the view's next one.
    var closeCanReport: Bool { object.mode == .async || object.mode == .asymm }

    /// Where an access first touches a granule of another tag.
    private struct Mismatch {
        /// Bytes of the access before it.
        let position: Int
        /// nil in a page that the object does not have: its tags are 0.
        let address: PhysicalAddress?
    }

    override func answer(_ reply: consuming Reply, _ access: MemoryAccess, mode: TagCheckMode) {
        // Pages for the page cache were checked when they were granted.
        guard !access.claim.handsOut, mode != .none, let mismatch = firstMismatch(access) else {
            return replyMemory(reply, access.footprint, count: access.count)
        }
        record(mismatch, access, .load, mode, thread: reply.thread)
        guard mode.effect(onStore: false) == .fault else {
            return replyMemory(reply, access.footprint, count: access.count)
        }
        if mismatch.position == 0 { return reply.error(.tagCheckFault) }
        replyMemory(reply, access.footprint, count: mismatch.position)
    }

    override func store(
        _ bytes: UnsafeRawBufferPointer, _ access: MemoryAccess, mode: TagCheckMode, thread: Int32
    ) throws(FileError) -> Int {
        var count = bytes.count
        if mode != .none, let mismatch = firstMismatch(access) {
            record(mismatch, access, .store, mode, thread: thread)
            if mode.effect(onStore: true) == .fault { count = mismatch.position }
            if count == 0 { throw .tagCheckFault }
        }
        unsafe copy(UnsafeRawBufferPointer(rebasing: bytes[..<count]), to: access.footprint)
        return count
    }

    /// What was stored is kept, whatever the tags say; in asynchronous mode each granule that changed and mismatches
    /// is a fault.
    override func storeWriteback(_ bytes: UnsafeRawBufferPointer, at offset: UInt64, _ footprint: Footprint) {
        if object.mode == .async, let tag = checkedTag(at: offset) {
            unsafe recordChangedGranules(bytes, at: offset, footprint, tag)
        }
        unsafe copy(bytes, to: footprint)
    }

    override func refuse(
        _ access: MemoryAccess, at physical: PhysicalAddress, mode: TagCheckMode, thread: Int32
    ) {
        guard fileSystem.refusedFaults.isNew(thread: thread, node: node, offset: access.offset) else {
            return
        }
        fileSystem.faultLog.record(
            fault(
                mode, .map, at: address(of: access.offset), size: access.count, physical,
                access.claim.checkedTag,
                thread: thread))
    }

    // MARK: The deferred report

    override func flush(_ reply: consuming Reply) { reportDeferredFault(reply) }

    override func fsync(_ reply: consuming Reply) { reportDeferredFault(reply) }

    private func reportDeferredFault(_ reply: consuming Reply) {
        let before = aliases.deferredFaults.bitwiseAnd(~deferredFaultBit, ordering: .relaxed).oldValue
        if before & deferredFaultBit != 0 { reply.error(.deferredFault) } else { reply.done() }
    }

    // MARK: Faults

    private func firstMismatch(_ access: MemoryAccess) -> Mismatch? {
        guard let tag = access.claim.checkedTag else { return nil }
        var position = 0
        for index in access.footprint.pieces.indices where position < access.count {
            let piece = access.footprint.pieces[index]
            let count = min(piece.count, access.count - position)
            guard case .memory(let start, _) = piece else {
                if tag.rawValue != 0 { return Mismatch(position: position, address: nil) }
                position += count
                continue
            }
            if let mismatch = dram.firstMismatch(of: tag, at: start, count: count) {
                return Mismatch(position: position + Int(mismatch - start), address: mismatch)
            }
            position += count
        }
        return nil
    }

    private func record(
        _ mismatch: Mismatch, _ access: MemoryAccess, _ kind: TagCheckFault.Access, _ mode: TagCheckMode,
        thread: Int32
    ) {
        let address = address(of: access.offset) + UInt64(mismatch.position)
        recordEffect(
            fault(
                mode, kind, at: address, size: access.requested, mismatch.address, access.claim.checkedTag,
                thread: thread))
    }

    private func recordChangedGranules(
        _ bytes: UnsafeRawBufferPointer, at offset: UInt64, _ footprint: Footprint, _ tag: AddressTag
    ) {
        let granule = Int(TagGranule.size)
        var position = 0
        for index in footprint.pieces.indices where position < bytes.count {
            guard case .memory(let start, let size) = footprint.pieces[index] else { continue }
            let count = min(size, bytes.count - position)
            defer { position += count }
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
                        .async, .store, at: address(of: offset) + UInt64(position + part), size: length,
                        physical, tag,
                        thread: 0))
            }
        }
    }

    private func recordEffect(_ fault: TagCheckFault) {
        if fault.mode.effect(onStore: fault.access == .store) == .deferredFault {
            aliases.object.hasAsynchronousFault = true
            aliases.deferredFaults.bitwiseOr(deferredFaultBit, ordering: .relaxed)
        }
        fileSystem.faultLog.record(fault)
    }

    private func fault(
        _ mode: TagCheckMode, _ access: TagCheckFault.Access, at address: UInt64, size: Int,
        _ physical: PhysicalAddress?, _ tag: AddressTag?, thread: Int32
    ) -> TagCheckFault {
        TagCheckFault(
            mode: mode, access: access, object: directory.withPages { _ in object.name }, view: name,
            offset: address, size: size,
            addressTag: tag ?? AddressTag(truncating: 0),
            allocationTag: physical.map { dram.allocationTag(at: $0) } ?? AllocationTag(truncating: 0),
            client: thread == 0 ? .unknown : Client(thread: thread))
    }
}
